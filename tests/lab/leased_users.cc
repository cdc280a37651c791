#include "tests/lab/leased_users.h"

#include "base/encoding.h"
#include "core/path_table.h"

namespace coffer::core::testing {
namespace {

UserSystem* the_system = nullptr;  // of the engine that is in use; a process makes one at a time

Status handle_creds(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string name, random_base62(ctx.random, 12));
  COFFER_ASSIGN(const Nanos ttl, ctx.duration_field("ttl", Nanos(0)));
  const std::string user = "v-" + std::string(ctx.captures.front()) + "-" + name;
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("username", user).build();
  UserSystem* outside = the_system;
  ctx.lease = LeaseGrant{"user", ctx.arena.copy(user), ttl, Nanos(0), true,
                         [outside, user](Nanos time_max, Response&, json::Arena&) {
                           return outside->create(user, time_max);
                         }};
  return ok_status();
}

Status handle_inside(HandlerContext& ctx) {
  COFFER_ASSIGN(const Nanos ttl, ctx.duration_field("ttl", Nanos(0)));
  COFFER_ASSIGN(const Nanos max_ttl, ctx.duration_field("max_ttl", Nanos(0)));
  COFFER_ASSIGN(const bool renewable, ctx.bool_field("renewable", true));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("role", ctx.captures.front()).build();
  ctx.lease = LeaseGrant{"note", ctx.captures.front(), ttl, max_ttl, renewable, {}};
  return ctx.storage.put(std::string("notes/").append(ctx.captures.front()), "held");
}

class UserKind final : public LeaseKind {
 public:
  Result<OutsideCall> revoke(LeaseContext& lease) const override {
    return OutsideCall([outside = the_system, user = std::string(lease.data)](Nanos) { return outside->drop(user); });
  }
  Result<OutsideCall> renew(LeaseContext&) const override {
    return OutsideCall([](Nanos) { return ok_status(); });
  }
};

class NoteKind final : public LeaseKind {
 public:
  Result<OutsideCall> revoke(LeaseContext&) const override { return OutsideCall(); }
  Status revoked(LeaseContext& lease) const override {
    return lease.storage.erase(std::string("notes/").append(lease.data));
  }
};

class FakeEngine final : public Engine {
 public:
  FakeEngine() : table_(specs()) {}
  std::string_view type() const override { return "fake"; }
  const PathTable& paths(const MountInfo&) const override { return table_; }
  const LeaseKind* lease_kind(std::string_view kind) const override {
    if (kind == "user")
      return &user_;
    return kind == "note" ? &note_ : nullptr;
  }

 private:
  static std::vector<PathSpec> specs() {
    const std::vector<Field> fields = {{"ttl", FieldType::kDuration, "Time to live."},
                                       {"max_ttl", FieldType::kDuration, "Longest."},
                                       {"renewable", FieldType::kBool, "Renewable."}};
    std::vector<PathSpec> specs;
    specs.push_back(
        {"creds/:role", "A user outside.", fields, {{Operation::kRead, Effect::kOutside, handle_creds, "Makes one."}}});
    specs.push_back(
        {"inside/:role", "A lease.", fields, {{Operation::kRead, Effect::kWrites, handle_inside, "Makes one."}}});
    return specs;
  }
  PathTable table_;
  UserKind user_;
  NoteKind note_;
};

}  // namespace

std::unique_ptr<Engine> make_fake_engine(UserSystem& outside) {
  the_system = &outside;
  return std::make_unique<FakeEngine>();
}

}  // namespace coffer::core::testing
