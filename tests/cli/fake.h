// A command run without a process and without a server: answers are put in, requests and words come out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"

namespace coffer::cli::testing {

struct Answer {
  int status = 200;
  std::string body;
  std::string location;
  std::string failure;  // of the transport, instead of an answer
};

// The server's side: answers in the order of the requests.
struct Wire {
  std::vector<Answer> answers;
  std::vector<HttpRequest> requests;
  std::vector<std::chrono::milliseconds> sleeps;
  TransportOptions options;
};

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
  std::string stored_token;
};

class World {
 public:
  Wire wire;
  std::map<std::string, std::string> env = {{"VAULT_ADDR", "http://127.0.0.1:8200"}, {"VAULT_TOKEN", "root"}};
  std::string input;
  std::string hidden;            // what is typed where nothing is shown
  std::string helper_token;      // in the token helper
  std::string name = "vault";
  bool out_tty = false;

  void answer(std::string body, int status = 200) {
    wire.answers.push_back({.status = status, .body = std::move(body)});
  }
  Ran run(const std::vector<std::string>& args);
};

}  // namespace coffer::cli::testing
