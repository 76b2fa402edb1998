// SPDX-License-Identifier: Apache-2.0
// A process writes its own pages: one copy, from its memory to the page cache, and nothing is mapped, piped
// or borrowed. The image's descriptor is given to it for that (SCM_RIGHTS), and taken away again. From
// outside it takes two copies; yet bpfckpt, which has nothing else to do, takes its share of large processes,
// into an image of its own: a file is written by one at a time (the inode's lock), and new pages of the page
// cache are what it costs.
#include "dump/page_writer.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/log.h"
#include "base/page_buffer.h"
#include "image/file_io.h"
#include "model/page_pieces.h"
#include "model/page_place.h"

namespace bpfckpt::dump {
namespace {

constexpr std::uint64_t kBytesPerCall = 256 << 20;  // a call is not interrupted in the middle by us
constexpr std::size_t kOutsideBuffer = 256 << 10;   // stays in the second-level cache
// So much of a process is read sooner than it has the image's descriptor, which takes it three wakings.
constexpr std::uint64_t kFewBytes = 128 << 10;
constexpr std::uint64_t kGatheredBytes = 128 << 10;  // by one call

// /proc/PID/mem reads what the process itself may not (PROT_NONE, protection keys: FOLL_FORCE), but it moves
// one page at a time: it is for what process_vm_readv(2) does not read.
ssize_t read_memory(pid_t pid, int mem, std::uint64_t address, std::span<std::byte> out) {
  const iovec to{out.data(), out.size()};
  const iovec from{reinterpret_cast<void*>(address), out.size()};
  const ssize_t got = ::process_vm_readv(pid, &to, 1, &from, 1, 0);
  return got > 0 ? got : ::pread(mem, out.data(), out.size(), static_cast<off_t>(address));
}

// Pages read from outside, gathered: those that are next to one another in the image are one write.
class GatheredPages {
 public:
  explicit GatheredPages(int image_fd) : image_fd_(image_fd) {}

  // False: some of it could not be read that way.
  Result<bool> add(pid_t pid, const std::vector<pb::PageRun>& runs) {
    for (PagePieces pieces(runs); !pieces.empty();) {
      const PagePieces::Piece piece = pieces.next(kGatheredBytes);
      if (used_ + piece.bytes > buffer_.size() || piece.offset != offset_ + used_) {
        TRY(flush());
        offset_ = piece.offset;
      }
      const iovec to{buffer_.data() + used_, piece.bytes};
      const ssize_t got = ::process_vm_readv(pid, &to, 1, piece.parts.data(), piece.parts.size(), 0);
      if (got < 0 || static_cast<std::uint64_t>(got) != piece.bytes) return false;
      used_ += piece.bytes;
    }
    return true;
  }

  Result<void> flush() {
    TRY(image::write_fully(image_fd_, {reinterpret_cast<const char*>(buffer_.data()), used_}, offset_),
        "pages");
    offset_ += used_;
    used_ = 0;
    return {};
  }

