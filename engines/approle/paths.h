// The parts of the method's table, one file each.
#pragma once

#include <vector>

#include "core/path_table.h"

namespace coffer::engines::approle {

std::vector<core::PathSpec> role_specs();       // role_paths.cc
std::vector<core::PathSpec> secret_id_specs();  // secret_id_paths.cc
std::vector<core::PathSpec> login_specs();      // login.cc

}  // namespace coffer::engines::approle
