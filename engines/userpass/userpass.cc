#include "engines/userpass/userpass.h"

#include <utility>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "core/answers.h"
#include "core/cidr.h"
#include "core/path_table.h"
#include "crypto/bcrypt.h"

namespace coffer::engines {
namespace {

using core::HandlerContext;
using core::PreparedWork;

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kUserPrefix = "user/";
// Of 30 random bytes that were thrown away: who names no user waits as long as who names one (advisory B3).
constexpr std::string_view kNobodysHash = "$2b$10$pgmef9s82vBSQxiVHA4wOe8URVlCg6uyRQhqqCCfMa4hovwz86IVS";
constexpr std::string_view kNobodysCheapHash = "$2b$04$pgmef9s82vBSQxiVHA4wOekWq857fcCy.bzuMXFb/RznI2GTwGEia";
constexpr std::string_view kWrongPassword = "invalid username or password";

struct User {
  std::string hash;
  core::TokenParams params;
};

// Names are one, however they are spelt (advisory C1).
std::string normalised(std::string_view spelling) { return lower_ascii(spelling); }

std::string user_name(const HandlerContext& ctx) { return normalised(ctx.captures.front()); }

Result<std::optional<User>> find_user(HandlerContext& ctx, std::string_view name) {
  COFFER_ASSIGN(const auto record, ctx.storage.get(std::string(kUserPrefix).append(name)));
  if (!record)
    return std::optional<User>();
  ByteReader reader(*record);
  const std::uint8_t format = reader.u8();
  User user;
  user.hash = reader.bytes();
  user.params = core::decode_token_params(reader);
  COFFER_TRY(reader.finish().with_context("a user's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "a user's record has an unknown form");
  return std::optional<User>(std::move(user));
}

Status put_user(HandlerContext& ctx, std::string_view name, const User& user) {
  std::string record;
  ByteWriter writer(record);
  writer.u8(kFormat).bytes(user.hash);
  core::encode(user.params, writer);
  return ctx.storage.put(std::string(kUserPrefix).append(name), record);
}

std::string hash_of(const std::optional<User>& user) {
  if (user)
    return user->hash;
  return std::string(mutant(Mutant::kGhostHashedCheaply) ? kNobodysCheapHash : kNobodysHash);
}

// One computation of bcrypt: of a new hash, or of whether a password fits one.
class Hashing final : public PreparedWork {
 public:
  Hashing(std::string_view password, std::string hash, std::array<std::uint8_t, crypto::kBcryptSaltBytes> salt)
      : password_(SecretBytes::copy_of(password)), hash_(std::move(hash)), salt_(salt) {}

  void perform() override {
    if (hash_.empty())
      made_ = crypto::bcrypt_hash(password_.reveal_text(), salt_);
    else
      fits_ = crypto::bcrypt_matches(password_.reveal_text(), hash_);
  }

  const std::string& of() const { return hash_; }
  const Result<std::string>& made() const { return made_; }
  bool fits() const { return fits_; }

 private:
  SecretBytes password_;
  std::string hash_;
  std::array<std::uint8_t, crypto::kBcryptSaltBytes> salt_;
  Result<std::string> made_ = Status(Code::kInternal, "nothing was hashed");
  bool fits_ = false;
};

const Hashing* hashing(const HandlerContext& ctx) { return static_cast<const Hashing*>(ctx.prepared); }

Result<std::unique_ptr<PreparedWork>> prepare_hash(HandlerContext& ctx) {
  std::unique_ptr<PreparedWork> work;
  if (ctx.prepared != nullptr)
    return work;
  COFFER_ASSIGN(const std::string_view password, ctx.string_field("password", ""));
  if (password.empty())
    return work;
  std::array<std::uint8_t, crypto::kBcryptSaltBytes> salt;
  COFFER_TRY(ctx.random.fill(salt));
  work = std::make_unique<Hashing>(password, std::string(), salt);
  return work;
}

// Again when the hash changed meanwhile.
Result<std::unique_ptr<PreparedWork>> prepare_login(HandlerContext& ctx) {
  std::unique_ptr<PreparedWork> work;
  COFFER_ASSIGN(const std::string_view password, ctx.string_field("password", ""));
  if (password.empty())
    return work;
  COFFER_ASSIGN(const auto user, find_user(ctx, user_name(ctx)));
  if (!user && mutant(Mutant::kGhostUserAnswersFast))
    return work;
  const std::string hash = hash_of(user);
  if (ctx.prepared == nullptr || hashing(ctx)->of() != hash)
    work = std::make_unique<Hashing>(password, hash, std::array<std::uint8_t, crypto::kBcryptSaltBytes>{});
  return work;
}

// One name however it is spelt, whether or not there is such a user (advisories B4, C1).
Result<std::string_view> login_name(HandlerContext& ctx) {
  if (mutant(Mutant::kLockoutByRawName))
    return ctx.captures.front();
  const std::string name = user_name(ctx);
  if (mutant(Mutant::kLockoutTellsGhosts)) {
    COFFER_ASSIGN(const auto user, find_user(ctx, name));
    if (!user)
      return std::string_view();
  }
  return ctx.arena.copy(name);
}

Status log_in(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view password, ctx.string_field("password", ""));
  if (password.empty())
    return Status(Code::kInvalid, "missing password");
  const std::string name = user_name(ctx);
  COFFER_ASSIGN(const auto user, find_user(ctx, name));
  const bool right = user && hashing(ctx) != nullptr && hashing(ctx)->of() == user->hash && hashing(ctx)->fits();
  if (!user && mutant(Mutant::kRefusalTellsGhosts))
    return Status(Code::kInvalid, "unknown user");
  if (!right)
    return Status(Code::kInvalid, std::string(kWrongPassword));
  // A token that could not be used from here is not given out, and nobody learns that only the address was wrong
  // (advisories A18, B2).
  if (!core::in_networks(ctx.request.remote_address, user->params.bound_cidrs) &&
      !mutant(Mutant::kTokenCidrUnchecked))
    return Status(Code::kInvalid, std::string(kWrongPassword));
  core::LoginGrant grant;
  grant.display_name = grant.alias = grant.role = ctx.arena.copy(name);
  grant.metadata = json::ObjectBuilder(ctx.arena, 1).add("username", grant.alias).build();
  grant.params = user->params;
  ctx.login = std::move(grant);
  return ok_status();
}

// Whether a password fits a hash, and if it does, the hash of the next one.
class Changing final : public PreparedWork {
 public:
  Changing(Hashing current, Hashing next) : current_(std::move(current)), next_(std::move(next)) {}

  void perform() override {
    current_.perform();
    if (current_.fits())
      next_.perform();
  }

  const Hashing& current() const { return current_; }
  const Hashing& next() const { return next_; }

 private:
  Hashing current_;
  Hashing next_;
};

struct OwnChange {
  std::string name;
  std::string_view current;
  std::string_view next;
};

Result<OwnChange> read_own_change(HandlerContext& ctx) {
  OwnChange change;
  COFFER_ASSIGN(const std::string_view name, ctx.string_field("username", ""));
  COFFER_ASSIGN(change.current, ctx.string_field("password", ""));
  COFFER_ASSIGN(change.next, ctx.string_field("new_password", ""));
  if (name.empty() || change.current.empty() || change.next.empty())
    return Status(Code::kInvalid, "missing username, password or new_password");
  change.name = normalised(name);
  return change;
}

Result<std::unique_ptr<PreparedWork>> prepare_own_change(HandlerContext& ctx) {
  std::unique_ptr<PreparedWork> work;
  COFFER_ASSIGN(const OwnChange change, read_own_change(ctx));
  COFFER_ASSIGN(const auto user, find_user(ctx, change.name));
  const std::string hash = hash_of(user);
  if (ctx.prepared != nullptr && static_cast<const Changing*>(ctx.prepared)->current().of() == hash)
    return work;
  std::array<std::uint8_t, crypto::kBcryptSaltBytes> salt;
  COFFER_TRY(ctx.random.fill(salt));
  work = std::make_unique<Changing>(Hashing(change.current, hash, {}), Hashing(change.next, {}, salt));
  return work;
}

// Somebody who knows the password sets another; a policy says who may.
Status change_own(HandlerContext& ctx) {
  COFFER_ASSIGN(const OwnChange change, read_own_change(ctx));
  COFFER_ASSIGN(auto user, find_user(ctx, change.name));
  const auto* work = static_cast<const Changing*>(ctx.prepared);
  if (!user || work == nullptr || work->current().of() != user->hash || !work->current().fits())
    return Status(Code::kInvalid, std::string(kWrongPassword));
  COFFER_ASSIGN(user->hash, work->next().made());
  return put_user(ctx, change.name, *user);
}

Result<std::string_view> own_name(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, ctx.string_field("username", ""));
  return ctx.arena.copy(normalised(name));
}

Status read_user(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto user, find_user(ctx, user_name(ctx)));
  if (!user)
    return Status(Code::kNotFound, "");
  json::ObjectBuilder data(ctx.arena, 12);
  core::show_token_params(data, ctx.arena, user->params);
  if (mutant(Mutant::kHashReadBack))
    data.add("password_hash", user->hash);
  ctx.response.data = data.build();
  return ok_status();
}

// The password that the body gives, hashed, or the hash that it gives itself. False when it gives neither.
Result<bool> take_password(HandlerContext& ctx, User& user) {
  COFFER_ASSIGN(const std::string_view given, ctx.string_field("password_hash", ""));
  COFFER_ASSIGN(const std::string_view password, ctx.string_field("password", ""));
  if (!given.empty() && !password.empty())
    return Status(Code::kInvalid, "only one of 'password' and 'password_hash' may be given");
  if (!given.empty()) {
    if (!crypto::is_bcrypt_hash(given))
      return Status(Code::kInvalid, "field \"password_hash\" must be a bcrypt hash");
    user.hash = given;
    return true;
  }
  if (password.empty())
    return false;
  COFFER_ASSIGN(user.hash, hashing(ctx)->made());
  return true;
}

// The names of these settings before they were called token_…
Status read_older_names(HandlerContext& ctx, core::TokenParams& params) {
  COFFER_TRY(core::read_policy_list(ctx, "policies", params.policies));
  COFFER_TRY(core::read_ttl(ctx, "ttl", params.ttl));
  COFFER_TRY(core::read_ttl(ctx, "max_ttl", params.max_ttl));
  return core::read_cidr_list(ctx, "bound_cidrs", params.bound_cidrs);
}

Status write_user(HandlerContext& ctx) {
  const std::string name = user_name(ctx);
  COFFER_ASSIGN(auto user, find_user(ctx, name));
  const bool is_new = !user;
  if (is_new)
    user.emplace();
  COFFER_TRY(read_older_names(ctx, user->params));
  COFFER_TRY(core::read_token_params(ctx, user->params));
  COFFER_ASSIGN(const bool password, take_password(ctx, *user));
  if (is_new && !password)
    return Status(Code::kInvalid, "missing password");
  return put_user(ctx, name, *user);
}

Status write_password(HandlerContext& ctx) {
  const std::string name = user_name(ctx);
  COFFER_ASSIGN(auto user, find_user(ctx, name));
  if (!user)
    return Status(Code::kInvalid, "username does not exist");
  COFFER_ASSIGN(const bool password, take_password(ctx, *user));
  if (!password)
    return Status(Code::kInvalid, "missing password");
  return put_user(ctx, name, *user);
}

Status write_policies(HandlerContext& ctx) {
  const std::string name = user_name(ctx);
  COFFER_ASSIGN(auto user, find_user(ctx, name));
  if (!user)
    return Status(Code::kInvalid, "username does not exist");
  COFFER_TRY(core::read_policy_list(ctx, "policies", user->params.policies));
  COFFER_TRY(core::read_policy_list(ctx, "token_policies", user->params.policies));
  return put_user(ctx, name, *user);
}

Status delete_user(HandlerContext& ctx) {
  return ctx.storage.erase(std::string(kUserPrefix).append(user_name(ctx)));
}

Status list_users(HandlerContext& ctx) {
  COFFER_ASSIGN(const core::ListPage page, ctx.storage.list(kUserPrefix));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = core::keys_answer(ctx.arena, page.names);
  return ok_status();
}

Result<bool> user_exists(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto user, find_user(ctx, user_name(ctx)));
  return user.has_value();
}

