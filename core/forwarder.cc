#include "core/forwarder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "core/answers.h"
#include "core/forward.h"
#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

constexpr std::string_view kUnreserved = "-._~/";

void respond(std::unique_ptr<Exchange> exchange) {
  Home* home = exchange->home;
  home->respond(std::move(exchange));
}

void append_percent_encoded(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       kUnreserved.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
}

bool takes_query(Operation operation) { return operation != Operation::kWrite && operation != Operation::kPatch; }

// The query that the request was made of, or one that means the same.
void append_query(const Request& request, std::string& out) {
  char before = '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    out += std::exchange(before, '&');
    append_percent_encoded(name, out);
    out += '=';
    append_percent_encoded(value, out);
  };
  if (request.operation == Operation::kList)
    add("list", "true");
  else if (request.operation == Operation::kScan)
    add("scan", "true");
  else if (request.operation == Operation::kHelp)
    add("help", "1");
  if (!takes_query(request.operation))
    return;
  for (const json::Member& member : request.data.members()) {
    if (member.value.is_string())
      add(member.key(), member.value.as_string());
    for (const json::Value& one : member.value.elements())
      if (one.is_string())
        add(member.key(), one.as_string());
  }
}

// What the door asked of a quota of this node is told to the client as if the request had run here.
void add_rate_headers(Exchange& exchange) {
  for (const auto& header : exchange.pipeline->rate.headers)
    exchange.response.headers.push_back(header);
}

}  // namespace

Status no_leader() { return Status(Code::kUnavailable, "no node leads the cluster at the moment, try again"); }

Forwarder::~Forwarder() { COFFER_CHECK(requests_ == 0); }

void Forwarder::forward(std::unique_ptr<Exchange> exchange) {
  COFFER_CHECK(exchange->home != nullptr && exchange->pipeline != nullptr);
  const Result<std::size_t> bytes = forward::request_bytes(*exchange);
  const Status admitted = bytes.ok() ? admit(*bytes) : bytes.status();
  if (!admitted.ok()) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    fail(*exchange, admitted);
    return respond(std::move(exchange));
  }
  const BootTime now = ports_.clock.boot_now();
  const Nanos time_max = exchange->request.time_max > Nanos(0) ? exchange->request.time_max : options_.time_max;
  Item item;
  item.exchange = std::move(exchange);
  item.bytes = *bytes;
  item.deadline = now + time_max;
  item.patience_ends = now + options_.patience_max;
  if (item.exchange->pipeline->waited)
    return hold(std::move(item));
  attempt(std::move(item));
}

Status Forwarder::admit(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (stopped_)
    return Status(Code::kUnavailable, "the server stops, nothing was changed");
  if (requests_ >= options_.requests_max || bytes > options_.bytes_max - std::min(bytes_, options_.bytes_max))
    return Status(Code::kUnavailable, "too many requests wait for the node that leads, nothing was changed");
  ++requests_;
  bytes_ += bytes;
  return ok_status();
}

void Forwarder::let_go(const Item& item) {
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(requests_ > 0 && bytes_ >= item.bytes);
  --requests_;
  bytes_ -= item.bytes;
}

// A node that leads and may not answer, or not yet, is as good as none.
Forwarder::Leader Forwarder::look() const {
  Leader leader = ports_.leader();
  if (leader.node == options_.self)
    leader.node = raft::kNobody;
  return leader;
}

void Forwarder::attempt(Item item) {
  const Leader leader = look();
  if (leader.here)
    return run_here(std::move(item));
  const BootTime now = ports_.clock.boot_now();
  if (now >= item.deadline)
    return refuse(std::move(item), Status(Code::kUnavailable, "the request took longer than it may"));
  const bool may = leader.node != item.asked || now >= item.next_try;
  const Nanos left = item.deadline - now;
  if (leader.node != raft::kNobody && may)
    return send(std::move(item), leader.node, left);
  if (now >= item.patience_ends) {
    const bool tried = item.sends > 0 && leader.node != raft::kNobody;
    return refuse(std::move(item), tried ? Status(Code::kUnavailable, "the node that leads does not take the request, "
                                                                      "nothing was changed")
                                         : no_leader());
  }
  hold(std::move(item));
}

void Forwarder::send(Item item, raft::NodeId to, Nanos left) {
  Result<std::string> bytes = forward::encode_request(*item.exchange, left);
  if (!bytes.ok())
    return refuse(std::move(item), bytes.status());
  sent_.fetch_add(1, std::memory_order_relaxed);
  if (item.sends++ > 0)
    sent_again_.fetch_add(1, std::memory_order_relaxed);
  item.asked = to;
  // A std::function must be copyable; this one is called once.
  auto held = std::make_shared<Item>(std::move(item));
  ports_.link.forward(to, std::move(bytes).value(), left, [this, held](ClusterLink::Fate fate, std::string reply) {
    COFFER_CHECK(held->exchange != nullptr);
    done(std::move(*held), fate, std::move(reply));
  });
}

