#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian package that CPack builds has the program, its documents and both licenses, and names what it depends on;
the program that is in it runs."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

build = os.path.dirname(os.path.dirname(os.path.realpath(ckpt.BPFCKPT))) if not ckpt.NO_CHECKPOINT else ckpt.skip("a checkpoint")
if not os.path.exists(os.path.join(build, "CPackConfig.cmake")):
    ckpt.skip("machine: a build directory around the program")


def run(*argv):
    status, output = ckpt.run(argv, timeout_s=90, cwd=ckpt.DIRECTORY)
    if status != 0:
        ckpt.fail(f"{' '.join(argv)} exits with {status}: {output}")
    return output


run(ckpt.need("cpack"), "-G", "DEB", "--config", os.path.join(build, "CPackConfig.cmake"), "-B", ckpt.DIRECTORY)
packages = [name for name in os.listdir(ckpt.DIRECTORY) if name.endswith(".deb")]
if len(packages) != 1:
    ckpt.fail(f"packages: {packages}")
package = os.path.join(ckpt.DIRECTORY, packages[0])
facts = run(ckpt.need("dpkg-deb"), "--field", package)
for field in ("Package: bpfckpt", "Version: ", "Architecture: ", "Depends: ", "libc6"):
    if field not in facts:
        ckpt.fail(f"'{field}' is not in: {facts}")
root = os.path.join(ckpt.DIRECTORY, "root")
run("dpkg-deb", "--extract", package, root)
there = {os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names}
documents = "usr/share/doc/bpfckpt/"
for name in ("usr/sbin/bpfckpt", documents + "README.md", documents + "LICENSE", documents + "LICENSE.bpf", documents + "FORMAT.md"):
    if name not in there and name.replace("FORMAT", "images/FORMAT") not in there:
        ckpt.fail(f"{name} is not in the package: {sorted(there)}")
version = run(os.path.join(root, "usr/sbin/bpfckpt"), "--version")
if packages[0].split("_")[1].split("-")[0] not in version:
    ckpt.fail(f"{packages[0]} has a program that calls itself {version}")
