#include "core/forward.h"

#include <algorithm>
#include <new>

#include "base/codec.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "core/pipeline_state.h"

namespace coffer::core::forward {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kRequestKind = 0x51;
constexpr std::uint8_t kReplyKind = 0x52;

// Bits of a request.
constexpr std::uint8_t kExplain = 1;
constexpr std::uint8_t kRateAsked = 2;
constexpr std::uint8_t kWrapped = 4;
constexpr std::uint8_t kInlineLogin = 8;
constexpr std::uint8_t kRequestBits = 15;

// Bits of a reply.
constexpr std::uint8_t kTopLevel = 1;
constexpr std::uint8_t kBare = 2;
constexpr std::uint8_t kRenewable = 4;
constexpr std::uint8_t kLate = 8;
constexpr std::uint8_t kAuth = 16;
constexpr std::uint8_t kWrapInfo = 32;
constexpr std::uint8_t kAuthenticated = 64;
constexpr std::uint8_t kReplyBits = 127;

constexpr int kStatusMin = 200;
constexpr int kStatusMax = 599;

Status malformed(std::string_view field) {
  return Status(Code::kInvalid, "a message between nodes is malformed: " + std::string(field));
}

// Counts what ByteWriter would append, and holds the message to its bounds.
class Sizer {
 public:
  void u8(std::uint8_t) { size_ += 1; }
  void u16(std::uint16_t) { size_ += 2; }
  void u64(std::uint64_t) { size_ += 8; }
  void varint(std::uint64_t value) {
    do
      ++size_;
    while ((value >>= 7) != 0);
  }
  void bytes(std::string_view text) {
    varint(text.size());
    size_ += text.size();
  }
  void value(unsigned depth) { check(++values_ <= kValuesMax && depth < kDepthMax, "its JSON"); }
  void count(std::size_t items, std::size_t max, const char* what) { check(items <= max, what); }

  Result<std::size_t> size() const {
    const char* what = beyond_ == nullptr && size_ > kMessageBytesMax ? "its size" : beyond_;
    if (what == nullptr)
      return size_;
    return Status(Code::kTooLarge, std::string("too large to be passed to another node: ") + what);
  }

 private:
  void check(bool within, const char* what) {
    if (!within && beyond_ == nullptr)
      beyond_ = what;
  }

