// SPDX-License-Identifier: Apache-2.0
#include "cmd/picture.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <map>
#include <unordered_map>

#include "cmd/mapped_objects.h"
#include "cmd/shared_things.h"
#include "cmd/text.h"
#include "model/details.h"
#include "model/page_place.h"

namespace bpfckpt {
namespace {

constexpr std::array<const char*, 5> kMemoryKinds = {"anonymous", "file, private", "file, shared",
                                                     "anonymous, shared", "special"};

class Painter {
 public:
  explicit Painter(const image::ImageReader& reader)
      : reader_(reader), model_(reader.model()), index_(reader.index()), mapped_(model_, index_) {}

  Picture paint() {
    set_head();
    find_kin();
    add_processes();
    add_total();
    add_whole_parts();
    std::ranges::move(find_shared_things(index_, mapped_, messages_), std::back_inserter(picture_.shared));
    add_stages();
    return std::move(picture_);
  }

 private:
  void set_head() {
    const pb::Manifest& manifest = reader_.manifest();
    std::time_t seconds = manifest.created_unix_ns() / 1'000'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> time{};
    std::strftime(time.data(), time.size(), "%F %T", &utc);
    picture_.title =
        fmt::format("checkpoint of {} {}, taken {} UTC on Linux {}", manifest.root_pid(),
                    name_of(model_.tasks.processes(0)), time.data(), printable(manifest.kernel_release()));
    for (const auto& file : manifest.files()) picture_.image_bytes += file.size();
  }

  static std::string name_of(const pb::Process& process) { return printable(process.threads(0).comm()); }

  // Without recursion: a chain of processes may be long.
  void add_processes() {
    std::unordered_map<std::uint32_t, std::vector<const pb::Process*>> children;
    for (const pb::Process& process : model_.tasks.processes())
      if (process.parent_pid() != 0) children[process.parent_pid()].push_back(&process);
    std::vector<std::pair<const pb::Process*, std::size_t>> stack{{&model_.tasks.processes(0), 0}};
    while (!stack.empty()) {
      auto [process, depth] = stack.back();
      stack.pop_back();
      add_process(*process, depth);
      auto kids = children.find(process->pid());
      if (kids == children.end()) continue;
      for (auto it = kids->second.rbegin(); it != kids->second.rend(); ++it)
        stack.emplace_back(*it, depth + 1);
    }
  }

  void add_process(const pb::Process& process, std::size_t depth) {
    Picture::Process out;
    out.pid = process.pid();
    out.parent_pid = process.parent_pid();
    out.depth = depth;
    out.name = name_of(process);
    out.state = process.state() == pb::ZOMBIE ? "zombie" : process.state() == pb::STOPPED ? "stopped" : "";
    if (process.state() != pb::ZOMBIE) {
      out.threads = static_cast<std::size_t>(process.threads_size());
      if (const auto* table = index_.fd_table(process.fd_table_id()))
        out.descriptors = static_cast<std::size_t>(table->entries_size());
      if (const auto* mm = index_.address_space(process.mm_id())) add_memory(*mm, out);
      messages_.push_back(&process);
    } else {
      messages_.push_back(nullptr);
    }
    picture_.processes.push_back(std::move(out));
  }

  // Pages that several address spaces have are in the image once: who comes later leads to the same place.
  void find_kin() {
    struct Piece {
      std::uint64_t end;
      std::uint32_t mm_id;
    };
    std::map<std::string, std::map<std::uint64_t, Piece>> images;  // by first page: who had it first
    for (const pb::AddressSpace& mm : model_.memory.address_spaces())
      for (const pb::PageRun& run : mm.pages()) {
        const auto* owner = run.owner_mm_id() == 0 ? &mm : index_.address_space(run.owner_mm_id());
        auto& taken = images[owner->page_images(static_cast<int>(PagePlace::of(run.index()).image))];
        std::uint64_t at = run.index();
        const std::uint64_t end = run.index() + run.count();
        while (at < end) {
          auto next = taken.upper_bound(at);
          auto before = next == taken.begin() ? taken.end() : std::prev(next);
          std::uint64_t until = next == taken.end() ? end : std::min(end, next->first);
          if (before != taken.end() && before->second.end > at) {
            until = std::min(end, before->second.end);
            if (before->second.mm_id != mm.id())
              kin_[mm.id()].push_back({run.start() + (at - run.index()) * kPageSize,
                                       run.start() + (until - run.index()) * kPageSize,
                                       before->second.mm_id});
          } else {
            taken.emplace(at, Piece{until, mm.id()});
          }
          at = until;
        }
      }
  }

  void add_memory(const pb::AddressSpace& mm, Picture::Process& out) {
    auto [it, fresh] = sums_.try_emplace(mm.id());
    if (fresh) it->second = sum_up(mm);
    for (const Picture::Memory& sum : it->second) {
      if (sum.size_bytes == 0) continue;
      (sum.shared ? out.shared_taken_bytes : out.taken_bytes) += sum.taken_bytes;
      out.memory.push_back(sum);
    }
  }

  using Sums = std::array<Picture::Memory, kMemoryKinds.size()>;  // by VmaKind
  static Sums no_sums() {
    Sums sums;
    for (std::size_t kind = 0; kind < sums.size(); kind++) sums[kind].kind = kMemoryKinds[kind];
    sums[pb::FILE_SHARED].shared = sums[pb::ANONYMOUS_SHARED].shared = true;
    return sums;
  }

