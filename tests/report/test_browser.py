#!/usr/bin/env python3
"""Reports in a real browser: nothing is asked for, nothing is complained of, what is drawn is not blank, and what is shown is
what --summary says; light and dark, wide and narrow.

    test_browser.py TUMBLE GENERATE SCREENSHOTS"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import report_page
from webdriver import Browser

TUMBLE, GENERATE, SCREENSHOTS = sys.argv[1:4]
COMMON = ["-q", "-t", "timestamp", "-w", "60", "--shards", "4", "--partition-key", "userId", "--group-by", "eventType", "--aggregate", "events=count()", "--aggregate", "revenue=sum(amount)"]
RUNS = {
    "replay": ["--allowed-lateness", "5"],
    "mapping": ["--arrival", "live", "--maximum-batching-window-in-seconds", "2", "--fault", "error=0.02,throttle=0.02,slow=0.05", "--function-duration", "40"],
}

# Of each canvas: how many colours there are in it, up to 50.
COLOURS = """return [...document.querySelectorAll('canvas')].map(canvas => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
    for (let i = 0; i < data.length && seen.size < 50; i += 4) seen.add(data[i] << 24 | data[i + 1] << 16 | data[i + 2] << 8 | data[i + 3]);
    return seen.size; })"""
FIGURES = "return Object.fromEntries([...document.querySelectorAll('#figures tr')].map(row => [row.dataset.name, JSON.parse(row.dataset.value)]))"
TILES = "return Object.fromEntries([...document.querySelectorAll('[data-figure]')].map(tile => [tile.dataset.figure, [Number(tile.dataset.value), tile.innerText]]))"


def pixels(path):
    """Width, height and the set of colours of a PNG of 8 bits a channel."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, width, height, channels = 8, b"", 0, 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
            assert depth == 8
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    return width, height, len(set(zlib.decompress(packed))), channels


def flat(value, prefix=""):
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from flat(inner, prefix + name + ".")
        else:
            yield prefix + name, inner


