#include "http/request_reader.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/impl/basic_parser.ipp>
#include <optional>

#include "base/mutant.h"
#include "core/body_pipe.h"
#include "core/forward_paths.h"
#include "core/restore.h"
#include "http/request_build.h"

namespace coffer::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using beast::error_code;
using beast::string_view;

std::string_view as_std(string_view text) { return {text.data(), text.size()}; }

Method method_of(bhttp::verb verb, string_view text) {
  switch (verb) {
    case bhttp::verb::get:
      return Method::kGet;
    case bhttp::verb::head:
      return Method::kHead;
    case bhttp::verb::post:
      return Method::kPost;
    case bhttp::verb::put:
      return Method::kPut;
    case bhttp::verb::patch:
      return Method::kPatch;
    case bhttp::verb::delete_:
      return Method::kDelete;
    case bhttp::verb::options:
      return Method::kOptions;
    default:
      return text == "LIST" ? Method::kList : text == "SCAN" ? Method::kScan : Method::kOther;
  }
}

// A byte that a method can begin with; a TLS greeting, say, does not.
bool begins_method(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Beast reads the grammar; this keeps what Coffer needs of it. One object a request.
class Parser final : public bhttp::basic_parser<true> {
 public:
  Parser(const Config& config, BodyBuffer& body, core::Exchange& exchange,
         const Listener* listener)
      : config_(config), body_(body), exchange_(exchange), listener_(listener) {
    eager(true);
    body_limit(boost::none);  // checked here, where it is known whose it is
    header_limit(static_cast<std::uint32_t>(config.limits.header_bytes));
    if (config.board && !config.board->quiet())
      settings_ = config.board->get();
    cors_ = listener != nullptr && listener->cors != nullptr ? listener->cors : settings_;
  }

  Head head;
  std::optional<Refusal> refusal;
  bool over_quota = false;  // its body is not read: the dispatcher has the answer
  std::shared_ptr<core::BodyPipe> pipe;  // where the body goes; the exchange may be gone then

  std::string_view body() const { return in_arena_.empty() ? body_.view() : in_arena_; }

 private:
  void refuse(int status, const char* text, error_code& ec) {
    refusal = Refusal{status, text};
    ec = bhttp::error::end_of_stream;  // any error stops Beast
  }

  void on_request_impl(bhttp::verb verb, string_view method, string_view target, int version, error_code&) override {
    head.method = method_of(verb, method);
    head.http11 = version == 11;
    head.target = exchange_.arena.copy(as_std(target));
  }

  void on_response_impl(int, string_view, int, error_code&) override {}

  void on_field_impl(bhttp::field name, string_view name_text, string_view value, error_code& ec) override {
    if (head_done_)  // a trailer says nothing here
      return;
    if (settings_)
      note_header(as_std(name_text), as_std(value));
    switch (name) {
      case bhttp::field::authorization:
        if (value.size() > 7 && beast::iequals(value.substr(0, 7), "Bearer "))
          keep(head.bearer, value.substr(7), ec);
        break;
      case bhttp::field::content_type:
        keep(head.content_type, value, ec);
        break;
      case bhttp::field::origin:
        if (cors_ && cors_->cors)
          keep(head.origin, value, ec);
        break;
      case bhttp::field::expect:
        if (!beast::iequals(value, "100-continue"))
          refuse(417, "Expect: only 100-continue is understood", ec);
        head.expects_continue = true;
        break;
      case bhttp::field::transfer_encoding:
        // Anything else would leave two readers of one stream with two ideas of where the body ends.
        if (!head.http11 || !beast::iequals(value, "chunked"))
          refuse(400, "Transfer-Encoding: only chunked is understood", ec);
        break;
      case bhttp::field::upgrade:
        head.upgrades = beast::iequals(value, "websocket");
        break;
      case bhttp::field::sec_websocket_key:
        keep(head.websocket_key, value, ec);
        break;
      case bhttp::field::sec_websocket_version:
        head.websocket_13 = value == "13";
        break;
      case bhttp::field::unknown:
        if (name_text.size() > 8 && beast::iequals(name_text.substr(0, 8), "X-Vault-"))
          on_vault_field(name_text.substr(8), value, ec);
        break;
      default:
        break;
    }
  }

  // What the client calls a namespace lies below the listener's own.
  void enter_chroot() {
    std::string_view& ns = exchange_.request.namespace_path;
    ns = exchange_.arena.copy(ns.empty() ? listener_->chroot : listener_->chroot + "/" + std::string(ns));
  }

  // For whoever audits or traces headers. The head as a whole has a limit, and so have these.
  void note_header(std::string_view name, std::string_view value) {
    if (!settings_->keep_headers)
      return;
    auto* line = static_cast<core::HeaderLine*>(exchange_.arena.allocate(sizeof(core::HeaderLine)));
    ::new (line) core::HeaderLine{exchange_.arena.copy(name), exchange_.arena.copy(value), nullptr};
    (last_header_ == nullptr ? exchange_.request.headers : last_header_->next) = line;
    last_header_ = line;
  }

  void on_vault_field(string_view name, string_view value, error_code& ec) {
    if (beast::iequals(name, "Token"))
      keep(head.token, value, ec);
    else if (beast::iequals(name, "Namespace"))
      keep(head.namespace_path, value, ec);
    else if (beast::iequals(name, "Wrap-TTL"))
      keep(head.wrap_ttl, value, ec);
    else if (beast::iequals(name, "Request"))
      head.request_header = beast::iequals(value, "true");
    else if (beast::iequals(name, "Wrap-Format"))
      keep(head.wrap_format, value, ec);
    else if (beast::iequals(name, "Explain"))
      keep(head.explain, value, ec);
    else if (beast::iequals(name, "Inconsistent"))
      keep(head.inconsistent, value, ec);
    else if (beast::iequals(name, "Forward"))
      keep(head.forward, value, ec);
    else if (beast::iequals(name, "No-Request-Forwarding") && !value.empty())
      core::forbid_forwarding(exchange_);
    else if (beast::iequals(name, kForce))
      exchange_.request.forces_restore = as_std(value) == core::kForceHeaderValue;
    else if (beast::iequals(name, "Index"))
      exchange_.request.known_states = line(name, value, exchange_.request.known_states);
    else if (name.size() > kInline.size() && beast::iequals(name.substr(0, kInline.size()), kInline))
      on_inline_field(name.substr(kInline.size()), value, ec);
  }

  void on_inline_field(string_view name, string_view value, error_code& ec) {
    constexpr string_view kParameter = "Parameter-";
    if (beast::iequals(name, "Path"))
      keep(head.inline_path, value, ec);
    else if (beast::iequals(name, "Operation"))
      keep(head.inline_operation, value, ec);
    else if (beast::iequals(name, "Namespace"))
      keep(head.inline_namespace, value, ec);
    else if (name.size() > kParameter.size() && beast::iequals(name.substr(0, kParameter.size()), kParameter))
      head.inline_parameters = line(name, value, head.inline_parameters);
    else
      refuse(400, "an X-Vault-Inline-Auth header that is not known", ec);
  }

  // One more of a list; the head as a whole is bounded.
  const core::HeaderLine* line(string_view name, string_view value, const core::HeaderLine* next) {
    auto* made = static_cast<core::HeaderLine*>(exchange_.arena.allocate(sizeof(core::HeaderLine)));
    return ::new (made)
        core::HeaderLine{exchange_.arena.copy(as_std(name)), exchange_.arena.copy(as_std(value)), next};
  }

  // Two different values of one header are refused: who checks one must not act on the other.
  void keep(std::string_view& to, string_view value, error_code& ec) {
    if (to.data() != nullptr && to != as_std(value))
      return refuse(400, "a header that decides about the request was sent twice", ec);
    to = exchange_.arena.copy(as_std(value));
    if (to.data() == nullptr)
      to = std::string_view("", 0);
  }

  void on_header_impl(error_code& ec) override {
    head_done_ = true;
    head.upgrades = head.upgrades && upgrade();
    refusal = build_head(head, config_, cors_.get(), exchange_);
    if (!refusal && listener_ != nullptr && !listener_->chroot.empty())
      enter_chroot();
    if (refusal) {
      // Without a body the request is over and the connection can go on.
      if (chunked() || content_length().value_or(0) != 0)
        ec = bhttp::error::end_of_stream;
      return;
    }
    // What is refused for its rate costs no memory and no parsing (advisory C4).
    core::Gate* gate = config_.board ? config_.board->gate() : nullptr;
    if (gate != nullptr && (chunked() || content_length().value_or(0) != 0) && !gate->admit(exchange_)) {
      over_quota = true;
      ec = bhttp::error::end_of_stream;
      return;
    }
    const auto length = content_length();
    if (core::pipes_body(exchange_.request)) {
      pipe = exchange_.request.body = std::make_shared<core::BodyPipe>();
      body_bytes_max_ = SIZE_MAX;  // whoever takes it has a bound
      return;
    }
    // Any text may stand in the header: only a live token earns room. Who asks for little is not looked at.
    const std::size_t tokenless = std::min(config_.limits.tokenless_body_bytes, config_.limits.body_bytes);
    const bool much = length ? *length > tokenless : chunked();
    body_bytes_max_ = much && (known() || mutant(Mutant::kHttpTokenlessBodyUnbounded)) ? config_.limits.body_bytes
                                                                                       : tokenless;
    if (length && *length > body_bytes_max_)
      refuse(413, "http: request body too large", ec);
    else if (length)
      body_.set_expected(static_cast<std::size_t>(*length));
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

  std::size_t on_body_impl(string_view piece, error_code& ec) override {
    if (pipe) {
      pipe->put(as_std(piece));
      return piece.size();
    }
    // Most bodies are small and here at once; they need no buffer of their own.
    const auto left = content_length_remaining();
    if (body_.size() == 0 && left && *left == piece.size() && piece.size() <= kArenaBodyBytesMax)
      in_arena_ = exchange_.arena.copy(as_std(piece));
    else
      append(as_std(piece), ec);
    return piece.size();
  }

  void on_chunk_header_impl(std::uint64_t size, string_view, error_code& ec) override {
    if (size > body_bytes_max_ - body_.size())
      refuse(413, "http: request body too large", ec);
  }

  std::size_t on_chunk_body_impl(std::uint64_t, string_view piece, error_code& ec) override {
    if (pipe)
      pipe->put(as_std(piece));
    else
      append(as_std(piece), ec);
    return piece.size();
  }

  // Whether a token is shown that is one; asked when it matters, and once.
  bool known() {
    if (!known_) {
      core::Gate* judge = config_.board ? config_.board->token_judge() : nullptr;
      known_ = !exchange_.request.token.empty() && (judge == nullptr || judge->knows_token(exchange_));
    }
    return *known_;
  }

  void append(std::string_view piece, error_code& ec) {
    if (body_.size() == 0)
      body_.set_owner(known() ? BodyBudget::Who::kKnown : BodyBudget::Who::kGuest);
    if (!body_.append(piece))
      refuse(503, "too many request bodies are being received", ec);
  }

  void on_finish_impl(error_code&) override {}

  static constexpr string_view kInline = "Inline-Auth-";
  static constexpr string_view kForce = {core::kForceHeader.data() + 8, core::kForceHeader.size() - 8};  // X-Vault-
  static constexpr std::size_t kArenaBodyBytesMax = 16u << 10;

  const Config& config_;
  BodyBuffer& body_;
  core::Exchange& exchange_;
  std::shared_ptr<const core::DoorSettings> settings_;  // null: nothing is asked
  std::shared_ptr<const core::DoorSettings> cors_;      // null: no other site is let in
  const Listener* listener_;                            // may be null
  core::HeaderLine* last_header_ = nullptr;
  std::string_view in_arena_;
  std::size_t body_bytes_max_ = 0;
  std::optional<bool> known_;
  bool head_done_ = false;
};

}  // namespace

class RequestReader::Impl {
 public:
  Impl(const Config& config, BodyBudget& budget, const Listener* listener)
      : config(config), body(budget), listener(listener) {}

  Step put(std::string_view input, std::size_t& used) {
    error_code ec;
    used = parser->put(boost::asio::const_buffer(input.data(), input.size()), ec);
    if (parser->pipe)
      return pipe(ec, input.size() - used);
    if (parser->refusal)
      return refuse(std::move(*parser->refusal));
    if (parser->over_quota)
      return Step::kDone;
    if (ec && ec != bhttp::error::need_more)
      return refuse({400, "malformed HTTP request"});
    if (parser->is_done())
      return finish();
    if (input.size() - used > limits::kChunkHeadBytesMax)
      return refuse({400, "malformed chunk"});
    return Step::kMore;
  }

  // Nobody else looks at what is wrong with it: whoever takes the body is told.
  Step pipe(error_code ec, std::size_t left) {
    if (parser->is_done())
      parser->pipe->end();
    else if ((ec && ec != bhttp::error::need_more) || left > limits::kChunkHeadBytesMax)
      parser->pipe->break_off(Status(Code::kInvalid, "malformed HTTP request"));
    else
      return Step::kMore;
    return parser->is_done() ? Step::kDone : Step::kRefused;
  }

  Step finish() {
    if (auto wrong = build_body(parser->body(), config, *exchange))
      return refuse(std::move(*wrong));
    return Step::kDone;
  }

  Step refuse(Refusal why) {
    refusal = std::move(why);
    return Step::kRefused;
  }

  const Config& config;
  BodyBuffer body;
  const Listener* const listener;
  std::optional<Parser> parser;
  core::Exchange* exchange = nullptr;
  Refusal refusal;
  std::size_t scanned = 0;  // bytes of the head that hold no end of it
  bool continue_taken = false;
};

RequestReader::RequestReader(const Config& config, BodyBudget& budget,
                             const Listener* listener)
    : impl_(std::make_unique<Impl>(config, budget, listener)) {}
RequestReader::~RequestReader() = default;

RequestReader::Step RequestReader::scan_head(std::string_view input, std::size_t& skipped) {
  skipped = 0;
  while (impl_->scanned == 0 && skipped < input.size() && (input[skipped] == '\r' || input[skipped] == '\n'))
    ++skipped;
  input.remove_prefix(skipped);
  if (input.empty())
    return Step::kMore;
  if (!begins_method(input.front()))
    return impl_->refuse({400, "malformed HTTP request"});
  const std::size_t from = impl_->scanned > 3 ? impl_->scanned - 3 : 0;
  const std::size_t end = input.find("\r\n\r\n", from);
  const std::size_t size = end == std::string_view::npos ? input.size() : end + 4;
  if (size > impl_->config.limits.header_bytes)
    return impl_->refuse({431, "request header fields too large"});
  impl_->scanned = size;
  return end == std::string_view::npos ? Step::kMore : Step::kReady;
}

RequestReader::Step RequestReader::begin(std::string_view input, core::Exchange& exchange, std::size_t& used) {
  impl_->exchange = &exchange;
  impl_->parser.emplace(impl_->config, impl_->body, exchange, impl_->listener);
  // The head alone first: one that is not over at its end is malformed, whatever follows.
  const Step head = impl_->put(input.substr(0, impl_->scanned), used);
  if (impl_->parser->pipe && head != Step::kRefused)
    return Step::kPiped;
  if (head != Step::kMore)
    return head;
  if (!impl_->parser->is_header_done() || used != impl_->scanned)
    return impl_->refuse({400, "malformed HTTP request"});
  if (used == input.size())
    return Step::kMore;
  std::size_t of_body = 0;
  const Step body = impl_->put(input.substr(used), of_body);
  used += of_body;
  return body;
}

RequestReader::Step RequestReader::more(std::string_view input, std::size_t& used) { return impl_->put(input, used); }

bool RequestReader::take_expect_continue() noexcept {
  if (impl_->continue_taken || !impl_->parser || !impl_->parser->head.expects_continue || !impl_->parser->head.http11)
    return false;
  impl_->continue_taken = true;
  return true;
}

const Refusal& RequestReader::refusal() const noexcept { return impl_->refusal; }
bool RequestReader::whole() const noexcept { return impl_->parser && impl_->parser->is_done(); }
bool RequestReader::keep_alive() const noexcept { return whole() && impl_->parser->keep_alive(); }
bool RequestReader::is_head() const noexcept { return impl_->parser && impl_->parser->head.method == Method::kHead; }

std::string_view RequestReader::websocket_key() const noexcept {
  return impl_->parser ? impl_->parser->head.websocket_key : std::string_view();
}

void RequestReader::reset() {
  impl_->parser.reset();
  impl_->body.clear();
  impl_->body.set_expected(0);
  impl_->exchange = nullptr;
  impl_->scanned = 0;
  impl_->continue_taken = false;
  impl_->refusal = Refusal();
}

}  // namespace coffer::http
