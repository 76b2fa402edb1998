# SPDX-License-Identifier: Apache-2.0
"""A part of the suite under other kernels, in bounded time, on a machine of which nothing is known.

What fails it: a test that fails in two guests, one after the other; a test that is skipped and should not be; that the
kernel speaks of a bug while the tests run, in two guests; a guest that ends by itself in the middle of them, twice. What is told and does
not fail it: that a guest does not start or does not come to its end in time, that a kernel cannot be fetched, what a
kernel says of itself before the tests begin, and, of an emulated machine, that something took it long.
"""
import functools
import math
import re
import time

from guests import HERE, TOOK_LONG, Run, lines_of, run_at_once, say
from results import Results, read_results, results_so_far, wrong_skips

# Of a guest's time: what it may need to boot and to end.
AROUND_THE_TESTS = 180
LEAST_SECONDS = 420
MOST_SECONDS = 1500


def exactly(tests):
    return "^(" + "|".join(tests) + ")$"


class KernelInCi:
    """One kernel's share of the time."""

    def __init__(self, guest, name, kernel, build, until):
        self.guest, self.name, self.kernel, self.build, self.until = guest, name, kernel, build, until
        self.wrong = []

    def left(self):
        return self.until - time.monotonic()

    def boot(self, label, tests):
        """A run of those tests (regular expressions) that its guest at least began, and what the kernel said of bugs
        meanwhile; None where none did."""
        for attempt in (1, 2):
            limit = self.left()
            if limit < LEAST_SECONDS:
                say(f"{label}: NOT RUN: {max(limit, 0):.0f} s are left, which is too little")
                return None, []
            run = Run(self.guest, label, self.kernel, self.build, int(limit - AROUND_THE_TESTS))
            run.script("test", "-j", self.guest.cpus(), "-R", exactly(tests), limit=limit)
            run.late = run.late or run.status() == "124"
            messages = self.counted_messages(run)
            if run.began() and (run.late or run.status()):
                return run, messages
            if run.began() and attempt == 2:
                self.wrong.append(f"the guest ended in the middle of the tests, twice; see {run.out}/console.log")
                self.wrong += [f"kernel message: {message}" for message in messages]
            elif run.late:
                say(f"{label}: NOT RUN: the guest did not boot in {limit:.0f} s; see {run.out}/console.log")
                return None, []
            else:
                say(f"{label}: the guest {'ended in the middle of the tests' if run.began() else 'did not start'}"
                    f"{', once more' if attempt == 1 else ': NOT RUN'}; see {run.out}/console.log")
        return None, []

    @staticmethod
    def counted_messages(run):
        """What the kernel said of bugs, but for what is only told."""
        counted = []
        for message in run.boot_messages:
            say(f"{run.name}: told, not counted: the kernel said at boot: {message}")
        for message in run.messages:
            if not run.began():
                say(f"{run.name}: told, not counted: the kernel said before the tests began: {message}")
            elif not run.guest.kvm and TOOK_LONG.search(message):
                say(f"{run.name}: told, not counted: the emulated machine was slow: {message}")
            else:
                counted.append(message)
        return counted

    def results(self, run):
        results = (None if run.late else read_results(run.out)) or results_so_far(run.out)
        if run.late:
            say(f"{run.name}: NOT FINISHED after {run.age():.0f} s: this machine is too slow for it")
        say(f"{run.name}: {results.words()} after {run.age():.0f} s; results in {run.out}")
        return results

    def judge_again(self, failed, messages):
        """A second guest: for the tests that failed or, where the kernel said something, for all of them. Told is what
        both said."""
        tests = lines_of(HERE / "ci-tests.txt") if messages else [re.escape(test) for test in failed]
        again, messages_again = self.boot(f"{self.name}-again", tests)
        second = self.results(again) if again else Results([], [], [])
        for test in failed:
            if test in second.failed:
                self.wrong.append(f"failed twice, in two guests: {test}")
            elif test in second.passed:
                say(f"{self.name}: NEEDED TWO TRIES: {test}: failed in the first guest, passed in a second one")
            else:
                say(f"{self.name}: FAILED ONCE: {test}: there was no time for a second guest; not counted")
        for message in messages:
            if messages_again:
                self.wrong.append(f"kernel message, and another one in a second guest: {message}")
            else:
                say(f"{self.name}: SEEN ONCE: kernel message: {message}; not counted")
        self.wrong += [f"kernel message in the second guest: {message}" for message in messages_again if messages]

    def run(self):
        """True if nothing is wrong."""
        run, messages = self.boot(self.name, lines_of(HERE / "ci-tests.txt"))
        if run:
            results = self.results(run)
            if not run.late and not results.passed:
                self.wrong.append("no test ran")
            if not run.late:
                self.wrong += wrong_skips(results, self.name, run.out, complete=False)
            if results.failed or messages:
                for what in [*results.failed, *(f"kernel message: {message}" for message in messages)]:
                    say(f"{self.name}: in the first guest: {what}")
                self.judge_again(results.failed, messages)
        for line in self.wrong:
            say(f"{self.name}: FAILED: {line}")
        return not self.wrong


def run_ci(guest, kernels, build, until):
    """All of them until then (time.monotonic()), each with its share; True if nothing is wrong."""
    rounds = math.ceil(len(kernels) / guest.at_once())

    def job(i, name, kernel):
        share = min(MOST_SECONDS, (until - time.monotonic()) / (rounds - i // guest.at_once()))
        return KernelInCi(guest, name, kernel, build, time.monotonic() + share).run()

    return run_at_once([functools.partial(job, i, *one) for i, one in enumerate(kernels)], guest.at_once())
