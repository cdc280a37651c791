#include "seal/seal.h"

#include "seal/envelope_wrapper.h"

namespace coffer::seal {

Result<SecretBytes> EnvelopeWrapper::unwrap(std::string_view wrapped, std::string_view context) {
  auto opened = open_envelope(keys_, wrapped, context);
  const std::string_view id = envelope_key_id(wrapped);
  if (opened.code() == Code::kDenied && !id.empty())
    return Status(Code::kDenied, "the root key is wrapped by the key with the id '" + std::string(id) +
                                     "', which is not among the configured keys of the " + kind_ + " seal");
  return opened;
}

std::unique_ptr<KeyWrapper> make_shamir_wrapper(SecretBytes combined_key) {
  std::vector<EnvelopeKey> keys;
  keys.push_back({"", std::move(combined_key)});
  return std::make_unique<EnvelopeWrapper>(kShamirKind, std::move(keys));
}

}  // namespace coffer::seal
