// JSON as the server needs it: a tree of small handles in an Arena, numbers kept as their text (1.10 and thirty-digit
// integers come back byte for byte), limits enforced before anything is built, and a rewriter for scalars that needs no
// tree. Errors name an offset and what was expected, never content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/arena.h"
#include "base/limits.h"
#include "base/status.h"

namespace coffer::json {

using coffer::Arena;

enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject, kRaw };

struct Member;

// A handle of 16 bytes, copied freely; what it points to lives in an Arena (or wherever a borrowed view points) and
// must outlive it. Immutable, so any thread may read it while the arena stays.
class Value {
 public:
  constexpr Value() noexcept = default;  // null
  static constexpr Value null() noexcept { return Value(); }
  static constexpr Value boolean(bool v) noexcept { return Value(Kind::kBool, v ? 1 : 0, nullptr); }
  static Value string(Arena& arena, std::string_view text) { return borrowed(arena.copy(text)); }
  static Value borrowed(std::string_view text) noexcept { return of_text(Kind::kString, text); }
  static Value number(Arena& arena, std::int64_t v);
  static Value number_unsigned(Arena& arena, std::uint64_t v);
  // `text` is a JSON number and outlives the value.
  static Value number_from_text(std::string_view text) noexcept { return of_text(Kind::kNumber, text); }
  // `text` is one serialised JSON value, spliced verbatim by the writer; it is borrowed. Such a value has no members to
  // find().
  static Value raw(std::string_view text) noexcept { return of_text(Kind::kRaw, text); }
  static Value array(std::span<const Value> elements) noexcept;  // borrowed, as is object()
  static Value object(std::span<const Member> members) noexcept;

  Kind kind() const noexcept { return kind_; }
  bool is_null() const noexcept { return kind_ == Kind::kNull; }
  bool is_bool() const noexcept { return kind_ == Kind::kBool; }
  bool is_number() const noexcept { return kind_ == Kind::kNumber; }
  bool is_string() const noexcept { return kind_ == Kind::kString; }
  bool is_array() const noexcept { return kind_ == Kind::kArray; }
  bool is_object() const noexcept { return kind_ == Kind::kObject; }
  bool is_raw() const noexcept { return kind_ == Kind::kRaw; }

  // Each asks for its own kind; another kind stops the process.
  bool as_bool() const noexcept {
    COFFER_CHECK(is_bool());
    return size_ != 0;
  }
  std::string_view as_string() const noexcept {
    COFFER_CHECK(is_string());
    return text();
  }
  std::string_view number_text() const noexcept {
    COFFER_CHECK(is_number());
    return text();
  }
  std::string_view raw_text() const noexcept {
    COFFER_CHECK(is_raw());
    return text();
  }
  // kInvalid when this is no number, not an integer (1e3 and 1.0 are none), or out of range.
  Result<std::int64_t> as_int64() const;
  Result<std::uint64_t> as_uint64() const;
  Result<double> as_double() const;

  // Elements or members; 0 for scalars.
  std::size_t size() const noexcept { return is_array() || is_object() ? size_ : 0; }
  // In the order of the text. Empty for other kinds.
  std::span<const Value> elements() const noexcept {
    return {static_cast<const Value*>(at_), is_array() ? size_ : 0};
  }
  std::span<const Member> members() const noexcept;
  // The member's value, or null when this is no object or has no such member.
  const Value* find(std::string_view key) const noexcept;
  // The string under `key`, or `otherwise` when absent or no string.
  std::string_view string_or(std::string_view key, std::string_view otherwise) const noexcept;

 private:
  constexpr Value(Kind kind, std::uint32_t size, const void* at) noexcept : kind_(kind), size_(size), at_(at) {}
  static Value of_text(Kind kind, std::string_view text) noexcept {
    COFFER_CHECK(text.size() <= UINT32_MAX);
    return Value(kind, static_cast<std::uint32_t>(text.size()), text.data());
  }
  std::string_view text() const noexcept { return {static_cast<const char*>(at_), size_}; }

  Kind kind_ = Kind::kNull;
  std::uint32_t size_ = 0;
  const void* at_ = nullptr;
};
static_assert(sizeof(Value) == 16 && std::is_trivially_copyable_v<Value>);

struct Member {
  Value name;
  Value value;
  std::string_view key() const noexcept { return name.as_string(); }
};

inline std::span<const Member> Value::members() const noexcept {
  return {static_cast<const Member*>(at_), is_object() ? size_ : 0};
}

// Collects members in the arena. Keys and string views are copied into it; Values are taken as they are. Keys must
// differ (not checked).
class ObjectBuilder {
 public:
  explicit ObjectBuilder(Arena& arena, std::size_t expected = 8) : arena_(arena) { reserve(expected); }

