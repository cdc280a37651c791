#include "engines/kv/kv.h"

#include <utility>

namespace coffer::engines {
namespace {

std::vector<core::PathSpec> versioned_specs() {
  std::vector<core::PathSpec> specs;
  specs.push_back(kv::data_spec());
  specs.push_back(kv::metadata_spec());
  specs.push_back(kv::detailed_spec());
  for (core::PathSpec& spec : kv::version_specs())
    specs.push_back(std::move(spec));
  specs.push_back(kv::subkeys_spec());
  specs.push_back(kv::config_spec());
  for (core::PathSpec& spec : kv::move_specs())
    specs.push_back(std::move(spec));
  specs.push_back(kv::search_spec());
  specs.push_back(kv::wrong_version_spec());  // last: it matches everything
  return specs;
}

class KvEngine final : public core::Engine {
 public:
  KvEngine()
      : versioned_(versioned_specs()), unversioned_({kv::unversioned_spec()}), upgrading_({kv::upgrading_spec()}) {}

  std::string_view type() const override { return "kv"; }
  const core::PathTable& paths(const core::MountInfo& mount) const override {
    if (!mount.option(core::kUpgradingOption).empty())
      return upgrading_;
    return mount.option("version") == "2" ? versioned_ : unversioned_;
  }
  bool tends() const override { return true; }
  Result<core::Tended> tend(core::TendContext& ctx) const override { return kv::tend(ctx); }

 private:
  const core::PathTable versioned_;
  const core::PathTable unversioned_;
  const core::PathTable upgrading_;
};

}  // namespace

std::unique_ptr<core::Engine> make_kv_engine() { return std::make_unique<KvEngine>(); }

}  // namespace coffer::engines
