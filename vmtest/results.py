# SPDX-License-Identifier: Apache-2.0
"""What the tests of a guest came to."""
import dataclasses
import fnmatch
import json
import re
import xml.etree.ElementTree as ElementTree

from guests import HERE, lines_of


@dataclasses.dataclass
class Results:
    passed: list
    failed: list
    skipped: list
    missing: dict = dataclasses.field(default_factory=dict)  # of a skipped test: what it said it lacks

    def words(self):
        return f"{len(self.passed)} passed, {len(self.skipped)} skipped, {len(self.failed)} failed"


def read_results(out):
    """From the run's directory; None where ctest did not come to its end."""
    junit = out / "junit.xml"
    if not junit.exists():
        return None
    results = Results([], [], [])
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        test, status = case.get("name"), case.get("status")
        if status == "fail" or case.find("failure") is not None:
            results.failed.append(test)
        elif status in ("notrun", "disabled") or case.find("skipped") is not None:
            results.skipped.append(test)
            results.missing[test] = re.findall(r"^SKIP: (.*)$", case.findtext("system-out") or "", re.M)
        else:
            results.passed.append(test)
    return results


def results_so_far(out):
    """The same of a run that was ended, from what ctest had printed by then."""
    log = out / "ctest.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    results = Results([], [], [])
    for test, how in re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.+ *(Passed|\*\*\*\w+)", text, re.M):
        (results.passed if how == "Passed" else results.skipped if how.startswith(("***Skipped", "***Not"))
         else results.failed).append(test)
    return results


def features_in(out):
    """{row of `bpfckpt check`: whether the guest's kernel has it}"""
    report = out / "check.json"
    text = report.read_text() if report.exists() else ""
    return {row["name"]: row["there"] for row in json.loads(text)["features"]} if text else {}


def wrong_skips(results, name, out, complete):
    """What was skipped for a reason that `check` denies, or that neither `check` nor the lists of skips, that of the
    kernel and that of all guests, know of, as lines. `complete`: all tests were asked for, so that a list can be stale.
    A kernel that is not of the list (--kdir) may lack what the machine has not."""
    known = name in [line.split()[0] for line in lines_of(HERE / "kernels.txt")]
    lists = {f"skips/{file}": [line.split(None, 1)[0] for line in lines_of(HERE / "skips" / file)]
             for file in ("any", name)}
    features = features_in(out)
    wrong = []

    def explained(feature):
        return feature in features or not known and feature.startswith("machine: ")

    for test in results.skipped:
        missing = results.missing.get(test, [])
        wrong += [f"skipped for want of {feature}, which `check` says is there: {test}" for feature in missing
                  if features.get(feature)]
        if any(fnmatch.fnmatchcase(test, pattern) for patterns in lists.values() for pattern in patterns):
            continue
        if not missing or not all(explained(feature) for feature in missing):
            wrong.append(f"skipped, but neither {' nor '.join(lists)} expects it: {test} ({', '.join(missing)})")
    if complete and known:
        wrong += [f"{file} expects a skip that did not happen: {pattern}" for file, patterns in lists.items()
                  for pattern in patterns if not fnmatch.filter(results.skipped, pattern)]
    return wrong
