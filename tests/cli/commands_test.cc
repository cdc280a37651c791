#include <boost/test/unit_test.hpp>

#include <fstream>

#include "base/version.h"
#include "tests/cli/fake.h"

namespace coffer::cli {
namespace {

using testing::Ran;
using testing::World;

constexpr const char* kMountV2 = R"({"data":{"path":"secret/","type":"kv","options":{"version":"2"}}})";
constexpr const char* kMountV1 = R"({"data":{"path":"old/","type":"kv","options":null}})";
constexpr const char* kVersion1 =
    R"({"data":{"created_time":"2026-01-02T03:04:05.6Z","custom_metadata":null,"deletion_time":"",)"
    R"("destroyed":false,"version":1}})";
constexpr const char* kSealed =
    R"({"type":"shamir","initialized":true,"sealed":true,"t":3,"n":5,"progress":1,"nonce":"abc","version":"1.21.0",)"
    R"("build_date":"2026-01-01T00:00:00Z",)"
    R"("migration":false,"recovery_seal":false,"storage_type":"raft"})";

std::string path_of(const HttpRequest& request) {
  return request.method + " " + request.url.substr(request.url.find("/v1/") + 4);
}

BOOST_AUTO_TEST_SUITE(commands)

BOOST_AUTO_TEST_CASE(kv_put_shows_path_and_metadata) {
  World world;
  world.answer(kMountV2);
  world.answer(kVersion1);
  Ran ran = world.run({"kv", "put", "secret/my-app/database", "username=app_user", "cert=-----BEGIN", "n=1", "n=2"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.err == "");
  BOOST_TEST(ran.out ==
             "======= Secret Path =======\nsecret/data/my-app/database\n\n======= Metadata =======\n"
             "Key                Value\n---                -----\n"
             "created_time       2026-01-02T03:04:05.6Z\ncustom_metadata    <nil>\ndeletion_time      n/a\n"
             "destroyed          false\nversion            1\n");
  BOOST_TEST(path_of(world.wire.requests[0]) == "GET sys/internal/ui/mounts/secret/my-app/database");
  BOOST_TEST(path_of(world.wire.requests[1]) == "PUT secret/data/my-app/database");
  BOOST_TEST(world.wire.requests[1].body == R"({"data":{"cert":"-----BEGIN","n":["1","2"],"username":"app_user"},)"
                                            R"("options":{}})");
}

BOOST_AUTO_TEST_CASE(kv_get_and_fields) {
  const char* secret = R"({"data":{"data":{"password":"P@ss","port":"5432"},"metadata":{"version":2,)"
                       R"("destroyed":false}}})";
  auto run = [&](std::vector<std::string> args, bool tty = false) {
    World world;
    world.out_tty = tty;
    world.answer(kMountV2);
    world.answer(secret);
    return world.run(args);
  };
  BOOST_TEST(run({"kv", "get", "secret/a"}).out ==
             "== Secret Path ==\nsecret/data/a\n\n==== Metadata ====\nKey          Value\n---          -----\n"
             "destroyed    false\nversion      2\n\n"
             "====== Data ======\nKey         Value\n---         -----\npassword    P@ss\nport        5432\n");
  BOOST_TEST(run({"kv", "get", "-field=password", "secret/a"}).out == "P@ss");
  BOOST_TEST(run({"kv", "get", "-field=password", "secret/a"}, true).out == "P@ss\n");
  BOOST_TEST(run({"kv", "get", "-field=password", "-format=json", "secret/a"}).out == "\"P@ss\"");
  Ran missing = run({"kv", "get", "-field=nope", "secret/a"});
  BOOST_TEST(missing.code == 1);
  BOOST_TEST(missing.err == "Field \"nope\" not present in secret\n");
  BOOST_TEST(run({"kv", "get", "-format=yaml", "-mount=secret", "a"})
                 .out.starts_with("data:\n  data:\n    password: P@ss\n    port: \"5432\"\n  metadata:\n"));
}

BOOST_AUTO_TEST_CASE(kv_get_of_what_is_gone) {
  World world;
  world.answer(kMountV2);
  world.answer(R"({"errors":[]})", 404);
  Ran ran = world.run({"kv", "get", "secret/none"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.err == "No value found at secret/data/none\n");
  world.answer(kMountV2);
  world.answer(R"({"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z","version":1}}})", 404);
  ran = world.run({"kv", "get", "secret/deleted"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out.find("deletion_time    2026-01-01T00:00:00Z\nversion          1\n\n") != std::string::npos);
  BOOST_TEST(ran.out.find("Data =") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(kv_preflight) {
  World world;
  world.answer(R"({"errors":["preflight capability check returned 403","permission denied"]})", 403);
  Ran ran = world.run({"kv", "get", "secret/a"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.err.ends_with("* preflight capability check returned 403\n* permission denied\n"));
  world.answer(R"({"errors":[]})", 404);  // a server without that path: version 1
  world.answer(R"({"data":{"a":"b"}})");
  BOOST_TEST(world.run({"kv", "get", "secret/a"}).out == "== Data ==\nKey    Value\n---    -----\na      b\n");
  world.answer(kMountV1);
  world.answer("", 204);
  BOOST_TEST(world.run({"kv", "put", "old/a", "k=v"}).out == "Success! Data written to: old/a\n");
  BOOST_TEST(world.wire.requests.back().body == R"({"k":"v"})");
}

BOOST_AUTO_TEST_CASE(kv_list_of_a_leaf_lists_its_versions) {
  World world;
  world.answer(kMountV2);
  world.answer(R"({"errors":[]})", 404);
  world.answer(R"({"data":{"versions":{"10":{},"9":{},"1":{}}}})");
  Ran ran = world.run({"kv", "list", "secret/app"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out == "Keys\n----\n1\n9\n10\n");
  world.answer(kMountV2);
  world.answer(R"({"errors":[]})", 404);
  world.answer(R"({"errors":[]})", 404);
  ran = world.run({"kv", "list", "secret/none"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.err == "No value found at secret/metadata/none\n");
}

BOOST_AUTO_TEST_CASE(kv_versions_are_passed_on) {
  for (std::string verb : {"undelete", "destroy"}) {
    World world;
    world.answer(kMountV2);
    world.answer("", 204);
    BOOST_TEST(world.run({"kv", verb, "-versions=1,2", "-versions=5", "secret/a"}).out ==
               "Success! Data written to: secret/" + verb + "/a\n");
    BOOST_TEST(world.wire.requests[1].body == R"({"versions":["1","2","5"]})");
    Ran ran = world.run({"kv", verb, "secret/a"});
    BOOST_TEST(ran.code == 1);
    BOOST_TEST(ran.err == "No versions provided, use the \"-versions\" flag to specify the version to " + verb + ".\n");
  }
}

BOOST_AUTO_TEST_CASE(kv_patch_falls_back_to_read_and_write) {
  World world;
  world.answer(kMountV2);
  world.answer(R"({"errors":["permission denied"]})", 403);
  world.answer(R"({"data":{"data":{"a":"1","b":"2"},"metadata":{"version":7}}})");
  world.answer(kVersion1);
  Ran ran = world.run({"kv", "patch", "-remove-data=b", "secret/a", "c=3"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(world.wire.requests[1].body == R"({"data":{"b":null,"c":"3"},"options":{}})");
  BOOST_TEST(world.wire.requests[3].body == R"({"data":{"a":"1","c":"3"},"options":{"cas":7}})");
  BOOST_TEST(ran.err.find("capability \"patch\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(status_and_its_exit_codes) {
  World world;
  world.answer(kSealed);
  world.answer(R"({"errors":["Vault is sealed"]})", 503);
  Ran ran = world.run({"status"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.out ==
             "Key                Value\n---                -----\nSeal Type          shamir\n"
             "Initialized        true\nSealed             true\n"
             "Total Shares       5\nThreshold          3\nUnseal Progress    1/3\nUnseal Nonce       abc\n"
             "Version            1.21.0\n"
             "Build Date         2026-01-01T00:00:00Z\nStorage Type       raft\nHA Enabled         true\n");
  std::string open = kSealed;
  open.replace(open.find("\"sealed\":true"), 13, "\"sealed\":false");
  world.answer(open);
  world.answer(R"({"ha_enabled":true,"is_self":true,"active_time":"2026-01-01T00:00:00Z",)"
               R"("leader_cluster_address":"https://n1:8201","raft_committed_index":7})");
  ran = world.run({"status"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out.ends_with("HA Enabled              true\nHA Cluster              https://n1:8201\n"
                               "HA Mode                 active\n"
                               "Active Since            2026-01-01T00:00:00Z\nRaft Committed Index    7\n"));
}

BOOST_AUTO_TEST_CASE(init_output) {
  World world;
  world.answer(kSealed);
  world.answer(R"({"keys":["6161","6262"],"keys_base64":["YWE=","YmI="],"root_token":"hvs.x"})");
  Ran ran = world.run({"operator", "init", "-key-shares=2", "-key-threshold=2"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out.starts_with("Unseal Key 1: YWE=\nUnseal Key 2: YmI=\n\nInitial Root Token: hvs.x\n\n"
                                 "Vault initialized with 2 key shares and a key "
                                 "threshold of 2."));
  BOOST_TEST(world.wire.requests[1].body == R"({"secret_shares":2,"secret_threshold":2,"pgp_keys":null,)"
                                            R"("recovery_shares":0,"recovery_threshold":0,)"
                                            R"("recovery_pgp_keys":null,"root_token_pgp_key":""})");
}

BOOST_AUTO_TEST_CASE(init_with_a_seal_that_opens_by_itself) {
  std::string seal = kSealed;
  seal.replace(seal.find("\"recovery_seal\":false"), 21, "\"recovery_seal\":true");
  const char* keys = R"({"keys":[],"keys_base64":[],"recovery_keys":["6161"],"recovery_keys_base64":["YWE="],)"
                     R"("root_token":"hvs.x"})";
  World world;
  world.answer(seal);
  world.answer(keys);
  Ran ran = world.run({"operator", "init", "-key-shares=1", "-key-threshold=1"});
  BOOST_TEST(ran.out.starts_with("Unseal Key 1: YWE=\nRecovery Key 1: YWE=\n\nInitial Root Token: hvs.x\n\n"
                                 "Success! Vault is initialized\n"));
  BOOST_TEST(world.wire.requests[1].body.starts_with(R"({"secret_shares":1,"secret_threshold":1,"pgp_keys":null,)"
                                                     R"("recovery_shares":0,)"));
  world.answer(seal);
  world.answer(keys);
  ran = world.run({"operator", "init", "-format=json"});
  BOOST_TEST(world.wire.requests[3].body.find(R"("recovery_shares":5,"recovery_threshold":3)") != std::string::npos);
  BOOST_TEST(ran.out.find("\"recovery_keys_b64\": [\n    \"YWE=\"\n  ]") != std::string::npos);
  BOOST_TEST(ran.out.find("\"unseal_keys_b64\": []") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(unseal_asks_for_the_key) {
  World world;
  world.hidden = "c2hhcmU=";
  world.answer(kSealed);
  world.answer(R"({"errors":["Vault is sealed"]})", 503);
  Ran ran = world.run({"operator", "unseal"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out.starts_with("Unseal Key (will be hidden): \nKey "));
  BOOST_TEST(world.wire.requests[0].body == R"({"key":"c2hhcmU=","reset":false,"migrate":false})");
  world.hidden.clear();
  ran = world.run({"operator", "unseal"});
  BOOST_TEST(ran.code == 1);
  BOOST_TEST(ran.err.find("is not a terminal") != std::string::npos);
  BOOST_TEST(world.run({"operator", "unseal", "-init"}).err == "flag provided but not defined: -init\n");
}

BOOST_AUTO_TEST_CASE(token_table) {
  World world;
  world.answer(R"({"auth":{"client_token":"hvs.CAES","accessor":"acc","policies":["default"],)"
               R"("token_policies":["default"],"metadata":{"user":"al"},)"
               R"("lease_duration":86400,"renewable":true}})");
  BOOST_TEST(world.run({"token", "create", "-ttl=24h", "-policy=default"}).out ==
             "Key                  Value\n---                  -----\ntoken                hvs.CAES\n"
             "token_accessor       acc\ntoken_duration       24h\n"
             "token_renewable      true\ntoken_policies       [\"default\"]\nidentity_policies    []\n"
             "policies             [\"default\"]\ntoken_meta_user      al\n");
  BOOST_TEST(world.wire.requests[0].body == R"({"policies":["default"],"ttl":"24h0m0s","explicit_max_ttl":"0s",)"
                                            R"("period":"0s","display_name":"",)"
                                            R"("num_uses":0,"renewable":true,"type":"service"})");
}

BOOST_AUTO_TEST_CASE(login_stores_the_token) {
  World world;
  world.env.erase("VAULT_TOKEN");
  world.answer(R"({"data":{"id":"hvs.x","accessor":"acc","policies":["root"],"ttl":0,"renewable":false}})");
  Ran ran = world.run({"login", "hvs.x"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.stored_token == "hvs.x");
  BOOST_TEST(ran.err == "");
  BOOST_TEST(ran.out.find("token_duration       \xe2\x88\x9e\n") != std::string::npos);
  world.env["VAULT_TOKEN"] = "other";
  world.answer(R"({"data":{"id":"hvs.y","policies":["root"],"ttl":0}})");
  world.input = "hvs.y\n";
  ran = world.run({"login", "-field=token", "-"});
  BOOST_TEST(ran.out == "hvs.y");
  BOOST_TEST(ran.err.find("VAULT_TOKEN environment variable is") != std::string::npos);
  world.answer(R"({"errors":["permission denied"]})", 403);
  ran = world.run({"login", "bad"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.stored_token == "");
  BOOST_TEST(ran.err.starts_with("Error authenticating: error looking up token: Error making API request."));
  BOOST_TEST(world.run({"login", "-token-only", "raw"}).out == "raw");
}

BOOST_AUTO_TEST_CASE(wrapped_answer) {
  World world;
  world.answer(R"({"wrap_info":{"token":"hvs.w","accessor":"acc","ttl":60,)"
               R"("creation_time":"2026-01-02T03:04:05.600Z","creation_path":"p"}})");
  BOOST_TEST(world.run({"write", "-wrap-ttl=60s", "-f", "p"}).out ==
             "Key                              Value\n---                              -----\n"
             "wrapping_token:                  hvs.w\n"
             "wrapping_accessor:               acc\nwrapping_token_ttl:              1m\n"
             "wrapping_token_creation_time:    2026-01-02 03:04:05.6 +0000 UTC\nwrapping_token_creation_path:    p\n");
}

BOOST_AUTO_TEST_CASE(json_envelope_keeps_numbers) {
  World world;
  world.answer(R"({"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{"z":1.10,"a":{"y":1,)"
               R"("b":"<&>"}},"warnings":null,"auth":null,)"
               R"("wrap_info":null,"mount_type":"kv"})");
  BOOST_TEST(world.run({"read", "-format=json", "p"}).out ==
             "{\n  \"request_id\": \"r\",\n  \"lease_id\": \"\",\n  \"lease_duration\": 0,\n  \"renewable\": false,\n"
             "  \"data\": {\n    \"a\": {\n"
             "      \"b\": \"\\u003c\\u0026\\u003e\",\n      \"y\": 1\n    },\n    \"z\": 1.10\n  },\n"
             "  \"warnings\": null,\n  \"mount_type\": \"kv\"\n}\n");
}

BOOST_AUTO_TEST_CASE(warnings_go_to_the_other_stream) {
  World world;
  world.answer(R"({"data":{"a":"b"},"warnings":["Endpoint ignored these unrecognized parameters: [x]"]})");
  Ran ran = world.run({"read", "p"});
  BOOST_TEST(ran.out == "Key    Value\n---    -----\na      b\n");
  BOOST_TEST(ran.err == "WARNING! The following warnings were returned from Vault:\n\n"
                        "  * Endpoint ignored these unrecognized parameters: [x]\n\n");
}

BOOST_AUTO_TEST_CASE(policies_mounts_and_devices) {
  World world;
  world.input = "path \"a\" {}";
  world.answer("", 204);
  Ran ran = world.run({"policy", "write", "Team", "-"});
  BOOST_TEST(ran.out == "Success! Uploaded policy: team\n");
  BOOST_TEST(ran.err == "Policy name was converted from \"Team\" to \"team\"\n");
  BOOST_TEST(world.wire.requests[0].body == R"({"policy":"path \"a\" {}"})");
  world.answer("", 204);
  BOOST_TEST(world.run({"secrets", "enable", "-path=/team/", "-version=2", "kv"}).out ==
             "Success! Enabled the kv secrets engine at: team/\n");
  world.answer(R"({"data":{"team/":{"type":"kv","accessor":"kv_1","description":""},"a/":{"type":"kv",)"
               R"("accessor":"kv_2","description":"first"}}})");
  BOOST_TEST(world.run({"secrets", "list"}).out ==
             "Path     Type    Accessor    Description\n----     ----    --------    -----------\n"
             "a/       kv      kv_2        first\n"
             "team/    kv      kv_1        n/a\n");
  world.answer("", 204);
  BOOST_TEST(world.run({"audit", "enable", "file", "file_path=/x", "mode=0640"}).out ==
             "Success! Enabled the file audit device at: file/\n");
  BOOST_TEST(world.wire.requests.back().body == R"({"type":"file","description":"","options":{"file_path":"/x",)"
                                                R"("mode":"0640"},"local":false})");
  world.answer(R"({"data":{}})");
  ran = world.run({"audit", "list"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.out == "No audit devices are enabled.\n");
}

BOOST_AUTO_TEST_CASE(data_arguments) {
  auto body = [](std::vector<std::string> data, const std::string& input = "") {
    World world;
    world.input = input;
    world.answer("", 204);
    std::vector<std::string> args = {"write", "p"};
    args.insert(args.end(), data.begin(), data.end());
    Ran ran = world.run(args);
    return ran.code == 0 ? world.wire.requests[0].body : ran.err;
  };
  BOOST_TEST(body({"a=1", "b=x=y", "c="}) == R"({"a":"1","b":"x=y","c":""})");
  BOOST_TEST(body({"a=\\@b"}) == R"({"a":"@b"})");
  BOOST_TEST(body({"a=-"}, "typed\n") == R"({"a":"typed\n"})");
  BOOST_TEST(body({"-", "a=2"}, R"({"n":1.10,"a":[true]})") == R"({"a":[true,"2"],"n":1.10})");
  BOOST_TEST(body({"a=-", "b=-"}, "x") ==
             "Failed to parse K=V data: invalid key/value pair \"b=-\": stdin already consumed\n");
  BOOST_TEST(body({"-"}, "") == "Failed to parse K=V data: invalid key/value pair \"-\": EOF\n");
  BOOST_TEST(body({"noequals"}) ==
             "Failed to parse K=V data: invalid key/value pair 1: format must be key=value\n");
  BOOST_TEST(body({"a=1", "typed without a name"}) ==
             "Failed to parse K=V data: invalid key/value pair 2: format must be key=value\n");
  BOOST_TEST(body({"a=@/nonexistent/x"}) ==
             "Failed to parse K=V data: invalid key/value pair \"a=@/nonexistent/x\": error reading file: open "
             "/nonexistent/x: no such file or directory\n");
  BOOST_TEST(body({"-"}, "{bad").find("bad\n") == std::string::npos);  // what was read is not printed
}

BOOST_AUTO_TEST_CASE(usage) {
  World world;
  BOOST_TEST(world.run({"read"}).err == "Not enough arguments (expected 1, got 0)\n");
  BOOST_TEST(world.run({"kv", "get", "a", "b"}).err == "Too many arguments (expected 1, got 2)\n");
  BOOST_TEST(world.run({"kv", "get", "secret/a", "-version=1"}).err ==
             "Command flags must be provided before positional arguments. The following arguments will not be parsed "
             "as flags: [-version]\n"
             "Too many arguments (expected 1, got 2)\n");
  BOOST_TEST(world.run({"write", "p"}).err == "Must supply data or use -force\n");
  BOOST_TEST(world.run({"status", "-format=raw"}).err == "This command does not support the -format=raw option.\n");
  BOOST_TEST(world.run({"status", "-format=foo"}).err == "Invalid output format: foo\n");
  Ran unknown = world.run({"nosuch"});
  BOOST_TEST(unknown.code == 127);
  BOOST_TEST(unknown.err.starts_with("Usage: vault <command> [args]\n\nCommon commands:\n    read "));
  BOOST_TEST(world.run({"kv"}).code == 1);
  Ran help = world.run({"kv", "put", "-h"});
  BOOST_TEST(help.code == 0);
  BOOST_TEST(help.out.starts_with("Usage: vault kv put [options] KEY [DATA]\n\n  Stores DATA"));
  BOOST_TEST(world.run({"-format=json", "status"}).err.starts_with("Invalid flags before the subcommand."));
  BOOST_TEST(world.run({}).code == 127);
  BOOST_TEST(world.run({"-h"}).code == 0);
  BOOST_TEST(world.wire.requests.empty());
}

BOOST_AUTO_TEST_CASE(names) {
  World world;
  std::string tail = " (" + std::string(build_revision()) + "), built " + std::string(build_date()) + "\n";
  BOOST_TEST(world.run({"version"}).out == "Vault v" + std::string(kVaultVersion) + tail);
  BOOST_TEST(world.run({"-v"}).out == "Vault v" + std::string(kVaultVersion) + tail);
  world.name = "coffer";
  BOOST_TEST(world.run({"version"}).out == "Coffer v" + std::string(kVersion) + tail);
  BOOST_TEST(world.run({"kv", "-h"}).out.starts_with("Usage: coffer kv "));
}

BOOST_AUTO_TEST_CASE(completion) {
  auto words = [](std::string line) {
    World world;
    world.env["COMP_LINE"] = std::move(line);
    return world.run({}).out;
  };
  BOOST_TEST(words("vault kv me") == "metadata\n");
  BOOST_TEST(words("vault kv metadata ") == "delete\ndestroy\nget\npatch\nput\n");
  BOOST_TEST(words("vault kv put -ca") == "-ca-cert\n-ca-path\n-cas\n");
  BOOST_TEST(words("vault pol") == "policy\n");
  BOOST_TEST(words("vault kv get secret/") == "");
}

// Every command has a help page whose flags all parse, and a synopsis.
BOOST_AUTO_TEST_CASE(every_command_explains_itself) {
  for (const Command& command : builtin_commands()) {
    World world;
    std::vector<std::string> args;
    std::string word;
    for (char c : command.name + " ") {
      if (c == ' ')
        args.push_back(std::exchange(word, ""));
      else
        word += c;
    }
    args.emplace_back("-help");
    Ran ran = world.run(args);
    BOOST_TEST(ran.code == 0, command.name);
    BOOST_TEST(ran.out.starts_with("Usage: vault " + command.name), command.name);
    BOOST_TEST(!command.synopsis.empty(), command.name);
    BOOST_TEST(ran.out.find('{') == std::string::npos, command.name);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
