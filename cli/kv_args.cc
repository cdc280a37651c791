#include "cli/kv_args.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/error_text.h"
#include "base/limits.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

using Data = std::map<std::string, json::Value>;

class Builder {
 public:
  Builder(Arena& arena, int in) : arena_(arena), in_(in) {}

  Status add(const std::string& arg) {
    if (arg.empty())
      return ok_status();
    if (arg == "-" || arg[0] == '@') {
      COFFER_ASSIGN(std::string text, arg == "-" ? standard_input() : read_file(arg.substr(1)));
      return merge(text);
    }
    std::size_t equals = arg.find('=');
    if (equals == std::string::npos)
      return Status(Code::kInvalid, "format must be key=value");
    COFFER_ASSIGN(std::string value, value_of(arg.substr(equals + 1)));
    put(arg.substr(0, equals), json::Value::string(arena_, value));
    return ok_status();
  }

  Data take() { return std::move(data_); }

 private:
  Result<std::string> standard_input() {
    if (std::exchange(read_, true))
      return Status(Code::kInvalid, "stdin already consumed");
    return read_descriptor(in_);
  }

  Result<std::string> value_of(std::string text) {
    if (text == "-")
      return standard_input();
    if (text.starts_with('@')) {
      Result<std::string> content = read_file(text.substr(1));
      return content.ok() ? content : Result<std::string>(content.status().with_context("error reading file"));
    }
    return text.starts_with("\\@") ? text.substr(1) : text;
  }

  Status merge(const std::string& text) {
    if (trim(text).empty())
      return Status(Code::kInvalid, "EOF");
    json::Limits bounds;
    bounds.strings = std::numeric_limits<std::size_t>::max();
    COFFER_ASSIGN(json::Value root, json::parse_copy(arena_, text, bounds));
    if (!root.is_object())
      return Status(Code::kInvalid, "json: the value is not an object");
    for (const json::Member& m : root.members())
      data_[std::string(m.key())] = m.value;
    return ok_status();
  }

  void put(const std::string& key, json::Value value) {
    auto [at, fresh] = data_.emplace(key, value);
    if (fresh)
      return;
    json::ArrayBuilder list(arena_);
    if (at->second.is_array()) {
      for (const json::Value& element : at->second.elements())
        list.add(element);
    } else {
      list.add(at->second);
    }
    at->second = list.add(value).build();
  }

  Arena& arena_;
  int in_;
  bool read_ = false;
  Data data_;
};

// The argument without its value, which may be a secret.
// What has no name may be all secret: only its number is told.
std::string named(const std::string& arg, std::size_t number) {
  std::size_t equals = arg.find('=');
  if (arg == "-" || arg.starts_with('@'))
    return quoted(arg);
  if (equals == std::string::npos)
    return std::to_string(number);
  std::string value = arg.substr(equals + 1);
  return value == "-" || value.starts_with('@') ? quoted(arg) : quoted(arg.substr(0, equals) + "=...");
}

}  // namespace

Result<std::string> read_descriptor(int fd) {
  std::string text;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return Status(Code::kIo, "read: " + lower_error_text(errno));
    if (n == 0)
      return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > limits::kClientInputBytesMax)
      return Status(Code::kTooLarge,
                    "more than " + std::to_string(limits::kClientInputBytesMax >> 20) + " MiB of input");
  }
}

Result<std::string> read_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return Status(Code::kInvalid, "open " + path + ": " + lower_error_text(errno));
  Result<std::string> text = read_descriptor(fd);
  ::close(fd);
  if (text.code() == Code::kIo)  // "read: reason" gets the path in between
    return Status(Code::kIo, "read " + path + text.status().message().substr(std::string_view("read").size()));
  return text;
}

Result<Data> parse_data(Arena& arena, const std::vector<std::string>& args, int in) {
  Builder builder(arena, in);
  for (std::size_t i = 0; i < args.size(); ++i) {
    Status added = builder.add(args[i]);
    if (!added.ok())
      return added.with_context("invalid key/value pair " + named(args[i], i + 1));
  }
  return builder.take();
}

Result<std::map<std::string, std::string>> parse_text_data(Arena& arena, const std::vector<std::string>& args, int in) {
  COFFER_ASSIGN(Data data, parse_data(arena, args, in));
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : data) {
    if (value.is_array() || value.is_object())
      return Status(Code::kInvalid,
                    "failed to convert values to strings: " + quoted(key) + " is given more than once or is no scalar");
    out[key] = scalar_text(value);
  }
  return out;
}

json::Value object_of(Arena& arena, const Data& members) {
  json::ObjectBuilder builder(arena, members.size() + 1);
  for (const auto& [key, value] : members)
    builder.add(key, value);
  return builder.build();
}

json::Value object_of(Arena& arena, const std::map<std::string, std::string>& members) {
  json::ObjectBuilder builder(arena, members.size() + 1);
  for (const auto& [key, value] : members)
    builder.add(key, value);
  return builder.build();
}

}  // namespace coffer::cli
