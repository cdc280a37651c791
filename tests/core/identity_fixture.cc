#include "tests/core/identity_fixture.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "core/answers.h"
#include "core/mounts.h"
#include "core/path_table.h"

namespace coffer::core::testing {
namespace {

Status believe(HandlerContext& ctx) {
  LoginGrant grant;
  grant.alias = grant.display_name = grant.role = ctx.captures.front();
  COFFER_ASSIGN(grant.groups, ctx.list_field("groups"));
  COFFER_ASSIGN(const std::string_view colour, ctx.string_field("colour", ""));
  if (!colour.empty())
    grant.alias_metadata = json::ObjectBuilder(ctx.arena, 1).add("colour", colour).build();
  ctx.login = std::move(grant);
  return ok_status();
}

class Believer final : public Engine {
 public:
  Believer() : table_(specs()) {}
  std::string_view type() const override { return "believer"; }
  const PathTable& paths(const MountInfo&) const override { return table_; }

 private:
  static std::vector<PathSpec> specs() {
    std::vector<PathSpec> all;
    all.push_back({"login/:name", "Log in.",
                   {{"groups", FieldType::kStringList, ""}, {"colour", FieldType::kString, ""}},
                   {{Operation::kWrite, Effect::kWrites, believe, "Logs in."}},
                   nullptr,
                   true});
    return all;
  }
  PathTable table_;
};

// Walks the whole store; says what is wrong first.
class Checker {
 public:
  Checker(Storage& storage, json::Arena& arena) : storage_(storage), store_(storage, arena) {}

  std::string check() {
    entities();
    groups();
    counts();
    return wrong_;
  }

 private:
  void expect(bool good, const std::string& what) {
    if (!good && wrong_.empty())
      wrong_ = what;
  }

  std::vector<std::string> names(const std::string& folder) {
    Result<ListPage> page = storage_.list(folder, {}, 0);
    COFFER_CHECK(page.ok());
    return {page->names.begin(), page->names.end()};
  }

  std::string value(const std::string& name) {
    const auto got = storage_.get(name);
    COFFER_CHECK(got.ok());
    return *got ? std::string(**got) : std::string("nothing");
  }

  static std::string mount_folder(MountId mount) {
    std::string text;
    layout::append_hex(text, mount.get(), 8);
    return text + "/";
  }

  void alias(const std::string& prefix, const AliasRecord& alias, const std::string& owner) {
    expect(value(prefix + "/" + std::string(alias.id)) == owner, prefix + " by id");
    expect(value(prefix + "-name/" + mount_folder(alias.mount) + identity_name_key(alias.name)) == owner,
           prefix + " by name");
    (prefix == "alias" ? aliases_ : group_aliases_)++;
    mounts_.insert(alias.mount.get());
  }

  void entities() {
    for (const std::string& id : names("entity/")) {
      const auto entity = store_.entity(id);
      COFFER_CHECK(entity.ok() && *entity);
      ++entities_;
      expect((*entity)->id == id, "an entity's id");
      expect(value("entity-name/" + identity_name_key((*entity)->name)) == id, "an entity's name");
      std::set<std::uint32_t> mounts;
      for (const AliasRecord& one : (*entity)->aliases) {
        alias("alias", one, id);
        expect(mounts.insert(one.mount.get()).second, "two aliases of one mount");
      }
      for (const std::string_view group : (*entity)->groups) {
        expect(value("group/" + std::string(group)) != "nothing", "an entity's group");
        expect(value("member/" + std::string(group) + "/e/" + id) == "", "an entity's membership");
        ++memberships_;
      }
      for (const std::string_view merged : (*entity)->merged) {
        expect(value("merged/" + std::string(merged)) == id, "a merged id");
        expect(value("entity/" + std::string(merged)) == "nothing", "a merged entity is still there");
        ++merged_;
      }
    }
  }

  void groups() {
    for (const std::string& id : names("group/")) {
      const auto group = store_.group(id);
      COFFER_CHECK(group.ok() && *group);
      ++groups_;
      expect(value("group-name/" + identity_name_key((*group)->name)) == id, "a group's name");
      if ((*group)->alias)
        alias("group-alias", *(*group)->alias, id);
      for (const std::string_view parent : (*group)->parents) {
        expect(value("group/" + std::string(parent)) != "nothing", "a group's parent");
        expect(value("member/" + std::string(parent) + "/g/" + id) == "", "a group's membership");
        expect(!reaches(std::string(parent), id), "a circle of groups");
        ++memberships_;
      }
    }
  }

