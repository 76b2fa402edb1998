// SPDX-License-Identifier: Apache-2.0
#include "dump/dump.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "base/log.h"
#include "base/stopwatch.h"
#include "diagnose/covered.h"
#include "diagnose/findings.h"
#include "diagnose/holders.h"
#include "diagnose/lasting.h"
#include "diagnose/look.h"
#include "dump/aio_rings.h"
#include "dump/borrow.h"
#include "dump/catch_tree.h"
#include "dump/connections.h"
#include "dump/page_writer.h"
#include "dump/process_state.h"
#include "dump/taken_tree.h"
#include "image/writer.h"
#include "kernel/cpu.h"
#include "kinds/marks.h"
#include "kinds/unix.h"
#include "model/living_thread.h"
#include "model/own_vdso.h"
#include "model/page_pieces.h"
#include "model/page_place.h"

namespace bpfckpt::dump {
namespace {

// What a restore on another kernel or another machine has to know of this one.
Result<void> keep_machine(image::ImageWriter& writer, const std::vector<SpecialMapping>& special,
                          pb::Manifest& manifest) {
  const kernel::CpuFeatures cpu = kernel::cpu_features();
  manifest.mutable_cpu()->mutable_cpuid()->Assign(cpu.cpuid.begin(), cpu.cpuid.end());
  manifest.mutable_cpu()->set_xfeatures(cpu.xfeatures);
  manifest.mutable_cpu()->set_xsave_size(cpu.xsave_size);
  const std::span<const std::byte> vdso = own_vdso(special);
  if (vdso.empty()) return {};
  TRY_ASSIGN(image::RawImage image, writer.create_raw("vdso"));
  if (::pwrite(image.fd, vdso.data(), vdso.size(), 0) != static_cast<ssize_t>(vdso.size()))
    return fail(Error::system(fmt::format("write {}", image.name)));
  manifest.set_vdso_image(image.name);
  return {};
}

// All findings at once, not the first one.
Result<void> refuse(const std::vector<diagnose::Item>& items) {
  if (items.empty()) return {};
  std::string lines;
  for (const diagnose::Item& item : items) lines += (lines.empty() ? "" : "\n") + diagnose::to_line(item);
  return fail(Error::unsupported(lines));
}

std::vector<diagnose::Item> obstacles(const Model& model, const DumpPolicy& policy, bool running) {
  return diagnose::find(model, policy, {.unsupported_only = true, .running = running});
}

void name_holders(Collector& collector, const Model& model, std::vector<diagnose::Item>& items) {
  std::set<std::uint32_t> tree;
  for (const pb::Process& process : model.tasks.processes()) tree.insert(process.pid());
  std::vector<diagnose::Item*> all;
  for (diagnose::Item& item : items) all.push_back(&item);
  auto is_inside = [&](const diagnose::Item&, std::uint32_t pid) { return tree.contains(pid); };
  diagnose::name_holders(collector, nullptr, is_inside, all);
}

// What can be taken, and yet is not all of it.
void warn(const Model& model, const DumpPolicy& policy) {
  std::set<std::string> told;  // several processes, or several ends, have the same thing
  for (const diagnose::Item& item : diagnose::find(model, policy, {.unsupported_only = true, .notes = true}))
    if (item.finding.code != kinds::kUnknownInFlight &&  // it is about to be looked at
        told.insert(item.name + item.finding.reason).second)
      log::warn("{}", diagnose::to_line(item));
}

Result<void> take_pages(TakenTree& tree, Model& model, image::ImageWriter& writer,
                        const image::RawImage& first, pb::Stats& stats) {
  struct Scanned {
    pb::AddressSpace* mm;
    PageJob job;
    Fd pagemap;
    std::vector<PageRange> ranges;
    std::uint64_t bytes = 0;
  };
  std::map<std::uint32_t, pb::AddressSpace*> spaces;
  for (pb::AddressSpace& mm : *model.memory.mutable_address_spaces()) spaces.emplace(mm.id(), &mm);
  std::vector<Scanned> all;
  std::uint64_t large = 0;
  // Parents before children: what kin share is the elder's, and is written by it.
  for (const pb::Process& process : model.tasks.processes()) {
    auto it = spaces.find(process.mm_id());
    if (it == spaces.end()) continue;
    Scanned scanned{.mm = it->second, .job = {}, .pagemap = {}, .ranges = {}};
    spaces.erase(it);
    const std::uint32_t tid = living_thread(process).tid();
    scanned.job.pid = static_cast<pid_t>(tid);
    scanned.job.parasite = tree.parasite(process.pid());
    scanned.pagemap = Fd(::open(fmt::format("/proc/{}/pagemap", tid).c_str(), O_RDONLY | O_CLOEXEC));
    if (!scanned.pagemap) return fail(Error::system(fmt::format("open pagemap of pid {}", process.pid())));
    TRY_ASSIGN(scanned.ranges, scan_pages(scanned.pagemap.get(), *scanned.mm), "pid {}", process.pid());
    for (const PageRange& range : scanned.ranges) scanned.bytes += range.end - range.start;
    if (scanned.bytes >= kLargeBytes) large++;
    all.push_back(std::move(scanned));
  }
  image::RawImage second;
  if (large != 0) {
    TRY_ASSIGN(second, writer.create_raw("pages-2"));
  }
  PageAllocator allocator(model.memory.address_spaces_size() > 1);
  std::vector<PageJob> jobs;
  for (Scanned& scanned : all) {
    std::vector<pb::PageRun> fresh;
    TRY(allocator.place(scanned.pagemap.get(), scanned.ranges, own_share(scanned.bytes, large) / kPageBytes,
                        *scanned.mm, fresh),
        "pid {}", scanned.job.pid);
    scanned.mm->add_page_images(first.name);
    if (large != 0) scanned.mm->add_page_images(second.name);
    auto outside = std::ranges::partition_point(
        fresh, [](const pb::PageRun& run) { return PagePlace::of(run.index()).image == 0; });
    scanned.job.outside.assign(outside, fresh.end());
    fresh.erase(outside, fresh.end());
    scanned.job.runs = std::move(fresh);
    jobs.push_back(std::move(scanned.job));
  }
  TRY(write_pages(jobs, first.fd, second.fd));
  stats.set_pages_written(allocator.pages());
  stats.set_pages_shared(allocator.shared());
  return {};
}

void count(const Model& model, pb::Stats& stats) {
  stats.set_processes(static_cast<std::uint32_t>(model.tasks.processes_size()));
  std::uint32_t threads = 0, vmas = 0;
  for (const pb::Process& process : model.tasks.processes())
    threads += static_cast<std::uint32_t>(process.threads_size());
  for (const pb::AddressSpace& mm : model.memory.address_spaces())
    vmas += static_cast<std::uint32_t>(mm.vmas_size());
  stats.set_threads(threads);
  stats.set_vmas(vmas);
  stats.set_files(static_cast<std::uint32_t>(model.files.files_size()));
}

void keep_options(const DumpPolicy& policy, After after, pb::DumpOptions& out) {
  out.set_shell_job(policy.shell_job);
  out.set_file_locks(policy.file_locks);
  out.set_tcp_established(policy.tcp_established);
  out.set_tcp_close(policy.tcp_close);
  out.set_leave_running(after == After::LeaveRunning);
  for (const std::string& external : policy.external) out.add_external(external);
}

}  // namespace

Result<pb::Stats> dump(const Options& options) {
  Stopwatch total;
  pb::Stats stats;

  // Before: everything that needs no frozen tree.
  const Fd root(static_cast<int>(::syscall(SYS_pidfd_open, options.root, 0)));
  if (!root) return fail(Error::target_gone(fmt::format("pid {}: no such process", options.root)));
  TRY_ASSIGN(Collector collector, Collector::open());
  TRY_ASSIGN(image::ImageWriter writer,
             image::ImageWriter::open(options.images_dir, {.durable = options.sync}));
  TRY_ASSIGN(image::RawImage pages, writer.create_raw("pages"));
  image::RawImage contents, more_contents;
  image::LinkRecord links;
  Connections connections(options.policy);
  TRY_ASSIGN(const std::vector<SpecialMapping> special, collector.own_special_mappings());
  {
    auto look = [&] { return diagnose::look(collector, options.root); };
    TRY_ASSIGN(Model model, look());
    std::vector<diagnose::Item> items = obstacles(model, options.policy, true);
    TRY(diagnose::keep_lasting({&items}, [&](const auto&) -> Result<std::vector<diagnose::Item>> {
      TRY_ASSIGN(const Model again, look());
      return obstacles(again, options.policy, true);
    }));
    std::ranges::move(diagnose::find_covered(model), std::back_inserter(items));
    std::ranges::move(options.find_shape(model, special, look), std::back_inserter(items));
    name_holders(collector, model, items);
    TRY(refuse(items));
    warn(model, options.policy);
    TRY(connections.prepare(model));
    if (model.files.objects_size() != 0) {
      TRY_ASSIGN(contents, writer.create_raw("contents"));
      TRY_ASSIGN(more_contents, writer.create_raw("contents-2"));
      if (options.policy.link_remap) {
        TRY_ASSIGN(links, writer.record_links());
      }
    }
  }
  pb::Manifest manifest;
  TRY(keep_machine(writer, special, manifest));
  TRY(options.at_stage("pre-dump"));
  target::InjectedParasite::prepare();
  target::Waiter waiter;
  target::RobustList robust;

  // The frozen window.
  CaughtTree caught;
  const PassOnError pass_on_error(connections);
  const Catching catching{waiter, robust, collector, connections, options.root, root, options.timeout};
  auto judge = [&](const Model& model) {
    return refuse(diagnose::find(model, options.policy, {.unsupported_only = true, .details_wait = true}));
  };
  TRY(catch_tree(catching, judge, stats, caught));
  TakenTree& tree = *caught.tree;
  Model& model = caught.model;
  Stopwatch stage;
  TRY(ask_processes(tree, model));
  stats.set_parasites_us(stats.parasites_us() + stage.lap_us());
  TRY(take_aio_events(model));
  TRY(take_pages(tree, model, writer, pages, stats));
  stats.set_pages_us(stage.lap_us());
  Borrower borrower(model, writer, contents);
  borrower.record_links(std::move(links));
  std::optional<Borrower> helper;
  if (more_contents.fd >= 0) helper.emplace(borrower, more_contents);
  TRY(connections.renew());
  TRY(enrich(model, borrower, helper ? &*helper : nullptr, options.policy.external));
  TRY(connections.read(model, borrower, writer));
  stats.set_enrich_us(stage.lap_us());
  TRY(tree.cure());
  stats.set_cure_us(stage.lap_us());
  if (options.after == After::LeaveRunning) {
    TRY(connections.unlock());
    tree.release();
  }
  stats.set_frozen_us(caught.frozen.us());

  TRY(caught.late.complete(model));
  TRY(borrower.finish_contents());
  if (helper) TRY(helper->finish_contents());
  TRY(refuse(options.find_shape(model, special, {})));

  // After: nobody waits for us any more, or everybody will be killed.
  TRY(kinds::look_up_targets(model));
  TRY(refuse(obstacles(model, options.policy, false)));
  TRY(refuse(diagnose::find_covered(model)));
  count(model, stats);
  stats.set_total_us(total.us());
  manifest.set_program_version(BPFCKPT_VERSION);
  keep_options(options.policy, options.after, *manifest.mutable_options());
  *manifest.mutable_stats() = stats;
  if (options.after != After::LeaveRunning) manifest.set_network_lock(connections.lock_id());
  TRY(connections.renew());
  if (options.sync) TRY(borrower.sync_links());
  TRY(writer.finish(model, manifest));
  // Who copies the images away does it here, with the tree still frozen.
  if (auto done = options.at_stage("post-dump"); !done) {
    writer.withdraw();
    return fail(std::move(done.error()));
  }
  if (options.after != After::LeaveRunning) {
    Result<void> kept = connections.keep(model, borrower);
    if (kept && options.after == After::Kill) kept = connections.commit();
    if (!kept) {
      connections.take_back();
      writer.withdraw();
      return fail(std::move(kept.error()));
    }
  }
  borrower.keep_links();
  if (options.after == After::Kill) {
    tree.kill();
    connections.destroy();
  }
  if (options.after == After::LeaveStopped) {
    if (auto stopped = tree.leave_stopped(); !stopped) {
      connections.take_back();
      return fail(std::move(stopped.error()));
    }
    connections.leave();
  }
  stats.set_total_us(total.us());
  return stats;
}

}  // namespace bpfckpt::dump