  std::size_t size_ = 0;
  std::size_t values_ = 0;
  const char* beyond_ = nullptr;
};

class Writer : public ByteWriter {
 public:
  using ByteWriter::ByteWriter;
  void value(unsigned) {}
  void count(std::size_t, std::size_t, const char*) {}
};

template <typename W>
void put_value(const json::Value& value, W& w, unsigned depth = 0) {
  w.value(depth);
  w.u8(static_cast<std::uint8_t>(value.kind()));
  switch (value.kind()) {
    case json::Kind::kNull: return;
    case json::Kind::kBool: return (void)w.u8(value.as_bool() ? 1 : 0);
    case json::Kind::kNumber: return (void)w.bytes(value.number_text());
    case json::Kind::kString: return (void)w.bytes(value.as_string());
    case json::Kind::kRaw: return (void)w.bytes(value.raw_text());
    case json::Kind::kArray:
    case json::Kind::kObject: break;
  }
  w.varint(value.size());
  // Nothing beyond the bound is walked: the size is refused then.
  if (depth >= kDepthMax)
    return;
  for (const json::Value& element : value.elements())
    put_value(element, w, depth + 1);
  for (const json::Member& member : value.members()) {
    w.bytes(member.key());
    put_value(member.value, w, depth + 1);
  }
}

template <typename W>
void put_lines(const HeaderLine* first, W& w) {
  std::size_t count = 0;
  for (const HeaderLine* line = first; line != nullptr; line = line->next)
    ++count;
  w.count(count, kLinesMax, "its headers");
  w.varint(count);
  for (const HeaderLine* line = first; line != nullptr; line = line->next) {
    w.bytes(line->name);
    w.bytes(line->value);
  }
}

template <typename W>
void put_texts(const std::vector<std::string_view>& texts, W& w) {
  w.count(texts.size(), kTextsMax, "a list of texts");
  w.varint(texts.size());
  for (const std::string_view text : texts)
    w.bytes(text);
}

template <typename W, typename Duration>
void put_nanos(Duration nanos, W& w) {
  w.u64(static_cast<std::uint64_t>(nanos.count()));
}

template <typename W>
void put_request(const Exchange& exchange, Nanos time_left, W& w) {
  const Request& request = exchange.request;
  const bool rate_asked = exchange.pipeline && exchange.pipeline->rate.asked;
  w.u8(kFormat);
  w.u8(kRequestKind);
  w.u8(static_cast<std::uint8_t>((request.explain ? kExplain : 0) | (rate_asked ? kRateAsked : 0) |
                                 (request.wrap_ttl ? kWrapped : 0) | (request.inline_login ? kInlineLogin : 0)));
  w.u8(static_cast<std::uint8_t>(request.surface));
  w.u8(static_cast<std::uint8_t>(request.operation));
  w.u8(static_cast<std::uint8_t>(request.wrap_format));
  put_nanos(time_left, w);
  w.bytes(request.id);
  w.bytes(request.path.view());
  w.bytes(request.namespace_path);
  w.bytes(request.token);
  w.bytes(request.remote_address);
  w.u16(request.remote_port);
  w.bytes(request.content_type);
  w.bytes(request.origin);
  if (request.wrap_ttl)
    put_nanos(*request.wrap_ttl, w);
  if (request.inline_login) {
    w.bytes(request.inline_login->path.view());
    w.bytes(request.inline_login->namespace_path);
    put_value(request.inline_login->data, w);
  }
  put_lines(request.known_states, w);
  put_lines(request.headers, w);
  put_value(request.data, w);
}

template <typename W>
void put_auth(const Auth& auth, W& w) {
  w.bytes(auth.client_token);
  w.bytes(auth.accessor);
  put_texts(auth.policies, w);
  put_texts(auth.token_policies, w);
  put_texts(auth.identity_policies, w);
  put_value(auth.metadata, w);
  put_nanos(auth.lease_duration, w);
  w.u8(static_cast<std::uint8_t>((auth.renewable ? 1 : 0) | (auth.orphan ? 2 : 0)));
  w.bytes(auth.entity_id);
  w.bytes(auth.token_type);
  w.u64(static_cast<std::uint64_t>(auth.num_uses));
}

template <typename W>
void put_wrap_info(const WrapInfo& wrap, W& w) {
  w.bytes(wrap.token);
  w.bytes(wrap.accessor);
  put_nanos(wrap.ttl, w);
  put_nanos(wrap.creation_time.time_since_epoch(), w);
  w.bytes(wrap.creation_path);
  w.bytes(wrap.wrapped_accessor);
}

template <typename W>
void put_reply(const Exchange& exchange, W& w) {
  const Response& response = exchange.response;
  w.u8(kFormat);
  w.u8(kReplyKind);
  w.u8(static_cast<std::uint8_t>(Told::kAnswered));
  w.u8(static_cast<std::uint8_t>(
      (response.data_also_top_level ? kTopLevel : 0) | (response.bare ? kBare : 0) |
      (response.renewable ? kRenewable : 0) | (response.late ? kLate : 0) | (response.auth ? kAuth : 0) |
      (response.wrap_info ? kWrapInfo : 0) | (exchange.authenticated ? kAuthenticated : 0)));
  w.u16(static_cast<std::uint16_t>(response.status));
  put_value(response.data, w);
  if (response.auth)
    put_auth(*response.auth, w);
  if (response.wrap_info)
    put_wrap_info(*response.wrap_info, w);
  w.bytes(response.lease_id);
  put_nanos(response.lease_duration, w);
  w.bytes(response.mount_type);
  put_texts(response.warnings, w);
  put_texts(response.errors, w);
  w.bytes(response.raw_body);
  w.bytes(response.content_type);
  w.count(response.headers.size(), kLinesMax, "its headers");
  w.varint(response.headers.size());
  for (const auto& [name, value] : response.headers) {
    w.bytes(name);
    w.bytes(value);
  }
}

// One size, one allocation: `put` is called twice with the same.
template <typename Put>
Result<std::string> in_one_piece(const Put& put) {
  Sizer sizer;
  put(sizer);
  COFFER_ASSIGN(const std::size_t size, sizer.size());
  std::string out;
  out.reserve(size);
  Writer writer(out);
  put(writer);
  COFFER_CHECK(out.size() == size);
  return out;
}

// As JSON has it: no sign but '-', no leading zero, digits around the point and behind the exponent.
bool is_number(std::string_view text) {
  const auto digits = [&text] {
    std::size_t n = 0;
    while (n < text.size() && text[n] >= '0' && text[n] <= '9')
      ++n;
    text.remove_prefix(n);
    return n;
  };
  if (text.starts_with('-'))
    text.remove_prefix(1);
  const bool zero = text.starts_with('0');
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1))
    return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0)
      return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-'))
      text.remove_prefix(1);
    if (digits() == 0)
      return false;
  }
  return text.empty();
}

