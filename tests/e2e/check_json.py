#!/usr/bin/env python3
"""Check JSON output against docs/schema: check_json.py SCHEMA-DIR [NAME...] < output

Every line is one object; its "schema" says which file it must fit.  With names, an object of each
of them must be there.  Lines that do not begin with '{' are passed over (text on standard error).
"""
import json
import os
import re
import sys

import jsonschema

directory, wanted = sys.argv[1], set(sys.argv[2:])
validators = {}
seen = set()
bad = 0
for number, line in enumerate(sys.stdin, 1):
    if not line.startswith("{"):
        continue
    try:
        value = json.loads(line)
        name = re.fullmatch(r"holdfast/([a-z-]+)/1", value["schema"]).group(1)
        if name not in validators:
            with open(os.path.join(directory, name + ".schema.json"), encoding="utf-8") as f:
                schema = json.load(f)
            jsonschema.Draft202012Validator.check_schema(schema)
            validators[name] = jsonschema.Draft202012Validator(schema)
        seen.add(name)
        seen.add(name + "/" + value.get("message_type", ""))
        for error in validators[name].iter_errors(value):
            print(f"line {number}: {name}: {error.message[:300]}")
            bad = 1
    except (ValueError, KeyError, AttributeError, OSError) as e:
        print(f"line {number}: {e!r}: {line[:200]}")
        bad = 1
for name in sorted(wanted - seen):
    print(f"no object of '{name}'")
    bad = 1
sys.exit(bad)
