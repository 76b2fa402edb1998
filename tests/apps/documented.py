#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What has a name that stays is listed: codes of diagnose in docs/diagnose.md, features that tests skip for in `check`."""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

ROOT = pathlib.Path(__file__).resolve().parents[2]
if ckpt.NO_CHECKPOINT:
    ckpt.skip("program bpfckpt")
NAME = r'"([a-z0-9][a-z0-9_-]*)"'

documented = set(re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/diagnose.md").read_text(), re.M))
used = {}
for path in sorted([*(ROOT / "userspace").rglob("*.cc"), *(ROOT / "userspace").rglob("*.h")]):
    text = path.read_text()
    for pattern in (r"Verdict::(?:Unsupported|NeedsOption|Ok),\s*" + NAME, r"\bunsupported\(\s*" + NAME + r"\s*,",
                    r"add_obstacles\(" + NAME + r"\)", r"add\(.*, " + NAME + r"\);",
                    r"about_process\(\s*\w+, " + NAME,
                    r"inline constexpr const char\* k\w+ = " + NAME):
        for code in re.findall(pattern, text):
            if code.endswith("-"):  # the kind of a file follows
                code += "KIND"
            used.setdefault(code, path.name)
if len(used) < 50:
    ckpt.fail(f"only {len(used)} codes were found: the patterns of this test are out of date")
stale = sorted(documented - set(used))
if stale:
    ckpt.fail(f"codes of docs/diagnose.md that nothing says: {', '.join(stale)}")
missing = [f"{code} ({where})" for code, where in sorted(used.items()) if code not in documented]
if missing:
    ckpt.fail(f"codes that docs/diagnose.md does not list: {', '.join(missing)}")

status, text = ckpt.run([ckpt.BPFCKPT, "check", "--json"])
if status not in (0, 1):
    ckpt.fail(text)
rows = json.loads(text)["features"]
features = {row["name"] for row in rows}
told = dict(re.findall(r"^\| ([a-z0-9-]+) \| (.*?) \|", (ROOT / "docs/kernels.md").read_text(), re.M))
for word in ("feature", "---"):
    told.pop(word, None)
if told != {row["name"]: row["purpose"] for row in rows}:
    ckpt.fail("docs/kernels.md is not that of this bpfckpt (./dev vmtest --table makes it): "
              f"{sorted(set(told.items()) ^ {(row['name'], row['purpose']) for row in rows})}")
wrong, found = [], 0
for path in sorted([*(ROOT / "tests").rglob("*.cc"), *(ROOT / "tests").rglob("*.h"), *(ROOT / "tests").rglob("*.py")]):
    for name in re.findall(r'\bskip\(\s*f?"([^"]*)"|REQUIRE_FEATURE\(.*, "([^"]*)"\);', path.read_text()):
        name = name[0] or name[1]
        found += 1
        if name not in features and not name.startswith(("machine: ", "program ")) and name != "a checkpoint":
            wrong.append(f"{name} ({path.relative_to(ROOT)})")
if found < 20:
    ckpt.fail("the patterns of this test are out of date")
if wrong:
    ckpt.fail("a test skips for what is neither a row of userspace/kernel/features.cc nor begins with 'machine: ' or "
              f"'program ': {', '.join(wrong)}")
print(len(used), "codes,", found, "skips")
