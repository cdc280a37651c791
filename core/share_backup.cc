#include "core/share_backup.h"

#include <map>

#include "base/codec.h"
#include "base/encoding.h"
#include "core/call.h"
#include "core/ceremony.h"
#include "core/layout.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;  // docs/formats/share_backup.md

store::StoreKey record_key(bool recovery) {
  return layout::token_key(recovery ? layout::kRecoveryShareBackup : layout::kUnsealShareBackup);
}

bool of_recovery(const CallContext& ctx) { return ctx.full_path.find("recovery") != std::string_view::npos; }

struct Backup {
  std::string nonce;
  std::map<std::string, std::vector<std::string>> messages;  // by fingerprint: one key may have several shares
};

Result<Backup> decode(std::string_view record) {
  ByteReader in(record);
  if (in.u8() != kFormat)
    return Status(Code::kDataLoss, "the backup of the shares is of another format");
  Backup out;
  out.nonce = in.bytes();
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count && i < crypto::kPgpKeysMax && in.ok(); ++i) {
    const std::string_view fingerprint = in.bytes();
    out.messages[std::string(fingerprint)].emplace_back(in.bytes());
  }
  COFFER_TRY(in.finish().with_context("the backup of the shares"));
  return out;
}

json::Value by_fingerprint(json::Arena& arena, const Backup& backup, std::string (*encode)(std::string_view)) {
  json::ObjectBuilder out(arena, backup.messages.size());
  for (const auto& [fingerprint, messages] : backup.messages) {
    json::ArrayBuilder list(arena, messages.size());
    for (const std::string& message : messages)
      list.add(encode(message));
    out.add(fingerprint, list.build());
  }
  return out.build();
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  ctx.response.data_also_top_level = true;
  COFFER_ASSIGN(const auto record, ctx.txn.get(record_key(of_recovery(ctx))));
  if (!record)
    return Status(Code::kNotFound, "no backed-up keys found");
  COFFER_ASSIGN(const Backup backup, decode(*record));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("nonce", backup.nonce)
                          .add("keys", by_fingerprint(ctx.arena, backup, hex_encode))
                          .add("keys_base64", by_fingerprint(ctx.arena, backup, base64_encode))
                          .build();
  return ok_status();
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  return ctx.txn.erase(record_key(of_recovery(ctx)));
}

}  // namespace

Status put_share_backup(CallContext& ctx, bool recovery, std::string_view nonce,
                        const std::vector<crypto::PgpMessage>& encrypted) {
  if (encrypted.empty())
    return ctx.txn.erase(record_key(recovery));
  std::string record;
  ByteWriter out(record);
  out.u8(kFormat).bytes(nonce).varint(encrypted.size());
  for (const crypto::PgpMessage& one : encrypted)
    out.bytes(one.fingerprint).bytes(one.message);
  return ctx.txn.put(record_key(recovery), record);
}

std::vector<PathSpec> sys_share_backup_specs() {
  std::vector<PathSpec> specs;
  for (const std::string_view path :
       {"rekey/backup", "rekey/recovery-key-backup", "rotate/root/backup", "rotate/recovery/backup"}) {
    OperationSpec read{Operation::kRead, Effect::kReads, handle_read, "Tells them, as encrypted as they are."};
    OperationSpec remove{Operation::kDelete, Effect::kWrites, handle_delete, "Keeps them no longer."};
    read.sudo = remove.sudo = true;
    specs.push_back({path, "Encrypted shares that were kept.", {}, {read, remove}});
  }
  return specs;
}

}  // namespace coffer::core
