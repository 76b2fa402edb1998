#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` puts somewhere is all that a dump and a restore need; it says nothing of where it was built, and
the links of its documents lead somewhere."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

build = os.path.dirname(os.path.dirname(os.path.realpath(ckpt.BPFCKPT))) if not ckpt.NO_CHECKPOINT else ckpt.skip("a checkpoint")
source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
manifest = os.path.join(build, "install_manifest.txt")
if not os.path.exists(os.path.join(build, "cmake_install.cmake")) or not os.access(
        manifest if os.path.exists(manifest) else build, os.W_OK):
    ckpt.skip("machine: a build directory around the program, which can be written")
root = os.path.join(ckpt.DIRECTORY, "root")
status, output = ckpt.run(
    [ckpt.need("cmake"), "--install", build, "--prefix", root + "/usr", "--strip"], cwd=ckpt.DIRECTORY
)
if status != 0:
    ckpt.fail(f"cmake --install exits with {status}: {output}")

documents = 0
documents_root = root + "/usr/share/doc/bpfckpt"
if not os.path.isdir(documents_root):
    ckpt.fail("no documents are installed")
for directory, _, files in os.walk(root + "/usr/share/doc"):
    for name in files:
        if not name.endswith(".md"):
            continue
        documents += 1
        text = ckpt.read(os.path.join(directory, name))
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            # What is of the sources alone is not installed.
            target = os.path.normpath(os.path.join(directory, link))
            place = os.path.relpath(target, documents_root).split("/")[0]
            if not os.path.exists(target) and place in ("docs", "images"):
                ckpt.fail(f"{name} links to {link}, which is not installed")
if documents == 0:
    ckpt.fail("no document is installed")

ckpt.BPFCKPT = root + "/usr/sbin/bpfckpt"
with open(ckpt.BPFCKPT, "rb") as file:
    if (source + "/").encode() in file.read():
        ckpt.fail(f"the program names {source}, where it was built")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
program = "import os,sys,time\nprint('READY',flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)"
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", program, go_on])
app.wait_text("READY")
app.cycle()
app.cycle()
open(go_on, "w").close()
app.finish()
