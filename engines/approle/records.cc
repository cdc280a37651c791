#include "engines/approle/records.h"

#include <array>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/encoding.h"
#include "base/mutant.h"
#include "crypto/hmac.h"

namespace coffer::engines::approle {
namespace {

using core::HandlerContext;

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kRolePrefix = "role/";        // + name
constexpr std::string_view kRoleIdPrefix = "role-id/";   // + hash of the role id: the role's name
constexpr std::string_view kUidPrefix = "uid/";          // + uid: the role's name
constexpr std::string_view kSecretPrefix = "secret/";    // + uid + '/' + hash
constexpr std::string_view kAccessorPrefix = "accessor/";  // + uid + '/' + accessor: the hash
constexpr std::string_view kExpiryPrefix = "expiry/";    // + 16 hex digits of nanoseconds + '-' + uid + '-' + hash
constexpr std::size_t kUidBytes = 16;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSecretIdsWithRoleMax = 512;  // removed in the entry that removes their role

constexpr std::uint8_t kBindSecretId = 1;
constexpr std::uint8_t kLocalSecretIds = 2;
constexpr std::uint8_t kOlderPolicies = 4;
constexpr std::uint8_t kOlderPeriod = 8;

std::string joined(std::string_view prefix, std::string_view uid, std::string_view rest) {
  return std::string(prefix).append(uid).append("/").append(rest);
}

std::string hex_of(const crypto::Digest256& digest) {
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string role_id_name(std::string_view spelling) {
  // An identity's name has no case: ids that differ in nothing else would be one entity.
  const std::string role_id = lower_ascii(spelling);
  static constexpr std::array<std::uint8_t, 7> kDomain{'r', 'o', 'l', 'e', ' ', 'i', 'd'};
  const std::span<const std::uint8_t> text{reinterpret_cast<const std::uint8_t*>(role_id.data()), role_id.size()};
  return std::string(kRoleIdPrefix).append(hex_of(crypto::hmac_sha256(kDomain, text)));
}

std::string hash_of(const Role& role, std::string_view text) {
  return hex_of(crypto::hmac_sha256({reinterpret_cast<const std::uint8_t*>(role.key.data()), role.key.size()},
                                    {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
}

// Fixed width, so that names stand in the order of time.
std::string expiry_name(WallTime at, std::string_view uid, std::string_view hash) {
  std::string nanos;
  ByteWriter(nanos).u64_be(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  return std::string(kExpiryPrefix).append(hex_encode(nanos)).append("-").append(uid).append("-").append(hash);
}

std::string encode(const Role& role) {
  std::uint8_t flags = 0;
  flags |= role.bind_secret_id ? kBindSecretId : 0;
  flags |= role.local_secret_ids ? kLocalSecretIds : 0;
  flags |= role.older_policies ? kOlderPolicies : 0;
  flags |= role.older_period ? kOlderPeriod : 0;
  std::string record;
  ByteWriter writer(record);
  writer.u8(kFormat).u8(flags).bytes(role.uid).bytes(role.role_id).bytes(role.key);
  writer.varint(static_cast<std::uint64_t>(role.secret_id_ttl.count()));
  writer.varint(static_cast<std::uint64_t>(role.secret_id_num_uses));
  core::encode_texts(role.secret_id_bound_cidrs, writer);
  core::encode(role.params, writer);
  return record;
}

Result<Role> decode_role(std::string_view name, std::string_view record) {
  ByteReader reader(record);
  Role role;
  role.name = name;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  role.bind_secret_id = (flags & kBindSecretId) != 0;
  role.local_secret_ids = (flags & kLocalSecretIds) != 0;
  role.older_policies = (flags & kOlderPolicies) != 0;
  role.older_period = (flags & kOlderPeriod) != 0;
  role.uid = reader.bytes();
  role.role_id = reader.bytes();
  role.key = reader.bytes();
  role.secret_id_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  role.secret_id_num_uses = static_cast<std::int64_t>(reader.varint());
  role.secret_id_bound_cidrs = core::decode_texts(reader);
  role.params = core::decode_token_params(reader);
  COFFER_TRY(reader.finish().with_context("a role's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "a role's record has an unknown form");
  return role;
}

std::string encode(const SecretId& id) {
  std::string record;
  ByteWriter writer(record);
  const auto nanos = [](WallTime at) { return static_cast<std::uint64_t>(at.time_since_epoch().count()); };
  writer.u8(kFormat).bytes(id.accessor).u64(nanos(id.created)).u64(nanos(id.updated));
  writer.u64(id.expires ? nanos(*id.expires) : 0).varint(static_cast<std::uint64_t>(id.ttl.count()));
  writer.varint(static_cast<std::uint64_t>(id.num_uses)).bytes(id.metadata);
  core::encode_texts(id.cidrs, writer);
  core::encode_texts(id.token_cidrs, writer);
  return record;
}

Result<SecretId> decode_secret_id(std::string_view hash, std::string_view record) {
  ByteReader reader(record);
  const auto time = [&reader] { return WallTime(Nanos(static_cast<std::int64_t>(reader.u64()))); };
  SecretId id;
  id.hash = hash;
  const std::uint8_t format = reader.u8();
  id.accessor = reader.bytes();
  id.created = time();
  id.updated = time();
  const WallTime expires = time();
  if (expires != WallTime{})
    id.expires = expires;
  id.ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  id.num_uses = static_cast<std::int64_t>(reader.varint());
  id.metadata = reader.bytes();
  id.cidrs = core::decode_texts(reader);
  id.token_cidrs = core::decode_texts(reader);
  COFFER_TRY(reader.finish().with_context("a secret id's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "a secret id's record has an unknown form");
  return id;
}

Result<std::string> random_bytes(HandlerContext& ctx, std::size_t size) {
  std::string bytes(size, '\0');
  COFFER_TRY(ctx.random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

Result<std::optional<SecretId>> find_by_hash(HandlerContext& ctx, std::string_view uid, std::string_view hash) {
  COFFER_ASSIGN(const auto record, ctx.storage.get(joined(kSecretPrefix, uid, hash)));
  if (!record)
    return std::optional<SecretId>();
  COFFER_ASSIGN(SecretId id, decode_secret_id(ctx.arena.copy(hash), *record));
  return std::optional<SecretId>(std::move(id));
}

// Of the role that uses the id `uid`; true when none is left.
Result<bool> erase_all_of(HandlerContext& ctx, std::string_view uid, std::size_t& most) {
  COFFER_ASSIGN(const auto page, ctx.storage.list(joined(kSecretPrefix, uid, ""), {}, most + 1));
  for (const std::string_view hash : page.names) {
    if (most == 0)
      return false;
    --most;
    COFFER_ASSIGN(const auto id, find_by_hash(ctx, uid, hash));
    if (id)
      COFFER_TRY(erase_secret_id(ctx, uid, *id));
  }
  return !page.more;
}

// What G11 was: any role's accessor does.
Result<std::string> uid_of_any(HandlerContext& ctx, const Role& role, std::string_view accessor) {
  if (!mutant(Mutant::kSecretIdOfOtherRole))
    return role.uid;
  COFFER_ASSIGN(const auto uids, ctx.storage.list(kAccessorPrefix));
  for (std::string_view uid : uids.names) {
    uid.remove_suffix(1);
    COFFER_ASSIGN(const auto hash, ctx.storage.get(joined(kAccessorPrefix, uid, accessor)));
    if (hash)
      return std::string(uid);
  }
  return role.uid;
}

}  // namespace

std::string role_name(const HandlerContext& ctx) {
  const std::string_view name = ctx.captures.front();
  return mutant(Mutant::kRoleNameCaseKept) ? std::string(name) : lower_ascii(name);
}

Result<std::optional<Role>> find_role(HandlerContext& ctx, std::string_view name) {
  COFFER_ASSIGN(const auto record, ctx.storage.get(std::string(kRolePrefix).append(name)));
  if (!record)
    return std::optional<Role>();
  COFFER_ASSIGN(Role role, decode_role(name, *record));
  return std::optional<Role>(std::move(role));
}

Result<Role> role_of_path(HandlerContext& ctx) {
  COFFER_ASSIGN(auto role, find_role(ctx, role_name(ctx)));
  if (!role)
    return Status(Code::kNotFound, "");
  return std::move(*role);
}

Result<std::optional<Role>> find_role_by_id(HandlerContext& ctx, std::string_view role_id) {
  COFFER_ASSIGN(const auto name, ctx.storage.get(role_id_name(role_id)));
  if (!name)
    return std::optional<Role>();
  COFFER_ASSIGN(auto role, find_role(ctx, *name));
  if (role && role->role_id != role_id)
    role.reset();
  return role;
}

Result<Role> new_role(HandlerContext& ctx, std::string name) {
  Role role;
  role.name = std::move(name);
  COFFER_ASSIGN(const std::string uid, random_bytes(ctx, kUidBytes));
  role.uid = hex_encode(uid);
  COFFER_ASSIGN(role.key, random_bytes(ctx, kKeyBytes));
  return role;
}

Status put_role(HandlerContext& ctx, const Role& role, std::string_view old_role_id) {
  if (lower_ascii(role.role_id) != lower_ascii(old_role_id)) {
    COFFER_ASSIGN(const auto taken, ctx.storage.get(role_id_name(role.role_id)));
    if (taken)
      return Status(Code::kInvalid, "role_id already in use");
    if (!old_role_id.empty())
      COFFER_TRY(ctx.storage.erase(role_id_name(old_role_id)));
    COFFER_TRY(ctx.storage.put(role_id_name(role.role_id), role.name));
  }
  if (old_role_id.empty())
    COFFER_TRY(ctx.storage.put(std::string(kUidPrefix).append(role.uid), role.name));
  return ctx.storage.put(std::string(kRolePrefix).append(role.name), encode(role));
}

Status erase_role(HandlerContext& ctx, const Role& role) {
  COFFER_TRY(ctx.storage.erase(role_id_name(role.role_id)));
  COFFER_TRY(ctx.storage.erase(std::string(kUidPrefix).append(role.uid)));
  COFFER_TRY(ctx.storage.erase(std::string(kRolePrefix).append(role.name)));
  std::size_t most = kSecretIdsWithRoleMax;
  COFFER_ASSIGN([[maybe_unused]] const bool all, erase_all_of(ctx, role.uid, most));
  return ok_status();
}

Result<std::optional<SecretId>> find_secret_id(HandlerContext& ctx, const Role& role, std::string_view text) {
  return find_by_hash(ctx, role.uid, hash_of(role, text));
}

Result<std::optional<SecretId>> find_by_accessor(HandlerContext& ctx, const Role& role, std::string_view accessor) {
  COFFER_ASSIGN(const std::string uid, uid_of_any(ctx, role, accessor));
  COFFER_ASSIGN(const auto hash, ctx.storage.get(joined(kAccessorPrefix, uid, accessor)));
  if (!hash)
    return std::optional<SecretId>();
  return find_by_hash(ctx, uid, std::string(*hash));
}

Status add_secret_id(HandlerContext& ctx, const Role& role, std::string_view text, SecretId& id) {
  id.hash = ctx.arena.copy(hash_of(role, text));
  COFFER_ASSIGN(const auto known, find_by_hash(ctx, role.uid, id.hash));
  if (known)
    return Status(Code::kInvalid, "SecretID is already registered");
  COFFER_ASSIGN(const std::string accessor, random_uuid(ctx.random));
  id.accessor = ctx.arena.copy(accessor);
  id.created = id.updated = ctx.now;
  if (id.ttl > Nanos(0))
    id.expires = ctx.now + id.ttl;
  COFFER_TRY(put_secret_id(ctx, role, id));
  if (id.expires)
    COFFER_TRY(ctx.storage.put(expiry_name(*id.expires, role.uid, id.hash), {}));
  return ctx.storage.put(joined(kAccessorPrefix, role.uid, id.accessor), id.hash);
}

Status put_secret_id(HandlerContext& ctx, const Role& role, const SecretId& id) {
  return ctx.storage.put(joined(kSecretPrefix, role.uid, id.hash), encode(id));
}

Status erase_secret_id(HandlerContext& ctx, std::string_view uid, const SecretId& id) {
  COFFER_TRY(ctx.storage.erase(joined(kSecretPrefix, uid, id.hash)));
  if (id.expires)
    COFFER_TRY(ctx.storage.erase(expiry_name(*id.expires, uid, id.hash)));
  return ctx.storage.erase(joined(kAccessorPrefix, uid, id.accessor));
}

Result<std::vector<std::string_view>> list_accessors(HandlerContext& ctx, const Role& role) {
  COFFER_ASSIGN(auto page, ctx.storage.list(joined(kAccessorPrefix, role.uid, "")));
  return std::move(page.names);
}

Status erase_expired(HandlerContext& ctx, std::size_t most) {
  COFFER_ASSIGN(const auto page, ctx.storage.list(kExpiryPrefix, {}, most));
  const std::string now = expiry_name(ctx.now, "", "").substr(kExpiryPrefix.size());
  for (std::string_view name : page.names) {
    if (name >= now)
      break;
    const std::size_t uid_at = name.find('-') + 1;
    const std::size_t hash_at = name.find('-', uid_at) + 1;
    const std::string_view uid = name.substr(uid_at, hash_at - 1 - uid_at);
    COFFER_ASSIGN(const auto id, find_by_hash(ctx, uid, name.substr(hash_at)));
    if (id)
      COFFER_TRY(erase_secret_id(ctx, uid, *id));
    COFFER_TRY(ctx.storage.erase(std::string(kExpiryPrefix).append(name)));
  }
  return ok_status();
}

Result<bool> erase_orphans(HandlerContext& ctx, std::size_t most) {
  COFFER_ASSIGN(const auto uids, ctx.storage.list(kSecretPrefix));
  for (std::string_view uid : uids.names) {
    uid.remove_suffix(1);
    COFFER_ASSIGN(const auto role, ctx.storage.get(std::string(kUidPrefix).append(uid)));
    if (role)
      continue;
    COFFER_ASSIGN(const bool all, erase_all_of(ctx, uid, most));
    if (!all)
      return true;
  }
  return false;
}

}  // namespace coffer::engines::approle
