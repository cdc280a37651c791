// module: base/hcl.cc base/hcl_json.cc
// Any text is read or refused with a place; what is read has values of the kinds that it says.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/hcl.h"

namespace {

using namespace coffer;

void touch(const hcl::Node& node, std::size_t depth) {
  COFFER_CHECK(depth <= limits::kHclDepthMax + 1);
  COFFER_CHECK(node.at.line > 0 && node.at.column > 0);
  (void)hcl::as_bool(node).ok();
  const bool number = hcl::as_int(node).ok();
  COFFER_CHECK(!number || node.kind == hcl::Kind::kNumber || node.kind == hcl::Kind::kString);
  COFFER_CHECK(node.kind == hcl::Kind::kList || node.list.empty());
  COFFER_CHECK(node.kind == hcl::Kind::kObject || node.items.empty());
  for (const hcl::Node& element : node.list)
    touch(element, depth + 1);
  for (const hcl::Item& item : node.items) {
    COFFER_CHECK(node.find(item.key) != nullptr);
    for (const std::size_t labels : {0, 1, 2})
      (void)hcl::blocks(node, item.key, labels).ok();
    touch(item.value, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Result<hcl::Node> root = hcl::parse({reinterpret_cast<const char*>(data), size});
  if (!root.ok()) {
    COFFER_CHECK(root.status().message().starts_with("line ") || root.code() == Code::kTooLarge);
    return 0;
  }
  COFFER_CHECK(root->kind == hcl::Kind::kObject);
  touch(*root, 0);
  hcl::wipe_tree(*root);
  return 0;
}
