// Sealing and opening values beside their ceiling: the same AES-256-GCM calls made directly, with the same amount of
// associated data, in the same binary. HMAC beside two bare SHA-256 compressions' worth of hashing.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "crypto/hmac.h"
#include "crypto/xaes.h"
#include "seal/barrier.h"
#include "seal/shamir.h"

namespace {

using namespace coffer;

constexpr std::string_view kPath = "shared/00000000/00000007/data/my-app/database/credentials";
constexpr std::size_t kAadBytes = 13 + kPath.size();

struct RawGcm {
  explicit RawGcm(int encrypt) : direction(encrypt), context(EVP_CIPHER_CTX_new()) {
    EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    const std::uint8_t key[32] = {1};
    EVP_CipherInit_ex2(context, cipher, key, nullptr, encrypt, nullptr);
    EVP_CIPHER_free(cipher);
  }
  ~RawGcm() { EVP_CIPHER_CTX_free(context); }

  void seal(const std::uint8_t* in, std::size_t size, std::uint8_t* out) {
    int done = 0;
    ++nonce[0];
    EVP_CipherInit_ex2(context, nullptr, nullptr, nonce, direction, nullptr);
    EVP_CipherUpdate(context, nullptr, &done, aad, kAadBytes);
    EVP_CipherUpdate(context, out, &done, in, static_cast<int>(size));
    EVP_CipherFinal_ex(context, out + size, &done);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + size);
  }
  bool open(std::uint8_t* in, std::size_t size, std::uint8_t* out) {
    int done = 0;
    EVP_CipherInit_ex2(context, nullptr, nullptr, nonce, direction, nullptr);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, in + size);
    EVP_CipherUpdate(context, nullptr, &done, aad, kAadBytes);
    EVP_CipherUpdate(context, out, &done, in, static_cast<int>(size));
    return EVP_CipherFinal_ex(context, out + size, &done) == 1;
  }

  int direction;
  EVP_CIPHER_CTX* context;
  std::uint8_t nonce[12] = {};
  std::uint8_t aad[kAadBytes] = {};
};

