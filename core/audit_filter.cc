#include "core/audit_filter.h"

#include <algorithm>
#include <cctype>

namespace coffer::core {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '/' || c == '.';
}

}  // namespace

// One parse: recursive descent over or, and, not, comparison.
class AuditFilterParser {
 public:
  AuditFilterParser(std::string_view text, std::span<const std::string_view> known) : text_(text), known_(known) {}

  Result<AuditFilter> run() {
    COFFER_TRY(next());
    COFFER_ASSIGN(filter_.root_, any_of(0));
    if (token_ != Token::kEnd)
      return wrong("expected \"and\", \"or\" or the end");
    return std::move(filter_);
  }

 private:
  enum class Token : std::uint8_t { kEnd, kWord, kQuoted, kEqual, kNotEqual, kOpen, kClose };
  using Kind = AuditFilter::Kind;
  using Term = AuditFilter::Term;

  Status wrong(std::string_view what) const {
    return Status(Code::kInvalid, std::string(what) + " at offset " + std::to_string(at_));
  }

  Status next() {
    while (end_ < text_.size() && (text_[end_] == ' ' || text_[end_] == '\t' || text_[end_] == '\n'))
      ++end_;
    at_ = end_;
    value_.clear();
    if (end_ == text_.size()) {
      token_ = Token::kEnd;
      return ok_status();
    }
    const char c = text_[end_];
    if (c == '"' || c == '`')
      return quoted(c);
    if (c == '(' || c == ')') {
      token_ = c == '(' ? Token::kOpen : Token::kClose;
      ++end_;
      return ok_status();
    }
    if (text_.substr(end_, 2) == "==" || text_.substr(end_, 2) == "!=") {
      token_ = c == '=' ? Token::kEqual : Token::kNotEqual;
      end_ += 2;
      return ok_status();
    }
    if (!is_word(c))
      return wrong("unexpected character");
    while (end_ < text_.size() && is_word(text_[end_]))
      value_.push_back(text_[end_++]);
    token_ = Token::kWord;
    return ok_status();
  }

  Status quoted(char mark) {
    for (++end_; end_ < text_.size() && text_[end_] != mark; ++end_) {
      if (text_[end_] == '\\' && mark == '"' && end_ + 1 < text_.size())
        ++end_;
      value_.push_back(text_[end_]);
    }
    if (end_ == text_.size())
      return wrong("a quote that does not end");
    ++end_;
    token_ = Token::kQuoted;
    return ok_status();
  }

  bool word(std::string_view which) const { return token_ == Token::kWord && value_ == which; }

  Result<std::size_t> add(Term term) {
    if (filter_.terms_.size() >= AuditFilter::kTermsMax)
      return wrong("too many terms");
    filter_.terms_.push_back(std::move(term));
    return filter_.terms_.size() - 1;
  }

  Result<std::size_t> any_of(std::size_t depth) {
    COFFER_ASSIGN(std::size_t left, all_of(depth));
    while (word("or")) {
      COFFER_TRY(next());
      COFFER_ASSIGN(const std::size_t right, all_of(depth));
      COFFER_ASSIGN(left, add({Kind::kOr, {}, {}, left, right}));
    }
    return left;
  }

  Result<std::size_t> all_of(std::size_t depth) {
    COFFER_ASSIGN(std::size_t left, one(depth));
    while (word("and")) {
      COFFER_TRY(next());
      COFFER_ASSIGN(const std::size_t right, one(depth));
      COFFER_ASSIGN(left, add({Kind::kAnd, {}, {}, left, right}));
    }
    return left;
  }

  Result<std::size_t> one(std::size_t depth) {
    if (depth >= AuditFilter::kDepthMax)
      return wrong("too deep");
    if (word("not")) {
      COFFER_TRY(next());
      COFFER_ASSIGN(const std::size_t of, one(depth + 1));
      return add({Kind::kNot, {}, {}, of, 0});
    }
    if (token_ == Token::kOpen) {
      COFFER_TRY(next());
      COFFER_ASSIGN(const std::size_t inside, any_of(depth + 1));
      if (token_ != Token::kClose)
        return wrong("expected \")\"");
      COFFER_TRY(next());
      return inside;
    }
    return comparison();
  }

