#include <algorithm>

#include "base/encoding.h"
#include "base/secret.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/namespaces.h"
#include "core/sys_engine.h"
#include "crypto/sha256.h"

namespace coffer::core {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kMetadataEntriesMax = 64;
constexpr std::size_t kMetadataKeyBytesMax = 128;
constexpr std::size_t kMetadataValueBytesMax = 512;
constexpr std::size_t kUnlockKeyLetters = 32;

// "team/alpha/" from the root on, of the path in the request.
std::string absolute_path(const CallContext& ctx) {
  std::string path = ctx.ns.path;
  if (!ctx.captures.empty())
    path.append(ctx.captures.front());
  if (!path.empty() && path.back() != '/')
    path.push_back('/');
  return path;
}

const NamespaceRecord* named(const CallContext& ctx) {
  const NamespaceRecord* record = ctx.published.namespaces->find_path(absolute_path(ctx));
  return record == nullptr || record->deleting || record->id == ctx.ns.id ? nullptr : record;
}

std::string hash_of(std::string_view key) {
  const crypto::Digest256 digest = crypto::sha256(key);
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

json::Value value_of(CallContext& ctx, const NamespaceRecord& record) {
  json::ObjectBuilder metadata(ctx.arena, record.custom_metadata.size() + 1);
  for (const auto& [key, value] : record.custom_metadata)
    metadata.add(key, value);
  return json::ObjectBuilder(ctx.arena, 6)
      .add("custom_metadata", metadata.build())
      .add("id", record.name)
      .add("locked", !record.unlock_hash.empty())
      .add("path", std::string_view(record.path).substr(ctx.ns.path.size()))
      .add("tainted", record.deleting)
      .add("uuid", record.uuid)
      .build();
}

// With `patch` a null takes an entry away and the others stay; without it the object replaces all.
Status read_metadata(HandlerContext& ctx, bool patch, Metadata& metadata) {
  const json::Value given = ctx.field("custom_metadata");
  if (given.is_null())
    return ok_status();
  if (!given.is_object())
    return Status(Code::kInvalid, "field \"custom_metadata\" must be an object of strings");
  if (!patch)
    metadata.clear();
  for (const json::Member& member : given.members()) {
    std::erase_if(metadata, [&](const auto& entry) { return entry.first == member.key(); });
    if (patch && member.value.is_null())
      continue;
    if (!member.value.is_string() || member.key().empty() || member.key().size() > kMetadataKeyBytesMax ||
        member.value.as_string().size() > kMetadataValueBytesMax)
      return Status(Code::kInvalid, "field \"custom_metadata\" must be an object of strings: keys of 1 to " +
                                        std::to_string(kMetadataKeyBytesMax) + " bytes, values of at most " +
                                        std::to_string(kMetadataValueBytesMax));
    metadata.emplace_back(member.key(), member.value.as_string());
  }
  if (metadata.size() > kMetadataEntriesMax)
    return Status(Code::kInvalid,
                  "field \"custom_metadata\" has more than " + std::to_string(kMetadataEntriesMax) + " entries");
  std::sort(metadata.begin(), metadata.end());
  return ok_status();
}

// Those directly below, or all of them.
Status list_below(CallContext& ctx, bool whole_tree) {
  std::vector<std::string_view> keys;
  json::ObjectBuilder info(ctx.arena);
  for (const auto& [path, record] : ctx.published.namespaces->all()) {
    if (!std::string_view(path).starts_with(ctx.ns.path) || path == ctx.ns.path || record.deleting)
      continue;
    const std::string_view name = std::string_view(path).substr(ctx.ns.path.size());
    if (!whole_tree && name.find('/') != name.size() - 1)
      continue;
    keys.push_back(name);
    info.add(name, value_of(ctx, record));
  }
  if (keys.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("key_info", info.build())
                          .add("keys", text_list(ctx.arena, keys))
                          .build();
  return ok_status();
}

Status handle_list(HandlerContext& base) { return list_below(call(base), false); }
Status handle_scan(HandlerContext& base) { return list_below(call(base), true); }

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const NamespaceRecord* record = named(ctx);
  if (record == nullptr)
    return Status(Code::kNotFound, "");
  ctx.response.data = value_of(ctx, *record);
  return ok_status();
}

Status change(CallContext& ctx, const NamespaceRecord& found, bool patch) {
  COFFER_ASSIGN(auto record, read_namespace(ctx.txn, found.id));
  if (!record)
    return Status(Code::kNotFound, "");
  COFFER_TRY(read_metadata(ctx, patch, record->custom_metadata));
  COFFER_TRY(put_namespace(ctx.txn, *record));
  ctx.response.data = value_of(ctx, *record);
  return ok_status();
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (const NamespaceRecord* record = named(ctx))
    return change(ctx, *record, false);
  std::string name(ctx.captures.front());
  if (name.ends_with('/'))
    name.pop_back();
  Metadata metadata;
  COFFER_TRY(read_metadata(ctx, false, metadata));
  COFFER_ASSIGN(const NamespaceRecord record,
                add_namespace(ctx.txn, ctx.ns, name, std::move(metadata), ctx.random));
  ctx.response.data = value_of(ctx, record);
  return ok_status();
}

Status handle_patch(HandlerContext& base) {
  CallContext& ctx = call(base);
  const NamespaceRecord* record = named(ctx);
  return record == nullptr ? Status(Code::kNotFound, "") : change(ctx, *record, true);
}

// From the commit on no request reaches it; leases, mounts and data go step by step.
Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  const NamespaceRecord* found = named(ctx);
  if (found == nullptr) {
    warn(ctx.response, ctx.arena, "requested namespace does not exist");
    return ok_status();
  }
  // A namespace made below meanwhile writes the counter.
  ctx.txn.depend(layout::core_key(layout::kNamespaceCounter));
  if (ctx.published.namespaces->has_children(*found))
    return Status(Code::kInvalid, "cannot delete namespace \"" + found->path + "\": it contains child namespaces");
  COFFER_ASSIGN(auto record, read_namespace(ctx.txn, found->id));
  if (!record)
    return ok_status();
  record->deleting = true;
  COFFER_TRY(put_namespace(ctx.txn, *record));
  Job job;
  job.id = "namespace-";
  layout::append_hex(job.id, record->id.get(), 8);
  job.kind = Job::Kind::kDeleteNamespace;
  job.ns = record->id;
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("status", "in-progress").build();
  return add_job(ctx.txn, job);
}

// The namespace that a lock or unlock is about: the request's own, or one below it.
const NamespaceRecord* lockable(const CallContext& ctx) {
  const NamespaceRecord* record = ctx.published.namespaces->find_path(absolute_path(ctx));
  return record == nullptr || record->deleting || record->is_root() ? nullptr : record;
}

Status handle_lock(HandlerContext& base) {
  CallContext& ctx = call(base);
  const NamespaceRecord* found = lockable(ctx);
  if (found == nullptr)
    return Status(Code::kInvalid, "there is no such namespace to lock");
  COFFER_ASSIGN(auto record, read_namespace(ctx.txn, found->id));
  if (!record || !record->unlock_hash.empty())
    return Status(Code::kInvalid, "the namespace is locked already");
  COFFER_ASSIGN(std::string key, random_base62(ctx.random, kUnlockKeyLetters));
  record->unlock_hash = hash_of(key);
  COFFER_TRY(put_namespace(ctx.txn, *record));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("unlock_key", key).build();
  wipe(key.data(), key.size());
  return ok_status();
}

Status handle_unlock(HandlerContext& base) {
  CallContext& ctx = call(base);
  const NamespaceRecord* found = lockable(ctx);
  if (found == nullptr)
    return Status(Code::kInvalid, "there is no such namespace to unlock");
  COFFER_ASSIGN(const std::string_view key, ctx.string_field("unlock_key", ""));
  COFFER_ASSIGN(auto record, read_namespace(ctx.txn, found->id));
  if (!record || record->unlock_hash.empty())
    return Status(Code::kInvalid, "the namespace is not locked");
  const bool root = ctx.token->policies == kRootPolicyName && ctx.token->ns == layout::kRootNamespace;
  const std::string given = hash_of(key);
  const auto bytes = [](const std::string& text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  if (key.empty() ? !root : !equal_constant_time(bytes(given), bytes(record->unlock_hash)))
    return Status(Code::kInvalid, key.empty() ? "provided empty unlock key" : "incorrect unlock key");
  record->unlock_hash.clear();
  return put_namespace(ctx.txn, *record);
}

}  // namespace

std::vector<PathSpec> sys_namespace_specs() {
  const Field key = {"unlock_key", FieldType::kString, "What the lock answered; root tokens of the root need none."};
  std::vector<PathSpec> specs;
  for (const std::string_view pattern : {"namespaces/api-lock/lock", "namespaces/api-lock/lock/*path"})
    specs.push_back({pattern, "Close the API of a namespace and of all below it.", {},
                     {{Operation::kWrite, Effect::kWrites, handle_lock, "Locks it and answers with the key."}}});
  for (const std::string_view pattern : {"namespaces/api-lock/unlock", "namespaces/api-lock/unlock/*path"})
    specs.push_back({pattern, "Open the API of a namespace again.", {key},
                     {{Operation::kWrite, Effect::kWrites, handle_unlock, "Unlocks it."}}});
  specs.push_back({"namespaces", "The namespaces below this one.", {},
                   {{Operation::kList, Effect::kReads, handle_list, "Lists their names."},
                    {Operation::kScan, Effect::kReads, handle_scan, "Lists all below, whatever their depth."}}});
  specs.push_back({"namespaces/*path",
                   "A namespace: a tenant with mounts, policies, tokens and identities of its own.",
                   {{"custom_metadata", FieldType::kMap, "Names and values that are kept with it."}},
                   {{Operation::kRead, Effect::kReads, handle_read, "Reads it."},
                    {Operation::kWrite, Effect::kWrites, handle_write, "Makes it, or sets its metadata."},
                    {Operation::kPatch, Effect::kWrites, handle_patch, "Changes parts of its metadata."},
                    {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes it with all that it holds."}}});
  return specs;
}

}  // namespace coffer::core