// Whether it can stand in an answer as it is: one JSON value, no space around it to speak of.
bool is_json(std::string_view text) {
  json::Arena scratch;
  return json::parse(scratch, text, {kDepthMax, SIZE_MAX, kMessageBytesMax}).ok();
}

bool keys_differ(std::span<const json::Member> members) {
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const json::Member& member : members)
    keys.push_back(member.key());
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) == keys.end();
}

// Reads the fields in order; after the first that is wrong everything is empty and `wrong()` names it.
class Reader {
 public:
  Reader(std::string_view bytes, json::Arena& arena) : in_(bytes), arena_(arena) {}

  std::uint8_t u8() { return in_.u8(); }
  std::uint16_t u16() { return in_.u16(); }
  std::uint64_t u64() { return in_.u64(); }
  bool going() const { return wrong_ == nullptr && in_.ok(); }

  void require(bool right, const char* field) {
    if (!right && wrong_ == nullptr)
      wrong_ = field;
  }

  std::uint8_t bits(std::uint8_t known, const char* field) {
    const std::uint8_t value = in_.u8();
    require((value & ~known) == 0, field);
    return value;
  }

  std::string_view text() { return arena_.copy(in_.bytes()); }

  // A number of things that take a byte each at least.
  std::size_t count(std::size_t max, const char* field) {
    const std::uint64_t n = in_.varint();
    require(n <= max && n <= in_.left(), field);
    return going() ? static_cast<std::size_t>(n) : 0;
  }

  Nanos span(const char* field) {
    const auto nanos = static_cast<std::int64_t>(in_.u64());
    require(nanos >= 0, field);
    return Nanos(nanos);
  }

  CanonicalPath path(const char* field) {
    Result<CanonicalPath> path = CanonicalPath::from_text(in_.bytes());
    require(path.ok(), field);
    return path.ok() ? std::move(path).value() : CanonicalPath();
  }

  // Empty, or a path that names a namespace.
  std::string_view namespace_path(const char* field) {
    const std::string_view text = in_.bytes();
    require(text.empty() || CanonicalPath::from_text(text).ok(), field);
    return arena_.copy(text);
  }

  void texts(std::vector<std::string_view>& to, const char* field) {
    std::size_t n = count(kTextsMax, field);
    to.reserve(n);
    for (; n > 0 && going(); --n)
      to.push_back(text());
  }

  const HeaderLine* lines(const char* field) {
    const HeaderLine* first = nullptr;
    HeaderLine* last = nullptr;
    for (std::size_t n = count(kLinesMax, field); n > 0 && going(); --n) {
      const std::string_view name = text();
      auto* line = ::new (arena_.allocate(sizeof(HeaderLine))) HeaderLine{name, text(), nullptr};
      (last == nullptr ? first : last->next) = line;
      last = line;
    }
    return first;
  }

  // `asked`: of a request, where texts are UTF-8, keys differ and nothing is spliced.
  json::Value value(bool asked, unsigned depth = 0) {
    require(++values_ <= kValuesMax && depth < kDepthMax, "JSON: beyond its bounds");
    const std::uint8_t kind = in_.u8();
    if (!going())
      return {};
    switch (static_cast<json::Kind>(kind)) {
      case json::Kind::kNull: return {};
      case json::Kind::kBool: {
        const std::uint8_t value = in_.u8();
        require(value <= 1, "JSON: a truth value");
        return json::Value::boolean(value == 1);
      }
      case json::Kind::kNumber: {
        const std::string_view number = in_.bytes();
        require(is_number(number), "JSON: a number");
        return json::Value::number_from_text(arena_.copy(number));
      }
      case json::Kind::kString: return string(asked);
      case json::Kind::kRaw: {
        const std::string_view raw = in_.bytes();
        require(!asked && is_json(raw), "JSON: a text of it");
        return json::Value::raw(arena_.copy(raw));
      }
      case json::Kind::kArray: return array(asked, depth);
      case json::Kind::kObject: return object(asked, depth);
    }
    require(false, "JSON: a kind");
    return {};
  }

