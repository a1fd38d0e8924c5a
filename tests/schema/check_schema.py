#!/usr/bin/env python3
"""docs/spec.schema.json accepts and refuses what tests/schema/specs.txt says, and accepts the examples of docs/spec.md.

A line of specs.txt is a mark and a spec: + valid, - refused, ~ refused by tumble for what a schema cannot say. The unit
test engine.test_spec reads the same file, so schema and parser cannot drift apart. Only the keywords that the schema
uses are known here; any other fails the test.
"""
import json
import pathlib
import re
import sys

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v == int(v),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def valid(root, schema, value):
    def keyword(name, wanted):
        if name in ("$schema", "$defs", "title", "description"):
            return True
        if name == "$ref":
            at = root
            for part in wanted.removeprefix("#/").split("/"):
                at = at[part]
            return valid(root, at, value)
        if name == "type":
            return any(TYPES[t](value) for t in ([wanted] if isinstance(wanted, str) else wanted))
        if name == "enum":
            return value in wanted
        if name == "const":
            return value == wanted
        if name == "anyOf":
            return any(valid(root, s, value) for s in wanted)
        if name in ("minimum", "maximum"):
            return not TYPES["number"](value) or (value >= wanted if name == "minimum" else value <= wanted)
        if name in ("minLength", "maxLength", "pattern"):
            if not isinstance(value, str):
                return True
            if name == "pattern":
                return re.search(wanted, value) is not None
            return len(value) >= wanted if name == "minLength" else len(value) <= wanted
        if name in ("minItems", "maxItems", "items"):
            if not isinstance(value, list):
                return True
            if name == "items":
                return all(valid(root, wanted, v) for v in value)
            return len(value) >= wanted if name == "minItems" else len(value) <= wanted
        if not isinstance(value, dict):
            return name in ("required", "properties", "additionalProperties", "minProperties", "maxProperties")
        if name == "required":
            return all(k in value for k in wanted)
        if name == "properties":
            return all(valid(root, s, value[k]) for k, s in wanted.items() if k in value)
        if name == "additionalProperties":
            rest = [v for k, v in value.items() if k not in schema.get("properties", {})]
            return not rest if wanted is False else all(valid(root, wanted, v) for v in rest)
        if name in ("minProperties", "maxProperties"):
            return len(value) >= wanted if name == "minProperties" else len(value) <= wanted
        raise SystemExit(f"the schema uses {name!r}, which this test does not know")

    # every keyword is looked at, so that an unknown one never hides behind a failed one
    return all([keyword(name, wanted) for name, wanted in schema.items()])


def main():
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "docs/spec.schema.json").read_text())
    wrong = 0
    cases = []
    for line in (root / "tests/schema/specs.txt").read_text().splitlines():
        cases.append((line[0] != "-", line[2:]))
    examples = re.findall(r"```json\n(.*?)```", (root / "docs/spec.md").read_text(), re.S)
    specs = [text for text in examples if '"aggregates"' in text]
    if not specs:
        sys.exit("docs/spec.md shows no spec")
    cases += [(True, text) for text in specs]
    for wanted, text in cases:
        if valid(schema, schema, json.loads(text)) != wanted:
            print(f"the schema should {'accept' if wanted else 'refuse'} {text}")
            wrong += 1
    print(f"{len(cases)} specs, {wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