void Forwarder::done(Item item, ClusterLink::Fate fate, std::string reply) {
  if (fate == ClusterLink::Fate::kNotSent)
    return again(std::move(item));
  Exchange& exchange = *item.exchange;
  const Status unknown = outcome_unknown();
  if (fate == ClusterLink::Fate::kUnknown) {
    unknown_.fetch_add(1, std::memory_order_relaxed);
    fail(exchange, unknown);
    return answer(std::move(item));
  }
  const Result<forward::Told> told = forward::decode_reply(reply, exchange);
  forward::wipe_text(reply);
  if (told.ok() && *told != forward::Told::kAnswered)
    return again(std::move(item));
  if (!told.ok()) {
    unknown_.fetch_add(1, std::memory_order_relaxed);
    fail(exchange, unknown.with_context(told.status().message()));
  }
  add_rate_headers(exchange);
  // One that it refused is none that it counted.
  const bool counted = told.ok() && (!exchange.response.has_errors() || exchange.response.status == 404);
  if (counted && exchange.pipeline->client_mark != 0 && ports_.counted)
    ports_.counted(exchange.pipeline->client_mark);
  answer(std::move(item));
}

// Nothing was done.
void Forwarder::again(Item item) {
  if (item.sends >= options_.sends_max)
    return refuse(std::move(item), Status(Code::kUnavailable,
                                          "the node that leads does not take the request, nothing was changed"));
  Nanos pause = options_.pause_min;
  for (unsigned i = 1; i < item.sends && pause < options_.pause_max; ++i)
    pause *= 2;
  item.next_try = ports_.clock.boot_now() + std::min(pause, options_.pause_max);
  attempt(std::move(item));
}

void Forwarder::hold(Item item) {
  std::unique_lock lock(mutex_);
  if (stopped_) {
    lock.unlock();
    return refuse(std::move(item), Status(Code::kUnavailable, "the server stops, nothing was changed"));
  }
  held_.push_back(std::move(item));
  const bool first = !std::exchange(looked_after_, true);
  lock.unlock();
  if (first && ports_.waits)
    ports_.waits();
}

void Forwarder::refuse(Item item, const Status& why) {
  refused_.fetch_add(1, std::memory_order_relaxed);
  fail(*item.exchange, why);
  item.exchange->response.late = ports_.clock.boot_now() >= item.deadline;
  answer(std::move(item));
}

void Forwarder::answer(Item item) {
  let_go(item);
  respond(std::move(item.exchange));
}

void Forwarder::run_here(Item item) {
  Exchange& exchange = *item.exchange;
  exchange.pipeline->comes_back = exchange.pipeline->waited = true;
  const Nanos left = item.deadline - ports_.clock.boot_now();
  if (exchange.request.time_max > Nanos(0))
    exchange.request.time_max = std::max(left, Nanos(1));
  let_go(item);
  Home* home = exchange.home;
  home->resume_later(std::move(item.exchange));
}

bool Forwarder::knows_leader() const {
  const Leader leader = look();
  return leader.here || leader.node != raft::kNobody;
}

void Forwarder::redirect(std::unique_ptr<Exchange> exchange) {
  const Leader leader = look();
  const Request& request = exchange->request;
  if (leader.here || leader.node == raft::kNobody || leader.api_address.empty()) {
    fail(*exchange, leader.node == raft::kNobody
                        ? no_leader()
                        : Status(Code::kUnavailable, "the address of the node that leads is not known yet, try again"));
  } else if (request.surface != Surface::kHttp) {
    fail(*exchange, Status(Code::kUnavailable, "only the node that leads answers this: " + leader.api_address));
  } else {
    std::string location = leader.api_address;
    while (location.ends_with('/'))
      location.pop_back();
    location += "/v1/";
    append_percent_encoded(request.path.view(), location);
    append_query(request, location);
    exchange->response = Response();
    exchange->response.status = 307;
    exchange->response.content_type = "text/plain";
    exchange->response.headers.emplace_back("Location", exchange->arena.copy(location));
  }
  respond(std::move(exchange));
}

void Forwarder::tick() {
  std::vector<Item> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(held_);
  }
  for (Item& item : waiting)
    attempt(std::move(item));
  const std::lock_guard lock(mutex_);
  looked_after_ = !held_.empty();
}

bool Forwarder::waits() const {
  const std::lock_guard lock(mutex_);
  return looked_after_;
}

void Forwarder::stop() {
  std::vector<Item> waiting;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting.swap(held_);
  }
  for (Item& item : waiting)
    refuse(std::move(item), Status(Code::kUnavailable, "the server stops, nothing was changed"));
}

Forwarder::Counts Forwarder::counts() const {
  const std::lock_guard lock(mutex_);
  return {sent_.load(), sent_again_.load(), unknown_.load(), refused_.load(), requests_, bytes_};
}

}  // namespace coffer::core
