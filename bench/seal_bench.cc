// What seals cost end to end: from the stored records to an open keyring, for each kind; and what an HSM costs in the
// process itself and through the helper that Coffer uses, beside each other. SoftHSM2 is the HSM: it is set up in a
// folder of its own, with softhsm2-util.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/encoding.h"
#include "base/rng.h"
#include "hsm/client.h"
#include "hsm/token.h"
#include "hsm/worker.h"
#include "seal/hsm_seal.h"
#include "seal/init.h"
#include "seal/rekey.h"
#include "seal/static_seal.h"
#include "seal/unseal.h"

namespace {

using namespace coffer;

// A token for as long as the process lives; the folder stays for its helpers, and goes at the end.
class SoftHsm {
 public:
  SoftHsm() {
    char name[] = "/tmp/coffer-bench-XXXXXX";
    folder_ = ::mkdtemp(name);
    std::filesystem::create_directory(folder_ + "/tokens");
    std::ofstream(folder_ + "/softhsm2.conf") << "directories.tokendir = " << folder_ << "/tokens\n";
    ::setenv("SOFTHSM2_CONF", (folder_ + "/softhsm2.conf").c_str(), 1);
    if (std::system("softhsm2-util --init-token --free --label bench --so-pin 1234 --pin 1234 >/dev/null") != 0)
      std::abort();
  }
  ~SoftHsm() { std::filesystem::remove_all(folder_); }

  hsm::Settings settings() const {
    hsm::Settings out;
    out.library = "/usr/lib/softhsm/libsofthsm2.so";
    out.token_label = "bench";
    out.pin = SecretBytes::copy_of(std::string_view("1234"));
    out.key.label = "bench";
    out.generate_key = true;
    return out;
  }
  std::shared_ptr<hsm::Client> client() const {
    return std::make_shared<hsm::Client>(settings(),
                                         std::vector<std::string>{"SOFTHSM2_CONF=" + folder_ + "/softhsm2.conf"},
                                         system_clock());
  }

 private:
  std::string folder_;
};

SoftHsm& soft_hsm() {
  static SoftHsm one;
  return one;
}

SecretBytes some_key() { return SecretBytes::copy_of(std::string_view("0123456789abcdef0123456789abcdef")); }

std::unique_ptr<seal::KeyWrapper> static_seal() {
  seal::StaticSealOptions options;
  options.current_key = some_key();
  return seal::make_static_seal(options, seal::read_key_reference).value();
}

void unseal_shamir(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const auto made = seal::initialize({.secret = {count, count}}, nullptr, nullptr, WallTime(), system_random()).value();
  for (auto _ : state) {
    seal::UnsealCeremony ceremony(made.config, made.keyring_record);
    for (const SecretBytes& share : made.shares)
      benchmark::DoNotOptimize(ceremony.submit(share, system_random()).ok());
  }
}

void unseal_with(benchmark::State& state, seal::KeyWrapper& wrapper) {
  const auto made =
      seal::initialize({.recovery = {1, 1}}, &wrapper, nullptr, WallTime(), system_random()).value();
  for (auto _ : state) {
    if (!seal::unseal_automatically(made.config, made.keyring_record, wrapper).ok())
      state.SkipWithError("unseal");
  }
}

void unseal_static(benchmark::State& state) { unseal_with(state, *static_seal()); }
void unseal_pkcs11(benchmark::State& state) { unseal_with(state, *seal::make_hsm_seal(soft_hsm().client())); }

// As after a restart: the helper is started, loads the module, logs in and checks the key.
void unseal_pkcs11_from_nothing(benchmark::State& state) {
  const auto first = seal::make_hsm_seal(soft_hsm().client());
  const auto made =
      seal::initialize({.recovery = {1, 1}}, first.get(), nullptr, WallTime(), system_random()).value();
  for (auto _ : state) {
    const auto fresh = seal::make_hsm_seal(soft_hsm().client());
    if (!seal::unseal_automatically(made.config, made.keyring_record, *fresh).ok())
      state.SkipWithError("unseal");
  }
}

void rekey_shamir(benchmark::State& state) {
  const auto made = seal::initialize({.secret = {5, 3}}, nullptr, nullptr, WallTime(), system_random()).value();
  for (auto _ : state) {
    seal::ShareCollector given({5, 3});
    for (std::size_t i = 0; i < 3; ++i)
      benchmark::DoNotOptimize(given.add(made.shares[i], system_random()).ok());
    if (!seal::make_new_shares({.counts = {5, 3}}, made.config_record, given.combine().value(), made.root_key, nullptr,
                               nullptr, system_random())
             .ok())
      state.SkipWithError("rekey");
  }
}

void wrap_with(benchmark::State& state, seal::KeyWrapper& wrapper) {
  const SecretBytes key = some_key();
  for (auto _ : state)
    benchmark::DoNotOptimize(wrapper.wrap(key, "bench", system_random()).ok());
}
void wrap_static(benchmark::State& state) { wrap_with(state, *static_seal()); }
void wrap_pkcs11(benchmark::State& state) { wrap_with(state, *seal::make_hsm_seal(soft_hsm().client())); }

// One call of the HSM, here and through the helper: the difference is what the second process costs.
void hsm_decrypt_in_process(benchmark::State& state) {
  hsm::Token token;
  hsm::Encrypted made;
  SecretBytes text;
  if (!token.open(soft_hsm().settings()).ok() || !token.encrypt(some_key().reveal_text(), made).ok())
    return state.SkipWithError("open");
  for (auto _ : state)
    benchmark::DoNotOptimize(token.decrypt(made, text).ok());
}
void hsm_decrypt_by_helper(benchmark::State& state) {
  const auto client = soft_hsm().client();
  const hsm::Encrypted made = client->encrypt(some_key()).value();
  for (auto _ : state)
    benchmark::DoNotOptimize(client->decrypt(made).ok());
}
void hsm_random_in_process(benchmark::State& state) {
  hsm::Token token;
  SecretBytes drawn;
  if (!token.open(soft_hsm().settings()).ok())
    return state.SkipWithError("open");
  for (auto _ : state)
    benchmark::DoNotOptimize(token.random(32, drawn).ok());
}
void hsm_random_by_helper(benchmark::State& state) {
  const auto client = soft_hsm().client();
  for (auto _ : state)
    benchmark::DoNotOptimize(client->random(32).ok());
}

BENCHMARK(unseal_shamir)->Arg(3)->Arg(10);
BENCHMARK(unseal_static);
BENCHMARK(unseal_pkcs11)->UseRealTime();
BENCHMARK(unseal_pkcs11_from_nothing)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(rekey_shamir);
BENCHMARK(wrap_static);
BENCHMARK(wrap_pkcs11)->UseRealTime();
BENCHMARK(hsm_decrypt_in_process)->UseRealTime();
BENCHMARK(hsm_decrypt_by_helper)->UseRealTime();
BENCHMARK(hsm_random_in_process)->UseRealTime();
BENCHMARK(hsm_random_by_helper)->UseRealTime();

}  // namespace

// The helper is this program once more.
int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == hsm::kHsmWorker && started_as_helper())
    return hsm::serve_hsm();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
