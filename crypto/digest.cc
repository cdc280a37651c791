#include "crypto/digest.h"

#include <openssl/evp.h>

#include <array>

namespace coffer::crypto {
namespace {

struct Named {
  std::string_view name;
  const EVP_MD* (*kind)();
};

constexpr std::array<Named, 8> kDigests{{{"sha2-224", EVP_sha224},
                                         {"sha2-256", EVP_sha256},
                                         {"sha2-384", EVP_sha384},
                                         {"sha2-512", EVP_sha512},
                                         {"sha3-224", EVP_sha3_224},
                                         {"sha3-256", EVP_sha3_256},
                                         {"sha3-384", EVP_sha3_384},
                                         {"sha3-512", EVP_sha3_512}}};

}  // namespace

Result<std::string> digest_by_name(std::string_view algorithm, std::string_view data) {
  for (const Named& named : kDigests) {
    if (named.name != algorithm)
      continue;
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), &size, named.kind(),
                   nullptr) != 1)
      return Status(Code::kInternal, "the hash could not be computed");
    out.resize(size);
    return out;
  }
  return Status(Code::kInvalid, "unsupported algorithm");
}

}  // namespace coffer::crypto
