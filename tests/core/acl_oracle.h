// The access decision again, written from the rules as prose and with no regard for speed: the oracle of core/acl.h.
// Shares no code with it. Header only, so that the unit test and the long run use the same.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace coffer::testing {

inline constexpr std::uint16_t kOracleDeny = 1;  // as core::Capability::kDeny

class AclOracle {
 public:
  // One rule of one policy: text as written, set of capabilities, and the most names that a list may hold (0: any
  // number). Of one whose time is over, the caller does not speak.
  void add(const std::string& text, std::uint16_t capabilities, std::int64_t limit = 0) {
    Said& all = rules_[text];
    all.capabilities |= capabilities;
    if (all.capabilities & kOracleDeny)
      all.capabilities = kOracleDeny;
    if (limit > 0 && (all.limit == 0 || limit < all.limit))
      all.limit = limit;
  }

  // Call after the last add().
  void prepare() {
    for (const auto& [text, said] : rules_) {
      compiled_.push_back(compile(text, said.capabilities));
      compiled_.back().limit = said.capabilities == kOracleDeny ? 0 : said.limit;
    }
  }

  // What the deciding rule says; nothing of anything when none matches.
  struct Said {
    std::uint16_t capabilities = 0;
    std::int64_t limit = 0;
  };
  Said decide(const std::string& path, bool list) const {
    if (!list)
      return best({path});
    std::string bare = path;
    if (!bare.empty() && bare.back() == '/')
      bare.pop_back();
    return best({bare + "/", bare});
  }

 private:
  struct Compiled {
    std::string text;               // without a final '*' that is a wildcard
    std::vector<std::string> parts;  // for '+' rules
    bool segments = false;
    bool prefix = false;
    int plus = 0;
    std::size_t first = 0;  // first wildcard
    std::uint16_t capabilities = 0;
    std::int64_t limit = 0;
  };
  // Greater is better.
  using Rank = std::tuple<std::size_t, bool, int, std::size_t, std::string>;

  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
      if (c == '/')
        parts.emplace_back();
      else
        parts.back() += c;
    }
    return parts;
  }

  static Compiled compile(const std::string& text, std::uint16_t capabilities) {
    Compiled out;
    out.text = text;
    out.capabilities = capabilities;
    // Only a segment that is '+' and nothing else is a wildcard.
    std::size_t first_plus = 0;
    for (const std::string& part : split(text)) {
      out.segments = part == "+";
      if (out.segments)
        break;
      first_plus += part.size() + 1;
    }
    if (!text.empty() && text.back() == '*') {
      out.prefix = true;
      out.text.pop_back();
    }
    out.first = out.segments ? first_plus : out.text.size();
    if (out.segments)
      out.parts = split(out.text);
    for (const std::string& part : out.parts)
      out.plus += part == "+";
    return out;
  }

  static bool matches(const Compiled& rule, const std::string& path, const std::vector<std::string>& parts) {
    if (!rule.segments)
      return rule.prefix ? path.compare(0, rule.text.size(), rule.text) == 0 : path == rule.text;
    if (rule.prefix ? parts.size() < rule.parts.size() : parts.size() != rule.parts.size())
      return false;
    for (std::size_t i = 0; i < rule.parts.size(); ++i) {
      const bool last = i + 1 == rule.parts.size();
      if (rule.parts[i] == "+" || rule.parts[i] == parts[i])
        continue;
      if (rule.prefix && last && parts[i].compare(0, rule.parts[i].size(), rule.parts[i]) == 0)
        continue;
      return false;
    }
    return true;
  }

  // Of the spellings, earlier ones first for exact rules; all alike for the others.
  Said best(const std::vector<std::string>& spellings) const {
    for (const std::string& path : spellings) {
      for (const Compiled& rule : compiled_) {
        if (!rule.segments && !rule.prefix && rule.text == path)
          return {rule.capabilities, rule.limit};
      }
    }
    const Compiled* winner = nullptr;
    Rank top;
    for (const std::string& path : spellings) {
      const std::vector<std::string> parts = split(path);
      for (const Compiled& rule : compiled_) {
        if ((!rule.segments && !rule.prefix) || !matches(rule, path, parts))
          continue;
        Rank rank{rule.first, !rule.prefix, -rule.plus, rule.text.size(), rule.text};
        if (winner == nullptr || rank > top) {
          winner = &rule;
          top = rank;
        }
      }
    }
    return winner == nullptr ? Said() : Said{winner->capabilities, winner->limit};
  }

  std::map<std::string, Said> rules_;
  std::vector<Compiled> compiled_;
};

}  // namespace coffer::testing