  Status finish() const {
    if (wrong_ != nullptr)
      return malformed(wrong_);
    const Status status = in_.finish();
    return status.ok() ? status : malformed(status.message());
  }

 private:
  // What is reserved on the word of a count: many that claim much, one in the other, must not add up.
  static constexpr std::size_t kReservedMax = 64;

  json::Value string(bool asked) {
    const std::string_view text = in_.bytes();
    require(!asked || is_utf8(text), "JSON: a text");
    return json::Value::string(arena_, text);
  }

  json::Value array(bool asked, unsigned depth) {
    std::size_t n = count(kValuesMax, "JSON: an array");
    json::ArrayBuilder array(arena_, std::clamp<std::size_t>(n, 1, kReservedMax));
    for (; n > 0 && going(); --n)
      array.add(value(asked, depth + 1));
    return array.build();
  }

  json::Value object(bool asked, unsigned depth) {
    std::size_t n = count(kValuesMax, "JSON: an object");
    json::ObjectBuilder object(arena_, std::clamp<std::size_t>(n, 1, kReservedMax));
    for (; n > 0 && going(); --n) {
      const std::string_view key = in_.bytes();
      require(!asked || is_utf8(key), "JSON: a key");
      object.add(key, value(asked, depth + 1));
    }
    const json::Value built = object.build();
    require(!asked || keys_differ(built.members()), "JSON: a key that stands twice");
    return built;
  }

  ByteReader in_;
  json::Arena& arena_;
  std::size_t values_ = 0;
  const char* wrong_ = nullptr;
};

bool is_token(std::string_view token) { return token.size() <= limits::kTokenBytesMax; }

void read_inline_login(Reader& in, Request& request) {
  InlineLogin login;
  login.path = in.path("path of the inline login");
  login.namespace_path = in.namespace_path("namespace of the inline login");
  login.data = in.value(true);
  in.require(login.data.is_object(), "data of the inline login");
  request.inline_login = std::make_shared<const InlineLogin>(std::move(login));
}

void read_request(Reader& in, Exchange& into) {
  Request& request = into.request;
  in.require(in.u8() == kFormat && in.u8() == kRequestKind, "format");
  const std::uint8_t bits = in.bits(kRequestBits, "bits");
  const std::uint8_t surface = in.u8();
  const std::uint8_t operation = in.u8();
  const std::uint8_t wrap_format = in.u8();
  in.require(surface <= static_cast<std::uint8_t>(Surface::kGrpc), "surface");
  in.require(operation <= static_cast<std::uint8_t>(Operation::kScan), "operation");
  in.require(wrap_format <= static_cast<std::uint8_t>(WrapFormat::kJwt), "wrap format");
  request.surface = static_cast<Surface>(surface);
  request.operation = static_cast<Operation>(operation);
  request.wrap_format = static_cast<WrapFormat>(wrap_format);
  request.explain = (bits & kExplain) != 0;
  request.time_max = in.span("time");
  in.require(request.time_max > Nanos(0) && request.time_max <= kTimeMax, "time");
  request.id = in.text();
  in.require(!request.id.empty(), "id");
  request.path = in.path("path");
  request.namespace_path = in.namespace_path("namespace");
  request.token = in.text();
  in.require(is_token(request.token), "token");
  request.remote_address = in.text();
  request.remote_port = in.u16();
  request.content_type = in.text();
  request.origin = in.text();
  if ((bits & kWrapped) != 0)
    request.wrap_ttl = in.span("wrap ttl");
  if ((bits & kInlineLogin) != 0)
    read_inline_login(in, request);
  request.known_states = in.lines("known states");
  request.headers = in.lines("headers");
  request.data = in.value(true);
  if (!into.pipeline)
    into.pipeline = std::make_unique<PipelineState>();
  into.pipeline->rate.asked = (bits & kRateAsked) != 0;
}

Auth read_auth(Reader& in) {
  Auth auth;
  auth.client_token = in.text();
  auth.accessor = in.text();
  in.texts(auth.policies, "policies");
  in.texts(auth.token_policies, "policies of the token");
  in.texts(auth.identity_policies, "policies of the identity");
  auth.metadata = in.value(false);
  auth.lease_duration = in.span("lease duration of the token");
  const std::uint8_t bits = in.bits(3, "bits of the token");
  auth.renewable = (bits & 1) != 0;
  auth.orphan = (bits & 2) != 0;
  auth.entity_id = in.text();
  auth.token_type = in.text();
  auth.num_uses = static_cast<std::int64_t>(in.u64());
  return auth;
}

