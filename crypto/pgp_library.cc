#include "crypto/pgp_library.h"

#include <dlfcn.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include <memory>

#include "base/ascii.h"

namespace coffer::crypto {
namespace {

constexpr const char* kLibrary = "librnp.so.0";

// The functions that are used.
#define COFFER_RNP_FUNCTIONS(X) \
  X(ffi_create) X(ffi_destroy) X(import_keys) X(get_secret_key_count) X(identifier_iterator_create) \
  X(identifier_iterator_next) X(identifier_iterator_destroy) X(locate_key) X(key_handle_destroy) X(key_is_primary) \
  X(key_is_revoked) X(key_is_expired) X(key_is_valid) X(key_get_default_key) X(input_from_memory) X(input_destroy) \
  X(output_to_memory) X(output_memory_get_buf) X(output_destroy) X(op_encrypt_create) X(op_encrypt_add_recipient) \
  X(op_encrypt_set_cipher) X(op_encrypt_execute) X(op_encrypt_destroy)

// By their own types.
struct Library {
#define COFFER_RNP_DECLARE(name) decltype(&::rnp_##name) name = nullptr;
  COFFER_RNP_FUNCTIONS(COFFER_RNP_DECLARE)
#undef COFFER_RNP_DECLARE

  bool load() {
    void* const handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr)
      return false;
#define COFFER_RNP_FIND(name) \
  if ((name = reinterpret_cast<decltype(name)>(::dlsym(handle, "rnp_" #name))) == nullptr) \
    return false;
    COFFER_RNP_FUNCTIONS(COFFER_RNP_FIND)
#undef COFFER_RNP_FIND
    return true;
  }
};
#undef COFFER_RNP_FUNCTIONS

const Library* library() {
  static const Library* const loaded = []() -> const Library* {
    auto one = std::make_unique<Library>();
    return one->load() ? one.release() : nullptr;  // for as long as the process lives
  }();
  return loaded;
}

// An object of the library and how it goes.
template <typename Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, rnp_result_t (*)(Handle)>;

Status no_key(std::string why) { return Status(Code::kInvalid, "is no usable OpenPGP public key: " + std::move(why)); }

// A key ring with one key in it.
class Ring {
 public:
  static Result<Ring> of(const Library& rnp, std::string_view key) {
    rnp_ffi_t ffi = nullptr;
    if (rnp.ffi_create(&ffi, "GPG", "GPG") != RNP_SUCCESS)
      return Status(Code::kUnavailable, "the OpenPGP library does not start");
    Ring ring(rnp, ffi);
    rnp_input_t input = nullptr;
    if (rnp.input_from_memory(&input, reinterpret_cast<const std::uint8_t*>(key.data()), key.size(), false) !=
        RNP_SUCCESS)
      return no_key("it is empty");
    const Owned<rnp_input_t> owned(input, rnp.input_destroy);
    const rnp_result_t loaded =
        rnp.import_keys(ffi, input, RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_SECRET_KEYS, nullptr);
    if (loaded != RNP_SUCCESS)
      return no_key("it cannot be read");
    std::size_t secret = 0;
    if (rnp.get_secret_key_count(ffi, &secret) != RNP_SUCCESS || secret != 0)
      return no_key("it is a secret key, which belongs to its owner alone");
    COFFER_TRY(ring.find_primary());
    return ring;
  }

  const std::string& fingerprint() const { return fingerprint_; }
  rnp_ffi_t ffi() const { return ffi_.get(); }
  Result<Owned<rnp_key_handle_t>> primary() const { return locate(fingerprint_); }

 private:
  Ring(const Library& rnp, rnp_ffi_t ffi) : rnp_(&rnp), ffi_(ffi, rnp.ffi_destroy) {}

  Result<Owned<rnp_key_handle_t>> locate(const std::string& fingerprint) const {
    rnp_key_handle_t key = nullptr;
    if (rnp_->locate_key(ffi(), "fingerprint", fingerprint.c_str(), &key) != RNP_SUCCESS || key == nullptr)
      return no_key("it cannot be read");
    return Owned<rnp_key_handle_t>(key, rnp_->key_handle_destroy);
  }

  Status find_primary() {
    rnp_identifier_iterator_t iterator = nullptr;
    if (rnp_->identifier_iterator_create(ffi(), &iterator, "fingerprint") != RNP_SUCCESS)
      return no_key("it cannot be read");
    const Owned<rnp_identifier_iterator_t> owned(iterator, rnp_->identifier_iterator_destroy);
    const char* fingerprint = nullptr;
    while (rnp_->identifier_iterator_next(iterator, &fingerprint) == RNP_SUCCESS && fingerprint != nullptr) {
      COFFER_ASSIGN(const auto key, locate(fingerprint));
      bool primary = false;
      if (rnp_->key_is_primary(key.get(), &primary) != RNP_SUCCESS || !primary)
        continue;
      if (!fingerprint_.empty())
        return no_key("it is more than one key");
      fingerprint_ = fingerprint;
    }
    return fingerprint_.empty() ? no_key("there is no key in it") : ok_status();
  }

  const Library* rnp_;
  Owned<rnp_ffi_t> ffi_;
  std::string fingerprint_;  // upper-case, as the library has it
};

Status check_usable(const Library& rnp, rnp_key_handle_t key) {
  bool yes = false;
  if (rnp.key_is_revoked(key, &yes) != RNP_SUCCESS || yes)
    return no_key("it was revoked");
  if (rnp.key_is_expired(key, &yes) != RNP_SUCCESS || yes)
    return no_key("it has expired");
  if (rnp.key_is_valid(key, &yes) != RNP_SUCCESS || !yes)
    return no_key("its owner's signature on it is missing or wrong");
  rnp_key_handle_t encrypting = nullptr;
  if (rnp.key_get_default_key(key, "encrypt", 0, &encrypting) != RNP_SUCCESS || encrypting == nullptr)
    return no_key("it cannot encrypt");
  rnp.key_handle_destroy(encrypting);
  return ok_status();
}

Result<std::string> encrypt_to(const Library& rnp, rnp_ffi_t ffi, rnp_key_handle_t key, std::string_view text) {
  const Status failed(Code::kUnavailable, "the OpenPGP library did not encrypt");
  rnp_input_t input = nullptr;
  if (rnp.input_from_memory(&input, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), false) !=
      RNP_SUCCESS)
    return failed;
  const Owned<rnp_input_t> from(input, rnp.input_destroy);
  rnp_output_t output = nullptr;
  if (rnp.output_to_memory(&output, 0) != RNP_SUCCESS)
    return failed;
  const Owned<rnp_output_t> to(output, rnp.output_destroy);
  rnp_op_encrypt_t operation = nullptr;
  if (rnp.op_encrypt_create(&operation, ffi, input, output) != RNP_SUCCESS)
    return failed;
  const Owned<rnp_op_encrypt_t> owned(operation, rnp.op_encrypt_destroy);
  if (rnp.op_encrypt_set_cipher(operation, "AES256") != RNP_SUCCESS)
    return failed;
  if (rnp.op_encrypt_add_recipient(operation, key) != RNP_SUCCESS)
    return no_key("it cannot encrypt");
  std::uint8_t* buffer = nullptr;
  std::size_t size = 0;
  if (rnp.op_encrypt_execute(operation) != RNP_SUCCESS ||
      rnp.output_memory_get_buf(output, &buffer, &size, false) != RNP_SUCCESS || size == 0)
    return failed;
  return std::string(reinterpret_cast<const char*>(buffer), size);
}

}  // namespace

Result<PgpMessage> pgp_encrypt(std::string_view key, const std::string_view* text) {
  const Library* const rnp = library();
  if (rnp == nullptr)
    return Status(Code::kUnavailable,
                  std::string("the library ") + kLibrary + " is not installed: nothing is encrypted to OpenPGP keys");
  COFFER_ASSIGN(const Ring ring, Ring::of(*rnp, key));
  COFFER_ASSIGN(const auto primary, ring.primary());
  COFFER_TRY(check_usable(*rnp, primary.get()));
  PgpMessage out;
  out.fingerprint = lower_ascii(ring.fingerprint());
  if (text != nullptr) {
    COFFER_ASSIGN(out.message, encrypt_to(*rnp, ring.ffi(), primary.get(), *text));
  }
  return out;
}

}  // namespace coffer::crypto
