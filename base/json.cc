#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace coffer::json {
namespace {

template <typename T>
Result<T> integer_of(const Value& value, std::string_view what) {
  if (!value.is_number())
    return Status(Code::kInvalid, "expected a number");
  const std::string_view text = value.number_text();
  T out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc::result_out_of_range)
    return Status(Code::kInvalid, "number out of range");
  if (error != std::errc() || end != text.data() + text.size())
    return Status(Code::kInvalid, "expected " + std::string(what));
  return out;
}

template <typename T>
Value number_of(Arena& arena, T v) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, v);
  COFFER_CHECK(error == std::errc());
  return Value::number_from_text(arena.copy({digits, static_cast<std::size_t>(end - digits)}));
}

template <typename T>
T* grow(Arena& arena, const T* old, std::size_t size, std::size_t capacity) {
  T* to = static_cast<T*>(arena.allocate(capacity * sizeof(T)));
  if (size != 0)
    std::memcpy(static_cast<void*>(to), old, size * sizeof(T));
  return to;
}

}  // namespace

Value Value::number(Arena& arena, std::int64_t v) { return number_of(arena, v); }
Value Value::number_unsigned(Arena& arena, std::uint64_t v) { return number_of(arena, v); }

Value Value::array(std::span<const Value> elements) noexcept {
  COFFER_CHECK(elements.size() <= UINT32_MAX);
  return Value(Kind::kArray, static_cast<std::uint32_t>(elements.size()), elements.data());
}

Value Value::object(std::span<const Member> members) noexcept {
  COFFER_CHECK(members.size() <= UINT32_MAX);
  return Value(Kind::kObject, static_cast<std::uint32_t>(members.size()), members.data());
}

Result<std::int64_t> Value::as_int64() const { return integer_of<std::int64_t>(*this, "an integer"); }
Result<std::uint64_t> Value::as_uint64() const {
  return integer_of<std::uint64_t>(*this, "an integer that is not negative");
}

Result<double> Value::as_double() const {
  if (!is_number())
    return Status(Code::kInvalid, "expected a number");
  double out = 0;
  const std::string_view text = number_text();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size())
    return Status(Code::kInvalid, "number out of range");
  return out;
}

const Value* Value::find(std::string_view key) const noexcept {
  for (const Member& member : members()) {
    if (member.key() == key)
      return &member.value;
  }
  return nullptr;
}

std::string_view Value::string_or(std::string_view key, std::string_view otherwise) const noexcept {
  const Value* found = find(key);
  return found != nullptr && found->is_string() ? found->as_string() : otherwise;
}

void ObjectBuilder::reserve(std::size_t capacity) {
  capacity_ = std::max<std::size_t>(capacity, 4);
  members_ = grow(arena_, members_, size_, capacity_);
}

void ArrayBuilder::reserve(std::size_t capacity) {
  capacity_ = std::max<std::size_t>(capacity, 4);
  values_ = grow(arena_, values_, size_, capacity_);
}

}  // namespace coffer::json
