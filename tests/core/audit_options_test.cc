#include <boost/test/unit_test.hpp>

#include "core/audit_options.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using core::AuditTarget;
using core::parse_audit_options;
using testing::ScopedMutant;
using Pairs = std::vector<std::pair<std::string, std::string>>;

bool accepted(const Pairs& pairs) { return parse_audit_options("file", pairs).ok(); }
std::string error_of(const Pairs& pairs) { return parse_audit_options("file", pairs).status().message(); }

BOOST_AUTO_TEST_SUITE(audit_options)

BOOST_AUTO_TEST_CASE(defaults) {
  auto options = parse_audit_options("file", Pairs{{"file_path", "/var/log/vault_audit.log"}});
  BOOST_REQUIRE(options.ok());
  BOOST_TEST(options->file_path == "/var/log/vault_audit.log");
  BOOST_TEST(options->mode == 0600u);
  BOOST_TEST(!options->sync);
  BOOST_TEST(options->hmac_accessor);
  BOOST_TEST(!options->log_raw);
  BOOST_TEST((options->target == AuditTarget::kFile));
}

BOOST_AUTO_TEST_CASE(everything_can_be_said) {
  auto options = parse_audit_options("file", Pairs{{"path", "logs/a.log"},
                                                   {"mode", "0640"},
                                                   {"sync", "true"},
                                                   {"hmac_accessor", "0"},
                                                   {"log_raw", "T"},
                                                   {"elide_list_responses", "True"},
                                                   {"format", "json"},
                                                   {"prefix", ""},
                                                   {"skip_test", "1"}});
  BOOST_REQUIRE(options.ok());
  BOOST_TEST(options->file_path == "logs/a.log");
  BOOST_TEST(options->mode == 0640u);
  BOOST_TEST(options->sync);
  BOOST_TEST(!options->hmac_accessor);
  BOOST_TEST(options->log_raw);
  BOOST_TEST(options->elide_list_responses);
  BOOST_TEST(options->skip_test);
  BOOST_TEST((parse_audit_options("file", Pairs{{"file_path", "stdout"}})->target == AuditTarget::kStdout));
  BOOST_TEST((parse_audit_options("file", Pairs{{"path", "discard"}})->target == AuditTarget::kDiscard));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named_without_its_value) {
  BOOST_TEST(error_of({}) == "file_path is required");
  BOOST_TEST(error_of({{"file_path", "/a"}, {"prefix", "#!/bin/sh"}}) == "audit log prefixing is not allowed");
  BOOST_TEST(error_of({{"file_path", "/a"}, {"format", "canary"}}) == "format: must be json");
  BOOST_TEST(error_of({{"file_path", "/a"}, {"log_raw", "canary"}}) == "log_raw: must be true or false");
  BOOST_TEST(error_of({{"file_path", "/a"}, {"mode", "canary"}}) == "mode: must be octal permissions such as 0600");
  BOOST_TEST(error_of({{"file_path", "/a"}, {"canary", "canary"}}).find("canary") == std::string::npos);
  BOOST_TEST(!accepted({{"file_path", "/a"}, {"path", "/b"}}));
  BOOST_TEST(!accepted({{"path", "stdout"}, {"file_path", "/b"}}));
  BOOST_TEST(!parse_audit_options("kafka", Pairs{{"file_path", "/a"}}).ok());
}

// Advisory I2.
const char* const kBadModes[] = {"0777", "0755", "04755", "02600", "01600", "010644", "0100", "0010", "0001", "07111",
                                 "40000000644", "-0600", "0x180", "0608", "", "600 "};

BOOST_AUTO_TEST_CASE(i2_modes_that_are_more_than_read_and_write_are_refused) {
  for (const char* mode : kBadModes)
    BOOST_TEST(!accepted({{"file_path", "/a"}, {"mode", mode}}), mode);
  for (const char* mode : {"0600", "600", "0640", "0644", "0666", "0400", "0", "0000"})
    BOOST_TEST(accepted({{"file_path", "/a"}, {"mode", mode}}), mode);
}

BOOST_AUTO_TEST_CASE(i2_mutant_is_found) {
  const ScopedMutant on(Mutant::kAuditFileModeUnchecked);
  BOOST_TEST(accepted({{"file_path", "/a"}, {"mode", "0777"}}));
}

// Advisory I3: the old name of the option is checked as the new one.
const char* const kBadPaths[] = {"",    "/var/log/../plugins/run", "..", "../a", "a/..", "/var/log/", "a\nb", "a\x7f",
                                 "\xff"};

BOOST_AUTO_TEST_CASE(i3_both_names_of_the_path_have_one_validator) {
  for (const char* path : kBadPaths)
    for (const char* name : {"file_path", "path"})
      BOOST_TEST(!accepted({{name, path}}), name << " " << path);
  BOOST_TEST(accepted({{"path", "/var/log/..audit.log"}}));
}

BOOST_AUTO_TEST_CASE(i3_mutant_is_found) {
  const ScopedMutant on(Mutant::kAuditPathAliasUnchecked);
  BOOST_TEST(accepted({{"path", "/var/log/../plugins/run"}}));
  BOOST_TEST(!accepted({{"file_path", "/var/log/../plugins/run"}}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
