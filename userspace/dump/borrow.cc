// SPDX-License-Identifier: Apache-2.0
#include "dump/borrow.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "base/directory_times.h"
#include "images/kinds/regular.pb.h"
#include "kinds/names.h"
#include "kinds/unix.h"
#include "model/living_thread.h"

namespace bpfckpt::dump {
namespace {

constexpr int kDeepestFlight = 8;
constexpr std::size_t kGatheredBytes = 1 << 20;
constexpr unsigned kPidfdThread = O_EXCL;  // include/uapi/linux/pidfd.h: PIDFD_THREAD, since 6.9

// Without the privilege for AT_EMPTY_PATH (CAP_DAC_READ_SEARCH) the way is through /proc.
bool link_to(int fd, const std::string& name) {
  if (::linkat(fd, "", AT_FDCWD, name.c_str(), AT_EMPTY_PATH) == 0) return true;
  if (errno != ENOENT && errno != EPERM) return false;
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

}  // namespace

void Borrower::place(std::uint32_t file_id, Place place) {
  if (file_id < places_.size() && places_[file_id].pid == 0) places_[file_id] = place;
}

Borrower::Borrower(const Model& model, image::ImageWriter& writer, image::RawImage contents)
    : model_(model),
      writer_(writer),
      places_(static_cast<std::size_t>(model.files.files_size()) + 1),
      contents_(std::move(contents)) {
  ModelIndex index(model);
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    if (const pb::FdTable* table = index.fd_table(process.fd_table_id()))
      for (const pb::FdEntry& entry : table->entries())
        place(entry.file_id(), {living_thread(process).tid(), entry.fd(), 0, 0});
  }
  // A descriptor is the better way: a mapping may be of a part only, and its link is looked up by name.
  for (const pb::Process& process : model.tasks.processes()) {
    const pb::AddressSpace* mm = index.address_space(process.mm_id());
    if (mm == nullptr) continue;
    for (const pb::Vma& vma : mm->vmas())
      if (vma.file_id() != 0)
        place(vma.file_id(), {living_thread(process).tid(), -1, vma.start(), vma.end()});
    if (mm->exe_file_id() != 0) place(mm->exe_file_id(), {living_thread(process).tid(), -1, 0, 0});
  }
}

Borrower::Borrower(const Borrower& other, image::RawImage contents)
    : model_(other.model_), writer_(other.writer_), places_(other.places_), contents_(std::move(contents)) {}

Result<int> Borrower::pidfd(std::uint32_t pid) {
  auto it = pidfds_.find(pid);
  if (it == pidfds_.end()) {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) fd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, kPidfdThread)));
    if (!fd) return fail(Error::system(fmt::format("pidfd_open({})", pid)));
    it = pidfds_.emplace(pid, std::move(fd)).first;
  }
  return it->second.get();
}

Result<Fd> Borrower::borrow(const pb::File& file) {
  if (file.id() >= places_.size() || places_[file.id()].pid == 0) return borrow_in_flight(file);
  const Place& place = places_[file.id()];
  if (place.fd >= 0) {
    TRY_ASSIGN(int pidfd, this->pidfd(place.pid));
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, place.fd, 0)));
    if (!fd) return fail(Error::system("pidfd_getfd"));
    return fd;
  }
  std::string link = place.end != 0
                         ? fmt::format("/proc/{}/map_files/{:x}-{:x}", place.pid, place.start, place.end)
                         : fmt::format("/proc/{}/exe", place.pid);
  Fd fd(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(Error::system(fmt::format("open {}", link)));
  return fd;
}

// Nobody has it open, but it is in the queue of a socket, which may be in flight itself.
Result<Fd> Borrower::borrow_in_flight(const pb::File& file) {
  if (in_flight_depth_ > kDeepestFlight)
    return fail(Error::unsupported("sockets in flight in one another too deep"));
  for (const pb::File& carrier : model_.files.files()) {
    if (carrier.kind() != "unix" || !carrier.has_detail() || &carrier == &file) continue;
    kinds::Ties ties;
    TRY(kinds::find(carrier.kind())->ties(carrier, ties));
    if (std::ranges::find(ties.carried, file.id()) == ties.carried.end()) continue;
    in_flight_depth_++;
    auto socket = borrow(carrier);
    in_flight_depth_--;
    if (!socket) continue;
    TRY_ASSIGN(Fd fd, kinds::fetch_in_flight(socket->get(), carrier, file.id()));
    if (fd) return fd;
  }
  return fail(Error::unsupported("it is in flight, and nobody has it open: it cannot be reached"));
}

