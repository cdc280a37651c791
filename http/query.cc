#include "http/query.h"

#include <span>

#include "base/limits.h"
#include "base/utf8.h"

namespace coffer::http {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Status refuse(const char* what) { return Status(Code::kInvalid, std::string("query: ") + what); }

Result<std::string_view> decode(Arena& arena, std::string_view text) {
  if (text.find_first_of("%+") == std::string_view::npos)
    return text;
  char* out = static_cast<char*>(arena.allocate(text.size(), 1));
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out[size++] = ' ';
    } else if (text[i] != '%') {
      out[size++] = text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return refuse("a broken escape");
      out[size++] = static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return std::string_view(out, size);
}

struct Parameter {
  std::string_view name;
  std::string_view value;
  bool taken = false;
};

Result<std::span<Parameter>> split(Arena& arena, std::string_view text) {
  std::size_t count = 1;
  for (const char c : text)
    count += c == '&';
  if (count > limits::kQueryParametersMax)
    return Status(Code::kInvalid, "query: more than " + std::to_string(limits::kQueryParametersMax) + " parameters");
  auto* parameters = static_cast<Parameter*>(arena.allocate(count * sizeof(Parameter), alignof(Parameter)));
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('&');
    const std::string_view one = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (one.empty())
      continue;
    const std::size_t equals = one.find('=');
    COFFER_ASSIGN(const std::string_view name, decode(arena, one.substr(0, equals)));
    COFFER_ASSIGN(const std::string_view value,
                  decode(arena, equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1)));
    if (name.empty())
      return refuse("a parameter without a name");
    if (!is_utf8(name) || !is_utf8(value))
      return refuse("not valid UTF-8");
    parameters[used++] = Parameter{name, value};
  }
  return std::span<Parameter>(parameters, used);
}

json::Value as_object(Arena& arena, std::span<Parameter> parameters) {
  json::ObjectBuilder object(arena, parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].taken)
      continue;
    std::size_t same = 1;
    for (std::size_t k = i + 1; k < parameters.size(); ++k)
      same += !parameters[k].taken && parameters[k].name == parameters[i].name;
    if (same == 1) {
      object.add(parameters[i].name, json::Value::string(arena, parameters[i].value));
      continue;
    }
    json::ArrayBuilder values(arena, same);
    for (std::size_t k = i; k < parameters.size(); ++k) {
      if (parameters[k].taken || parameters[k].name != parameters[i].name)
        continue;
      values.add(parameters[k].value);
      parameters[k].taken = k != i;
    }
    object.add(parameters[i].name, values.build());
  }
  return object.size() == 0 ? json::Value::null() : object.build();
}

}  // namespace

Result<Query> parse_query(Arena& arena, std::string_view text) {
  Query query;
  if (text.empty())
    return query;
  COFFER_ASSIGN(const auto parameters, split(arena, text));
  for (Parameter& parameter : parameters) {
    const bool yes = parameter.value == "true" || parameter.value == "1";
    if (parameter.name == "list") {
      query.list = query.list || yes;
      parameter.taken = true;
    } else if (parameter.name == "scan") {
      query.scan = query.scan || yes;
      parameter.taken = true;
    } else if (parameter.name == "help" && (yes || parameter.value.empty())) {
      query.help = true;
      parameter.taken = true;
    }
  }
  query.data = as_object(arena, parameters);
  return query;
}

Result<json::Value> parse_form(Arena& arena, std::string_view text) {
  if (text.empty())
    return json::Value::null();
  COFFER_ASSIGN(const auto parameters, split(arena, text));
  return as_object(arena, parameters);
}

}  // namespace coffer::http
