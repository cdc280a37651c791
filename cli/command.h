// What a command is, and what it works with.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client.h"
#include "cli/flags.h"
#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/token_helper.h"

namespace coffer::cli {

class Context;

// In all texts "{cmd}" stands for the program's name (vault or coffer) and "{Name}" for the product's.
struct Command {
  std::string name;             // words with a space between: "kv metadata get"
  std::string synopsis;         // one line, in the list of its group
  std::string usage;            // behind the name: "[options] PATH"
  std::string help;             // paragraphs between the usage line and the flags
  std::vector<FlagGroup> flags = {};  // its own; the common groups are added
  bool http = true;             // takes the flags of a client
  bool field = false;           // takes -field
  bool format = false;          // takes -format
  bool raw_format = false;      // -format=raw makes sense
  std::function<int(Context&)> run = {};  // returns the exit code; a group of commands has none
};

// The outside world of a run; tests put fakes here.
struct Ports {
  TransportFactory transport;
  std::function<void(std::chrono::milliseconds)> sleep;
  std::function<Result<std::unique_ptr<TokenHelper>>(const Invocation&)> token_helper;
  // Reads a line from the terminal without echo; kUnavailable when standard input is none. `ask` prints the question,
  // once, and not before the echo is off: who types ahead is not shown either.
  std::function<Result<std::string>(const Invocation&, const std::function<void()>& ask)> read_hidden;
  // Lets the user edit a text in their editor; kUnavailable when that is not possible.
  std::function<Result<std::string>(const Invocation&, const std::string& text)> edit;
};
Ports real_ports();

class Context {
 public:
  Context(const Invocation& invocation, const Ports& ports, const Command& command, FlagSet& flags, Output& ui)
      : invocation_(invocation), ports_(ports), command_(command), flags_(flags), ui_(ui) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Invocation& invocation() const { return invocation_; }
  const Ports& ports() const { return ports_; }
  const Command& command() const { return command_; }
  const FlagSet& flags() const { return flags_; }
  const std::vector<std::string>& args() const { return flags_.args(); }
  Output& ui() { return ui_; }
  Arena& arena() { return arena_; }

  // The client, or null after its failure was printed; the exit code is then 2.
  Client* client();
  Client* opened_client() { return client_.get(); }  // null before client()
  Result<std::string> token();  // by -token, VAULT_TOKEN or the token helper; empty when there is none

  // Prints an error and returns `code`.
  int fail(int code, std::string_view text);
  // True when the number of arguments is in range; else the error is printed.
  bool arity(std::size_t least, std::size_t most);

  std::string program() const { return is_vault(invocation_) ? "vault" : "coffer"; }
  std::string product() const { return is_vault(invocation_) ? "Vault" : "Coffer"; }
  static bool is_vault(const Invocation& invocation) { return invocation.name == "vault"; }
  std::string named(std::string_view text) const;  // placeholders replaced

  // JSON text as a request's body; maps in `value` are already in order.
  static std::string body_of(const json::Value& value);

 private:
  const Invocation& invocation_;
  const Ports& ports_;
  const Command& command_;
  FlagSet& flags_;
  Output& ui_;
  Arena arena_;
  std::unique_ptr<Client> client_;
};

// "{cmd}" and "{Name}" replaced for this invocation.
std::string with_names(std::string_view text, const Invocation& invocation);

}  // namespace coffer::cli
