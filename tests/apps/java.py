#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Java virtual machine: threads with monitors and queues, a selector over a pipe, a mapped file and a file lock, a
scheduled executor, a heap that is collected all the time."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Program {
  static Path directory;

  static boolean last() { return Files.exists(directory.resolve("last")); }

  public static void main(String[] arguments) throws Exception {
    directory = Path.of(arguments[0]);
    Map<Integer, String> strings = new HashMap<>();
    for (int i = 0; i < 100_000; i++) strings.put(i, "string " + i * 7);

    FileChannel file = FileChannel.open(directory.resolve("file"), StandardOpenOption.CREATE,
        StandardOpenOption.READ, StandardOpenOption.WRITE);
    FileLock lock = file.lock();
    MappedByteBuffer mapped = file.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 16);

    AtomicLong ticks = new AtomicLong();
    ScheduledExecutorService executor = Executors.newScheduledThreadPool(2);
    executor.scheduleAtFixedRate(ticks::incrementAndGet, 1, 1, TimeUnit.MILLISECONDS);

    // A number goes round: through a pipe, which is selected, and through a queue.
    Pipe pipe = Pipe.open();
    pipe.source().configureBlocking(false);
    Selector selector = Selector.open();
    pipe.source().register(selector, SelectionKey.OP_READ);
    BlockingQueue<Long> queue = new ArrayBlockingQueue<>(4);
    Thread writer = new Thread(() -> {
      try {
        for (long n; (n = queue.take()) >= 0;) {
          ByteBuffer buffer = ByteBuffer.allocate(8).putLong(0, n);
          while (buffer.hasRemaining()) pipe.sink().write(buffer);
          if (n % 50 == 0) Thread.sleep(1);
        }
        pipe.sink().close();
      } catch (Exception e) {
        e.printStackTrace();
        System.exit(1);
      }
    });
    writer.start();

    long expected = 0, garbage = 0;
    ByteBuffer buffer = ByteBuffer.allocate(8);
    queue.put(0L);
    for (boolean open = true; open;) {
      selector.select();
      selector.selectedKeys().clear();
      for (;;) {
        int n = pipe.source().read(buffer);
        if (n < 0) open = false;
        if (n <= 0 || buffer.hasRemaining()) break;
        long got = buffer.getLong(0);
        buffer.clear();
        if (got != expected) throw new IllegalStateException("got " + got + " instead of " + expected);
        expected++;
        mapped.putLong((int) (got % 8192) * 8, got);
        garbage += new byte[10_000].length;
        if (expected % 2000 == 0) System.out.println("round " + expected);
        queue.put(last() ? -1L : expected);
      }
    }
    writer.join();
    executor.shutdown();
    executor.awaitTermination(10, TimeUnit.SECONDS);
    for (int i = 0; i < 100_000; i++)
      if (!strings.get(i).equals("string " + i * 7)) throw new IllegalStateException("string " + i);
    if (mapped.getLong((int) ((expected - 1) % 8192) * 8) != expected - 1) throw new IllegalStateException("map");
    if (!lock.isValid() || ticks.get() == 0 || garbage != expected * 10_000) throw new IllegalStateException("state");
    System.out.println("VERIFIED " + expected);
  }
}
"""

java = ckpt.need("java")
source = os.path.join(ckpt.DIRECTORY, "Program.java")
with open(source, "w") as file:
    file.write(PROGRAM)
app = ckpt.Checkpointed([java, "-Xmx256m", source, ckpt.DIRECTORY])
# Of its lock, and of the performance data that it maps and keeps locked.
app.dump_args = ["--file-locks"]
app.wait_text("round 2000\n", 120)
app.cycle()
seen = app.text().count("round")
ckpt.wait_until("it to go on", lambda: app.text().count("round") > seen + 1)
app.cycle()
seen = app.text().count("round")
ckpt.wait_until("it to go on", lambda: app.text().count("round") > seen + 1)
open(os.path.join(ckpt.DIRECTORY, "last"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())
