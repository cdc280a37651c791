// Pinned examples of the formats in docs/formats/: tests/golden/seal/<name>.txt holds lines `field = hex`, '#' begins a
// comment.
#pragma once

#include <fstream>
#include <map>
#include <string>

#include "tests/crypto/hex.h"

namespace coffer::testing {

inline std::map<std::string, std::string> read_golden(const std::string& name) {
  std::ifstream file("tests/golden/seal/" + name + ".txt");
  BOOST_REQUIRE_MESSAGE(file.good(), "no golden file " + name);
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find(" = ");
    if (line.empty() || line[0] == '#' || equals == std::string::npos)
      continue;
    const Bytes value = from_hex(line.substr(equals + 3));
    fields[line.substr(0, equals)] = std::string(value.begin(), value.end());
  }
  return fields;
}

inline std::string hex_of(std::string_view text) {
  return to_hex(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

}  // namespace coffer::testing
