"""What is in a report, read as a browser would: the one data script, and that the rest is well-formed and asks nobody."""

import html.parser
import json
import re

VOID = {"meta", "link", "br", "img", "input", "hr", "path"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.scripts, self.problems, self.ids = [], [], [], set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            target = attributes.get(name)
            if target and not target.startswith(("#", "data:")):
                self.problems.append("<%s %s=%s>" % (tag, name, target))
        if attributes.get("id"):
            if attributes["id"] in self.ids:
                self.problems.append("the id %s stands twice" % attributes["id"])
            self.ids.add(attributes["id"])
        if tag == "script":
            self.scripts.append([attributes, ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append("</%s> in %s" % (tag, self.open))
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data

    def handle_comment(self, data):
        self.problems.append("a comment: %.60s" % data)


def read(path):
    """The data of a report; AssertionError where the page is not as it should be."""
    with open(path, "rb") as file:
        raw = file.read()
    text = raw.decode("utf-8")
    assert len(raw) < 2_000_000, "%s is %d bytes" % (path, len(raw))
    page = Page()
    page.feed(text)
    page.close()
    assert not page.problems, page.problems
    assert not page.open, "never closed: %s" % page.open
    assert len(page.scripts) == 3, [s[0] for s in page.scripts]
    assert "{{" not in text.split('id="run">')[0], "a mark of the build was left in the page"
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "@import" not in style and not re.search(r"url\((?!data:)", style), "a style asks for something"
    assert "default-src 'none'" in text
    attributes, data = page.scripts[0]
    assert attributes == {"type": "application/json", "id": "run"}, attributes
    assert not re.search("[<>\u2028\u2029]", data), "the data are not safe in a script"
    return json.loads(data)