Result<Borrower::Place> Borrower::where(const pb::File& file) const {
  if (file.id() >= places_.size() || places_[file.id()].pid == 0 || places_[file.id()].fd < 0)
    return fail(Error::bug(fmt::format("nobody has file {} open", file.id())));
  return places_[file.id()];
}

// One image for all: what is written goes to its end.
Result<void> Borrower::need_contents() {
  contents_used_ = true;
  if (contents_.fd >= 0) return {};
  TRY_ASSIGN(contents_, writer_.create_raw("contents"));
  return {};
}

Result<int> Borrower::content_image(std::string& name) {
  TRY(need_contents());
  TRY(write_gathered());
  name = contents_.name;
  return contents_.fd;
}

Result<void> Borrower::add_content(std::span<const char> bytes, pb::Content& content) {
  TRY(need_contents());
  if (gathered_.size() + bytes.size() > kGatheredBytes) TRY(write_gathered());
  if (gathered_.empty()) {
    const off_t end = ::lseek(contents_.fd, 0, SEEK_END);
    if (end < 0) return fail(Error::system("lseek of the image"));
    gathered_.reserve(kGatheredBytes);
    gathered_at_ = static_cast<std::uint64_t>(end);
  }
  content.set_image(contents_.name);
  content.set_size(bytes.size());
  if (bytes.empty()) return {};
  pb::Extent& extent = *content.add_extents();
  extent.set_image_offset(gathered_at_ + gathered_.size());
  extent.set_length(bytes.size());
  gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> Borrower::write_gathered() {
  for (std::size_t done = 0; done < gathered_.size();) {
    ssize_t n = ::pwrite(contents_.fd, gathered_.data() + done, gathered_.size() - done,
                         static_cast<off_t>(gathered_at_ + done));
    if (n <= 0) return fail(Error::system("write to the image", n < 0 ? errno : EIO));
    done += static_cast<std::size_t>(n);
  }
  gathered_.clear();
  return {};
}

Result<void> Borrower::finish_contents() {
  if (contents_used_) return write_gathered();
  if (contents_.fd >= 0) writer_.discard_raw(contents_.name);
  return {};
}

Borrower::~Borrower() {
  for (const std::string& link : links_) in_directory(link, [&] { return ::unlink(link.c_str()) == 0; });
}

Result<void> Borrower::sync_links() const {
  std::set<std::string> directories;
  for (const std::string& link : links_) directories.insert(directory_of_name(link));
  for (const std::string& directory : directories) {
    Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return fail(Error::system(fmt::format("fsync {}", directory)));
  }
  return {};
}

Result<std::string> Borrower::link_again(int fd, const std::string& path) {
  if (!record_) {
    TRY_ASSIGN(record_, writer_.record_links());
  }
  // The file's own directory may be gone; further up is the same file system, or it is not (EXDEV).
  for (std::string directory = path; directory.size() > 1;) {
    directory.resize(std::max<std::size_t>(1, directory.rfind('/')));
    for (int i = 0;; i++) {
      std::string name =
          fmt::format("{}/{}{}-{}", directory == "/" ? "" : directory, image::kLinkPrefix, ::getpid(), i);
      TRY(record_.add(name, fd));
      if (in_directory(name, [&] { return link_to(fd, name); })) {
        links_.push_back(name);
        return name;
      }
      if (errno != EEXIST) break;
    }
    if (errno != ENOENT && errno != ENOTDIR) break;
  }
  return fail(Error::system("linkat"));
}

Result<kinds::EnrichContext::Pipe> Borrower::scratch_pipe(std::uint32_t capacity_bytes) {
  if (!scratch_in_) {
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return fail(Error::system("pipe2"));
    scratch_out_.reset(ends[0]);
    scratch_in_.reset(ends[1]);
  }
  if (capacity_bytes > scratch_bytes_) {
    if (::fcntl(scratch_in_.get(), F_SETPIPE_SZ, capacity_bytes) < 0)
      return fail(Error::system("F_SETPIPE_SZ"));
    scratch_bytes_ = capacity_bytes;
  }
  return Pipe{scratch_out_.get(), scratch_in_.get()};
}

namespace {

struct Job {
  const kinds::Kind* kind;
  pb::File* file;
  pb::FileObject* object;  // or null
};

Result<void> take(const Job& job, Borrower& borrower) {
  return job.kind->enrich(borrower, *job.file, job.object);
}

// Is it read, and nothing else, so that it does not matter by whom and when? Deleted files, memfds, pipes: of
// those there may be thousands.
bool is_only_read(const Job& job, const Borrower& borrower) {
  if (job.object == nullptr || !borrower.reaches(*job.file)) return false;
  if (job.kind->name == "regular") return !job.object->detail().Is<pb::LinkedFile>();
  return job.kind->name == "shmem" || job.kind->name == "pipe";
}

constexpr std::size_t kJobsForTwo = 256;  // to begin a thread takes as long as some dozens
constexpr std::size_t kJobsAtOnce = 32;

// Takes from `jobs` what nobody has taken yet, until there is no more.
Result<void> take_some(std::span<const Job> jobs, std::atomic<std::size_t>& next, Borrower& borrower) {
  for (std::size_t at; (at = next.fetch_add(kJobsAtOnce)) < jobs.size();)
    for (const Job& job : jobs.subspan(at, std::min(kJobsAtOnce, jobs.size() - at)))
      TRY(take(job, borrower), "{} ({})", kinds::describe_name(*job.file), job.file->kind());
  return {};
}

// Alone, where no thread can be made.
std::jthread try_thread(std::function<void()> work) {
  try {
    return std::jthread(std::move(work));
  } catch (const std::system_error&) {
    return {};
  }
}

}  // namespace

Result<void> enrich(Model& model, Borrower& borrower, Borrower* helper,
                    std::span<const std::string> externals) {
  // By id, from 1 on; those that were seen to are taken out.
  std::vector<pb::FileObject*> objects(static_cast<std::size_t>(model.files.objects_size()) + 1);
  for (pb::FileObject& object : *model.files.mutable_objects()) objects.at(object.id()) = &object;
  std::vector<Job> jobs, to_read;
  for (pb::File& file : *model.files.mutable_files()) {
    const kinds::Kind* kind = kinds::find(file.kind());
    if (kind == nullptr || kind->enrich == nullptr) continue;
    if (!file.has_detail() && kind->can_wait != nullptr) continue;  // its records say it all
    if (!externals.empty() && kinds::is_external(file, externals)) continue;
    pb::FileObject* object = nullptr;
    if (file.object_id() != 0) {
      object = std::exchange(objects.at(file.object_id()), nullptr);
      if (object == nullptr) continue;
    }
    const Job job{kind, &file, object};
    (is_only_read(job, borrower) ? to_read : jobs).push_back(job);
  }
  std::atomic<std::size_t> next = 0;
  Result<void> helped;
  std::jthread thread;
  if (helper != nullptr && to_read.size() >= kJobsForTwo)
    thread = try_thread([&] {
      helped = take_some(to_read, next, *helper);
      next = to_read.size();
    });
  // On an error nobody reads on: this goes before the thread, which is joined.
  struct Stop {
    std::atomic<std::size_t>& next;
    std::size_t end;
    ~Stop() { next = end; }
  } const stop{next, to_read.size()};
  TRY(take_some(to_read, next, borrower));
  for (const Job& job : jobs)
    TRY(take(job, borrower), "{} ({})", kinds::describe_name(*job.file), job.file->kind());
  if (thread.joinable()) thread.join();
  return helped;
}

}  // namespace bpfckpt::dump
