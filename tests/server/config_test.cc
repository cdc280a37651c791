#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "server/config.h"

namespace coffer::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kServerHcl = R"(storage "raft" {
  path = "/opt/vault/data"
  node_id = "vault-1"
}
listener "tcp" {
  address = "0.0.0.0:8200"
  tls_disable = 0
  tls_cert_file = "/etc/vault.d/tls/cert.pem"
  tls_key_file = "/etc/vault.d/tls/key.pem"
}
seal "awskms" {
  region = "ap-northeast-1"
  kms_key_id = "arn:aws:kms:...:key/..."
}
api_addr = "https://vault-1.example.com:8200"
cluster_addr = "https://vault-1.example.com:8201"
ui = true
)";

constexpr std::string_view kComposeHcl = R"(ui = true
listener "tcp" {
  address = "0.0.0.0:8200"
  tls_disable = true
}
storage "raft" {
  path = "/vault/data"
  node_id = "vault-1"
}
seal "aesgcm" {
  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]
}
service_registration "consul" {
  address = "consul:8500"
}
)";

constexpr std::string_view kBase = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = true }\n";

Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto at = values.find(name);
    return at != values.end() ? std::optional(at->second) : std::nullopt;
  };
}

std::string error_of(std::string_view text) {
  Config config;
  Status status = apply_config(text, "f.hcl", config);
  if (status.ok())
    status = validate_config(config);
  return status.message();
}

Config parsed(std::string_view text) {
  Config config;
  const Status status = apply_config(text, "f.hcl", config);
  BOOST_REQUIRE_MESSAGE(status.ok(), status.message());
  return config;
}

struct Folder {
  Folder() : path(fs::temp_directory_path() / ("coffer-config-test-" + std::to_string(::getpid()))) {
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void put(const std::string& name, std::string_view text) const { std::ofstream(path / name) << text; }
  fs::path path;
};

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(s0_20_server_hcl) {
  const Config config = parsed(kServerHcl);
  BOOST_TEST((config.storage->kind == StorageKind::kRaft));
  BOOST_TEST(config.storage->path == "/opt/vault/data");
  BOOST_TEST(config.storage->node_id == "vault-1");
  BOOST_REQUIRE(config.listeners.size() == 1u);
  BOOST_TEST(config.listeners[0].host == "0.0.0.0");
  BOOST_TEST(config.listeners[0].port == 8200);
  BOOST_REQUIRE(config.listeners[0].tls.has_value());
  BOOST_TEST(config.listeners[0].tls->cert_file == "/etc/vault.d/tls/cert.pem");
  BOOST_TEST(config.seals[0].kind == "awskms");
  BOOST_TEST(config.seals[0].settings.at("region").reveal_text() == "ap-northeast-1");
  BOOST_TEST(config.api_addr == "https://vault-1.example.com:8200");
  BOOST_TEST(config.ui);
  BOOST_TEST(config.warnings.empty());
  BOOST_TEST(validate_config(config).ok());
}

BOOST_AUTO_TEST_CASE(seals_that_are_not_served_are_refused_by_name) {
  const std::string base = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = true }\n";
  const Config other = parsed(base + "seal \"ocikms\" { key_id = \"a\" }\n");
  BOOST_TEST(validate_config(other).message() ==
             "error loading configuration from f.hcl: line 3, column 1: seal \"ocikms\": this kind is not available "
             "in this version; use \"static\", \"pkcs11\", \"awskms\", \"azurekeyvault\", \"gcpckms\", \"transit\", "
             "or none");
}

