// The key-value engine, versions 1 and 2 (option `version` of the mount; 1 when absent).
#pragma once

#include <memory>
#include <vector>

#include "core/engine.h"
#include "core/path_table.h"

namespace coffer::engines {

// One instance serves every mount of the type; immutable, any thread.
std::unique_ptr<core::Engine> make_kv_engine();

namespace kv {

// The tables' parts, one file each.
core::PathSpec data_spec();                       // data_paths.cc
core::PathSpec subkeys_spec();                    // subkeys.cc
std::vector<core::PathSpec> version_specs();      // version_paths.cc: delete, undelete, destroy
core::PathSpec metadata_spec();                   // metadata_paths.cc
core::PathSpec detailed_spec();                   // metadata_paths.cc
std::vector<core::PathSpec> move_specs();         // move_paths.cc: move, copy
core::PathSpec search_spec();                     // search.cc
core::PathSpec upgrading_spec();                  // upgrade.cc: every path while version 1 becomes version 2
core::PathSpec config_spec();                     // config_paths.cc
core::PathSpec unversioned_spec();                // unversioned.cc
core::PathSpec wrong_version_spec();              // unversioned.cc: version 1's paths on a mount of version 2

// One step for a mount of version 2: purges what is due, or converts what version 1 left.
Result<core::Tended> tend(core::TendContext& ctx);  // upgrade.cc

}  // namespace kv
}  // namespace coffer::engines
