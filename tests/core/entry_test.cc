// The log entry's bytes: pinned, and refused when they are anything else (advisory K6, rule R10).
#include <boost/test/unit_test.hpp>

#include <fstream>
#include <iterator>

#include "base/encoding.h"
#include "core/entry.h"
#include "core/mounts.h"
#include "core/published.h"
#include "core/token_record.h"
#include "store/key.h"

using namespace coffer;
using namespace coffer::core;

namespace {

std::vector<store::Op> some_ops() {
  return {{store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(16), "a"), "sealed bytes"},
          {store::make_key(store::KeyClass::kClusterLocal, NamespaceId(0), MountId(0), "token/id/x"), std::nullopt}};
}

// The file's lines are hexadecimal; a '#' begins a comment.
std::string golden(std::string_view name) {
  std::ifstream in("tests/golden/" + std::string(name));
  BOOST_TEST_REQUIRE(in.good());
  std::string hex, line;
  while (std::getline(in, line))
    if (!line.starts_with('#'))
      hex += line;
  return *hex_decode(hex);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(formats)

BOOST_AUTO_TEST_CASE(entry_is_pinned) {
  std::string bytes;
  entry::encode(3, KeyTerm(2), some_ops(), bytes);
  BOOST_TEST(hex_encode(bytes) == hex_encode(golden("entry.hex")));
  const auto decoded = entry::decode(bytes);
  BOOST_TEST_REQUIRE(decoded.ok());
  BOOST_TEST(decoded->epoch == 3u);
  BOOST_TEST((decoded->key_term == KeyTerm(2)));
  BOOST_TEST(decoded->ops.size() == 2u);
  BOOST_TEST(*decoded->ops[0].value == "sealed bytes");
  BOOST_TEST(!decoded->ops[1].value);
}

BOOST_AUTO_TEST_CASE(damaged_entries_are_refused) {
  std::string bytes;
  entry::encode(3, KeyTerm(2), some_ops(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST((entry::decode(std::string_view(bytes).substr(0, size)).code() == Code::kDataLoss));
  BOOST_TEST((entry::decode(bytes + "x").code() == Code::kDataLoss));
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string other = bytes;
      other[at] = static_cast<char>(other[at] ^ flip);
      const auto decoded = entry::decode(other);  // whatever comes out, it comes out
      if (decoded.ok()) {
        std::string again;
        entry::encode(decoded->epoch, decoded->key_term, decoded->ops, again);
        BOOST_TEST(again == other);
      }
    }
  BOOST_TEST((entry::decode(std::string("\x01\x00\x00\xff\xff\xff\x7f", 7)).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(token_record_is_pinned) {
  TokenRecord record;
  record.renewable = true;
  record.created = WallTime(std::chrono::seconds(1700000000));
  record.renewed = record.created;
  record.expires = record.created + std::chrono::hours(24);
  record.creation_ttl = record.ttl = std::chrono::hours(24);
  record.num_uses = 3;
  record.parent = "00112233445566778899aabbccddeeff00112233";
  record.accessor = "accessor";
  record.display_name = "token";
  record.path = "auth/token/create";
  record.policies = "default\x1fmine";
  record.metadata = R"({"a":"b"})";
  record.ns = NamespaceId(5);
  record.entity = "entity";
  record.entity_ns = NamespaceId(7);
  record.depth = 2;
  record.bound_cidrs = "10.0.0.0/8,::1";
  record.role = "role";
  record.max_ttl = std::chrono::seconds(1);
  std::string bytes;
  encode(record, bytes);
  BOOST_TEST(hex_encode(bytes) == hex_encode(golden("token.hex")));
  const auto decoded = decode_token(bytes);
  BOOST_TEST_REQUIRE(decoded.ok());
  BOOST_TEST((decoded->expires == record.expires));
  BOOST_TEST(decoded->policies == record.policies);
  BOOST_TEST((split_policies(decoded->policies) == std::vector<std::string_view>{"default", "mine"}));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!decode_token(std::string_view(bytes).substr(0, size)).ok());
}

BOOST_AUTO_TEST_CASE(mount_record_is_pinned) {
  MountRecord record;
  record.info.id = MountId(16);
  record.info.path = "secret/";
  record.info.type = "kv";
  record.info.accessor = "kv_01020304";
  record.info.uuid = "00000000-0000-4000-8000-000000000000";
  record.info.description = "d";
  record.info.max_lease_ttl = std::chrono::hours(1);
  record.info.options = {{"version", "2"}};
  const std::string bytes = encode(record);
  BOOST_TEST(hex_encode(bytes) == hex_encode(golden("mount.hex")));
  const auto decoded = decode_mount(bytes);
  BOOST_TEST_REQUIRE(decoded.ok());
  BOOST_TEST(decoded->info.option("version") == "2");
  BOOST_TEST(decoded->route() == "secret/");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!decode_mount(std::string_view(bytes).substr(0, size)).ok());
}

BOOST_AUTO_TEST_CASE(job_and_policy_and_device_records_are_pinned) {
  const Job job{"mount-00000010", Job::Kind::kDeleteMount, MountId(16), {}};
  BOOST_TEST(hex_encode(encode(job)) == "010110000000000000000000000000000000000000");
  BOOST_TEST((decode_job("mount-00000010", encode(job))->mount == MountId(16)));
  BOOST_TEST(!decode_job("x", "\x01\x09").ok());
  PolicyEntry policy;
  policy.text = "path \"a\" { capabilities = [\"read\"] }";
  policy.modified = WallTime(Nanos(258));
  const std::string bytes = encode_policy(policy);
  BOOST_TEST(hex_encode(std::string_view(bytes).substr(0, 20)) == "02020100000000000001ffffffffffffff7f0024");
  BOOST_TEST((*decode_policy("p", bytes))->text == policy.text);
  policy.text = "not a policy {";
  BOOST_TEST((decode_policy("p", encode_policy(policy)).code() == Code::kDataLoss));
  AuditDeviceConfig device;
  device.path = "file/";
  device.type = "file";
  device.uuid = "u";
  device.salt = SecretBytes::copy_of("salt");
  device.options = {{"file_path", "/a"}};
  const auto decoded = decode_device(encode(device));
  BOOST_TEST_REQUIRE(decoded.ok());
  BOOST_TEST(decoded->path == "file/");
  BOOST_TEST(decoded->salt.equals(device.salt));
  BOOST_TEST((decoded->options == device.options));
}

BOOST_AUTO_TEST_SUITE_END()
