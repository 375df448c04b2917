#!/usr/bin/env python3
"""Check JSON output against docs/schema: check_json.py SCHEMA-DIR [NAME...] < output

Every line is one object; its "schema" says which file it must fit.  With names, an object of each
of them must be there; NAME/WORD is one with this message_type or id.  Lines that do not begin with
'{' are passed over (text on standard error).
A schema that leaves an object open or a value without a kind is refused: it would fit anything.
With --groups the input is of many commands, each behind a line "@ NAME...": one line, PASS or FAIL,
for each; so that a script needs to begin Python once.
The names that were seen are added to the file HOLDFAST_SCHEMAS_SEEN, if that is set.
"""
import datetime
import json
import os
import re
import sys

import jsonschema

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_time(text):
    """RFC 3339 in UTC with milliseconds, as every time of ours."""
    if not isinstance(text, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text):
        return False
    try:
        return bool(datetime.datetime.fromisoformat(text[:-1]))
    except ValueError:
        return False


def loose(schema, where=""):
    """Yield what in the schema fits anything."""
    if not isinstance(schema, dict) or not {"type", "const", "enum", "oneOf", "anyOf",
                                            "$ref"} & schema.keys():
        yield where + ": a value without a kind"
        return
    if schema.get("type") == "object":
        rest = schema.get("additionalProperties")
        if rest is None or rest is True:
            yield where + ": an open object"
        elif rest is not False:
            yield from loose(rest, where + "/*")
        for key, value in schema.get("properties", {}).items():
            yield from loose(value, where + "/" + key)
    if schema.get("type") == "array":
        yield from loose(schema.get("items"), where + "[]")
    for value in schema.get("oneOf", []) + schema.get("anyOf", []):
        if "required" not in value or "type" in value:  # else it chooses among members
            yield from loose(value, where + "|")


def load(directory, name):
    with open(os.path.join(directory, name + ".schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in loose(schema):
        raise ValueError(f"the schema of {name} is none: {text}")
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)


def problems(directory, lines, wanted, validators):
    """What is wrong with the lines; a validator of each schema that is met goes to validators."""
    seen, bad = set(), []
    for number, line in enumerate(lines, 1):
        if not line.startswith("{"):
            continue
        try:
            value = json.loads(line)
            name = re.fullmatch(r"holdfast/([a-z-]+)/1", value["schema"]).group(1)
            if name not in validators:
                validators[name] = load(directory, name)
            seen.add(name)
            seen.add(name + "/" + value.get("message_type", ""))
            seen.add(name + "/" + str(value.get("id", "")))
            for error in validators[name].iter_errors(value):
                bad.append(f"line {number}: {name}: {error.json_path}: {error.message[:300]}")
        except (ValueError, KeyError, AttributeError, OSError) as e:
            bad.append(f"line {number}: {e!r}: {line[:200]}")
    return bad + [f"no object of '{name}'" for name in sorted(set(wanted) - seen)]


def check_groups(directory, text, validators):
    """One line for each group, "PASS ..." or "FAIL ..."; a group begins with "@ NAME..."."""
    for group in text.split("\n@ ")[1:]:
        head, _, rest = group.partition("\n")
        bad = problems(directory, rest.splitlines(), head.split(), validators)
        print(f"FAIL does not fit {head}: " + "; ".join(bad) if bad else f"PASS {head}")


def main(directory, wanted):
    validators, bad = {}, []
    if wanted == ["--groups"]:
        check_groups(directory, "\n" + sys.stdin.read(), validators)
    else:
        bad = problems(directory, sys.stdin, wanted, validators)
        for text in bad:
            print(text)
    if os.environ.get("HOLDFAST_SCHEMAS_SEEN"):
        with open(os.environ["HOLDFAST_SCHEMAS_SEEN"], "a", encoding="utf-8") as f:
            f.writelines(name + "\n" for name in validators)
    return 1 if bad else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
