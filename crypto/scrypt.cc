#include "crypto/scrypt.h"

#include <openssl/evp.h>

namespace coffer::crypto {

Result<SecretBytes> scrypt(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t> salt,
                           const ScryptCost& cost, std::size_t size) {
  const bool too_small = cost.cost_bits == 0 || cost.block == 0 || cost.parallel == 0;
  if (too_small || cost.cost_bits > kScryptCostMax.cost_bits || cost.block > kScryptCostMax.block ||
      cost.parallel > kScryptCostMax.parallel)
    return Status(Code::kInvalid, "the cost of the key derivation is out of range");
  const std::uint64_t rounds = std::uint64_t{1} << cost.cost_bits;
  const std::uint64_t memory_max = 128 * std::uint64_t{cost.block} * (rounds + cost.parallel + 2);
  SecretBytes key(size);
  const int done = EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()), passphrase.size(), salt.data(),
                                  salt.size(), rounds, cost.block, cost.parallel, memory_max,
                                  key.reveal_mutable().data(), size);
  if (done != 1)
    return Status(Code::kUnavailable, "there is not enough memory to derive the key");
  return key;
}

}  // namespace coffer::crypto
