// A request that brings its own login (X-Vault-Inline-Auth-*): the login is a request of its own and takes the whole
// way, with quota, lock-out and audit. The token that comes of it is good for the request that brought it, is nowhere
// stored and never leaves.
#pragma once

#include <functional>
#include <memory>

#include "core/request.h"

namespace coffer::core {

enum class LoginEnd : std::uint8_t {
  kDone,
  kRefused,  // the login's answer is the request's
  kNotDone,  // this node does not lead: nothing was done, and the request may go to the one that does
};

// Keeps a request while its login is under way. It owns itself until the login is answered.
class LoginHome final : public Home {
 public:
  // Called once, on any thread.
  using Done = std::function<void(std::unique_ptr<Exchange> request, LoginEnd end)>;

  // The login of `request`, whose home is a new LoginHome. `id` is its request id.
  static std::unique_ptr<Exchange> begin(std::unique_ptr<Exchange> request, std::string_view id, Done done);

  // The login that has to go on with its home, which takes `request` back: what resume_later() put into it.
  static std::unique_ptr<Exchange> take_login(std::unique_ptr<Exchange>& request);

  void resume_later(std::unique_ptr<Exchange> login) override;
  void respond(std::unique_ptr<Exchange> login) override;

 private:
  LoginHome(std::unique_ptr<Exchange> request, Done done) : request_(std::move(request)), done_(std::move(done)) {}

  std::unique_ptr<Exchange> request_;  // null while it carries the login to its thread
  Done done_;
};

}  // namespace coffer::core