BOOST_AUTO_TEST_CASE(the_environment_names_a_seal_where_no_block_does) {
  const std::string base = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = true }\n";
  const auto kinds = [&](const std::string& blocks, const std::string& named) {
    const auto config =
        load_config({}, variables({{"VAULT_LOCAL_CONFIG", base + blocks}, {"VAULT_SEAL_TYPE", named}}));
    BOOST_REQUIRE_MESSAGE(config.ok(), config.status().message());
    std::string out;
    for (const SealStanza& seal : config->seals)
      out += seal.kind + (seal.disabled ? "- " : " ");
    return validate_config(*config).ok() ? out : validate_config(*config).message();
  };
  BOOST_TEST(kinds("", "") == "");
  BOOST_TEST(kinds("", "awskms") == "awskms ");
  BOOST_TEST(kinds("", "aesgcm") == "static ");
  BOOST_TEST(kinds("seal \"static\" {}\n", "awskms") == "static ");
  BOOST_TEST(kinds("seal \"static\" { disabled = true }\n", "awskms") == "static- awskms ");
  BOOST_TEST(kinds("", "ocikms").find("VAULT_SEAL_TYPE: seal \"ocikms\": this kind is not available") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(s4_110_local_config_in_hcl) {
  const auto config = load_config({}, variables({{"VAULT_LOCAL_CONFIG", std::string(kComposeHcl)}}));
  BOOST_REQUIRE_MESSAGE(config.ok(), config.status().message());
  BOOST_TEST(validate_config(*config).ok());
  BOOST_TEST(config->seals[0].kind == "static");
  BOOST_TEST(config->seals[0].static_options.keys[0].reveal_text() == "Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY=");
  BOOST_TEST(!config->listeners[0].tls.has_value());
  BOOST_TEST(config->warnings.empty());
  BOOST_REQUIRE(config->registration.has_value());
  BOOST_TEST(config->registration->address == "consul:8500");
}

BOOST_AUTO_TEST_CASE(json_says_the_same) {
  const Config config = parsed(
      R"({"storage": {"file": {"path": "/data"}}, "listener": [{"tcp": {"address": "[::1]:0", "tls_disable": "true"}},
    {"grpc": {"address": "127.0.0.1", "tls_disable": 1, "max_request_size": 1048576}}],
    "default_lease_ttl": "1h", "max_lease_ttl": 7200, "log_level": "Debug",
    "log_format": "json", "seal": {"static": {"current_key": "file:///k", "current_key_id": "1"}},
    "telemetry": {"disable_hostname": true, "statsd_address": "x"}})");
  BOOST_TEST(validate_config(config).ok());
  BOOST_TEST((config.storage->kind == StorageKind::kFile));
  BOOST_TEST(config.listeners[0].host == "::1");
  BOOST_TEST(config.listeners[0].port == 0);
  BOOST_TEST((config.listeners[1].kind == ListenerKind::kGrpc));
  BOOST_TEST(config.listeners[1].port == 8210);
  BOOST_TEST(*config.listeners[1].max_request_bytes == 1048576u);
  BOOST_TEST((config.default_lease_ttl == std::chrono::hours(1)));
  BOOST_TEST((config.max_lease_ttl == std::chrono::hours(2)));
  BOOST_TEST((config.log_level == LogLevel::kDebug));
  BOOST_TEST((config.log_format == LogFormat::kJson));
  BOOST_TEST(config.telemetry->disable_hostname);
  BOOST_TEST(config.telemetry->settings.at("statsd_address") == "x");
}

BOOST_AUTO_TEST_CASE(spellings_of_false_and_true) {
  for (const char* value : {"true", "1", "\"true\"", "\"1\""})
    BOOST_TEST(!parsed(std::string("listener \"tcp\" { tls_disable = ") + value + " }").listeners[0].tls.has_value());
  for (const char* value : {"false", "0", "\"false\""})
    BOOST_TEST(error_of(std::string("listener \"tcp\" { tls_disable = ") + value + " }") ==
               "error loading configuration from f.hcl: line 1, column 1: listener \"tcp\": \"tls_cert_file\": must be "
               "set, or \"tls_disable = true\"");
}

