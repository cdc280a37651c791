#include "rpc/gateway.h"

#include <array>
#include <charconv>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

// Mail of the thread that is inside the dispatcher for this gateway: handled when the dispatcher has returned.
struct Inside {
  const Gateway* gateway = nullptr;
  std::vector<std::pair<std::unique_ptr<core::Exchange>, bool>>* mail = nullptr;
};
thread_local Inside inside;

Status invalid(const char* what) { return Status(Code::kInvalid, what); }

Status too_large(std::size_t bytes_max) {
  return Status(Code::kTooLarge, "the request is larger than " + std::to_string(bytes_max) + " bytes");
}

// The one value of a key; two different ones are refused.
Result<std::string_view> metadata(const grpc::CallbackServerContext& context, const char* key) {
  const auto [first, last] = context.client_metadata().equal_range(key);
  if (first == last)
    return std::string_view();
  const std::string_view value(first->second.data(), first->second.size());
  for (auto at = std::next(first); at != last; ++at) {
    if (std::string_view(at->second.data(), at->second.size()) != value)
      return Status(Code::kInvalid, std::string(key) + ": sent twice");
  }
  return value;
}

// "ipv4:127.0.0.1:50000", "ipv6:%5B::1%5D:50000"
void set_remote(const std::string& peer, core::Exchange& exchange) {
  std::string_view text = peer;
  const std::size_t scheme = text.find(':');
  const std::size_t port = text.rfind(':');
  if (scheme == std::string_view::npos || port <= scheme)
    return;
  std::uint16_t number = 0;
  std::from_chars(text.data() + port + 1, text.data() + text.size(), number);
  exchange.request.remote_port = number;
  std::string_view host = text.substr(scheme + 1, port - scheme - 1);
  for (const std::string_view open : {std::string_view("%5B"), std::string_view("[")}) {
    if (host.substr(0, open.size()) == open)
      host.remove_prefix(open.size());
  }
  for (const std::string_view close : {std::string_view("%5D"), std::string_view("]")}) {
    if (host.size() >= close.size() && host.substr(host.size() - close.size()) == close)
      host.remove_suffix(close.size());
  }
  exchange.request.remote_address = exchange.arena.copy(host);
}

Status set_namespace(std::string_view text, core::Exchange& exchange) {
  while (!text.empty() && text.front() == '/')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == '/')
    text.remove_suffix(1);
  if (text.empty() || text == "root")
    return ok_status();
  if (!CanonicalPath::from_text(text).ok())
    return invalid("x-vault-namespace: not a canonical namespace path");
  exchange.request.namespace_path = exchange.arena.copy(text);
  return ok_status();
}

// Which node is to answer.
Status set_wishes_of_place(const grpc::CallbackServerContext& context, core::Request& request) {
  COFFER_ASSIGN(const std::string_view forward, metadata(context, "x-vault-forward"));
  request.at_leader = forward == "active-node";
  COFFER_ASSIGN(const std::string_view inconsistent, metadata(context, "x-vault-inconsistent"));
  request.leader_if_behind = inconsistent == "forward-active-node";
  if (!inconsistent.empty() && !request.leader_if_behind && inconsistent != "fail" && inconsistent != "retry")
    return invalid("x-vault-inconsistent: must be fail, retry or forward-active-node");
  return ok_status();
}

