// SPDX-License-Identifier: Apache-2.0
#include "diagnose/holders.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <unordered_map>

#include "images/kinds/unix.pb.h"
#include "kinds/objects.h"
#include "kinds/tcp.h"
#include "model/details.h"
#include "model/obstacles.h"

namespace bpfckpt::diagnose {
namespace {

constexpr std::size_t kMostNamed = 3;
constexpr std::size_t kMostListed = 100;

constexpr std::string_view kFd = "fd ", kMapping = "mapping ";

// What somebody outside may have, by the code of the finding.
enum class Shared { Nothing, Description, Object, UnixEnd, TcpEnd };

Shared shared(const Item& item) {
  const std::string& code = item.finding.code;
  if (item.subject.starts_with(kMapping))
    return code == "sysv-shm-outside" ? Shared::Object : Shared::Nothing;
  if (!item.subject.starts_with(kFd)) return Shared::Nothing;
  if (code == "pipe-outside") return Shared::Object;
  if (code == "file-lock-shared") return Shared::Description;
  if (code.starts_with("unix-")) return Shared::UnixEnd;
  if (code == "tcp-established") return Shared::TcpEnd;
  return Shared::Nothing;
}

// The number that follows `prefix` in the item's subject.
std::uint64_t number_of(const Item& item, std::string_view prefix, int base) {
  std::uint64_t number = 0;
  const std::string_view rest = std::string_view(item.subject).substr(prefix.size());
  std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  return number;
}

// The machine's descriptors and mappings, by what they lead to.
class Holders {
 public:
  Holders(const Model& model, const IsInside& is_inside) : index_(model), is_inside_(is_inside) {
    for (const pb::Process& process : model.tasks.processes()) {
      if (const pb::FdTable* table = index_.fd_table(process.fd_table_id()))
        for (const pb::FdEntry& entry : table->entries()) add(process, entry.file_id());
      if (const pb::AddressSpace* mm = index_.address_space(process.mm_id()))
        for (const pb::Vma& vma : mm->vmas())
          if (const pb::File* file = index_.file(vma.file_id());
              file != nullptr && file->kind() == "sysv_shm")
            add(process, file->id());
    }
  }

  // Where connections over loopback end: what has the addresses of another's other end.
  void find_tcp_ends(const Model& model) {
    for (const pb::File& file : model.files.files()) {
      if (!kinds::is_tcp(file)) continue;
      const auto tcp = kinds::tcp_of(file);
      if (tcp && kinds::is_connection(*tcp)) tcp_ends_.emplace(kinds::own_ends(*tcp), file.id());
    }
  }

  // Empty: nobody that we can see.
  std::vector<Holder> of(const Item& item) const {
    const pb::Process* process = index_.process(item.pid);
    if (process == nullptr) return {};
    if (item.subject.starts_with(kMapping)) return of_mapping(*process, item);
    const pb::FdTable* table = index_.fd_table(process->fd_table_id());
    if (table == nullptr) return {};
    const std::uint64_t fd = number_of(item, kFd, 10);
    const auto& entries = table->entries();
    const auto entry = std::ranges::lower_bound(entries, fd, {}, [](const pb::FdEntry& e) { return e.fd(); });
    if (entry == entries.end() || entry->fd() != fd) return {};
    const pb::File* file = index_.file(entry->file_id());
    if (file == nullptr) return {};
    switch (shared(item)) {
      case Shared::Nothing:
        return {};
      case Shared::Description:
        return of_file(file->id(), item);
      case Shared::Object: {
        auto it = by_object_.find(file->object_id());
        return it == by_object_.end() ? std::vector<Holder>{} : listed(it->second, item);
      }
      case Shared::UnixEnd:
        return of_unix_end(*file, item);
      case Shared::TcpEnd:
        return of_tcp_end(*file, *process, item);
    }
    return {};
  }

 private:
  void add(const pb::Process& process, std::uint32_t file_id) {
    const pb::File* file = index_.file(file_id);
    if (file == nullptr) return;
    by_file_[file->id()].emplace(process.pid(), &process);
    if (file->object_id() != 0) by_object_[file->object_id()].emplace(process.pid(), &process);
  }

  std::vector<Holder> of_file(std::uint32_t id, const Item& item) const {
    auto it = by_file_.find(id);
    return it == by_file_.end() ? std::vector<Holder>{} : listed(it->second, item);
  }

  // Its other end, or those that wait to be accepted.
  std::vector<Holder> of_unix_end(const pb::File& file, const Item& item) const {
    if (file.kind() != "unix") return {};
    const auto socket = kinds::unpack<pb::UnixSocket>(file.detail(), "unix socket");
    if (!socket) return {};
    Processes all;
    auto add_those = [&](std::uint32_t id) {
      if (auto it = by_file_.find(id); it != by_file_.end()) all.insert(it->second.begin(), it->second.end());
    };
    add_those(socket->peer_file_id());
    for (const pb::UnixPending& pending : socket->pending()) add_those(pending.client_file_id());
    return listed(all, item);
  }

