#include "seal/static_seal.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/encoding.h"
#include "tests/crypto/fake_random.h"
#include "tests/seal/golden.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

SecretBytes text(std::string_view value) { return SecretBytes::copy_of(value); }

const std::string kRaw(32, 'k');

StaticSealOptions with_current(std::string_view key, std::string id = "") {
  StaticSealOptions options;
  options.current_key = text(key);
  options.current_key_id = std::move(id);
  return options;
}

Status failure(const StaticSealOptions& options) {
  const auto made = make_static_seal(options, read_key_reference);
  BOOST_REQUIRE(!made.ok());
  return made.status();
}

struct TemporaryFile {
  explicit TemporaryFile(std::string_view content)
      : path(std::filesystem::temp_directory_path() / ("coffer-static-seal-" + std::to_string(getpid()))) {
    std::ofstream(path, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

std::string wrap(KeyWrapper& seal) {
  SeededRandom random(1);
  return seal.wrap(text(std::string(32, 'r')), "context", random).value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(static_seal)

BOOST_AUTO_TEST_CASE(every_spelling_of_a_key_is_the_same_key) {
  const auto reference = make_static_seal(with_current(kRaw), read_key_reference).value();
  const std::string wrapped = wrap(*reference);
  const TemporaryFile file(base64_encode(kRaw) + "\n");
  const TemporaryFile& raw_file = file;
  BOOST_REQUIRE(setenv("COFFER_TEST_STATIC_KEY", hex_encode(kRaw).c_str(), 1) == 0);
  for (const std::string& spelling : {kRaw, base64_encode(kRaw), hex_encode(kRaw), "file://" + raw_file.path.string(),
                                      std::string("env://COFFER_TEST_STATIC_KEY")}) {
    const auto seal = make_static_seal(with_current(spelling), read_key_reference).value();
    BOOST_TEST(seal->kind() == "static");
    BOOST_TEST(seal->automatic());
    BOOST_TEST(seal->unwrap(wrapped, "context").ok());
  }
}

BOOST_AUTO_TEST_CASE(rotation_by_pair_and_by_list) {
  const std::string old_raw(32, 'o');
  const auto before = make_static_seal(with_current(old_raw, "2025"), read_key_reference).value();
  const std::string wrapped = wrap(*before);

  StaticSealOptions pair = with_current(kRaw, "2026");
  pair.previous_key = text(old_raw);
  pair.previous_key_id = "2025";
  BOOST_TEST(make_static_seal(pair, read_key_reference).value()->unwrap(wrapped, "context").ok());

  StaticSealOptions list;
  list.keys.push_back(text(base64_encode(kRaw)));
  list.keys.push_back(text(base64_encode(old_raw)));
  const auto newest_first = make_static_seal(list, read_key_reference).value();
  BOOST_TEST(newest_first->unwrap(wrapped, "context").ok());
  // What it wraps is wrapped by the first key.
  BOOST_TEST(
      make_static_seal(with_current(kRaw), read_key_reference).value()->unwrap(wrap(*newest_first), "context").ok());

  const auto without = make_static_seal(with_current(kRaw, "2026"), read_key_reference).value();
  const auto refused = without->unwrap(wrapped, "context");
  BOOST_CHECK(refused.code() == Code::kDenied);
  BOOST_TEST(refused.status().message().find("'2025'") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_settings_are_named_and_never_shown) {
  BOOST_TEST(failure({}).message() == "seal \"static\": current_key is missing (or keys, newest first)");
  for (const std::string& bad : {std::string("tooshortsecret"), base64_encode(std::string(31, 's')),
                                 hex_encode(std::string(33, 's')), std::string(31, 's'), std::string(64, 'z')}) {
    const Status status = failure(with_current(bad));
    BOOST_CHECK(status.code() == Code::kInvalid);
    BOOST_TEST(status.message() ==
               "seal \"static\": current_key must be 32 bytes, written as base64, as hexadecimal or as they are");
    BOOST_TEST(status.message().find(bad) == std::string::npos);
  }
  StaticSealOptions both = with_current(kRaw);
  both.keys.push_back(text(kRaw));
  BOOST_TEST(failure(both).message() == "seal \"static\": keys cannot be combined with current_key or previous_key");

  StaticSealOptions list;
  list.keys.push_back(text(kRaw));
  list.keys.push_back(text("short"));
  BOOST_TEST(failure(list).message().starts_with("seal \"static\": keys[1] must be 32 bytes"));
  list.keys.clear();
  for (int i = 0; i < 17; ++i)
    list.keys.push_back(text(kRaw));
  BOOST_TEST(failure(list).message() == "seal \"static\": keys lists more than 16 keys");

  StaticSealOptions previous = with_current(kRaw);
  previous.previous_key_id = "x";
  BOOST_TEST(failure(previous).message() == "seal \"static\": previous_key_id is set, but previous_key is not");
  previous = with_current(kRaw, "same");
  previous.previous_key = text(std::string(32, 'p'));
  previous.previous_key_id = "same";
  BOOST_TEST(failure(previous).message() == "seal \"static\": previous_key has the id of current_key");
  BOOST_TEST(failure(with_current(kRaw, std::string(256, 'i'))).message() ==
             "seal \"static\": current_key has an id of more than 255 bytes");
}

BOOST_AUTO_TEST_CASE(references_that_lead_nowhere_are_named) {
  BOOST_TEST(failure(with_current("file:///nonexistent/key")).message().find("/nonexistent/key") != std::string::npos);
  BOOST_TEST(failure(with_current("env://COFFER_TEST_NOT_SET")).message().find("COFFER_TEST_NOT_SET") !=
             std::string::npos);
  BOOST_TEST(failure(with_current("file:///tmp")).message().find("/tmp") != std::string::npos);
  const TemporaryFile large(std::string(10000, 'a'));
  BOOST_TEST(failure(with_current("file://" + large.path.string())).message().find("too large") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_environment_fills_what_is_empty) {
  const std::map<std::string, std::string> variables{{"VAULT_STATIC_SEAL_CURRENT_KEY", kRaw},
                                                     {"VAULT_STATIC_SEAL_CURRENT_KEY_ID", "from-env"}};
  const auto lookup = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  StaticSealOptions empty;
  fill_from_environment(empty, lookup);
  BOOST_TEST(empty.current_key.reveal_text() == kRaw);
  BOOST_TEST(empty.current_key_id == "from-env");
  StaticSealOptions set = with_current(std::string(32, 'c'), "written");
  fill_from_environment(set, lookup);
  BOOST_TEST(set.current_key.reveal_text() == std::string(32, 'c'));
  BOOST_TEST(set.current_key_id == "written");
  StaticSealOptions list;
  list.keys.push_back(text(kRaw));
  fill_from_environment(list, lookup);
  BOOST_TEST(list.current_key.empty());
}

BOOST_AUTO_TEST_SUITE_END()