Status set_metadata(const grpc::CallbackServerContext& context, core::Exchange& exchange) {
  COFFER_ASSIGN(const std::string_view token, metadata(context, "x-vault-token"));
  if (token.size() > limits::kTokenBytesMax)
    return invalid("x-vault-token: too long");
  exchange.request.token = exchange.arena.copy(token);
  COFFER_ASSIGN(const std::string_view name, metadata(context, "x-vault-namespace"));
  COFFER_TRY(set_namespace(name, exchange));
  COFFER_ASSIGN(const std::string_view explain, metadata(context, "x-vault-explain"));
  exchange.request.explain = explain == "true";
  COFFER_ASSIGN(const std::string_view format, metadata(context, "x-vault-wrap-format"));
  if (!format.empty() && format != "jwt")
    return invalid("x-vault-wrap-format: only jwt is known");
  exchange.request.wrap_format = format.empty() ? core::WrapFormat::kToken : core::WrapFormat::kJwt;
  COFFER_ASSIGN(const std::string_view state, metadata(context, "x-vault-index"));
  if (!state.empty()) {
    auto* line = static_cast<core::HeaderLine*>(exchange.arena.allocate(sizeof(core::HeaderLine)));
    exchange.request.known_states = ::new (line) core::HeaderLine{"x-vault-index", exchange.arena.copy(state), nullptr};
  }
  COFFER_TRY(set_wishes_of_place(context, exchange.request));
  COFFER_ASSIGN(const std::string_view wrap, metadata(context, "x-vault-wrap-ttl"));
  if (wrap.empty())
    return ok_status();
  const auto ttl = parse_duration(wrap);
  if (!ttl.ok() || *ttl < Nanos(0))
    return invalid("x-vault-wrap-ttl: not a duration such as 60, 60s or 1h30m");
  if (*ttl > Nanos(0))
    exchange.request.wrap_ttl = *ttl;
  return ok_status();
}

}  // namespace

Gateway::Gateway(core::Dispatcher& dispatcher, RandomSource& random, const CallLimits& limits)
    : dispatcher_(dispatcher), random_(random), limits_(limits), thread_([this] { run(); }) {}

Gateway::~Gateway() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return out_ == 0; });
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void add_headers(const core::Exchange& exchange, grpc::CallbackServerContext& context) {
  for (const auto& [name, value] : exchange.response.headers) {
    std::string lower(name);
    for (char& c : lower)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    context.AddTrailingMetadata(lower, std::string(value));
  }
}

void Gateway::begin_call() {
  const std::lock_guard lock(mutex_);
  ++calls_;
}

void Gateway::end_call() {
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(calls_ > 0);
  if (--calls_ == 0)
    changed_.notify_all();
}

void Gateway::await_quiet(Nanos time_max) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time_max, [this] { return calls_ == 0; });
}

Status Gateway::send(const grpc::CallbackServerContext& context, const Ask& ask, Pending& pending) {
  auto exchange = take();
  Status status;
  try {
    status = fill(context, ask, *exchange);
  } catch (const std::bad_alloc&) {
    status = out_of_memory();
  }
  if (!status.ok()) {
    if (limits_.ended)
      limits_.ended(exchange->request.remote_address, exchange->request.remote_port, false);
    keep(std::move(exchange));
    return status;
  }
  exchange->home = this;
  exchange->connection = &pending;
  {
    const std::lock_guard lock(mutex_);
    ++out_;
  }
  std::vector<std::pair<std::unique_ptr<core::Exchange>, bool>> own;
  const Inside outer = std::exchange(inside, {this, &own});
  dispatcher_.dispatch(std::move(exchange));
  inside = outer;
  std::vector<Mail> mail;
  for (auto& [item, resume] : own)
    mail.push_back({std::move(item), resume});
  handle(std::move(mail));
  return ok_status();
}

Status Gateway::fill(const grpc::CallbackServerContext& context, const Ask& ask, core::Exchange& exchange) {
  core::Request& request = exchange.request;
  set_remote(context.peer(), exchange);
  request.surface = core::Surface::kGrpc;
  request.operation = ask.operation;
  request.time_max = limits_.time_max;
  request.takes_feed = ask.takes_feed;
  std::string path = ask.path;
  if (core::lists(ask.operation) && !path.empty() && path.back() != '/')
    path += '/';
  COFFER_ASSIGN(request.path, CanonicalPath::from_text(path));
  if (ask.operation == core::Operation::kPatch)
    request.content_type = "application/merge-patch+json";
  COFFER_TRY(set_metadata(context, exchange));
  if (request.wrap_ttl && !ask.wrappable)
    return invalid("x-vault-wrap-ttl: this call's reply has no place for a wrapping token; use the Logical service");
  COFFER_TRY(set_id(exchange));
  if (core::Gate* gate = limits_.board ? limits_.board->gate() : nullptr; gate != nullptr && !gate->admit(exchange))
    return ok_status();
  if (!ask.data)
    return ok_status();
  if (ask.json_bytes > text_bytes_max(exchange, ask.json_bytes))
    return too_large(limits_.tokenless_bytes_max);
  COFFER_ASSIGN(request.data, ask.data(exchange.arena));
  COFFER_ASSIGN(const std::size_t bytes, check_data(request.data, limits_.json));
  return bytes > text_bytes_max(exchange, bytes) ? too_large(limits_.tokenless_bytes_max) : ok_status();
}

