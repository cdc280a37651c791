// Internal to seal/: the key wrapper of all seals whose keys are in this process.
#pragma once

#include <string>
#include <vector>

#include "seal/envelope.h"
#include "seal/seal.h"

namespace coffer::seal {

class EnvelopeWrapper final : public KeyWrapper {
 public:
  // The first key wraps; all of them unwrap.
  EnvelopeWrapper(std::string_view kind, std::vector<EnvelopeKey> keys) : kind_(kind), keys_(std::move(keys)) {}

  std::string_view kind() const noexcept override { return kind_; }
  Result<std::string> wrap(const SecretBytes& key, std::string_view context, RandomSource& random) override {
    return seal_envelope(keys_.front(), key, context, random);
  }
  bool is_current(std::string_view wrapped) const override { return envelope_key_id(wrapped) == keys_.front().id; }
  Result<SecretBytes> unwrap(std::string_view wrapped, std::string_view context) override;

 private:
  std::string kind_;
  std::vector<EnvelopeKey> keys_;  // never empty
};

}  // namespace coffer::seal
