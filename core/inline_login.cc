#include "core/inline_login.h"

#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

// What the login is refused with is all that its client learns.
void take_refusal(const Response& from, Exchange& to) {
  fail(to, from.has_errors() ? from.status : 403, "");
  for (const std::string_view error : from.errors)
    to.response.errors.push_back(to.arena.copy(error));
  for (const auto& [name, value] : from.headers)
    to.response.headers.emplace_back(to.arena.copy(name), to.arena.copy(value));
  if (to.response.errors.empty())
    to.response.errors.push_back("permission denied");
}

}  // namespace

std::unique_ptr<Exchange> LoginHome::begin(std::unique_ptr<Exchange> request, std::string_view id, Done done) {
  const Request& outer = request->request;
  auto login = std::make_unique<Exchange>();
  login->pipeline = std::make_unique<PipelineState>();
  login->pipeline->deadline = request->pipeline->deadline;
  login->pipeline->times.began = request->pipeline->times.began;
  Request& inner = login->request;
  inner.id = login->arena.copy(id);
  inner.surface = outer.surface;
  inner.operation = Operation::kWrite;
  inner.path = outer.inline_login->path;
  inner.namespace_path = outer.inline_login->namespace_path;
  inner.data = outer.inline_login->data;
  inner.remote_address = outer.remote_address;
  inner.remote_port = outer.remote_port;
  inner.time_max = outer.time_max;
  inner.headers = outer.headers;
  inner.passing_login = true;
  login->home = new LoginHome(std::move(request), std::move(done));
  return login;
}

std::unique_ptr<Exchange> LoginHome::take_login(std::unique_ptr<Exchange>& request) {
  std::unique_ptr<Exchange> login = std::move(request->pipeline->login);
  static_cast<LoginHome*>(login->home)->request_ = std::move(request);
  return login;
}

void LoginHome::resume_later(std::unique_ptr<Exchange> login) {
  std::unique_ptr<Exchange> request = std::move(request_);
  request->pipeline->login = std::move(login);
  Home* home = request->home;
  home->resume_later(std::move(request));
}

void LoginHome::respond(std::unique_ptr<Exchange> login) {
  const std::unique_ptr<LoginHome> self(this);
  LoginEnd end = login->pipeline->bounced ? LoginEnd::kNotDone : LoginEnd::kRefused;
  if (!login->response.has_errors() && login->response.auth.has_value()) {
    end = LoginEnd::kDone;
    request_->request.token = request_->arena.copy(login->response.auth->client_token);
    request_->pipeline->logged_in = true;
  } else {
    take_refusal(login->response, *request_);
  }
  login.reset();  // it refers to texts of the request
  Done done = std::move(done_);
  done(std::move(request_), end);
}

}  // namespace coffer::core
