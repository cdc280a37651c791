#include "core/namespaces.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/ascii.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/encoding.h"
#include "base/mutant.h"
#include "base/path.h"
#include "core/bootstrap.h"
#include "core/mounts.h"
#include "core/txn_impl.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kFlagDeleting = 1;
constexpr std::size_t kNamespaceDepthMax = 32;
constexpr std::size_t kNamespaceNameBytesMax = 128;
constexpr std::uint32_t kNamespacesMax = 10000;

constexpr std::array<std::string_view, 8> kReserved{"root", "sys",       "audit", "auth",
                                                    "identity", "cubbyhole", ".",     ".."};

Result<NamespaceId> take_id(TxnImpl& txn) {
  const store::StoreKey counter = layout::core_key(layout::kNamespaceCounter);
  COFFER_ASSIGN(const auto stored, txn.get(counter));
  std::uint32_t next = 1;
  if (stored) {
    ByteReader reader(*stored);
    next = reader.u32();
    COFFER_TRY(reader.finish().with_context("the namespace counter"));
  }
  if (next == UINT32_MAX)
    return Status(Code::kExhausted, "no namespace id is left");
  std::string text;
  ByteWriter(text).u32(next + 1);
  COFFER_TRY(txn.put(counter, text));
  return NamespaceId(next);
}

// Nothing else may stand where the namespace is to be: neither a mount of its parent nor a namespace.
Status check_free(TxnImpl& txn, const NamespaceRecord& record, NamespaceId parent, std::string_view name) {
  COFFER_ASSIGN(const ListPage page, txn.list(layout::core_key(layout::kNamespacePrefix), {}, 0));
  if (page.names.size() >= kNamespacesMax)
    return Status(Code::kExhausted, "there are " + std::to_string(kNamespacesMax) + " namespaces already");
  for (const std::string_view row : page.names) {
    COFFER_ASSIGN(const auto plaintext, txn.get(layout::core_key(std::string(layout::kNamespacePrefix).append(row))));
    if (!plaintext)
      continue;
    COFFER_ASSIGN(const NamespaceRecord other, decode_namespace(*plaintext));
    if (other.path == record.path)
      return Status(Code::kInvalid, other.deleting ? "a namespace of this name is being deleted"
                                                   : "namespace already exists");
  }
  COFFER_ASSIGN(const std::vector<MountRecord> mounts, read_mounts(txn));
  const std::string route = std::string(name) + "/";
  for (const MountRecord& mount : mounts)
    if (mount.info.namespace_id == parent && mount.route().starts_with(route))
      return Status(Code::kInvalid, "path is already in use at " + mount.route());
  return ok_status();
}

}  // namespace

NamespaceTable::NamespaceTable(std::vector<NamespaceRecord> records) {
  NamespaceRecord root;
  root.name = "root";
  records.push_back(std::move(root));
  for (NamespaceRecord& record : records) {
    std::string path = record.path;
    by_path_.emplace(std::move(path), std::move(record));
  }
  for (const auto& [path, record] : by_path_)
    by_id_.emplace(record.id, &record);
  root_ = find_path("");
  COFFER_CHECK(root_ != nullptr);
}

const NamespaceRecord* NamespaceTable::find(NamespaceId id) const noexcept {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second;
}

const NamespaceRecord* NamespaceTable::find_path(std::string_view path) const noexcept {
  const auto at = by_path_.find(path);
  return at == by_path_.end() ? nullptr : &at->second;
}

const NamespaceRecord& NamespaceTable::resolve(std::string_view path) const noexcept {
  const NamespaceRecord* deepest = root_;
  if (only_root())
    return *deepest;
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    const NamespaceRecord* next = find_path(path.substr(0, slash + 1));
    if (next == nullptr || next->deleting)
      break;
    deepest = next;
  }
  return *deepest;
}

const NamespaceRecord* NamespaceTable::locked_above(const NamespaceRecord& of) const noexcept {
  std::string_view path = of.path;
  while (true) {
    const NamespaceRecord* here = find_path(path);
    if (here != nullptr && !here->unlock_hash.empty())
      return here;
    if (path.empty())
      return nullptr;
    const std::size_t slash = path.rfind('/', path.size() - 2);
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash + 1);
  }
}

bool NamespaceTable::has_children(const NamespaceRecord& of) const noexcept {
  const auto next = by_path_.upper_bound(of.path);
  return next != by_path_.end() && std::string_view(next->first).starts_with(of.path);
}

std::string encode(const NamespaceRecord& record) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(kFormat).u8(record.deleting ? kFlagDeleting : 0).varint(record.id.get());
  writer.bytes(record.path).bytes(record.name).bytes(record.uuid).bytes(record.unlock_hash);
  writer.varint(record.custom_metadata.size());
  for (const auto& [key, value] : record.custom_metadata)
    writer.bytes(key).bytes(value);
  return out;
}