BOOST_AUTO_TEST_CASE(files_and_folders_merge) {
  const Folder folder;
  folder.put("b.hcl", "log_level = \"warn\"\nlistener \"tcp\" { tls_disable = true }\nmax_lease_ttl = \"10h\"");
  folder.put("a.json", R"({"log_level": "debug", "storage": {"inmem": {}}, "default_lease_ttl": "9h"})");
  folder.put("ignored.txt", "not a configuration {{{");
  folder.put(".hidden.hcl", "not a configuration {{{");
  const Folder* other = &folder;
  other->put("c.hcl.last", "cluster_name = \"c\"\nlistener \"grpc\" { tls_disable = true }");
  const auto config =
      load_config({folder.path.string(), (folder.path / "c.hcl.last").string()},
                  variables({{"VAULT_API_ADDR", "http://a:1"}, {"VAULT_LOG_LEVEL", "trace"}, {"VAULT_UI", "1"}}));
  BOOST_REQUIRE_MESSAGE(config.ok(), config.status().message());
  BOOST_TEST(validate_config(*config).ok());
  BOOST_TEST((config->log_level == LogLevel::kTrace));
  BOOST_TEST((config->max_lease_ttl == std::chrono::hours(10)));
  BOOST_TEST((config->default_lease_ttl == std::chrono::hours(9)));
  BOOST_TEST(config->listeners.size() == 2u);
  BOOST_TEST(config->cluster_name == "c");
  BOOST_TEST(config->api_addr == "http://a:1");
  BOOST_TEST(config->ui);
  BOOST_TEST(config->files.size() == 3u);
  BOOST_TEST(!load_config({(folder.path / "missing.hcl").string()}, variables({})).ok());
  BOOST_TEST(!load_config({}, variables({{"VAULT_LOG_LEVEL", "loud"}})).ok());
  folder.put("bad.hcl", "ui = maybe");
  const auto bad = load_config({folder.path.string()}, variables({}));
  BOOST_TEST(bad.status().message() == "error loading configuration from " + (folder.path / "bad.hcl").string() +
                                           ": line 1, column 6: expected a value; text stands in quotes");
  const Folder* same = &folder;
  same->put("big.hcl", std::string(2u << 20, '#'));
  BOOST_TEST(!load_config({(folder.path / "big.hcl").string()}, variables({})).ok());
}

BOOST_AUTO_TEST_CASE(raft_variables_win) {
  const auto config = load_config({}, variables({{"VAULT_LOCAL_CONFIG", std::string(kComposeHcl)},
                                                 {"VAULT_RAFT_NODE_ID", "n9"},
                                                 {"VAULT_RAFT_PATH", "/d"}}));
  BOOST_TEST(config->storage->node_id == "n9");
  BOOST_TEST(config->storage->path == "/d");
}

BOOST_AUTO_TEST_CASE(user_lockout_blocks_are_read) {
  const Config config = parsed(std::string(kBase) +
                               "user_lockout \"all\" { lockout_threshold = 3 }\n"
                               "user_lockout \"userpass\" { lockout_duration = \"10m\" lockout_counter_reset = 60 "
                               "disable_lockout = true }\n");
  BOOST_TEST(config.lockouts.at("all").threshold == 3u);
  const core::LockoutRule& rule = config.lockouts.at("userpass");
  BOOST_TEST((rule.duration == std::chrono::minutes(10) && rule.counter_reset == std::chrono::minutes(1)));
  BOOST_TEST(rule.disabled);
  for (const std::string_view block :
       {"user_lockout \"nobody\" {}", "user_lockout \"all\" { lockout_threshold = 0 }",
        "user_lockout \"all\" { lockout_duration = \"long\" }", "user_lockout \"all\" {}\nuser_lockout \"all\" {}"})
    BOOST_TEST(!error_of(std::string(kBase) + std::string(block)).empty(), block);
  const auto off = load_config({}, variables({{"VAULT_LOCAL_CONFIG", std::string(kBase)},
                                              {"VAULT_DISABLE_USER_LOCKOUT", "true"}}));
  BOOST_TEST(off->lockouts.at("all").disabled);
}

BOOST_AUTO_TEST_CASE(unknown_settings_warn) {
  const Config config = parsed(std::string(kBase) + "colour = \"red\"\ncache_size = 5\nstorage_x \"y\" {}\n");
  BOOST_REQUIRE(config.warnings.size() == 2u);
  BOOST_TEST(config.warnings[0] == "unknown or unsupported field \"colour\" found in configuration at f.hcl:3:1");
  BOOST_TEST(parsed("listener \"tcp\" { tls_disable = 1\n what = 2 }").warnings[0] ==
             "unknown or unsupported field \"what\" of listener \"tcp\" found in configuration at f.hcl:2:2");
}

