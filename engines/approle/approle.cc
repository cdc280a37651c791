#include "engines/approle/approle.h"

#include <iterator>
#include <utility>

#include "engines/approle/paths.h"
#include "engines/approle/records.h"

namespace coffer::engines {
namespace {

std::vector<core::PathSpec> specs() {
  std::vector<core::PathSpec> all;
  for (auto part : {approle::login_specs, approle::role_specs, approle::secret_id_specs}) {
    std::vector<core::PathSpec> some = part();
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  for (core::PathSpec& spec : all)
    spec.folds_case = spec.pattern.find(":role_name") != std::string_view::npos;
  return all;
}

class ApproleEngine final : public core::Engine {
 public:
  ApproleEngine() : table_(specs()) {}
  std::string_view type() const override { return "approle"; }
  const core::PathTable& paths(const core::MountInfo&) const override { return table_; }

  // As long as the role is there.
  Result<core::TokenParams> renew_login(core::HandlerContext& ctx, std::string_view role,
                                        const std::vector<std::string_view>&) const override {
    COFFER_ASSIGN(const auto found, approle::find_role(ctx, role));
    if (!found)
      return Status(Code::kInvalid, "role \"" + std::string(role) + "\" does not exist during renewal");
    return found->params;
  }

 private:
  const core::PathTable table_;
};

}  // namespace

std::unique_ptr<core::Engine> make_approle_engine() { return std::make_unique<ApproleEngine>(); }

}  // namespace coffer::engines
