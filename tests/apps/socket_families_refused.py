#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sockets of families and protocols whose state the kernel keeps to itself are refused, each by its name; those that this
machine has not are told. The program that has them runs on."""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

# What dump calls it; family, type, protocol; the module that brings it.
FAMILIES = {
    "AF_VSOCK": (40, 1, 0, "vsock"),
    "AF_ALG": (38, 5, 0, "af_alg"),
    "AF_XDP": (44, 3, 0, None),
    "AF_BLUETOOTH": (31, 3, 1, "bluetooth"),
    "AF_CAN": (29, 3, 1, "can-raw"),
    "AF_TIPC": (30, 5, 0, "tipc"),
    "AF_RDS": (21, 5, 0, "rds"),
    "AF_KEY": (15, 3, 2, "af_key"),
    "AF_SMC": (43, 1, 0, "smc"),
    "AF_NFC": (39, 5, 0, "nfc"),
    "SCTP": (2, 1, 132, "sctp"),
    "SCTP over IPv6": (10, 5, 132, "sctp"),
    "MPTCP": (2, 1, 262, None),
    "DCCP": (2, 6, 33, "dccp_ipv4"),
    "L2TP": (2, 2, 115, "l2tp_ip"),
}
PROGRAM = r"""
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
for word in sys.argv[1:]:
    name, family, kind, protocol = word.split('/')
    fd = libc.socket(int(family), int(kind), int(protocol))
    print('HAS' if fd >= 0 else 'LACKS', name.replace('_over_', ' over '), fd if fd >= 0 else os.strerror(ctypes.get_errno()))
print('READY', flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True: signal.pause()
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
for *_, module in FAMILIES.values():
    if module is not None:
        subprocess.run(["modprobe", "-q", module], check=False, stderr=subprocess.DEVNULL)
words = [f"{name.replace(' over ', '_over_')}/{f}/{t}/{p}" for name, (f, t, p, _) in FAMILIES.items()]
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, *words])
app.wait_text("READY\n")
there = dict(re.findall(r"^HAS (.+) (\d+)$", app.text(), re.M))
for name, why in re.findall(r"^LACKS (\S+(?: over \S+)?) (.+)$", app.text(), re.M):
    print(f"not on this machine: {name}: {why}")
if not there:
    ckpt.skip("machine: any of these families")
status, text = ckpt.dump(app.pid, app.images())
if status != 3 or os.listdir(app.images()):
    ckpt.fail(f"dump exits with {status}: {text}")
for name, fd in there.items():
    found = re.search(rf"fd {fd} \([^\n]*a socket of ([^\n:]+): [^\n]+", text)
    if found is None or found[1] != name.split(" over ")[0]:
        ckpt.fail(f"fd {fd}, {name}, is not refused by its name: {text}")
    print("ok:", found.group())
os.kill(app.pid, signal.SIGTERM)
app.finish()