BOOST_AUTO_TEST_CASE(errors_name_file_place_and_setting) {
  const std::string at = "error loading configuration from f.hcl: ";
  const std::pair<const char*, std::string> cases[] = {
      {"ui = \"maybe\"", at + "line 1, column 6: \"ui\": expected true or false"},
      {"ui = [true]", at + "line 1, column 6: \"ui\": expected true or false"},
      {"max_lease_ttl = \"soon\"",
       at + "line 1, column 17: \"max_lease_ttl\": expected a duration such as 90, \"1h30m\" or \"30d\""},
      {"max_lease_ttl = \"-1h\"",
       at + "line 1, column 17: \"max_lease_ttl\": expected a duration such as 90, \"1h30m\" or \"30d\""},
      {"api_addr = true", at + "line 1, column 12: \"api_addr\": expected a text"},
      {"log_level = \"loud\"", at + "line 1, column 13: \"log_level\": expected trace, debug, info, warn or error"},
      {"listener \"grpc\" {\ntls_cert_file = \"c\"\ntls_key_file = \"k\"\ntls_min_version = \"tls13\" }",
       at + "line 4, column 19: listener \"grpc\": \"tls_min_version\": expected tls12: gRPC offers TLS 1.2 too"},
      {"log_format = \"xml\"", at + "line 1, column 14: \"log_format\": expected standard or json"},
      {"storage \"consul\" {}",
       at + "line 1, column 1: unknown storage kind \"consul\": expected \"raft\", \"file\" or \"inmem\""},
      {"storage \"inmem\" {}\nstorage \"inmem\" {}", at + "line 2, column 1: \"storage\": only one is allowed"},
      {"ha_storage \"raft\" {}",
       at + "line 1, column 19: \"ha_storage\": is not supported; storage \"raft\" is highly available by itself"},
      {"listener \"unix\" {}", at + "line 1, column 1: unknown listener kind \"unix\": expected \"tcp\" or \"grpc\""},
      {"listener \"tcp\" { address = \"a:b:c\" }",
       at + "line 1, column 28: listener \"tcp\": \"address\": expected host:port"},
      {"listener \"tcp\" { address = \"a:70000\" }",
       at + "line 1, column 28: listener \"tcp\": \"address\": expected host:port"},
      {"listener \"tcp\" { tls_disable = 2 }",
       at + "line 1, column 32: listener \"tcp\": \"tls_disable\": expected true or false"},
      {"listener \"tcp\" { tls_disable = 1 max_request_size = 0 }",
       at + "line 1, column 53: listener \"tcp\": \"max_request_size\": expected a number from 1 to 1099511627776"},
      {"listener \"tcp\" { tls_disable = 1 max_request_size = \"big\" }",
       at + "line 1, column 53: listener \"tcp\": \"max_request_size\": expected a whole number"},
      {"listener \"tcp\" { tls_disable = 1 redact_version = true }",
       at + "line 1, column 51: listener \"tcp\": \"redact_version\": is not supported by this version"},
      {"listener \"tcp\" { tls_disable = 1 chroot_namespace = \"/\" }",
       at + "line 1, column 53: listener \"tcp\": \"chroot_namespace\": must be the path of a namespace"},
      {"listener \"grpc\" { tls_disable = 1 chroot_namespace = \"a\" }",
       at + "line 1, column 54: listener \"grpc\": \"chroot_namespace\": is of listeners of kind \"tcp\" only"},
      {"listener \"tcp\" { tls_disable = 1 cors_enabled = true }",
       at + "line 1, column 49: listener \"tcp\": \"cors_enabled\": needs \"cors_allowed_origins\""},
      {"listener \"tcp\" { tls_disable = 1 cors_allowed_origins = [\"*\"] }",
       at + "line 1, column 57: listener \"tcp\": \"cors_allowed_origins\": needs \"cors_enabled\""},
      {"listener \"tcp\" { tls_cert_file = \"a\" tls_key_file = \"b\" tls_min_version = \"tls10\" }",
       at + "line 1, column 75: listener \"tcp\": \"tls_min_version\": expected tls12 or tls13; older versions are not "
            "offered"},
      {"listener \"tcp\" { tls_cert_file = \"a\" tls_key_file = \"b\" tls_require_and_verify_client_cert = 1 }",
       at + "line 1, column 1: listener \"tcp\": \"tls_client_ca_file\": must be set with "
            "tls_require_and_verify_client_cert"},
      {"seal \"aesgcm\" { keys = \"hunter2\" }",
       at + "line 1, column 24: seal \"aesgcm\": \"keys\": expected a list of texts"},
      {"ui = true\nui = false", at + "line 2, column 1: the key \"ui\" is set twice"},
      {"listener { }\nui = 1", "configuration: a \"storage\" block must be given"},
      {"", "configuration: a \"storage\" block must be given"},
      {"storage \"inmem\" {}", "configuration: a \"listener\" block of kind \"tcp\" must be given"},
      {"storage \"raft\" {}", at + "line 1, column 1: storage: \"path\" must be set"},
  };
  for (const auto& [text, message] : cases)
    BOOST_TEST(error_of(text) == message, text << "\n" << error_of(text));
  const std::pair<const char*, std::string> more[] = {
      {"api_addr = \"vault:8200\"",
       at + "line 3, column 1: \"api_addr\" must be a URL such as https://vault-1.example.com:8200"},
      {"api_addr = \"ftp://vault\"",
       at + "line 3, column 1: \"api_addr\" must be a URL such as https://vault-1.example.com:8200"},
      {"cluster_addr = \"https://a:b\"",
       at + "line 3, column 1: \"cluster_addr\" must be a URL such as https://vault-1.example.com:8201"},
      {"max_lease_ttl = \"1h\"",
       at + "line 3, column 1: \"default_lease_ttl\" (768h) is above \"max_lease_ttl\" (1h)"},
      {"default_lease_ttl = 0",
       at + "line 3, column 1: \"default_lease_ttl\" and \"max_lease_ttl\" must be more than 0"},
      {"listener \"grpc\" { address = \"127.0.0.1:8200\" tls_disable = 1 }",
       at + "line 3, column 1: two listeners have the address 127.0.0.1:8200"},
      {"seal \"shamir\" {}\nseal \"static\" {}",
       at + "line 4, column 1: more than one \"seal\" that is not disabled"},
      {"seal \"shamir\" { disabled = true }\nseal \"static\" {}", ""},
      {"api_addr = \"https://[::1]:8200/\"", ""},
      {"remove_irrevocable_lease_after = \"1h\"",
       at + "line 3, column 1: \"remove_irrevocable_lease_after\" must be 0 or at least 48h"},
      {"remove_irrevocable_lease_after = \"72h\"", ""},
      {"log_requests_level = \"loud\"",
       at + "line 3, column 22: \"log_requests_level\": expected off, error, warn, info, debug or trace"},
      {"log_requests_level = \"off\"", ""},
      {"administrative_namespace_path = \"/admin/\"", ""},
      {"administrative_namespace_path = \"a/../b\"",
       at + "line 3, column 33: \"administrative_namespace_path\": must be the path of a namespace"},
      {"adaptive_overload_protection { disable_write_controller = true }", ""},
  };
  for (const auto& [text, message] : more)
    BOOST_TEST(error_of(std::string(kBase) + text) == message, text << "\n" << error_of(std::string(kBase) + text));
}

BOOST_AUTO_TEST_CASE(errors_hold_no_secrets) {
  for (const char* text :
       {"seal \"aesgcm\" { keys = [\"hunter2\", 7] }", "seal \"static\" { current_key = [\"hunter2\"] }",
        "seal \"aesgcm\" { keys = [\"hunter2 }", "api_addr = [\"hunter2\"]", "max_lease_ttl = \"hunter2\"",
        "seal \"aesgcm\" { keys = [hunter2] }"})
    BOOST_TEST(error_of(text).find("hunter2") == std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(i1_folders_that_nothing_may_be_written_into) {
  Config config = parsed(kServerHcl);
  config.files.push_back("/etc/vault.d/server.hcl");
  config.plugin_directory = "/opt/plugins";
  const std::vector<std::string> expected{"/etc/vault.d", "/etc/vault.d/tls", "/opt/plugins", "/opt/vault/data"};
  BOOST_TEST(protected_folders(config) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::server
