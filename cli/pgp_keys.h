// Public OpenPGP keys as people name them on the command line: files, users of Keybase, and one file with many keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace coffer::cli {

// What -`flag` names, with commas between: files that hold a key in binary, in armour or in base64 of either, "@file"
// likewise, and "keybase:user". In base64, in the flag's order. kInvalid names the flag and the entry, kUnavailable
// what Keybase did. COFFER_KEYBASE_ADDR replaces Keybase's address.
Result<std::vector<std::string>> pgp_keys_of(Context& context, const std::string& flag);

// As that; where -pgp-keys-file is given, the keys are in that file. kInvalid when both flags are.
Result<std::vector<std::string>> pgp_keys_or_file(Context& context, const std::string& flag);

// The keys of a text, in base64: base64 of a key a line, or wrapped at any width and then one after the other, each key
// in binary or armour; or armour itself. Lines are joined until a key is complete (decision D-3). kInvalid with the
// number, from 1, of the key that cannot be read.
Result<std::vector<std::string>> split_pgp_keys(std::string_view text);

}  // namespace coffer::cli