WrapInfo read_wrap_info(Reader& in) {
  WrapInfo wrap;
  wrap.token = in.text();
  wrap.accessor = in.text();
  wrap.ttl = in.span("ttl of the wrapping");
  wrap.creation_time = WallTime(Nanos(static_cast<std::int64_t>(in.u64())));
  wrap.creation_path = in.text();
  wrap.wrapped_accessor = in.text();
  return wrap;
}

// No line break gets into an answer's head by another node's reply.
bool is_header(std::string_view name, std::string_view value) {
  const auto breaks = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  return !name.empty() && std::ranges::none_of(name, breaks) && std::ranges::none_of(value, breaks);
}

void read_answer(Reader& in, Exchange& into) {
  Response& response = into.response;
  const std::uint8_t bits = in.bits(kReplyBits, "bits");
  response.data_also_top_level = (bits & kTopLevel) != 0;
  response.bare = (bits & kBare) != 0;
  response.renewable = (bits & kRenewable) != 0;
  response.late = (bits & kLate) != 0;
  into.authenticated = (bits & kAuthenticated) != 0;
  response.status = in.u16();
  in.require(response.status == 0 || (response.status >= kStatusMin && response.status <= kStatusMax), "status");
  response.data = in.value(false);
  if ((bits & kAuth) != 0)
    response.auth = read_auth(in);
  if ((bits & kWrapInfo) != 0)
    response.wrap_info = read_wrap_info(in);
  response.lease_id = in.text();
  response.lease_duration = in.span("lease duration");
  response.mount_type = in.text();
  in.texts(response.warnings, "warnings");
  in.texts(response.errors, "errors");
  response.raw_body = in.text();
  response.content_type = in.text();
  in.require(is_header("content-type", response.content_type), "content type");
  for (std::size_t n = in.count(kLinesMax, "headers"); n > 0 && in.going(); --n) {
    const std::string_view name = in.text();
    const std::string_view value = in.text();
    in.require(is_header(name, value), "headers");
    response.headers.emplace_back(name, value);
  }
}

}  // namespace

Result<std::size_t> request_bytes(const Exchange& exchange) {
  Sizer sizer;
  put_request(exchange, kTimeMax, sizer);
  return sizer.size();
}

Result<std::string> encode_request(const Exchange& exchange, Nanos time_left) {
  COFFER_CHECK(time_left > Nanos(0));
  const Nanos time = std::min(time_left, kTimeMax);
  return in_one_piece([&](auto& w) { put_request(exchange, time, w); });
}

Status decode_request(std::string_view bytes, Exchange& into) {
  if (bytes.size() > kMessageBytesMax)
    return malformed("its size");
  Reader in(bytes, into.arena);
  read_request(in, into);
  return in.finish();
}

Result<std::string> encode_reply(const Exchange& exchange) {
  COFFER_CHECK(exchange.response.stream == nullptr && exchange.response.feed == nullptr);
  return in_one_piece([&](auto& w) { put_reply(exchange, w); });
}

std::string encode_refusal(Told told) {
  COFFER_CHECK(told != Told::kAnswered);
  std::string out;
  ByteWriter(out).u8(kFormat).u8(kReplyKind).u8(static_cast<std::uint8_t>(told));
  return out;
}

Result<Told> decode_reply(std::string_view bytes, Exchange& into) {
  into.response = Response();
  if (bytes.size() > kMessageBytesMax)
    return malformed("its size");
  Reader in(bytes, into.arena);
  in.require(in.u8() == kFormat && in.u8() == kReplyKind, "format");
  const std::uint8_t told = in.u8();
  in.require(told >= static_cast<std::uint8_t>(Told::kAnswered) && told <= static_cast<std::uint8_t>(Told::kFull),
             "what became of the request");
  if (told == static_cast<std::uint8_t>(Told::kAnswered) && in.going())
    read_answer(in, into);
  const Status status = in.finish();
  if (status.ok())
    return static_cast<Told>(told);
  into.response = Response();
  into.authenticated = false;
  return status;
}

void wipe_text(std::string& text) noexcept {
  wipe(text.data(), text.size());
  text.clear();
}

}  // namespace coffer::core::forward