  ObjectBuilder& add(std::string_view key, Value v) {
    if (size_ == capacity_)
      reserve(capacity_ * 2);
    members_[size_++] = Member{Value::string(arena_, key), v};
    return *this;
  }
  ObjectBuilder& add(std::string_view key, std::string_view v) { return add(key, Value::string(arena_, v)); }
  ObjectBuilder& add(std::string_view key, const char* v) { return add(key, std::string_view(v)); }
  ObjectBuilder& add(std::string_view key, const std::string& v) { return add(key, std::string_view(v)); }
  ObjectBuilder& add(std::string_view key, std::nullptr_t) { return add(key, Value::null()); }
  template <typename T>
    requires std::is_integral_v<T>
  ObjectBuilder& add(std::string_view key, T v) {
    if constexpr (std::is_same_v<T, bool>)
      return add(key, Value::boolean(v));
    else if constexpr (std::is_signed_v<T>)
      return add(key, Value::number(arena_, v));
    else
      return add(key, Value::number_unsigned(arena_, v));
  }

  // The object; the builder may go on and build() again later.
  Value build() const noexcept { return Value::object({members_, size_}); }
  std::size_t size() const noexcept { return size_; }

 private:
  void reserve(std::size_t capacity);

  Arena& arena_;
  Member* members_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// As ObjectBuilder, for elements.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(Arena& arena, std::size_t expected = 8) : arena_(arena) { reserve(expected); }

  ArrayBuilder& add(Value v) {
    if (size_ == capacity_)
      reserve(capacity_ * 2);
    values_[size_++] = v;
    return *this;
  }
  ArrayBuilder& add(std::string_view v) { return add(Value::string(arena_, v)); }
  ArrayBuilder& add(const char* v) { return add(std::string_view(v)); }
  ArrayBuilder& add(const std::string& v) { return add(std::string_view(v)); }
  ArrayBuilder& add(std::int64_t v) { return add(Value::number(arena_, v)); }

  Value build() const noexcept { return Value::array({values_, size_}); }
  std::size_t size() const noexcept { return size_; }

 private:
  void reserve(std::size_t capacity);

  Arena& arena_;
  Value* values_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Counted while the text is read, before a value is built. Memory is what the tree itself takes: 16 bytes a value, 32 a
// member, and decoded escapes.
struct Limits {
  std::size_t depth = limits::kJsonDepthMax;
  std::size_t strings = limits::kJsonStringsMax;           // keys and string values together
  std::size_t memory_bytes = limits::kRequestBodyBytesMax;
};

// One JSON value with nothing but white space around it. Refused: what RFC 8259 refuses, invalid UTF-8 and lone
// surrogates, the same key twice in one object (also when spelt with escapes), and what is over a limit (kTooLarge;
// else kInvalid). Strings without escapes are not copied: `text` must live as long as the values. After a failure the
// arena holds garbage only, which reset() wipes. Linear in the size of the text.
// `error_offset`, when given, is set on failure to where in `text` it was noticed.
Result<Value> parse(Arena& arena, std::string_view text, const Limits& limits = {},
                    std::size_t* error_offset = nullptr);

// The same on a copy in the arena.
Result<Value> parse_copy(Arena& arena, std::string_view text, const Limits& limits = {});

// A tree that owns its memory.
struct Document {
  Arena arena;
  Value root;
  static Result<Document> parse(std::string_view text, const Limits& limits = {});
};

struct WriteOptions {
  bool html_escape = false;  // <, > and & as \u003c, \u003e, \u0026
  bool sort_keys = false;    // members by byte order of their keys, as Go prints maps
};

// Appends compact text. Strings are escaped as Go's encoder does it (\u2028, \u2029 and invalid UTF-8 as \ufffd); raw
// values are spliced as they are.
void write(const Value& value, std::string& out, WriteOptions options = {});
// Appends text indented by two spaces a level, without a final newline.
void write_pretty(const Value& value, std::string& out, WriteOptions options = {});
// Appends `text` as a JSON string with its quotes.
void write_string(std::string_view text, std::string& out, WriteOptions options = {});

// Where a scalar stands: `text` is the decoded string, the number's text, "true", "false" or "null"; `top_key` is the
// key of the outermost object that it lies below (empty when the outermost value is no object).
struct Scalar {
  Kind kind;
  std::string_view text;
  std::string_view top_key;
};

// Replaces scalars by JSON text that it appends to `out`.
class ScalarRewriter {
 public:
  virtual ~ScalarRewriter() = default;
  virtual void rewrite(const Scalar& scalar, std::string& out) = 0;
};

// Appends `value` with every scalar replaced; keys and structure stay. Raw values are walked as text, without a tree.
// kInvalid for raw text that is not JSON (then `out` is as before).
Status rewrite_scalars(const Value& value, std::string& out, ScalarRewriter& rewriter);
Status rewrite_scalars(std::string_view json_text, std::string& out, ScalarRewriter& rewriter);

}  // namespace coffer::json
