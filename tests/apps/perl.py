#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Perl program: closures, a forked child with a pipe, signal handlers, a big hash, sleeps by select."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
use strict; use warnings;
my $directory = $ARGV[0];
$| = 1;
my (%squares, $alarms);
$squares{$_} = $_ * $_ for 1 .. 100_000;
$SIG{ALRM} = sub { $alarms++; alarm 1 };
alarm 1;
pipe(my $from_child, my $to_parent) or die;
my $pid = fork() // die;
if ($pid == 0) {
    close $from_child;
    $SIG{ALRM} = 'IGNORE';
    my $n = 0;
    until (-e "$directory/last") {
        syswrite($to_parent, pack('N', $n++)) == 4 or exit 1;
        select(undef, undef, undef, 0.001);
    }
    exit 7;
}
close $to_parent;
my ($expected, $counter) = (0, do { my $c = 0; sub { return ++$c } });
while (1) {
    my ($bytes, $n) = ('');
    while (length $bytes < 4) {
        $n = sysread($from_child, $bytes, 4 - length $bytes, length $bytes);
        next if !defined $n && $!{EINTR};
        die "read: $!" unless defined $n;
        last if $n == 0;
    }
    last if length $bytes == 0;
    die "lost a number" if unpack('N', $bytes) != $expected++;
    die "closure" if $counter->() != $expected;
    print "got $expected\n" if $expected % 200 == 0;
}
waitpid($pid, 0) == $pid or die;
die "status $?" if $? != 7 << 8;
$squares{$_} == $_ * $_ or die "hash" for 1 .. 100_000;
die "no alarm" unless $alarms;
print "VERIFIED $expected $alarms\n";
"""

app = ckpt.Checkpointed([ckpt.need("perl"), "-e", PROGRAM, ckpt.DIRECTORY])
app.wait_text("got 200\n")
app.cycle()
app.wait_text("got 800\n")
app.cycle()
app.wait_text("got 1600\n")
open(os.path.join(ckpt.DIRECTORY, "last"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())
