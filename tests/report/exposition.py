"""A strict reader of Prometheus's text exposition format, version 0.0.4: what is not exactly as the format has it is an error.

As a program it reads a page from standard input and says how many metrics and samples there are."""

import math
import re
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
NUMBER = re.compile(r"(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)\Z")
TYPES = {"counter", "gauge", "histogram"}


class Bad(Exception):
    pass


def unescape(text, escapes):
    out, at = [], 0
    while at < len(text):
        if text[at] == "\\":
            if text[at + 1 : at + 2] not in escapes:
                raise Bad("an escape that is none: %r" % text[at : at + 2])
            out.append({"n": "\n"}.get(text[at + 1], text[at + 1]))
            at += 2
        else:
            out.append(text[at])
            at += 1
    return "".join(out)


def read_labels(text):
    """name="value",… → dict; the text stands between the braces."""
    labels, at = {}, 0
    while at < len(text):
        match = re.compile(r'([^=]+)="((?:[^"\\]|\\.)*)"').match(text, at)
        if not match or not LABEL_NAME.match(match.group(1)):
            raise Bad("no label at %r" % text[at:])
        if match.group(1) in labels:
            raise Bad("the label %s stands twice" % match.group(1))
        labels[match.group(1)] = unescape(match.group(2), ["\\", "n", '"'])
        at = match.end()
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                raise Bad("after a label: %r" % text[at:])
            at += 1
    return labels


def read_sample(line):
    match = re.match(r"([^{ ]+)(?:\{(.*)\})? (\S+)\Z", line)
    if not match or not NAME.match(match.group(1)) or not NUMBER.match(match.group(3)):
        raise Bad("no sample: %r" % line)
    if match.group(2) == "":
        raise Bad("empty braces: %r" % line)
    value = float(match.group(3).replace("Inf", "inf"))
    return match.group(1), read_labels(match.group(2) or ""), value


def check_histogram(name, samples):
    buckets = [(labels["le"], value) for n, labels, value in samples if n == name + "_bucket"]
    bounds = [float(le.replace("Inf", "inf")) for le, _ in buckets]
    counts = [value for _, value in buckets]
    rest = {n: value for n, labels, value in samples if n != name + "_bucket"}
    if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != math.inf:
        raise Bad("%s: bounds that do not ascend to +Inf: %s" % (name, bounds))
    if counts != sorted(counts) or counts[-1] != rest.get(name + "_count") or name + "_sum" not in rest:
        raise Bad("%s: buckets that do not add up: %s %s" % (name, counts, rest))


def check_family(family):
    name, kind, samples = family["name"], family["type"], family["samples"]
    if not samples:
        raise Bad("%s has no sample" % name)
    seen = set()
    for sample, labels, value in samples:
        key = (sample, tuple(sorted(labels.items())))
        if key in seen:
            raise Bad("%s stands twice" % (key,))
        seen.add(key)
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        if sample not in [name + suffix for suffix in suffixes]:
            raise Bad("%s among the samples of %s" % (sample, name))
        if ("le" in labels) != sample.endswith("_bucket"):
            raise Bad("le of %s" % sample)
        if kind != "gauge" and not value >= 0:
            raise Bad("%s is %s" % (sample, value))
    if (kind == "counter") != name.endswith("_total"):
        raise Bad("%s is a %s" % (name, kind))
    if kind == "histogram":
        check_histogram(name, samples)


def read(page):
    """The page's bytes → {name: {"name", "help", "type", "samples": [(name, labels, value)]}}."""
    text = page.decode("utf-8")
    if text and not text.endswith("\n"):
        raise Bad("the last line has no end")
    families, current = {}, None
    for line in text.split("\n")[:-1]:
        match = re.match(r"# (HELP|TYPE) (\S+) (.+)\Z", line)
        if line.startswith("# HELP ") and match:
            if match.group(2) in families or not NAME.match(match.group(2)):
                raise Bad("HELP of %s" % match.group(2))
            current = {"name": match.group(2), "help": unescape(match.group(3), ["\\", "n"]), "type": None, "samples": []}
            families[match.group(2)] = current
        elif line.startswith("# TYPE ") and match:
            if not current or current["name"] != match.group(2) or current["type"] or match.group(3) not in TYPES:
                raise Bad("out of place: %r" % line)
            current["type"] = match.group(3)
        else:
            if not current or not current["type"]:
                raise Bad("a sample before its TYPE: %r" % line)
            current["samples"].append(read_sample(line))
    for family in families.values():
        check_family(family)
    return families


def value(families, name, **labels):
    """Of the one sample with these labels."""
    found = [v for n, have, v in families[name.removesuffix("_count").removesuffix("_sum") if name not in families else name]["samples"]
             if n == name and all(have.get(k) == w for k, w in labels.items())]
    if len(found) != 1:
        raise Bad("%d samples of %s %s" % (len(found), name, labels))
    return found[0]


def main():
    families = read(sys.stdin.buffer.read())
    print("%d metrics, %d samples" % (len(families), sum(len(f["samples"]) for f in families.values())))


if __name__ == "__main__":
    main()
