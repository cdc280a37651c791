#include "tests/cli/fake.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

namespace coffer::cli::testing {
namespace {

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Wire& wire) : wire_(wire) {}

  Result<HttpResponse> perform(const HttpRequest& request) override {
    wire_.requests.push_back(request);
    if (wire_.answers.empty())
      return Status(Code::kUnavailable, "no answer was prepared");
    Answer answer = wire_.answers.front();
    wire_.answers.erase(wire_.answers.begin());
    if (!answer.failure.empty())
      return Status(Code::kUnavailable, answer.failure);
    return HttpResponse{answer.status, answer.location, {}, answer.body};
  }

 private:
  Wire& wire_;
};

class FakeHelper final : public TokenHelper {
 public:
  FakeHelper(std::string token, std::string& stored) : token_(std::move(token)), stored_(stored) {}
  Result<std::string> get() override { return token_; }
  Status store(const std::string& token) override {
    stored_ = token;
    return ok_status();
  }
  Status erase() override { return ok_status(); }

 private:
  std::string token_;
  std::string& stored_;
};

int memory_file(const std::string& content) {
  int fd = memfd_create("stream", MFD_CLOEXEC);
  COFFER_CHECK(fd >= 0);
  write_fd(fd, content);
  lseek(fd, 0, SEEK_SET);
  return fd;
}

std::string take(int fd) {
  std::string text;
  lseek(fd, 0, SEEK_SET);
  char buffer[4096];
  for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(fd);
  return text;
}

}  // namespace

Ran World::run(const std::vector<std::string>& args) {
  Ran ran;
  Invocation invocation;
  invocation.name = name;
  invocation.program = name;
  invocation.args = args;
  invocation.env = [this](const char* variable) -> const char* {
    auto found = env.find(variable);
    return found == env.end() ? nullptr : found->second.c_str();
  };
  invocation.in = memory_file(input);
  invocation.out = memory_file("");
  invocation.err = memory_file("");
  invocation.out_tty = out_tty;
  Ports ports;
  ports.transport = [this](const TransportOptions& options) -> Result<std::unique_ptr<Transport>> {
    wire.options = options;
    return std::unique_ptr<Transport>(std::make_unique<FakeTransport>(wire));
  };
  ports.sleep = [this](std::chrono::milliseconds time) { wire.sleeps.push_back(time); };
  ports.token_helper = [this, &ran](const Invocation&) -> Result<std::unique_ptr<TokenHelper>> {
    return std::unique_ptr<TokenHelper>(std::make_unique<FakeHelper>(helper_token, ran.stored_token));
  };
  ports.read_hidden = [this](const Invocation&, const std::function<void()>& ask) -> Result<std::string> {
    ask();
    return hidden.empty() ? Result<std::string>(Status(Code::kUnavailable, "file descriptor 0 is not a terminal"))
                          : hidden;
  };
  ran.code = cli::run(invocation, {}, ports);
  ran.out = take(invocation.out);
  ran.err = take(invocation.err);
  close(invocation.in);
  return ran;
}

}  // namespace coffer::cli::testing