std::vector<core::PathSpec> specs() {
  using core::Effect;
  using core::FieldType;
  using core::Operation;
  const std::vector<core::Field> password = {
      {"password", FieldType::kString, "The password: 1 to 72 bytes."},
      {"password_hash", FieldType::kString, "Its bcrypt hash instead."},
  };
  std::vector<core::Field> user = core::token_param_fields();
  user.insert(user.end(), password.begin(), password.end());
  user.push_back({"policies", FieldType::kStringList, "An older name of token_policies."});
  user.push_back({"ttl", FieldType::kDuration, "An older name of token_ttl."});
  user.push_back({"max_ttl", FieldType::kDuration, "An older name of token_max_ttl."});
  user.push_back({"bound_cidrs", FieldType::kStringList, "An older name of token_bound_cidrs."});
  std::vector<core::PathSpec> all;
  all.push_back({"login/:username", "Log in with a password.",
                 {{"password", FieldType::kString, "The password.", true}},
                 {{Operation::kWrite, Effect::kWrites, log_in, "Logs in.", prepare_login}},
                 nullptr,
                 true,
                 false,
                 login_name});
  all.push_back(
      {"users", "The names of all users.", {}, {{Operation::kList, Effect::kReads, list_users, "Lists them."}}});
  all.push_back({"users/:username", "One user.", user,
                 {{Operation::kRead, Effect::kReads, read_user, "Shows the user's settings."},
                  {Operation::kWrite, Effect::kWrites, write_user, "Makes a user, or changes it.", prepare_hash},
                  {Operation::kDelete, Effect::kWrites, delete_user, "Removes the user."}},
                 user_exists});
  all.push_back({"self/password", "One's own password, for whoever knows it.",
                 {{"username", FieldType::kString, "The user.", true},
                  {"password", FieldType::kString, "The password until now.", true},
                  {"new_password", FieldType::kString, "The password from now on: 1 to 72 bytes.", true}},
                 {{Operation::kWrite, Effect::kWrites, change_own, "Changes the password.", prepare_own_change}},
                 nullptr,
                 false,
                 false,
                 own_name});
  all.push_back({"users/:username/password", "A user's password.", password,
                 {{Operation::kWrite, Effect::kWrites, write_password, "Sets the password.", prepare_hash}}});
  all.push_back({"users/:username/policies", "A user's policies.",
                 {{"token_policies", FieldType::kStringList, "Policies of the user's tokens."},
                  {"policies", FieldType::kStringList, "An older name of token_policies."}},
                 {{Operation::kWrite, Effect::kWrites, write_policies, "Sets the policies."}}});
  for (core::PathSpec& spec : all)
    spec.folds_case = spec.pattern.find(":username") != std::string_view::npos;
  return all;
}

class UserpassEngine final : public core::Engine {
 public:
  UserpassEngine() : table_(specs()) {}
  std::string_view type() const override { return "userpass"; }
  const core::PathTable& paths(const core::MountInfo&) const override { return table_; }

  // As long as the user is there with the policies that the token has.
  Result<core::TokenParams> renew_login(HandlerContext& ctx, std::string_view role,
                                        const std::vector<std::string_view>& policies) const override {
    COFFER_ASSIGN(const auto user, find_user(ctx, role));
    if (!user)
      return Status(Code::kInvalid, "the user is not there any more");
    if (!core::same_policies(user->params, policies))
      return Status(Code::kInvalid, "policies have changed, not renewing");
    return user->params;
  }

 private:
  const core::PathTable table_;
};

}  // namespace

std::unique_ptr<core::Engine> make_userpass_engine() { return std::make_unique<UserpassEngine>(); }

}  // namespace coffer::engines
