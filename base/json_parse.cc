#include <algorithm>
#include <cstring>
#include <vector>

#include "base/json.h"
#include "base/json_reader.h"

namespace coffer::json {
namespace internal {

std::size_t unescape(std::string_view raw, char* to) noexcept {
  const char* at = raw.data();
  const char* end = at + raw.size();
  char* out = to;
  const auto hex4 = [](const char* from) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const auto c = static_cast<unsigned char>(from[i]);
      value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10u);
    }
    return value;
  };
  while (at < end) {
    if (*at != '\\') {
      const auto* next = static_cast<const char*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
      const std::size_t plain = static_cast<std::size_t>((next != nullptr ? next : end) - at);
      std::memcpy(out, at, plain);
      out += plain;
      at += plain;
      continue;
    }
    switch (at[1]) {
      case 'b': *out++ = '\b'; break;
      case 'f': *out++ = '\f'; break;
      case 'n': *out++ = '\n'; break;
      case 'r': *out++ = '\r'; break;
      case 't': *out++ = '\t'; break;
      case 'u': {
        std::uint32_t code_point = hex4(at + 2);
        at += 4;
        if (code_point >= 0xd800 && code_point <= 0xdfff) {
          code_point = 0x10000 + ((code_point - 0xd800) << 10) + (hex4(at + 4) - 0xdc00);
          at += 6;
        }
        out += utf8_encode(code_point, out);
        break;
      }
      default: *out++ = at[1]; break;
    }
    at += 2;
  }
  return static_cast<std::size_t>(out - to);
}

}  // namespace internal

namespace {

bool same(std::string_view a, std::string_view b) noexcept { return a.size() == b.size() && a == b; }

bool has_duplicate(std::span<const Member> members) {
  constexpr std::size_t kPairwiseMax = 24;
  if (members.size() <= kPairwiseMax) {
    for (std::size_t i = 1; i < members.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (same(members[i].key(), members[j].key()))
          return true;
      }
    }
    return false;
  }
  // Sorted, not hashed: no choice of keys makes it slow.
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const Member& member : members)
    keys.push_back(member.key());
  std::sort(keys.begin(), keys.end(), [](std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

class TreeSink {
 public:
  TreeSink(Arena& arena, std::size_t memory_max) noexcept : arena_(arena), memory_left_(memory_max) {}

  bool begin_object() { return begin(); }
  bool begin_array() { return begin(); }

  bool end_object() {
    const std::size_t base = bases_.pop();
    const std::size_t bytes = (stack_.size() - base) * sizeof(Value);
    const std::size_t count = bytes / sizeof(Member);
    auto* members = static_cast<Member*>(arena_.allocate(bytes));
    if (bytes != 0)
      std::memcpy(static_cast<void*>(members), stack_.from(base), bytes);
    stack_.cut(base);
    if (has_duplicate({members, count}) && !mutant(Mutant::kJsonDuplicateKeys))
      return fail(Code::kInvalid, "JSON: the same key stands twice in one object");
    stack_.push(Value::object({members, count}));
    return true;
  }

  bool end_array() {
    const std::size_t base = bases_.pop();
    const std::size_t count = stack_.size() - base;
    auto* values = static_cast<Value*>(arena_.allocate(count * sizeof(Value)));
    if (count != 0)
      std::memcpy(static_cast<void*>(values), stack_.from(base), count * sizeof(Value));
    stack_.cut(base);
    stack_.push(Value::array({values, count}));
    return true;
  }

  bool key(std::string_view raw, bool escaped) { return string(raw, escaped); }
  bool string(std::string_view raw, bool escaped) {
    if (!charge(sizeof(Value) + (escaped ? raw.size() : 0)))
      return false;
    if (escaped) {
      char* to = static_cast<char*>(arena_.allocate(raw.size(), 1));
      const std::size_t size = internal::unescape(raw, to);
      arena_.shrink_last(to, raw.size(), size);
      raw = {to, size};
    }
    stack_.push(Value::borrowed(raw));
    return true;
  }
  bool number(std::string_view text) {
    stack_.push(Value::number_from_text(text));
    return charge(sizeof(Value));
  }
  bool literal(Kind kind, std::string_view text) {
    stack_.push(kind == Kind::kNull ? Value::null() : Value::boolean(text.size() == 4));
    return charge(sizeof(Value));
  }

  Status failure() const { return Status(code_, reason_); }
  Value root() noexcept {
    COFFER_CHECK(stack_.size() == 1 && bases_.size() == 0);
    return *stack_.from(0);
  }

 private:
  bool begin() {
    bases_.push(stack_.size());
    return charge(sizeof(Value));
  }
  bool charge(std::size_t bytes) noexcept {
    if (bytes > memory_left_ && !mutant(Mutant::kJsonMemoryUnchecked))
      return fail(Code::kTooLarge, "JSON: it takes more memory than allowed");
    memory_left_ -= std::min(bytes, memory_left_);
    return true;
  }
  bool fail(Code code, const char* reason) noexcept {
    code_ = code;
    reason_ = reason;
    return false;
  }

  Arena& arena_;
  std::size_t memory_left_;
  internal::SmallStack<Value, 96> stack_;
  internal::SmallStack<std::size_t, 32> bases_;  // where each open container's values begin
  Code code_ = Code::kInvalid;
  const char* reason_ = "";
};

}  // namespace

Result<Value> parse(Arena& arena, std::string_view text, const Limits& limits, std::size_t* error_offset) {
  if (text.size() > UINT32_MAX)
    return Status(Code::kTooLarge, "JSON: more than 4 GiB");
  TreeSink sink(arena, limits.memory_bytes);
  internal::Reader<TreeSink> reader(text, limits, sink);
  Status status = reader.run();
  if (!status.ok()) {
    if (error_offset != nullptr)
      *error_offset = reader.offset();
    return status;
  }
  return sink.root();
}

Result<Value> parse_copy(Arena& arena, std::string_view text, const Limits& limits) {
  return parse(arena, arena.copy(text), limits);
}

Result<Document> Document::parse(std::string_view text, const Limits& limits) {
  Document document;
  COFFER_ASSIGN(document.root, parse_copy(document.arena, text, limits));
  return document;
}

}  // namespace coffer::json
