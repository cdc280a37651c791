// module: base/json.cc base/json_parse.cc base/json_reader.h base/json_write.cc base/json_rewrite.cc base/utf8.h
// base/arena.cc What json::parse takes, written and read again, is the same; both rewriters agree; whatever it refuses
// it refuses without harm.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/json.h"

namespace {

using namespace coffer;

class Quote final : public json::ScalarRewriter {
 public:
  void rewrite(const json::Scalar& scalar, std::string& out) override {
    json::write_string(scalar.top_key, out);
    out += "+";
    json::write_string(scalar.text, out, {.html_escape = true});
  }
};

// Reads every accessor of every value.
std::size_t touch(const json::Value& value) {
  std::size_t sum = value.size();
  if (value.is_number()) {
    sum += value.as_int64().ok() + value.as_uint64().ok() + value.as_double().ok();
  }
  for (const json::Value& element : value.elements())
    sum += touch(element);
  for (const json::Member& member : value.members()) {
    COFFER_CHECK(value.find(member.key()) != nullptr);
    sum += touch(member.value) + value.string_or(member.key(), "").size();
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Arena arena;
  const Result<json::Value> root = json::parse(arena, text);
  std::string rewritten;
  Quote quote;
  const Status of_text = json::rewrite_scalars(text, rewritten, quote);
  if (!root.ok()) {
    // The text's rewriter allows a little more: duplicate keys and any number of strings.
    COFFER_CHECK(of_text.ok() || rewritten.empty());
    return 0;
  }
  COFFER_CHECK(of_text.ok());
  (void)touch(*root);
  std::string of_tree;
  COFFER_CHECK(json::rewrite_scalars(*root, of_tree, quote).ok());
  std::string once, twice, pretty, sorted;
  json::write(*root, once);
  json::write(*root, sorted, {.html_escape = true, .sort_keys = true});
  json::write_pretty(*root, pretty);
  for (const std::string& form : {once, pretty, sorted}) {
    Result<json::Document> again = json::Document::parse(form);
    COFFER_CHECK(again.ok());
    (void)touch(again->root);
  }
  json::write(json::Document::parse(pretty)->root, twice);
  COFFER_CHECK(once == twice);
  // Keys of the text keep their spelling in its rewriter, so the two agree on a text in canonical spelling.
  std::string of_once;
  COFFER_CHECK(json::rewrite_scalars(once, of_once, quote).ok());
  COFFER_CHECK(of_once == of_tree);
  arena.reset();
  return 0;
}
