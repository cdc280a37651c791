// The encrypted shares that the last exchange made, where its beginner asked that they are kept (`backup`): whoever has
// the keys that they are encrypted to can decrypt them again.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "crypto/pgp.h"

namespace coffer::core {

struct CallContext;

// In the transaction that puts the new shares into effect. Without messages what is kept of earlier shares goes: they
// open nothing any more.
Status put_share_backup(CallContext& ctx, bool recovery, std::string_view nonce,
                        const std::vector<crypto::PgpMessage>& encrypted);

}  // namespace coffer::core