  bool reaches(const std::string& from, const std::string& to) {
    std::set<std::string> seen{from};
    std::vector<std::string> waiting{from};
    while (!waiting.empty()) {
      const std::string id = waiting.back();
      waiting.pop_back();
      if (id == to)
        return true;
      const auto group = store_.group(id);
      COFFER_CHECK(group.ok());
      if (*group)
        for (const std::string_view parent : (*group)->parents)
          if (seen.emplace(parent).second)
            waiting.emplace_back(parent);
    }
    return false;
  }

  std::size_t by_mount(const std::string& folder) {
    std::size_t count = 0;
    for (const std::string& mount : names(folder))
      count += names(folder + mount).size();
    return count;
  }

  void counts() {
    expect(names("entity-name/").size() == entities_, "names of entities");
    expect(names("group-name/").size() == groups_, "names of groups");
    expect(names("alias/").size() == aliases_, "ids of aliases");
    expect(names("group-alias/").size() == group_aliases_, "ids of groups' aliases");
    expect(by_mount("alias-name/") == aliases_, "names of aliases");
    expect(by_mount("group-alias-name/") == group_aliases_, "names of groups' aliases");
    expect(names("merged/").size() == merged_, "merged ids");
    std::size_t members = 0;
    for (const std::string& group : names("member/"))
      members += names("member/" + group + "e/").size() + names("member/" + group + "g/").size();
    expect(members == memberships_, "memberships");
  }

  Storage& storage_;
  IdentityStore store_;
  std::string wrong_;
  std::set<std::uint32_t> mounts_;
  std::size_t entities_ = 0, groups_ = 0, aliases_ = 0, group_aliases_ = 0, memberships_ = 0, merged_ = 0;
};

}  // namespace

IdentityFixture::IdentityFixture() : believer_(std::make_unique<Believer>()) {
  engines.add(*believer_, MountTable::kAuth, true);
  for (const std::string method : {"one", "two"})
    COFFER_CHECK(write("sys/auth/" + method, R"({"type":"believer"})").status == 204);
}

void IdentityFixture::allow(std::string_view policy, std::string_view path, std::string_view capabilities) {
  std::string body = "{\"policy\":\"path \\\"" + std::string(path) + "\\\" { capabilities = [\\\"";
  for (const char c : capabilities)
    c == ',' ? body.append("\\\",\\\"") : body.append(1, c);
  COFFER_CHECK(write("sys/policies/acl/" + std::string(policy), body + "\\\"] }\"}").status == 204);
}

void IdentityFixture::give(std::string_view entity, std::string_view policies) {
  const std::string body = R"({"policies":")" + std::string(policies) + R"("})";
  COFFER_CHECK(write("identity/entity/id/" + std::string(entity), body).status == 204);
}

std::string IdentityFixture::accessor(std::string_view method) {
  return read("sys/auth").text("data|" + std::string(method) + "/|accessor");
}

std::string IdentityFixture::log_in(std::string_view name, std::string_view method, std::string_view body) {
  const Answer answer = write("auth/" + std::string(method) + "/login/" + std::string(name), body, "");
  return answer.status == 200 ? answer.text("auth|client_token") : std::to_string(answer.status);
}

std::string IdentityFixture::made(std::string_view path, std::string_view body) {
  const Answer answer = write(path, body);
  return answer.status == 200 ? answer.text("data|id") : answer.body;
}

std::string IdentityFixture::broken() {
  auto view = backend.view();
  COFFER_CHECK(view.ok());
  const Published* published = published_in((*view)->attachment());
  json::Arena arena;
  TxnImpl::Buffers buffers;
  TxnImpl txn(**view, *published->barrier, arena, committer.now, buffers);
  Storage storage(txn, layout::kRootNamespace, kIdentityMountId, store::KeyClass::kShared);
  return Checker(storage, arena).check();
}

}  // namespace coffer::core::testing
