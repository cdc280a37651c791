#include "tests/core/core_fixture.h"

#include <charconv>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/time_text.h"
#include "core/answers.h"
#include "core/identity_engine.h"
#include "engines/approle/approle.h"
#include "engines/cubbyhole/cubbyhole.h"
#include "engines/kv/kv.h"
#include "engines/userpass/userpass.h"

namespace coffer::core::testing {

Status CountingRandom::fill(std::span<std::uint8_t> out) {
  if (failing)
    return Status(Code::kIo, "no randomness");
  if (out_of_memory)
    throw std::bad_alloc();
  for (std::uint8_t& byte : out) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    byte = static_cast<std::uint8_t>(state_ >> 32);
  }
  return ok_status();
}

json::Value Answer::at(std::string_view path) const {
  json::Value value = json.root;
  while (!path.empty()) {
    const std::size_t slash = path.find('|');
    const std::string_view key = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (value.is_array()) {
      std::size_t index = 0;
      std::from_chars(key.data(), key.data() + key.size(), index);
      if (index >= value.size())
        return json::Value();
      value = value.elements()[index];
    } else {
      const json::Value* member = value.find(key);
      if (member == nullptr)
        return json::Value();
      value = *member;
    }
  }
  return value;
}

std::string Answer::text(std::string_view path) const {
  const json::Value value = at(path);
  if (value.is_string())
    return std::string(value.as_string());
  std::string out;
  json::write(value, out);
  return out;
}

struct CoreFixture::Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Exchange>> resumed;
  std::unique_ptr<Exchange> answered;
};

namespace {

AuditEnvironment with_clock(AuditEnvironment environment, const Clock& clock) {
  environment.clock = &clock;
  return environment;
}

json::Value auth_value(json::Arena& arena, const Auth& auth) {
  return json::ObjectBuilder(arena)
      .add("client_token", auth.client_token)
      .add("accessor", auth.accessor)
      .add("policies", text_list(arena, auth.policies))
      .add("token_policies", text_list(arena, auth.token_policies))
      .add("identity_policies", text_list(arena, auth.identity_policies))
      .add("entity_id", auth.entity_id)
      .add("metadata", auth.metadata)
      .add("lease_duration", whole_seconds(auth.lease_duration))
      .add("renewable", auth.renewable)
      .add("orphan", auth.orphan)
      .add("num_uses", auth.num_uses)
      .build();
}

Answer answer_of(Exchange& exchange) {
  const Response& response = exchange.response;
  json::Arena& arena = exchange.arena;
  json::ObjectBuilder all(arena);
  if (!response.data.is_null())
    all.add("data", response.data);
  if (response.auth)
    all.add("auth", auth_value(arena, *response.auth));
  if (response.wrap_info)
    all.add("wrap_info", json::ObjectBuilder(arena)
                             .add("token", response.wrap_info->token)
                             .add("accessor", response.wrap_info->accessor)
                             .add("ttl", whole_seconds(response.wrap_info->ttl))
                             .add("creation_path", response.wrap_info->creation_path)
                             .add("wrapped_accessor", response.wrap_info->wrapped_accessor)
                             .build());
  const bool body = all.size() > 0 || !response.warnings.empty() || !response.lease_id.empty();
  if (!response.warnings.empty())
    all.add("warnings", text_list(arena, response.warnings));
  if (response.has_errors())
    all.add("errors", text_list(arena, response.errors));
  Answer answer;
  answer.late = response.late;
  answer.lease_id = response.lease_id;
  answer.lease_duration = whole_seconds(response.lease_duration);
  for (const auto& [name, value] : response.headers)
    answer.headers.emplace_back(name, value);
  answer.status = response.status != 0 ? response.status : body ? 200 : 204;
  json::write(all.build(), answer.body);
  Result<json::Value> parsed =
      json::parse_copy(answer.json.arena, answer.body, {2 * limits::kJsonDepthMax, SIZE_MAX, SIZE_MAX});
  COFFER_CHECK(parsed.ok());
  answer.json.root = *parsed;
  return answer;
}

}  // namespace