  // Either `selector op value`, or `value in selector`.
  Result<std::size_t> comparison() {
    if (token_ != Token::kWord && token_ != Token::kQuoted)
      return wrong("expected a name or a value");
    const std::string first = value_;
    const std::size_t first_at = at_;
    COFFER_TRY(next());
    bool negated = token_ == Token::kNotEqual;
    if (token_ == Token::kEqual || token_ == Token::kNotEqual) {
      COFFER_TRY(next());
      return finish(Kind::kEqual, first, first_at, negated);
    }
    if (word("is"))
      return emptiness(first, first_at);
    if (word("not")) {
      negated = true;
      COFFER_TRY(next());
    }
    if (word("contains")) {
      COFFER_TRY(next());
      return finish(Kind::kContains, first, first_at, negated);
    }
    if (!word("in"))
      return wrong("expected ==, !=, in, contains or is");
    COFFER_TRY(next());
    const std::string selector = value_;
    const std::size_t selector_at = at_;
    if (token_ != Token::kWord && token_ != Token::kQuoted)
      return wrong("expected a name");
    value_ = first;
    token_ = Token::kQuoted;
    return finish(Kind::kContains, selector, selector_at, negated);
  }

  Result<std::size_t> emptiness(const std::string& selector, std::size_t selector_at) {
    COFFER_TRY(next());
    const bool negated = word("not");
    if (negated)
      COFFER_TRY(next());
    if (!word("empty"))
      return wrong("expected \"empty\"");
    return finish(Kind::kEmpty, selector, selector_at, negated);
  }

  Result<std::size_t> finish(Kind kind, const std::string& selector, std::size_t selector_at, bool negated) {
    const bool allowed = known_.empty() ? selector.starts_with('/')
                                        : std::find(known_.begin(), known_.end(), selector) != known_.end();
    if (!allowed) {
      at_ = selector_at;
      return wrong("unknown name");
    }
    if (token_ != Token::kWord && token_ != Token::kQuoted)
      return wrong("expected a value");
    COFFER_ASSIGN(const std::size_t term, add({kind, selector, kind == Kind::kEmpty ? std::string() : value_, 0, 0}));
    COFFER_TRY(next());
    return negated ? add({Kind::kNot, {}, {}, term, 0}) : Result<std::size_t>(term);
  }

  std::string_view text_;
  std::span<const std::string_view> known_;
  AuditFilter filter_;
  Token token_ = Token::kEnd;
  std::string value_;
  std::size_t at_ = 0;   // of the token
  std::size_t end_ = 0;  // behind it
};

Result<AuditFilter> AuditFilter::parse(std::string_view text, std::span<const std::string_view> known) {
  return AuditFilterParser(text, known).run();
}

bool AuditFilter::holds(std::size_t at, const AuditFilterSubject& subject) const {
  const Term& term = terms_[at];
  switch (term.kind) {
    case Kind::kAnd: return holds(term.left, subject) && holds(term.right, subject);
    case Kind::kOr: return holds(term.left, subject) || holds(term.right, subject);
    case Kind::kNot: return !holds(term.left, subject);
    default: break;
  }
  std::vector<std::string_view> values;
  subject.values(term.selector, values);
  if (term.kind == Kind::kEmpty)
    return values.empty() || (values.size() == 1 && values.front().empty());
  if (term.kind == Kind::kEqual)
    return values.size() == 1 && values.front() == term.value;
  if (values.size() == 1)
    return values.front().find(term.value) != std::string_view::npos;
  return std::find(values.begin(), values.end(), term.value) != values.end();
}

bool AuditFilter::matches(const AuditFilterSubject& subject) const { return holds(root_, subject); }

}  // namespace coffer::core
