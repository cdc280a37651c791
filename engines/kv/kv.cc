#include "engines/kv/kv.h"

#include <utility>

namespace coffer::engines {
namespace {

std::vector<core::PathSpec> versioned_specs() {
  std::vector<core::PathSpec> specs;
  specs.push_back(kv::data_spec());
  specs.push_back(kv::metadata_spec());
  for (core::PathSpec& spec : kv::version_specs())
    specs.push_back(std::move(spec));
  specs.push_back(kv::subkeys_spec());
  specs.push_back(kv::config_spec());
  specs.push_back(kv::wrong_version_spec());  // last: it matches everything
  return specs;
}

class KvEngine final : public core::Engine {
 public:
  KvEngine() : versioned_(versioned_specs()), unversioned_({kv::unversioned_spec()}) {}

  std::string_view type() const override { return "kv"; }
  const core::PathTable& paths(const core::MountInfo& mount) const override {
    return mount.option("version") == "2" ? versioned_ : unversioned_;
  }

 private:
  const core::PathTable versioned_;
  const core::PathTable unversioned_;
};

}  // namespace

std::unique_ptr<core::Engine> make_kv_engine() { return std::make_unique<KvEngine>(); }

}  // namespace coffer::engines