def check_page(browser, path, summary, name, width, dark):
    browser.do("url", {"url": "about:blank"})  # the tab that a browser begins with asks for things of its own
    browser.log("performance"), browser.log("browser")
    browser.look_at(path, width, dark)
    asked = []
    for entry in browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    assert asked and all(url.startswith(("file://" + os.path.abspath(path), "data:")) for url in asked), asked
    complaints = [entry for entry in browser.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not complaints, complaints
    assert browser.script("return document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth"), "wider than the screen at %d" % width
    colours = browser.script(COLOURS)
    assert len(colours) >= 7 and all(count > 5 for count in colours), colours
    assert browser.script(FIGURES) == dict(flat(summary))
    tiles = browser.script(TILES)
    expected = {"records_read": summary["records_read"], "windows_closed": summary["windows_closed"], "applied": summary["applied"], "late": summary["late"]}
    if "Invocations" in summary:
        expected |= {"Invocations": summary["Invocations"], "Errors": summary["Errors"], "IteratorAge": summary["IteratorAge"]["Maximum"]}
    else:
        expected |= {"batches": summary["batches"]}
    for figure, value in expected.items():
        assert tiles[figure][0] == value, (figure, tiles[figure], value)
    shot = os.path.join(SCREENSHOTS, "%s-%d-%s.png" % (name, width, "dark" if dark else "light"))
    browser.screenshot(shot)
    shot_width, shot_height, kinds, _ = pixels(shot)
    assert shot_width == width and shot_height > 1500 and kinds > 100, (shot, shot_width, shot_height, kinds)


def check_doing(browser):
    """Tables open, a chart changes what it shows, the theme changes, a span is chosen in all charts."""
    rows = browser.script("document.querySelectorAll('details').forEach(d => d.open = true); return new Promise(done => setTimeout(() => done([...document.querySelectorAll('details .scroll')].map(t => t.querySelectorAll('tbody tr').length)), 300))")
    assert len(rows) >= 6 and all(count > 0 for count in rows), rows
    browser.script("document.querySelector('.seg button:last-child').click()")
    assert browser.script("return document.querySelector('.seg button:last-child').getAttribute('aria-pressed')") == "true"
    before = browser.script("return getComputedStyle(document.body).backgroundColor")
    browser.script("document.getElementById('theme').click(); document.getElementById('theme').click()")
    assert browser.script("return document.documentElement.dataset.theme") == "dark"
    assert browser.script("return getComputedStyle(document.body).backgroundColor") != before
    browser.script("document.getElementById('theme').click()")
    lane = browser.script("const c = document.querySelector('#lanes canvas').getBoundingClientRect(); document.querySelector('#lanes canvas').dispatchEvent(new PointerEvent('pointermove', {clientX: c.left + c.width / 2, clientY: c.top + 8, bubbles: true})); return document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText")
    assert "window 2025" in lane and "records in" in lane, lane


def hostile(browser, directory):
    """A name that would end the script ends nothing."""
    source = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!--"
    with open(directory + "/one.ndjson", "w", encoding="utf-8") as file:
        file.write('{"timestamp": 1700000000000, "userId": "a"}\n')
    path = directory + "/hostile.html"
    subprocess.run([TUMBLE, "replay", "-q", "-t", "timestamp", "-w", "60", "--aggregate", "n=count()", "--source", source, "--report", path, "-o", "file:/dev/null", directory + "/one.ndjson"], check=True, timeout=60)
    report_page.read(path)
    browser.look_at(path, 1280, False)
    assert source in browser.script("return document.title") and browser.script("return document.images.length") == 0
    assert source in browser.script("return document.querySelector('h1').innerText")


def failed(browser, directory):
    """The first thing on the page is that it failed, and why; a run that did not says nothing of the kind."""
    with open(directory + "/bad.ndjson", "w", encoding="utf-8") as file:
        file.write('{"timestamp": 1700000000000, "amount": 1}\n{"timestamp": 1700000000001, "amount": "<b>x"}\n')
    path = directory + "/failed.html"
    done = subprocess.run([TUMBLE, "replay", "-q", "-t", "timestamp", "-w", "60", "--aggregate", "s=sum(amount)", "--report", path, "-o", "file:/dev/null", directory + "/bad.ndjson"], timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    browser.look_at(path, 390, True)
    told = browser.script("return document.getElementById('failure').innerText")
    assert "exit code 1" in told and report_page.read(path)["error"] in told, told
    browser.screenshot(os.path.join(SCREENSHOTS, "failed-390-dark.png"))


def main():
    os.makedirs(SCREENSHOTS, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        clicks = directory + "/clicks.ndjson"
        with open(clicks, "wb") as file:
            subprocess.run([GENERATE, "--seed", "7", "--records", "120000", "--groups", "20", "--out-of-order", "2000"], stdout=file, check=True)
        browser = Browser()
        try:
            for name, options in RUNS.items():
                path, summary = directory + "/%s.html" % name, directory + "/%s.json" % name
                subprocess.run([TUMBLE, "replay", *COMMON, *options, "--report", path, "--summary", summary, "-o", "file:/dev/null", clicks], check=True, timeout=120)
                with open(summary, encoding="utf-8") as file:
                    figures = json.load(file)
                figures["peak_rss_bytes"] = report_page.read(path)["summary"]["peak_rss_bytes"] # as it was a moment later
                for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
                    check_page(browser, path, figures, name, width, dark)
            browser.look_at(directory + "/mapping.html", 1280, False)
            check_doing(browser)
            assert browser.script("return getComputedStyle(document.getElementById('failure')).display") == "none"
            hostile(browser, directory)
            failed(browser, directory)
        finally:
            browser.close()
    print("ok; screenshots in %s" % SCREENSHOTS)


if __name__ == "__main__":
    main()