 private:
  const int image_fd_;
  PageBuffer buffer_{kOutsideBuffer};
  std::uint64_t offset_ = 0;  // in the image, of the buffer's first byte
  std::size_t used_ = 0;
};

bool are_few(const std::vector<pb::PageRun>& runs) {
  std::uint64_t pages = 0;
  for (const pb::PageRun& run : runs) pages += run.count();
  return pages * kPageBytes <= kFewBytes;
}

// Run by run, and where it has to be page by page.
Result<void> write_each_run(const PageJob& job, const std::vector<pb::PageRun>& runs, int image_fd) {
  const PageBuffer buffer(kOutsideBuffer);
  Fd mem(::open(fmt::format("/proc/{}/mem", job.pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem) return fail(Error::system(fmt::format("pid {}: open of its memory", job.pid)));
  for (const pb::PageRun& run : runs) {
    const std::uint64_t offset = PagePlace::of(run.index()).page * kPageBytes;
    std::uint64_t total = run.count() * kPageBytes;
    for (std::uint64_t done = 0; done < total;) {
      std::size_t len = std::min<std::size_t>(buffer.size(), total - done);
      ssize_t got = read_memory(job.pid, mem.get(), run.start() + done, buffer.bytes().first(len));
      if (got <= 0)
        return fail(Error::system(fmt::format("pid {}: read of memory at {:#x}", job.pid, run.start() + done),
                                  got < 0 ? errno : EFAULT));
      const std::string_view bytes(reinterpret_cast<const char*>(buffer.data()),
                                   static_cast<std::size_t>(got));
      TRY(image::write_fully(image_fd, bytes, offset + done), "pages");
      done += static_cast<std::uint64_t>(got);
    }
  }
  return {};
}

Result<void> write_from_outside(const PageJob& job, const std::vector<pb::PageRun>& runs, int image_fd) {
  GatheredPages gathered(image_fd);
  TRY_ASSIGN(const bool read, gathered.add(job.pid, runs));
  if (!read) return write_each_run(job, runs, image_fd);
  return gathered.flush();
}

// One process's work, in batches.
struct Writer {
  explicit Writer(PageJob& j, int theirs) : job(j), fd(theirs), batch(j.parasite->batch()), pieces(j.runs) {}

  Result<void> submit() {
    batch.clear();
    while (!pieces.empty() && batch.room_for(1, PagePieces::kMostParts * sizeof(iovec))) {
      const PagePieces::Piece piece = pieces.next(kBytesPerCall);
      auto vec = batch.put(std::as_bytes(std::span(piece.parts)));
      batch.expect(batch.call(SYS_pwritev, fd, *vec, piece.parts.size(), piece.offset, 0),
                   static_cast<std::int64_t>(piece.bytes));
    }
    return batch.submit();
  }

  PageJob& job;
  int fd;
  target::Batch batch;
  PagePieces pieces;
};

}  // namespace

Result<void> write_pages(std::vector<PageJob>& jobs, int image_fd, int second_fd) {
  std::vector<Writer> writers;
  std::vector<PageJob*> few, outside;
  for (PageJob& job : jobs) {
    if (job.runs.empty()) continue;
    if (are_few(job.runs)) {
      few.push_back(&job);
      continue;
    }
    if (job.parasite == nullptr) {
      outside.push_back(&job);
      continue;
    }
    auto received = job.parasite->receive_fd(image_fd);
    if (!received) {
      log::debug("pid {}: pages are read from outside: {}", job.pid, received.error().message());
      outside.push_back(&job);
      continue;
    }
    writers.emplace_back(job, *received);
  }
  for (Writer& writer : writers) TRY(writer.submit(), "pid {}", writer.job.pid);
  if (!few.empty()) {
    GatheredPages gathered(image_fd);
    for (PageJob* job : few) {
      TRY_ASSIGN(const bool read, gathered.add(job->pid, job->runs));
      if (!read) TRY(write_each_run(*job, job->runs, image_fd));
    }
    TRY(gathered.flush());
  }
  for (PageJob* job : outside) TRY(write_from_outside(*job, job->runs, image_fd));
  for (const PageJob& job : jobs)
    if (!job.outside.empty()) TRY(write_from_outside(job, job.outside, second_fd));
  std::vector<Writer*> busy;
  for (Writer& writer : writers) busy.push_back(&writer);
  while (!busy.empty()) {
    std::vector<Writer*> still;
    for (Writer* writer : busy) {
      target::TaskWatch watch = writer->job.parasite->watch();
      auto written = writer->batch.wait(watch);
      if (!written && written.error().code() == Error::Code::TargetGone)
        return fail(std::move(written.error()));
      if (!written) {
        // A short write: memory that the process may not read, or a full disk, of which the second try says
        // so.
        log::debug("pid {}: pages again from outside: {}", writer->job.pid, written.error().message());
        TRY(write_from_outside(writer->job, writer->job.runs, image_fd));
      }
      if (!written || writer->pieces.empty()) {
        writer->batch.clear();
        TRY(writer->job.parasite->drop_fd(writer->fd), "pid {}", writer->job.pid);
        continue;
      }
      TRY(writer->submit(), "pid {}", writer->job.pid);
      still.push_back(writer);
    }
    busy = std::move(still);
  }
  return {};
}

}  // namespace bpfckpt::dump