CoreFixture::CoreFixture(AuditEnvironment environment)
    : audit(with_clock(std::move(environment), clock)),
      deriver(std::make_unique<StateDeriver>(engines, audit, SystemConfig{})),
      committer(backend, *deriver),
      services{backend, committer, engines, audit, random},
      root_key(32),
      sys_(make_sys_engine()),
      token_(make_token_engine()),
      identity_(make_identity_engine()),
      kv_(engines::make_kv_engine()),
      cubbyhole_(engines::make_cubbyhole_engine()),
      userpass_(engines::make_userpass_engine()),
      approle_(engines::make_approle_engine()),
      mailbox_(std::make_unique<Mailbox>()) {
  engines.add(*sys_, MountTable::kSecret, false);
  engines.add(*token_, MountTable::kAuth, false);
  engines.add(*identity_, MountTable::kSecret, false);
  engines.add(*userpass_, MountTable::kAuth, true);
  engines.add(*kv_, MountTable::kSecret, true);
  engines.add(*cubbyhole_, MountTable::kSecret, false);
  engines.add(*approle_, MountTable::kAuth, true);
  services.lockouts = &lockouts;
  committer.now = clock.wall_now();
  auto keyring = seal::Keyring::create(KeyringId(0), committer.now, random);
  COFFER_CHECK(keyring.ok());
  const auto barrier = seal::Barrier::create(*keyring);
  auto first = bootstrap_ops(*barrier, root_key, {.now = committer.now, .dev = true, .root_token = "root"}, random);
  COFFER_CHECK(first.ok());
  committer.apply(first->ops);
  auto view = backend.view();
  COFFER_CHECK(view.ok());
  const Status started = deriver->start(**view, root_key.clone());
  COFFER_CHECK(started.ok());
  backend.publish(deriver->attachment());
  pipeline = std::make_unique<Pipeline>(services, nullptr);
}

CoreFixture::~CoreFixture() { audit.stop(); }

void CoreFixture::resume_later(std::unique_ptr<Exchange> exchange) {
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->resumed.push_back(std::move(exchange));
  mailbox_->changed.notify_all();
}

void CoreFixture::respond(std::unique_ptr<Exchange> exchange) {
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->answered = std::move(exchange);
  mailbox_->changed.notify_all();
}

Answer CoreFixture::request(Operation operation, std::string_view path, std::string_view body, std::string_view token,
                            std::string_view wrap_ttl, std::string_view ns) {
  auto exchange = std::make_unique<Exchange>();
  Request& request = exchange->request;
  request.id = "00000000-0000-4000-8000-000000000000";
  request.operation = operation;
  Result<CanonicalPath> canonical = CanonicalPath::from_text(path);
  COFFER_CHECK(canonical.ok());
  request.path = *canonical;
  request.token = exchange->arena.copy(token);
  request.remote_address = "127.0.0.1";
  request.namespace_path = exchange->arena.copy(ns);
  request.time_max = time_max;
  if (!wrap_ttl.empty())
    request.wrap_ttl = *parse_duration(wrap_ttl);
  if (!body.empty()) {
    const Result<json::Value> data = json::parse_copy(exchange->arena, body);
    COFFER_CHECK(data.ok());
    request.data = *data;
  }
  exchange->home = this;
  pipeline->dispatch(std::move(exchange));
  std::unique_lock lock(mailbox_->mutex);
  while (mailbox_->answered == nullptr) {
    mailbox_->changed.wait(lock, [this] { return mailbox_->answered || !mailbox_->resumed.empty(); });
    if (mailbox_->answered != nullptr)
      break;
    std::unique_ptr<Exchange> next = std::move(mailbox_->resumed.front());
    mailbox_->resumed.pop_front();
    lock.unlock();
    pipeline->resume(std::move(next));
    lock.lock();
  }
  const std::unique_ptr<Exchange> done = std::move(mailbox_->answered);
  lock.unlock();
  return answer_of(*done);
}

std::string CoreFixture::token(std::string_view policies, std::string_view fields, std::string_view parent) {
  const std::string body = "{\"policies\":" + std::string(policies) + std::string(fields) + "}";
  const Answer made = write("auth/token/create", body, parent);
  COFFER_CHECK(made.status == 200);
  return made.text("auth|client_token");
}

std::size_t CoreFixture::records(store::KeyClass cls, MountId mount, std::string_view prefix) {
  auto view = backend.view();
  COFFER_CHECK(view.ok());
  auto cursor = (*view)->cursor();
  COFFER_CHECK(cursor.ok());
  const std::string begin = store::full_key(cls, NamespaceId(0), mount, prefix);
  std::size_t count = 0;
  Result<bool> more = (*cursor)->seek(begin);
  while (more.ok() && *more && (*cursor)->key().starts_with(begin)) {
    ++count;
    more = (*cursor)->next();
  }
  return count;
}

}  // namespace coffer::core::testing
