#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ctest-serial: 1
# ctest-timeout: 900
# Many dump/restore cycles of one tree (LEAK_CYCLES, default 100). cr_runner compares the tree with what it was after
# every cycle; here it is what surrounds it: processes, BPF programs, maps and links, pins, mounts, temporary files,
# kernel memory of descriptors.
set -u
cycles=${LEAK_CYCLES:-100}
test_program=$(dirname "$CR_RUNNER")/cr/cr_pipe_between_processes

count_bpf() {
  local kind
  for kind in prog map link; do
    echo "$kind $(bpftool -j "$kind" show 2>/dev/null | grep -o '"id":' | wc -l)"
  done
}

around() {
  count_bpf
  echo "processes $(cat /proc/[0-9]*/comm 2>/dev/null | grep -c -e '^bpfckpt' -e '^cr_')"
  echo "mounts $(wc -l </proc/self/mounts)"
  echo "files $({ find /tmp /dev/shm -maxdepth 1 -name '*bpfckpt*'; find /run/bpfckpt; } 2>/dev/null | wc -l)"
}

# KiB that the kernel has for itself and cannot take back.
kernel_memory() {
  awk '/^(SUnreclaim|KernelStack|PageTables|Percpu|VmallocUsed):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# The first run fills the caches that are meant to stay.
BPFCKPT=$BPFCKPT "$CR_RUNNER" "$test_program" || exit 1
before=$(around)
open_before=$(cut -f1 /proc/sys/fs/file-nr)
memory_before=$(kernel_memory)
"$CR_RUNNER" --cycles "$cycles" "$test_program" || exit 1
# BPF objects are freed after a grace period of the kernel's.
for _ in $(seq 50); do
  after=$(around)
  [[ $after == "$before" ]] && break
  sleep 0.1
done
open_after=$(cut -f1 /proc/sys/fs/file-nr)
if [[ $after != "$before" ]]; then
  echo "after $cycles cycles:"
  diff <(echo "$before") <(echo "$after")
  exit 1
fi
# Other programs open and close files as well: only what grows with the cycles counts.
if ((open_after - open_before > cycles)); then
  echo "open files in the kernel: $open_before before, $open_after after $cycles cycles"
  exit 1
fi
# Memory comes and goes with whatever else the machine does: 8 MiB do not count.
memory_after=$(kernel_memory)
if ((memory_after - memory_before > 8192 + 16 * cycles)); then
  echo "the kernel's memory: $memory_before KiB before, $memory_after KiB after $cycles cycles"
  exit 1
fi
echo "$cycles cycles, nothing left behind; the kernel's memory grew by $((memory_after - memory_before)) KiB"
