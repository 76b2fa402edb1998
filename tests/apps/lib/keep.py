# SPDX-License-Identifier: Apache-2.0
"""Keeps ends of unix sockets alive while the tree that has them does not run, so that whoever is at the other end, outside
of it, stays connected (docs/outside.md). No part of it is a test."""
import ctypes
import json
import os
import re

import ckpt

SYS_PIDFD_GETFD = 438


class Kept:
    """Those that lead from a tree to somebody outside, as diagnose finds them."""

    def __init__(self, root):
        _, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "--json", "-t", str(root)])
        self.descriptors = {}  # by what --external and --inherit-fd call it
        for process in json.loads(text)["processes"]:
            for item in process["items"]:
                if item["code"] in ("unix-outside", "unix-outside-data"):
                    resource = re.search(r"socket:\[\d+\]", item["name"]).group()
                    if resource not in self.descriptors:
                        self.descriptors[resource] = self._take(process["pid"], int(item["subject"].split()[1]))

    @staticmethod
    def _take(pid, number):
        pidfd = os.pidfd_open(pid)
        fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        if fd < 0:
            ckpt.fail(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        os.close(pidfd)
        return fd

    def dump_args(self):
        return [word for resource in self.descriptors for word in ("--external", resource)]

    def restore_args(self):
        return [word for resource, fd in self.descriptors.items() for word in ("--inherit-fd", f"fd[{fd}]:{resource}")]

    def close(self):
        """When the tree has them again: else nobody would see that it closes one."""
        for fd in self.descriptors.values():
            os.close(fd)


def cycle(app, meanwhile=lambda: None):
    """Dump and restore of a tree whose other ends are children of ours as well."""
    kept = Kept(app.pid)
    status, text = ckpt.dump(app.pid, app.images(), *kept.dump_args())
    if status != 0:
        ckpt.fail(f"dump exits with {status}: {text}")
    ckpt.REAPER.wait(app.pid)
    meanwhile()
    status, text = ckpt.run(
        [ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), *kept.restore_args()], pass_fds=kept.descriptors.values()
    )
    if status != 0:
        ckpt.fail(f"restore exits with {status}: {text}")
    kept.close()
    app.cycles += 1
    return len(kept.descriptors)
