#include "cli/command.h"

#include "cli/text.h"

namespace coffer::cli {

std::string with_names(std::string_view text, const Invocation& invocation) {
  bool vault = Context::is_vault(invocation);
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("{cmd}")) {
      out += vault ? "vault" : "coffer";
      text.remove_prefix(5);
    } else if (text.starts_with("{Name}")) {
      out += vault ? "Vault" : "Coffer";
      text.remove_prefix(6);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string Context::named(std::string_view text) const { return with_names(text, invocation_); }

int Context::fail(int code, std::string_view text) {
  ui_.error(named(text));
  return code;
}

bool Context::arity(std::size_t least, std::size_t most) {
  std::size_t got = args().size();
  if (got >= least && got <= most)
    return true;
  std::string expected = std::to_string(got < least ? least : most);
  std::string lead = got < least ? "Not enough arguments (expected " : "Too many arguments (expected ";
  ui_.error(lead + expected + ", got " + std::to_string(got) + ")");
  return false;
}

Result<std::string> Context::token() {
  if (flags_.declared("token") && flags_.given("token"))
    return flags_.text("token");
  if (std::string own = invocation_.env_or("VAULT_TOKEN"); !own.empty())
    return own;
  Result<std::unique_ptr<TokenHelper>> helper = ports_.token_helper(invocation_);
  if (!helper.ok())
    return helper.status().with_context("failed to get token helper");
  Result<std::string> stored = (*helper)->get();
  return stored.ok() ? stored
                     : Result<std::string>(stored.status().with_context("failed to get token from token helper"));
}

Client* Context::client() {
  if (client_)
    return client_.get();
  Result<ClientOptions> options = client_options(flags_, invocation_, program());
  Status failed = options.status();
  if (failed.ok()) {
    Result<std::string> own = token();
    failed = own.status();
    if (failed.ok() && own->find_first_of("\r\n") != std::string::npos)
      failed = Status(Code::kInvalid, "the token holds a line break");
    if (failed.ok())
      options->token = *own;
  }
  if (failed.ok()) {
    Client::Hooks hooks{ports_.transport, ports_.sleep, [this](const std::string& text) { ui_.warn(text + "\n"); }};
    Result<std::unique_ptr<Client>> made = Client::create(std::move(*options), std::move(hooks), arena_);
    failed = made.status();
    if (failed.ok())
      client_ = std::move(*made);
  }
  if (!failed.ok())
    ui_.error(failed.message());
  return client_.get();
}

std::string Context::body_of(const json::Value& value) {
  std::string out;
  json::write(value, out, {.html_escape = true});
  return out;
}

}  // namespace coffer::cli