Result<NamespaceRecord> decode_namespace(std::string_view plaintext) {
  ByteReader reader(plaintext);
  NamespaceRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  record.deleting = (flags & kFlagDeleting) != 0;
  record.id = NamespaceId(static_cast<std::uint32_t>(reader.varint()));
  record.path = reader.bytes();
  record.name = reader.bytes();
  record.uuid = reader.bytes();
  record.unlock_hash = reader.bytes();
  const std::uint64_t entries = reader.varint();
  for (std::uint64_t i = 0; i < entries && reader.ok(); ++i) {
    const std::string_view key = reader.bytes();
    record.custom_metadata.emplace_back(key, reader.bytes());
  }
  COFFER_TRY(reader.finish().with_context("a namespace's record"));
  if (format != kFormat || flags > kFlagDeleting || record.path.empty())
    return Status(Code::kDataLoss, "a namespace's record has an unknown form");
  return record;
}

Status check_namespace_name(std::string_view name) {
  if (name.empty() || name.size() > kNamespaceNameBytesMax)
    return Status(Code::kInvalid,
                  "a namespace's name must have 1 to " + std::to_string(kNamespaceNameBytesMax) + " bytes");
  if (name.find('/') != std::string_view::npos)
    return Status(Code::kInvalid, "a namespace's name must not hold '/'; make it inside of its parent");
  if (name.find_first_of(" +*{}") != std::string_view::npos)
    return Status(Code::kInvalid, "a namespace's name must not hold blanks, '+', '*', '{' or '}'");
  COFFER_TRY(check_canonical_name(name).with_context("a namespace's name"));
  const std::string plain = lower_ascii(name);
  for (const std::string_view reserved : kReserved)
    if (plain == reserved && !mutant(Mutant::kReservedNamespaceName))
      return Status(Code::kInvalid, "\"" + std::string(name) + "\" is a reserved name of a namespace");
  return ok_status();
}

Result<NamespaceRecord> add_namespace(TxnImpl& txn, const NamespaceRecord& parent, std::string_view name,
                                      std::vector<std::pair<std::string, std::string>> custom_metadata,
                                      RandomSource& random) {
  COFFER_TRY(check_namespace_name(name));
  NamespaceRecord record;
  record.path = parent.path + std::string(name) + "/";
  record.custom_metadata = std::move(custom_metadata);
  if (std::count(record.path.begin(), record.path.end(), '/') > static_cast<std::ptrdiff_t>(kNamespaceDepthMax) ||
      record.path.size() > limits::kPathBytesMax / 2)
    return Status(Code::kInvalid, "the namespace would lie deeper than " + std::to_string(kNamespaceDepthMax) +
                                      " levels, or its path would be too long");
  COFFER_TRY(check_free(txn, record, parent.id, name));
  COFFER_ASSIGN(record.id, take_id(txn));
  COFFER_ASSIGN(record.name, random_base62(random, 5));
  COFFER_ASSIGN(record.uuid, random_uuid(random));
  COFFER_TRY(put_namespace(txn, record));
  COFFER_TRY(bootstrap_namespace(txn, record.id, random));
  return record;
}

Status put_namespace(TxnImpl& txn, const NamespaceRecord& record) {
  return txn.put(layout::core_key(layout::namespace_record(record.id)), encode(record));
}

Status erase_namespace(TxnImpl& txn, NamespaceId id) {
  return txn.erase(layout::core_key(layout::namespace_record(id)));
}

Result<std::optional<NamespaceRecord>> read_namespace(TxnImpl& txn, NamespaceId id) {
  COFFER_ASSIGN(const auto plaintext, txn.get(layout::core_key(layout::namespace_record(id))));
  if (!plaintext)
    return std::optional<NamespaceRecord>();
  COFFER_ASSIGN(NamespaceRecord record, decode_namespace(*plaintext));
  return std::optional<NamespaceRecord>(std::move(record));
}

namespace {

bool below_any(std::string_view local_path, std::span<const std::string_view> prefixes) noexcept {
  for (const std::string_view prefix : prefixes)
    if (local_path.starts_with(prefix) && (local_path.size() == prefix.size() || local_path[prefix.size()] == '/'))
      return true;
  return false;
}

}  // namespace

bool sys_path_in_namespaces(std::string_view local_path) noexcept {
  static constexpr std::string_view kPaths[] = {
      "mounts",        "auth",         "policy",         "policies",          "capabilities", "capabilities-self",
      "capabilities-accessor",         "leases",         "lease",             "renew",        "revoke",
      "revoke-prefix", "revoke-force", "remount",        "wrapping",          "tools",        "internal/ui",
      "internal/specs",                "internal/counters",                   "namespaces",   "locked-users",
      "search",        "batch",        "events",         "control-group"};
  return below_any(local_path, kPaths);
}

bool sys_path_of_administrators(std::string_view local_path) noexcept {
  static constexpr std::string_view kPaths[] = {"audit-hash", "config/state/sanitized", "host-info",
                                                "in-flight-req", "license", "loggers", "metrics", "monitor",
                                                "plugins", "version-history"};
  return below_any(local_path, kPaths);
}

}  // namespace coffer::core
