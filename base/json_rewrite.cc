#include <algorithm>
#include <array>
#include <memory>

#include "base/json.h"
#include "base/json_reader.h"
#include "base/secret.h"

namespace coffer::json {
namespace {

// Room for one decoded string, wiped at the end.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { clear(); }

  std::string_view decode(std::string_view raw) {
    if (raw.size() > capacity_) {
      clear();
      heap_ = std::make_unique_for_overwrite<char[]>(raw.size());
      capacity_ = raw.size();
    }
    char* to = heap_ != nullptr ? heap_.get() : inline_.data();
    const std::size_t size = internal::unescape(raw, to);
    used_ = std::max(used_, size);
    return {to, size};
  }

 private:
  void clear() noexcept {
    if (used_ != 0)
      wipe(heap_ != nullptr ? heap_.get() : inline_.data(), used_);
    used_ = 0;
  }

  std::array<char, 512> inline_;
  std::unique_ptr<char[]> heap_;
  std::size_t capacity_ = 512;
  std::size_t used_ = 0;
};

class RewriteSink {
 public:
  // `depth` and `top_key` say where the text stands inside a larger value.
  RewriteSink(std::string& out, ScalarRewriter& rewriter, std::size_t depth, std::string_view top_key) noexcept
      : out_(out), rewriter_(rewriter), depth_(depth), top_key_(top_key) {}

  bool begin_object() { return begin('{', depth_ == 0); }
  bool begin_array() { return begin('[', false); }
  bool end_object() { return end('}'); }
  bool end_array() { return end(']'); }

  bool key(std::string_view raw, bool escaped) {
    if (!first_)
      out_.push_back(',');
    out_.push_back('"');
    out_.append(raw);
    out_.append("\":", 2);
    first_ = true;
    if (depth_ == 1 && top_is_object_)
      top_key_ = escaped ? top_scratch_.decode(raw) : raw;
    return true;
  }
  bool string(std::string_view raw, bool escaped) {
    return scalar(Kind::kString, escaped ? scratch_.decode(raw) : raw);
  }
  bool number(std::string_view text) { return scalar(Kind::kNumber, text); }
  bool literal(Kind kind, std::string_view text) { return scalar(kind, text); }

  Status failure() const { return Status(Code::kInternal, "JSON: rewriting failed"); }

 private:
  bool begin(char c, bool top_object) {
    separate();
    out_.push_back(c);
    first_ = true;
    top_is_object_ |= top_object;
    ++depth_;
    return true;
  }
  bool end(char c) {
    out_.push_back(c);
    first_ = false;
    --depth_;
    return true;
  }
  bool scalar(Kind kind, std::string_view text) {
    separate();
    rewriter_.rewrite({kind, text, top_key_}, out_);
    return true;
  }
  void separate() {
    if (!first_)
      out_.push_back(',');
    first_ = false;
  }

  std::string& out_;
  ScalarRewriter& rewriter_;
  std::size_t depth_;
  std::string_view top_key_;
  bool top_is_object_ = false;
  bool first_ = true;
  Scratch scratch_;
  Scratch top_scratch_;
};

// What was refused or limited at the door is not limited again here.
constexpr Limits kOnlyDepth{limits::kJsonDepthMax, SIZE_MAX, SIZE_MAX};

class TreeRewriter {
 public:
  TreeRewriter(std::string& out, ScalarRewriter& rewriter) noexcept : out_(out), rewriter_(rewriter) {}

  Status value(const Value& v, std::size_t depth) {
    switch (v.kind()) {
      case Kind::kNull: scalar(v, "null"); return ok_status();
      case Kind::kBool: scalar(v, v.as_bool() ? "true" : "false"); return ok_status();
      case Kind::kNumber: scalar(v, v.number_text()); return ok_status();
      case Kind::kString: scalar(v, v.as_string()); return ok_status();
      case Kind::kArray: return array(v, depth);
      case Kind::kObject: return object(v, depth);
      case Kind::kRaw: break;
    }
    RewriteSink sink(out_, rewriter_, depth, top_key_);
    return internal::Reader<RewriteSink>(v.raw_text(), kOnlyDepth, sink).run();
  }

 private:
  void scalar(const Value& v, std::string_view text) { rewriter_.rewrite({v.kind(), text, top_key_}, out_); }

  Status array(const Value& v, std::size_t depth) {
    out_.push_back('[');
    bool first = true;
    for (const Value& element : v.elements()) {
      if (!first)
        out_.push_back(',');
      first = false;
      COFFER_TRY(value(element, depth + 1));
    }
    out_.push_back(']');
    return ok_status();
  }

  Status object(const Value& v, std::size_t depth) {
    out_.push_back('{');
    bool first = true;
    for (const Member& member : v.members()) {
      if (!first)
        out_.push_back(',');
      first = false;
      write_string(member.key(), out_);
      out_.push_back(':');
      if (depth == 0)
        top_key_ = member.key();
      COFFER_TRY(value(member.value, depth + 1));
    }
    out_.push_back('}');
    return ok_status();
  }

  std::string& out_;
  ScalarRewriter& rewriter_;
  std::string_view top_key_;
};

}  // namespace

Status rewrite_scalars(const Value& value, std::string& out, ScalarRewriter& rewriter) {
  const std::size_t before = out.size();
  Status status = TreeRewriter(out, rewriter).value(value, 0);
  if (!status.ok())
    out.resize(before);
  return status;
}

Status rewrite_scalars(std::string_view json_text, std::string& out, ScalarRewriter& rewriter) {
  return rewrite_scalars(Value::raw(json_text), out, rewriter);
}

}  // namespace coffer::json