void finish(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void seal_raw(benchmark::State& state) {
  RawGcm raw(1);
  const std::string plaintext(state.range(0), 'p');
  std::vector<std::uint8_t> out(plaintext.size() + 16);
  for (auto _ : state) {
    raw.seal(reinterpret_cast<const std::uint8_t*>(plaintext.data()), plaintext.size(), out.data());
    benchmark::DoNotOptimize(out.data());
  }
  finish(state);
}

void open_raw(benchmark::State& state) {
  std::vector<std::uint8_t> sealed(state.range(0) + 16), out(state.range(0) + 16);
  RawGcm raw(1), opener(0);
  raw.seal(out.data(), state.range(0), sealed.data());
  std::copy(std::begin(raw.nonce), std::end(raw.nonce), opener.nonce);
  for (auto _ : state) {
    if (!opener.open(sealed.data(), state.range(0), out.data()))
      state.SkipWithError("tag");
  }
  finish(state);
}

std::shared_ptr<const seal::Barrier> make_barrier() {
  return seal::Barrier::create(seal::Keyring::create(KeyringId(0), WallTime(), system_random()).value());
}

void seal_by(benchmark::State& state, const seal::Barrier& barrier) {
  auto session = barrier.begin(system_random()).value();
  const std::string plaintext(state.range(0), 'p');
  std::string out;
  for (auto _ : state) {
    if (!session.seal(kPath, plaintext, out).ok())
      state.SkipWithError("seal");
  }
  finish(state);
}

void seal_barrier(benchmark::State& state) { seal_by(state, *make_barrier()); }

// One session's seals on each thread, as transactions have them.
void seal_barrier_threads(benchmark::State& state) {
  static const auto barrier = make_barrier();
  seal_by(state, *barrier);
}

void open_barrier(benchmark::State& state) {
  const auto barrier = make_barrier();
  auto session = barrier->begin(system_random()).value();
  std::string sealed;
  if (!session.seal(kPath, std::string(state.range(0), 'p'), sealed).ok())
    state.SkipWithError("seal");
  std::vector<std::uint8_t> out(state.range(0));
  for (auto _ : state) {
    if (!barrier->open(kPath, sealed, out).ok())
      state.SkipWithError("open");
  }
  finish(state);
}

// What a transaction pays before its first seal.
void begin_session(benchmark::State& state) {
  const auto barrier = make_barrier();
  for (auto _ : state)
    benchmark::DoNotOptimize(barrier->begin(system_random()).ok());
}

void sha256_plain(benchmark::State& state) {
  const std::string message(state.range(0), 'm');
  for (auto _ : state)
    benchmark::DoNotOptimize(crypto::sha256(message));
}

void hmac_prepared(benchmark::State& state) {
  const crypto::HmacKey key(SecretBytes::copy_of("0123456789abcdef0123456789abcdef"));
  const std::string message(state.range(0), 'm');
  for (auto _ : state)
    benchmark::DoNotOptimize(key.mac(message));
}

void shamir_combine(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const SecretBytes secret = SecretBytes::copy_of("0123456789abcdef0123456789abcdef");
  const auto shares = seal::shamir_split(secret, count, count, system_random());
  for (auto _ : state)
    benchmark::DoNotOptimize(seal::shamir_combine(*shares).ok());
}

// A key that is derived for one message, as keyrings and envelopes are sealed; and one that is kept.
void xaes_uncached(benchmark::State& state) {
  const std::string plaintext(state.range(0), 'p');
  std::vector<std::uint8_t> out(plaintext.size() + crypto::kGcmTagBytes);
  const std::uint8_t key[crypto::kAesKeyBytes] = {1};
  std::uint8_t nonce[crypto::kXaesNonceBytes] = {};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(plaintext.data());
  for (auto _ : state) {
    ++nonce[0];
    crypto::xaes_seal(key, nonce, {}, {bytes, plaintext.size()}, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  finish(state);
}

void xaes_derived_once(benchmark::State& state) {
  const std::string plaintext(state.range(0), 'p');
  std::vector<std::uint8_t> out(plaintext.size() + crypto::kGcmTagBytes);
  const std::uint8_t key[crypto::kAesKeyBytes] = {1};
  const std::uint8_t prefix[crypto::kXaesPrefixBytes] = {2};
  const SecretBytes derived = crypto::xaes_derive(key, prefix);
  crypto::AesGcm gcm;
  gcm.set_key(derived.reveal().first<crypto::kAesKeyBytes>());
  std::uint8_t nonce[crypto::kGcmNonceBytes] = {};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(plaintext.data());
  for (auto _ : state) {
    ++nonce[0];
    gcm.seal(nonce, {}, {bytes, plaintext.size()}, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  finish(state);
}

// The key of a value's term, among so many.
void keyring_lookup(benchmark::State& state) {
  auto keyring = seal::Keyring::create(KeyringId(0), WallTime(), system_random()).value();
  for (std::int64_t term = 1; term < state.range(0); ++term)
    keyring = keyring->rotated(WallTime(), system_random()).value();
  std::uint32_t term = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(keyring->find(KeyTerm(term++ % static_cast<std::uint32_t>(state.range(0)) + 1)));
}

void rotate(benchmark::State& state) {
  auto keyring = seal::Keyring::create(KeyringId(0), WallTime(), system_random()).value();
  for (std::int64_t term = 1; term < state.range(0); ++term)
    keyring = keyring->rotated(WallTime(), system_random()).value();
  for (auto _ : state)
    benchmark::DoNotOptimize(keyring->rotated(WallTime(), system_random()).ok());
}

void shamir_split(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const SecretBytes secret = SecretBytes::copy_of("0123456789abcdef0123456789abcdef");
  for (auto _ : state)
    benchmark::DoNotOptimize(seal::shamir_split(secret, count, count, system_random()).ok());
}

#define COFFER_SIZES \
  ->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096)->Arg(16384)->Arg(65536)->Arg(1048576)
BENCHMARK(seal_raw) COFFER_SIZES;
BENCHMARK(seal_barrier) COFFER_SIZES;
BENCHMARK(open_raw) COFFER_SIZES;
BENCHMARK(open_barrier) COFFER_SIZES;
BENCHMARK(seal_barrier_threads)->Arg(1024)->ThreadRange(1, 8)->UseRealTime();
BENCHMARK(xaes_uncached)->Arg(64)->Arg(1024);
BENCHMARK(xaes_derived_once)->Arg(64)->Arg(1024);
BENCHMARK(keyring_lookup)->Arg(1)->Arg(10)->Arg(1000);
BENCHMARK(rotate)->Arg(1)->Arg(1000);
BENCHMARK(shamir_split)->Arg(3)->Arg(10)->Arg(255);
BENCHMARK(begin_session);
BENCHMARK(sha256_plain)->Arg(32)->Arg(200);
BENCHMARK(hmac_prepared)->Arg(32)->Arg(200);
BENCHMARK(shamir_combine)->Arg(3)->Arg(10)->Arg(255);

}  // namespace