  Sums sum_up(const pb::AddressSpace& mm) {
    Sums sums = no_sums();
    const std::vector<Kin>& kin = kin_[mm.id()];
    int at = 0;
    std::size_t kin_at = 0;
    auto overlap = [](const pb::Vma& vma, std::uint64_t start, std::uint64_t end) {
      const std::uint64_t from = std::max(vma.start(), start), to = std::min(vma.end(), end);
      return from < to ? to - from : 0;
    };
    for (const pb::Vma& vma : mm.vmas()) {
      Picture::Memory& sum = sums[static_cast<std::size_t>(vma.kind())];
      sum.size_bytes += vma.end() - vma.start();
      for (; at < mm.pages_size() && mm.pages(at).start() < vma.end(); ++at) {
        const std::uint64_t run_end = mm.pages(at).start() + mm.pages(at).count() * kPageSize;
        sum.taken_bytes += overlap(vma, mm.pages(at).start(), run_end);
        if (run_end > vma.end()) break;  // goes on in the next mapping
      }
      for (; kin_at < kin.size() && kin[kin_at].start < vma.end(); ++kin_at) {
        sum.kin_bytes += overlap(vma, kin[kin_at].start, kin[kin_at].end);
        if (kin[kin_at].end > vma.end()) break;
      }
    }
    for (pb::VmaKind kind : {pb::FILE_SHARED, pb::ANONYMOUS_SHARED})
      sums[kind].taken_bytes += mapped_.held_bytes(mm.id(), kind);
    return sums;
  }

  void add_total() {
    Sums total = no_sums();
    for (const auto& [mm_id, sums] : sums_)
      for (std::size_t kind = 0; kind < sums.size(); kind++) {
        total[kind].size_bytes += sums[kind].size_bytes;
        if (!sums[kind].shared) total[kind].taken_bytes += sums[kind].taken_bytes - sums[kind].kin_bytes;
      }
    for (const auto& [id, object] : mapped_.all())
      total[static_cast<std::size_t>(object.vma->kind())].taken_bytes += object.content.held_bytes();
    for (Picture::Memory& sum : total)
      if (sum.size_bytes != 0) picture_.memory.push_back(std::move(sum));
  }

  void add_shared(Picture::Shared shared) {
    if (shared.holders.size() > 1) picture_.shared.push_back(std::move(shared));
  }

  // What clone(2) shares as a whole.
  void add_whole_parts() {
    struct Part {
      const char* name;
      std::uint32_t (pb::Process::*id)() const;
    };
    constexpr Part kParts[] = {{"memory", &pb::Process::mm_id},
                               {"descriptors", &pb::Process::fd_table_id},
                               {"directories", &pb::Process::fs_id},
                               {"signal actions", &pb::Process::sighand_id}};
    for (const Part& part : kParts) {
      std::map<std::uint32_t, Picture::Shared> by_id;
      for (std::size_t i = 0; i < messages_.size(); i++) {
        if (messages_[i] == nullptr || (messages_[i]->*part.id)() == 0) continue;
        Picture::Shared& shared = by_id[(messages_[i]->*part.id)()];
        shared.kind = part.name;
        shared.holders.push_back({i, ""});
      }
      for (auto& [id, shared] : by_id) add_shared(std::move(shared));
    }
    add_kin();
  }

  void add_kin() {
    std::map<std::uint32_t, std::size_t> first;  // of each address space
    for (std::size_t i = 0; i < messages_.size(); i++)
      if (messages_[i] != nullptr && messages_[i]->mm_id() != 0) first.emplace(messages_[i]->mm_id(), i);
    std::map<std::uint32_t, Picture::Shared> by_owner;
    for (const pb::AddressSpace& mm : model_.memory.address_spaces()) {
      auto user = first.find(mm.id());
      std::map<std::uint32_t, std::uint64_t> bytes;
      for (const Kin& kin : kin_[mm.id()]) bytes[kin.mm_id] += kin.end - kin.start;
      if (user == first.end()) continue;
      for (const auto& [owner, count] : bytes) {
        auto whose = first.find(owner);
        if (whose == first.end()) continue;
        Picture::Shared& shared = by_owner[owner];
        shared.kind = "copy-on-write pages";
        if (shared.holders.empty()) shared.holders.push_back({whose->second, "the first"});
        shared.holders.push_back({user->second, fmt::format("{} KiB", count / 1024)});
      }
    }
    for (auto& [owner, shared] : by_owner) {
      std::ranges::sort(shared.holders, {}, &Picture::Holder::process);
      add_shared(std::move(shared));
    }
  }

  void add_stages() {
    const pb::Stats& stats = reader_.manifest().stats();
    picture_.frozen_us = stats.frozen_us();
    picture_.total_us = stats.total_us();
    picture_.stages = {{"freezing", stats.freezing_us()},   {"collect", stats.collect_us()},
                       {"model", stats.model_us()},         {"threads", stats.threads_us()},
                       {"parasites", stats.parasites_us()}, {"pages", stats.pages_us()},
                       {"enrich", stats.enrich_us()},       {"cure", stats.cure_us()}};
  }

  // [start, end) is the page of another address space, too, which comes earlier.
  struct Kin {
    std::uint64_t start, end;
    std::uint32_t mm_id;
  };

  const image::ImageReader& reader_;
  const Model& model_;
  const ModelIndex& index_;
  const MappedObjects mapped_;
  Picture picture_;
  std::unordered_map<std::uint32_t, std::vector<Kin>> kin_;  // by address space, by address
  std::unordered_map<std::uint32_t, Sums> sums_;             // of the address spaces that a process has
  std::vector<const pb::Process*> messages_;                 // beside picture_.processes; null: a zombie
};

}  // namespace

std::string taken_in_words(const Picture::Process& process) {
  const std::string own = human_size(process.taken_bytes);
  return process.shared_taken_bytes == 0
             ? own
             : fmt::format("{} + {} shared", own, human_size(process.shared_taken_bytes));
}

Picture draw(const image::ImageReader& reader) {
  return Painter(reader).paint();
}

}  // namespace bpfckpt
