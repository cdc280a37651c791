// A node's side of its HSM: keeps the helper process that loads the module, starts it anew when it crashed, hung or
// lost the token, and asks again what is safe to ask again.
//
// A handle of a fresh process may name another key than before, so nothing is done with it before a text that was
// encrypted at the first opening decrypts to what it was. A wrong PIN is never tried a second time: the token would
// lock itself.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/helper_process.h"
#include "base/secret.h"
#include "base/status.h"
#include "hsm/refusal.h"
#include "hsm/settings.h"
#include "hsm/token.h"

namespace coffer::hsm {

struct ClientLimits {
  Nanos open_time_max = std::chrono::seconds(20);  // to load the module, log in and find the keys
  Nanos call_time_max = std::chrono::seconds(5);
  // Between attempts at a token that is away; doubles from the one to the other.
  Nanos pause_min = std::chrono::milliseconds(250);
  Nanos pause_max = std::chrono::seconds(5);
};

// Thread-safe; one call at a time, the others wait.
class Client {
 public:
  // Nothing is started before the first call. `environment` is what the helper gets: no secret of the node's in it.
  Client(Settings settings, std::vector<std::string> environment, const Clock& clock, ClientLimits limits = {},
         std::string program = "/proc/self/exe")
      : settings_(std::move(settings)), environment_(std::move(environment)), clock_(clock), limits_(limits),
        program_(std::move(program)) {}

  // Of all calls: kUnavailable when the HSM does not answer, or did not a moment ago, and kInvalid with the setting's
  // name when the settings are not right, the PIN among them.

  // As it was asked for.
  const KeyName& key() const noexcept { return settings_.key; }

  // At most 1 KiB. What comes out decrypts with this node's settings or another's with the same HSM.
  Result<Encrypted> encrypt(const SecretBytes& text);
  // kDenied: the HSM has no such key. kDataLoss: it was not encrypted so.
  Result<SecretBytes> decrypt(const Encrypted& from);
  // Whether the key decrypts what it should.
  Status check();
  // At most 4 KiB, from the HSM's own source.
  Result<SecretBytes> random(std::size_t bytes);

 private:
  // Under mutex_.
  Result<SecretBytes> perform(std::string_view request);
  Status ensure_open();
  Status open();
  Status check_key();
  Refusal make_known(Encrypted& out);
  Refusal try_known(const Encrypted& known);
  Refusal ask(std::string_view request, Nanos time_max, SecretBytes& out);
  Status fail(const Refusal& refusal);

  const Settings settings_;
  const std::vector<std::string> environment_;
  const Clock& clock_;
  const ClientLimits limits_;
  const std::string program_;
  std::mutex mutex_;  // guards the rest
  std::unique_ptr<HelperProcess> helper_;
  bool open_ = false;
  std::optional<Encrypted> known_;  // what kKnownText was encrypted to at first
  Status pin_refused_;
  Nanos pause_{};
  BootTime not_before_{};
  std::string last_failure_;
};

}  // namespace coffer::hsm