std::size_t Gateway::text_bytes_max(core::Exchange& exchange, std::size_t wanted) const {
  if (wanted <= limits_.tokenless_bytes_max)
    return limits_.tokenless_bytes_max;
  core::Gate* judge = limits_.board ? limits_.board->token_judge() : nullptr;
  const bool known = !exchange.request.token.empty() && (judge == nullptr || judge->knows_token(exchange));
  return known ? SIZE_MAX : limits_.tokenless_bytes_max;
}

Status Gateway::set_id(core::Exchange& exchange) {
  std::array<std::uint8_t, 16> id;
  COFFER_TRY(random_.fill(id));
  char* text = static_cast<char*>(exchange.arena.allocate(kUuidTextBytes, 1));
  write_random_uuid(id, text);
  exchange.request.id = {text, kUuidTextBytes};
  return ok_status();
}

void Gateway::resume_later(std::unique_ptr<core::Exchange> exchange) { post({std::move(exchange), true}); }
void Gateway::respond(std::unique_ptr<core::Exchange> exchange) { post({std::move(exchange), false}); }

void Gateway::post(Mail mail) {
  if (inside.gateway == this) {
    inside.mail->emplace_back(std::move(mail.exchange), mail.resume);
    return;
  }
  const std::lock_guard lock(mutex_);
  mail_.push_back(std::move(mail));
  // Under the lock: once it is let go, this may be answered and the gateway be gone.
  if (mail_.size() == 1)
    changed_.notify_all();
}

void Gateway::run() {
  std::vector<Mail> batch;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !mail_.empty() || stopping_; });
      if (mail_.empty())
        return;
      batch.swap(mail_);
    }
    handle(std::move(batch));
    batch.clear();
  }
}

// Resumptions and answers in order; what a resumption leaves behind on this thread follows.
void Gateway::handle(std::vector<Mail> mail) {
  for (std::size_t i = 0; i < mail.size(); ++i) {
    auto exchange = std::move(mail[i].exchange);
    if (mail[i].resume) {
      std::vector<std::pair<std::unique_ptr<core::Exchange>, bool>> own;
      const Inside outer = std::exchange(inside, {this, &own});
      dispatcher_.resume(std::move(exchange));
      inside = outer;
      for (auto& [item, resume] : own)
        mail.push_back({std::move(item), resume});
      continue;
    }
    if (limits_.ended)
      limits_.ended(exchange->request.remote_address, exchange->request.remote_port, exchange->authenticated);
    static_cast<Pending*>(exchange->connection)->answered(*exchange);
    keep(std::move(exchange));
    const std::lock_guard lock(mutex_);
    COFFER_CHECK(out_ > 0);
    if (--out_ == 0)
      changed_.notify_all();
  }
}

std::unique_ptr<core::Exchange> Gateway::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!exchanges_.empty()) {
      auto exchange = std::move(exchanges_.back());
      exchanges_.pop_back();
      return exchange;
    }
  }
  return std::make_unique<core::Exchange>();
}

void Gateway::keep(std::unique_ptr<core::Exchange> exchange) {
  exchange->reset();
  const std::lock_guard lock(mutex_);
  if (exchanges_.size() < limits::kExchangesKeptMax)
    exchanges_.push_back(std::move(exchange));
}

}  // namespace coffer::rpc
