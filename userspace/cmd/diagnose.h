// SPDX-License-Identifier: Apache-2.0
// bpfckpt diagnose: what a dump would say of a running tree, for people or, as JSON
// (docs/diagnose.schema.json), for programs.
#pragma once

#include <functional>
#include <ostream>

#include "base/result.h"
#include "cmd/options.h"
#include "collect/collector.h"
#include "diagnose/covered.h"
#include "diagnose/findings.h"
#include "diagnose/holders.h"

namespace bpfckpt {

// Exit status 0: everything can be dumped with the options given; 1: not.
Result<int> run_diagnose(const DiagnoseOptions& options, std::ostream& out);

// --- the parts of it ---

// One process and what there is to say of it.
struct Diagnosed {
  std::uint32_t pid = 0;
  std::uint32_t parent_pid = 0;
  std::string command;
  std::string state;
  std::vector<diagnose::Item> items;
  // Where every process is a tree's root: what is not all right of the processes below it, in that tree.
  std::vector<diagnose::Item> below = {};

  kinds::Verdict verdict() const;  // the worst
};

std::vector<Diagnosed> diagnose_model(const Model& model, const DumpPolicy& policy);
std::vector<Diagnosed> diagnose_model(const Model& model, const DumpPolicy& policy, diagnose::Names& names);
// All that one look at a model shows. Where `refused_only`, nothing is put together for what is all right.
std::vector<diagnose::Item> find_all(const Model& model, const DumpPolicy& policy, diagnose::Names& names,
                                     bool refused_only);
// What is found by looking again, by `look`, whatever the first look showed.
Result<std::vector<diagnose::Item>> find_more(Collector& collector, const Model& model,
                                              const std::vector<SpecialMapping>& special,
                                              const std::function<Result<Model>()>& look);
void name_all_holders(Collector& collector, const diagnose::Moment* moment,
                      const diagnose::IsInside& is_inside, bool refused_only,
                      std::vector<Diagnosed>& processes);
bool is_dumpable(const std::vector<Diagnosed>& processes);

// Everything about each process; `unsupported_only` leaves out what is Ok.
void print_tree(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options, std::ostream& out);
// One line a process.
void print_summary(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options,
                   std::ostream& out);
void print_json(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options, std::ostream& out,
                const diagnose::Unseen& unseen = {});

}  // namespace bpfckpt
