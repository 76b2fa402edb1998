# SPDX-License-Identifier: Apache-2.0
"""What the tests of a guest came to."""
import dataclasses
import fnmatch
import re
import xml.etree.ElementTree as ElementTree

from guests import HERE, lines_of


@dataclasses.dataclass
class Results:
    passed: list
    failed: list
    skipped: list

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


def wrong_skips(results, name, complete):
    """What skips/KERNEL and the run do not agree about, as lines. `complete`: all tests were asked for, so that the
    list can be stale."""
    expected = [line.split(None, 1)[0] for line in lines_of(HERE / "skips" / name)]
    wrong = [f"skipped, but skips/{name} does not expect it: {test}" for test in results.skipped
             if not any(fnmatch.fnmatchcase(test, pattern) for pattern in expected)]
    if complete:
        wrong += [f"skips/{name} expects a skip that did not happen: {pattern}" for pattern in expected
                  if not fnmatch.filter(results.skipped, pattern)]
    return wrong
