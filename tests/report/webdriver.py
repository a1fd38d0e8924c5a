"""A Chromium without a window, by Debian's chromedriver: as much of WebDriver as the tests use."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1"]


class Browser:
    def __init__(self):
        driver, binary = shutil.which("chromedriver"), shutil.which("chromium")
        assert driver and binary, "chromium and chromium-driver are missing (./dev test --long installs them)"
        self.profile = tempfile.mkdtemp()
        self.driver = subprocess.Popen([driver, "--port=0", "--allowed-ips=127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.session = None
        try:
            for line in self.driver.stdout:
                match = re.search(r"started successfully on port (\d+)", line)
                if match:
                    break
            self.url = "http://127.0.0.1:%s" % match.group(1)
            options = {"binary": binary, "args": [*FLAGS, "--user-data-dir=" + self.profile]}
            wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}}
            self.session = self.call("POST", "/session", wanted)["sessionId"]
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None, headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as response:
            return json.load(response)["value"]

    def do(self, command, body=None, method="POST"):
        return self.call(method, "/session/%s/%s" % (self.session, command), body if body is not None or method == "GET" else {})

    def devtools(self, command, **parameters):
        return self.do("goog/cdp/execute", {"cmd": command, "params": parameters})

    def look_at(self, path, width, dark):
        """Opens a file and waits until its script is through."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.do("url", {"url": "file://" + os.path.abspath(path)})
        assert self.script("return document.documentElement.dataset.ready") == "yes", "the page's script did not come to its end"

    def script(self, text, *arguments):
        return self.do("execute/sync", {"script": text, "args": list(arguments)})

    def log(self, kind):
        return self.do("se/log", {"type": kind})

    def screenshot(self, path):
        """The whole page."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        if self.session:
            try:
                self.call("DELETE", "/session/" + self.session)
            except OSError:
                pass
        self.driver.terminate()
        self.driver.wait(20)
        shutil.rmtree(self.profile, ignore_errors=True)
