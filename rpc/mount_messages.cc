#include "rpc/mount_messages.h"

#include "rpc/values.h"

namespace coffer::rpc {

Status decode_mounts(core::Exchange& exchange, v1::ListMountsResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  for (const json::Member& member : data.members()) {
    if (!member.value.is_object())
      continue;
    v1::Mount& mount = (*reply.mutable_mounts())[std::string(member.key())];
    mount.set_type(string_of(member.value, "type"));
    mount.set_description(string_of(member.value, "description"));
    mount.set_accessor(string_of(member.value, "accessor"));
    mount.set_uuid(string_of(member.value, "uuid"));
    mount.set_local(bool_of(member.value, "local"));
    mount.set_seal_wrap(bool_of(member.value, "seal_wrap"));
    map_of(object_of(member.value, "options"), *mount.mutable_options());
    const json::Value config = object_of(member.value, "config");
    mount.set_default_lease_ttl_seconds(integer_of(config, "default_lease_ttl"));
    mount.set_max_lease_ttl_seconds(integer_of(config, "max_lease_ttl"));
  }
  return ok_status();
}

}  // namespace coffer::rpc