  std::vector<Holder> of_tcp_end(const pb::File& file, const pb::Process& process, const Item& item) const {
    const auto tcp = kinds::is_tcp(file) ? kinds::tcp_of(file) : Result<pb::Tcp>(pb::Tcp());
    if (!tcp || tcp->inet().remote_port() == 0 || is_elsewhere(process)) return {};
    auto end = tcp_ends_.find(kinds::other_ends(*tcp));
    if (end == tcp_ends_.end()) return {};
    auto it = by_file_.find(end->second);
    if (it == by_file_.end() || is_elsewhere(*it->second.begin()->second)) return {};
    return listed(it->second, item);
  }

  // In another network the same addresses are another connection's.
  static bool is_elsewhere(const pb::Process& process) {
    return std::ranges::any_of(process.obstacles(), [](const std::string& obstacle) {
      return obstacle.starts_with(kForeignNamespaces) && obstacle.contains("net");
    });
  }

  std::vector<Holder> of_mapping(const pb::Process& process, const Item& item) const {
    const std::uint64_t start = number_of(item, kMapping, 16);
    const pb::AddressSpace* mm = index_.address_space(process.mm_id());
    if (mm == nullptr) return {};
    const auto& vmas = mm->vmas();
    const auto vma = std::ranges::lower_bound(vmas, start, {}, [](const pb::Vma& v) { return v.start(); });
    const pb::File* file = vma == vmas.end() || vma->start() != start ? nullptr : index_.file(vma->file_id());
    if (file == nullptr) return {};
    auto it = by_object_.find(file->object_id());
    return it == by_object_.end() ? std::vector<Holder>{} : listed(it->second, item);
  }

  using Processes = std::map<std::uint32_t, const pb::Process*>;  // by pid

  // But for those of the item's own tree.
  std::vector<Holder> listed(const Processes& processes, const Item& item) const {
    std::vector<Holder> holders;
    for (const auto& [pid, process] : processes) {
      if (holders.size() == kMostListed) break;
      if (is_inside_(item, pid)) continue;
      holders.push_back({pid, process->threads_size() == 0 ? "" : process->threads(0).comm()});
    }
    return holders;
  }

  ModelIndex index_;
  const IsInside& is_inside_;
  std::unordered_map<std::uint32_t, Processes> by_file_, by_object_;
  std::unordered_map<std::string, std::uint32_t> tcp_ends_;  // file id
};

// "pid 4711 (bash), pid 4712 (cat) and 3 more"
std::string named(const std::vector<Holder>& holders) {
  std::string text;
  std::size_t count = 0;
  for (const auto& [pid, command] : holders) {
    if (count++ == kMostNamed)
      return text + fmt::format(" and {}{} more", holders.size() - kMostNamed,
                                holders.size() == kMostListed ? " or" : "");
    text += fmt::format("{}pid {} ({})", text.empty() ? "" : ", ", pid, command);
  }
  return text;
}

}  // namespace

void name_holders(Collector& collector, const Moment* moment, const IsInside& is_inside,
                  std::span<Item* const> items) {
  std::vector<Item*> open;
  for (Item* item : items)
    if (shared(*item) != Shared::Nothing) open.push_back(item);
  if (open.empty()) return;
  // Names are a help: without them what was found stands as it is.
  std::optional<Moment> now;
  if (moment == nullptr) {
    auto taken = Moment::take(collector);
    if (!taken) return;
    moment = &now.emplace(std::move(*taken));
  }
  std::vector<pid_t> pids;
  for (const TaskSummary& leader : moment->forest.leaders()) pids.push_back(static_cast<pid_t>(leader.tgid));
  auto records = collector.collect(pids, moment->snapshot, 0);
  if (!records) return;
  auto model = to_model(*records, static_cast<pid_t>(open.front()->pid));
  collector.recycle(std::move(*records));
  if (!model) return;
  Holders holders(*model, is_inside);
  if (std::ranges::any_of(open, [](const Item* item) { return shared(*item) == Shared::TcpEnd; }))
    holders.find_tcp_ends(*model);
  for (Item* item : open) {
    item->holders = holders.of(*item);
    // Of a unix socket the reason says who connected.
    if (item->holders.empty() || shared(*item) == Shared::UnixEnd) continue;
    item->finding.reason += fmt::format("; {} has {}", named(item->holders),
                                        shared(*item) == Shared::TcpEnd ? "the other end" : "it");
  }
}

}  // namespace bpfckpt::diagnose
