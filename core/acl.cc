#include "core/acl.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/path.h"

namespace coffer::core {
namespace {


// What the deciding rule says.
struct Rule {
  CapabilitySet capabilities = 0;
  std::shared_ptr<const Constraints> constraints;
  std::string path;  // with its '*'
  std::vector<std::string> event_types;
};

// A text of a sorted set, and the longest other text of the set that it begins with.
struct Node {
  std::string text;
  std::int32_t parent = -1;
  Rule rule;                // of a prefix rule
  std::uint32_t first = 0;  // of a head: its wildcard rules, best first
  std::uint32_t count = 0;
};

struct Segment {
  std::string text;
  bool any = false;  // '+'
};

struct Wild {
  std::string text;        // without its final '*'
  std::size_t first_plus;  // where the first segment '+' stands
  std::uint32_t plus = 0;
  bool prefix = false;
  std::vector<Segment> segments;
  Rule rule;
};

// A match, with what decides between several; see the order in acl.h.
struct Match {
  const Rule* rule = nullptr;
  std::size_t wildcard_at = 0;
  bool prefix = false;
  std::uint32_t plus = 0;
  std::string_view text;

  bool beats(const Match& other) const noexcept {
    if (rule == nullptr || other.rule == nullptr)
      return rule != nullptr;
    if (wildcard_at != other.wildcard_at)
      return wildcard_at > other.wildcard_at;
    if (prefix != other.prefix)
      return !prefix;
    if (plus != other.plus)
      return plus < other.plus;
    if (text.size() != other.text.size())
      return text.size() > other.text.size();
    return text > other.text;
  }
};

Match match_of(const Wild& wild) noexcept { return {&wild.rule, wild.first_plus, wild.prefix, wild.plus, wild.text}; }

std::size_t common_length(std::string_view a, std::string_view b) noexcept {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i < most && a[i] == b[i])
    ++i;
  return i;
}

// The longest text of the sorted `nodes` that `path` begins with, or -1. The last text not above `path` either is that
// text or has it among its parents: whatever lies between a beginning of `path` and `path` itself begins with it too.
std::int32_t longest_beginning(const std::vector<Node>& nodes, std::string_view path) noexcept {
  const auto above = std::upper_bound(nodes.begin(), nodes.end(), path,
                                      [](std::string_view p, const Node& node) { return p < node.text; });
  std::int32_t at = static_cast<std::int32_t>(above - nodes.begin()) - 1;
  if (at < 0)
    return -1;
  const std::size_t common = common_length(nodes[static_cast<std::size_t>(at)].text, path);
  while (at >= 0 && nodes[static_cast<std::size_t>(at)].text.size() > common)
    at = nodes[static_cast<std::size_t>(at)].parent;
  return at;
}

void link_parents(std::vector<Node>& nodes) {
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    std::int32_t at = static_cast<std::int32_t>(i) - 1;
    while (at >= 0 && !nodes[i].text.starts_with(nodes[static_cast<std::size_t>(at)].text))
      at = nodes[static_cast<std::size_t>(at)].parent;
    nodes[i].parent = at;
  }
}

// Takes the next segment off `path`; false when there is none left.
bool take_segment(std::string_view path, std::size_t& at, std::string_view& segment) noexcept {
  if (at > path.size())
    return false;
  const void* slash = at < path.size() ? std::memchr(path.data() + at, '/', path.size() - at) : nullptr;
  const std::size_t end =
      slash != nullptr ? static_cast<std::size_t>(static_cast<const char*>(slash) - path.data()) : path.size();
  segment = path.substr(at, end - at);
  at = end + 1;
  return true;
}

bool matches(const Wild& wild, std::string_view path) noexcept {
  std::size_t at = 0;
  std::string_view part;
  for (std::size_t i = 0; i < wild.segments.size(); ++i) {
    const Segment& segment = wild.segments[i];
    if (!take_segment(path, at, part))
      return false;
    if (segment.any || part == segment.text)
      continue;
    if (!(wild.prefix && i + 1 == wild.segments.size() && part.starts_with(segment.text)))
      return false;
  }
  return wild.prefix || at > path.size();
}

// Whether some path below `folder` may match.
bool reaches_below(const Wild& wild, std::string_view folder) noexcept {
  std::size_t at = 0;
  std::string_view part;
  for (std::size_t i = 0; at < folder.size() && take_segment(folder, at, part); ++i) {
    if (i == wild.segments.size())
      return wild.prefix;
    const Segment& segment = wild.segments[i];
    const bool open = wild.prefix && i + 1 == wild.segments.size();
    if (!segment.any && part != segment.text && !(open && part.starts_with(segment.text)))
      return false;
  }
  return true;
}

// Where the first segment that is a wildcard stands, or npos. A '+' beside other characters is only a character.
std::size_t first_segment_wildcard(std::string_view path) noexcept {
  std::size_t at = 0;
  for (std::string_view part; take_segment(path, at, part);) {
    if (part == "+")
      return static_cast<std::size_t>(part.data() - path.data());
  }
  return std::string_view::npos;
}

// The place of a template's value: one literal segment, or nothing.
std::optional<std::string> literal_value(const TemplateValues& values, std::string_view expression) {
  const std::size_t first = expression.find_first_not_of(" \t");
  const std::size_t last = expression.find_last_not_of(" \t");
  if (first == std::string_view::npos || !values)
    return std::nullopt;
  std::optional<std::string> value = values(expression.substr(first, last - first + 1));
  if (value.has_value() && !mutant(Mutant::kAclTemplateRaw) &&
      (value->find_first_of("+*{}") != std::string::npos || !check_canonical_name(*value).ok()))
    return std::nullopt;
  return value;
}

std::optional<std::string> fill_template(std::string_view path, const TemplateValues& values) {
  std::string out;
  for (;;) {
    const std::size_t open = path.find("{{");
    out.append(path.substr(0, open));
    if (open == std::string_view::npos)
      return out;
    const std::size_t close = path.find("}}", open);
    if (close == std::string_view::npos)
      return std::nullopt;
    const std::optional<std::string> value = literal_value(values, path.substr(open + 2, close - open - 2));
    if (!value.has_value())
      return std::nullopt;
    out.append(*value);
    path.remove_prefix(close + 2);
  }
}

void merge_parameters(ParameterRules& into, const ParameterRules& from) {
  for (const auto& [name, values] : from) {
    const auto [at, added] = into.try_emplace(name, values);
    if (added)
      continue;
    // No values means any value, and that is the wider of the two.
    if (values.empty() || at->second.empty())
      at->second.clear();
    else
      at->second.insert(at->second.end(), values.begin(), values.end());
  }
}

void take_smaller(Nanos& into, Nanos from) {
  if (from.count() > 0 && (into.count() == 0 || from < into))
    into = from;
}

// Everybody's factors count, and the shorter wait.
void merge_approval(Approval& into, const Approval& from) {
  if (from.factors.empty())
    return;
  into.ttl = into.factors.empty() ? from.ttl : std::min(into.ttl, from.ttl);
  into.factors.insert(into.factors.end(), from.factors.begin(), from.factors.end());
}

std::shared_ptr<const Constraints> merged(const std::shared_ptr<const Constraints>& a,
                                          const std::shared_ptr<const Constraints>& b) {
  if (a == nullptr || b == nullptr || a == b)
    return a != nullptr ? a : b;
  Constraints out = *a;
  merge_parameters(out.allowed_parameters, b->allowed_parameters);
  merge_parameters(out.denied_parameters, b->denied_parameters);
  for (const std::string& name : b->required_parameters) {
    if (std::find(out.required_parameters.begin(), out.required_parameters.end(), name) ==
        out.required_parameters.end())
      out.required_parameters.push_back(name);
  }
  take_smaller(out.min_wrapping_ttl, b->min_wrapping_ttl);
  take_smaller(out.max_wrapping_ttl, b->max_wrapping_ttl);
  if (b->pagination_limit > 0 && (out.pagination_limit == 0 || b->pagination_limit < out.pagination_limit))
    out.pagination_limit = b->pagination_limit;
  out.keys_filters.insert(out.keys_filters.end(), b->keys_filters.begin(), b->keys_filters.end());
  merge_approval(out.approval, b->approval);
  return std::make_shared<const Constraints>(std::move(out));
}

// Another policy's rule for the same text.
void merge(Rule& into, const PathRule& from) {
  if ((into.capabilities | from.capabilities) & bit(Capability::kDeny) && !mutant(Mutant::kAclDenyDoesNotWin)) {
    into = Rule{bit(Capability::kDeny), nullptr, std::move(into.path), {}};
    return;
  }
  into.capabilities |= from.capabilities;
  into.constraints = merged(into.constraints, from.constraints);
  into.event_types.insert(into.event_types.end(), from.event_types.begin(), from.event_types.end());
}

Decision decide(const Rule* rule, CapabilitySet wanted) noexcept {
  Decision out;
  if (rule == nullptr)
    return out;
  out.capabilities = rule->capabilities;
  out.sudo = (rule->capabilities & bit(Capability::kSudo)) != 0;
  out.allowed = (rule->capabilities & wanted) != 0;
  out.constraints = rule->constraints.get();
  out.event_types = rule->event_types;
  return out;
}

// The bug of advisory K3, for its test: memory of a check that nobody gives back.
void keep_memory() {
  static std::vector<std::unique_ptr<std::string>> kept;
  kept.push_back(std::make_unique<std::string>(100, 'k'));
}

bool grants(const Rule& rule, CapabilitySet wanted) noexcept { return (rule.capabilities & wanted) != 0; }

}  // namespace

struct Acl::Index {
  std::vector<Node> exact;              // sorted; parents are not used
  std::vector<std::uint32_t> hashed;    // open addressing into `exact`, plus one; 0: free
  std::vector<Node> prefixes;           // sorted
  std::vector<Node> heads;              // sorted: what stands before the first '+'
  std::vector<Wild> wild;               // by head, best first

  using Rules = std::map<std::string, Rule, std::less<>>;
  void add_exact(Rules rules);
  void add_prefixes(Rules rules);
  void add_wild(Rules rules);

  const Rule* find_exact(std::string_view path) const noexcept {
    if (hashed.empty())
      return nullptr;
    const std::size_t mask = hashed.size() - 1;
    for (std::size_t at = std::hash<std::string_view>()(path) & mask; hashed[at] != 0; at = (at + 1) & mask) {
      const Node& node = exact[hashed[at] - 1];
      if (node.text == path)
        return &node.rule;
    }
    return nullptr;
  }

  Match find_pattern(std::string_view path) const noexcept {
    Match best;
    if (const std::int32_t at = longest_beginning(prefixes, path); at >= 0) {
      const Node& node = prefixes[static_cast<std::size_t>(at)];
      best = {&node.rule, node.text.size(), true, 0, node.text};
    }
    // From the longest head on: the first match of one is better than all of the shorter ones.
    for (std::int32_t at = longest_beginning(heads, path); at >= 0; at = heads[static_cast<std::size_t>(at)].parent) {
      const Node& head = heads[static_cast<std::size_t>(at)];
      if (best.rule != nullptr && head.text.size() < best.wildcard_at)
        break;
      for (std::uint32_t i = head.first; i < head.first + head.count; ++i) {
        if (!matches(wild[i], path))
          continue;
        const Match match = match_of(wild[i]);
        return match.beats(best) ? match : best;
      }
    }
    return best;
  }

  // Both spellings of a folder.
  const Rule* find_list(std::string_view path) const noexcept {
    std::array<char, limits::kPathBytesMax + 1> buffer;
    std::string_view folder = path;
    if (!path.ends_with('/')) {
      if (path.size() > limits::kPathBytesMax)
        return nullptr;
      std::memcpy(buffer.data(), path.data(), path.size());
      buffer[path.size()] = '/';
      folder = {buffer.data(), path.size() + 1};
    }
    const std::string_view bare = folder.substr(0, folder.size() - 1);
    if (const Rule* rule = find_exact(folder))
      return rule;
    if (const Rule* rule = find_exact(bare))
      return rule;
    const Match of_bare = find_pattern(bare);
    if (of_bare.rule != nullptr && mutant(Mutant::kAclListSlashStripped))
      return of_bare.rule;
    const Match of_folder = find_pattern(folder);
    return of_bare.beats(of_folder) ? of_bare.rule : of_folder.rule;
  }

  const Rule* find(std::string_view path) const noexcept {
    const Rule* rule = find_exact(path);
    return rule != nullptr ? rule : find_pattern(path).rule;
  }
};

void Acl::Index::add_exact(Rules rules) {
  for (auto& [text, rule] : rules)
    exact.push_back({text, -1, std::move(rule), 0, 0});
  if (exact.empty())
    return;
  std::size_t size = 8;
  while (size < 2 * exact.size())
    size *= 2;
  hashed.resize(size);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    std::size_t at = std::hash<std::string_view>()(exact[i].text) & (size - 1);
    while (hashed[at] != 0)
      at = (at + 1) & (size - 1);
    hashed[at] = static_cast<std::uint32_t>(i) + 1;
  }
}

void Acl::Index::add_prefixes(Rules rules) {
  for (auto& [text, rule] : rules)
    prefixes.push_back({text, -1, std::move(rule), 0, 0});
  link_parents(prefixes);
}

void Acl::Index::add_wild(Rules rules) {
  for (auto& [full, rule] : rules) {
    Wild one;
    one.text = full;
    one.first_plus = first_segment_wildcard(full);
    one.prefix = full.ends_with('*');
    if (one.prefix)
      one.text.pop_back();
    std::size_t at = 0;
    for (std::string_view part; take_segment(one.text, at, part);) {
      one.segments.push_back({std::string(part), part == "+"});
      one.plus += part == "+";
    }
    one.rule = std::move(rule);
    wild.push_back(std::move(one));
  }
  const auto head = [](const Wild& w) { return std::string_view(w.text).substr(0, w.first_plus); };
  std::sort(wild.begin(), wild.end(), [&](const Wild& a, const Wild& b) {
    return head(a) != head(b) ? head(a) < head(b) : match_of(a).beats(match_of(b));
  });
  for (std::size_t i = 0; i < wild.size(); ++i) {
    if (heads.empty() || heads.back().text != head(wild[i]))
      heads.push_back({std::string(head(wild[i])), -1, {}, static_cast<std::uint32_t>(i), 0});
    ++heads.back().count;
  }
  link_parents(heads);
}

Acl::Acl() = default;
Acl::~Acl() = default;

std::shared_ptr<const Acl> Acl::root() {
  std::shared_ptr<Acl> acl(new Acl());
  acl->root_ = true;
  acl->index_ = std::make_unique<Index>();
  return acl;
}

std::shared_ptr<const Acl> Acl::compile(std::span<const std::shared_ptr<const Policy>> policies,
                                        const TemplateValues& values, WallTime now) {
  std::shared_ptr<Acl> acl(new Acl());
  Index::Rules exact, prefixes, wild;
  for (const std::shared_ptr<const Policy>& policy : policies) {
    if (policy == nullptr)
      continue;
    acl->root_ |= policy->name == kRootPolicyName;
    for (const PathRule& rule : policy->paths) {
      if (rule.expires <= now && !mutant(Mutant::kAclExpirationIgnored)) {
        acl->since_ = std::max(acl->since_, rule.expires);
        continue;
      }
      acl->until_ = std::min(acl->until_, rule.expires);
      std::optional<std::string> filled = filled_path(rule, values);
      if (!filled.has_value()) {
        if (!mutant(Mutant::kAclTemplateDenyDropped))
          acl->deny_all_ |= (rule.capabilities & bit(Capability::kDeny)) != 0;
        continue;
      }
      std::string path = *std::move(filled);
      const std::string whole = path;
      const bool segments = first_segment_wildcard(path) != std::string_view::npos;
      const bool prefix = !segments && path.ends_with('*');
      if (prefix)
        path.pop_back();
      Index::Rules& rules = segments ? wild : prefix ? prefixes : exact;
      const bool denies = (rule.capabilities & bit(Capability::kDeny)) != 0;
      const auto [at, added] = rules.try_emplace(
          std::move(path), Rule{rule.capabilities, denies ? nullptr : rule.constraints, whole, rule.event_types});
      if (!added)
        merge(at->second, rule);
    }
  }
  auto index = std::make_unique<Index>();
  index->add_exact(std::move(exact));
  index->add_prefixes(std::move(prefixes));
  index->add_wild(std::move(wild));
  acl->index_ = std::move(index);
  return acl;
}

std::optional<std::string> Acl::filled_path(const PathRule& rule, const TemplateValues& values) {
  return rule.templated ? fill_template(rule.path, values) : std::optional<std::string>(rule.path);
}

std::optional<std::string> Acl::deciding_rule(std::string_view path, Capability capability) const {
  const bool list = capability == Capability::kList || capability == Capability::kScan;
  const Rule* rule = root_ || deny_all_ ? nullptr : list ? index_->find_list(path) : index_->find(path);
  return rule == nullptr ? std::nullopt : std::optional<std::string>(rule->path);
}

void Acl::each_rule(const std::function<void(std::string_view path, bool glob, CapabilitySet set)>& tell) const {
  for (const Node& node : index_->exact)
    tell(node.text, false, node.rule.capabilities);
  for (const Node& node : index_->prefixes)
    tell(node.text, true, node.rule.capabilities);
  for (const Wild& wild : index_->wild)
    tell(wild.rule.path, true, wild.rule.capabilities);
}

Decision Acl::allows(std::string_view path, Capability capability) const noexcept {
  if (root_)
    return {true, true, kAnyCapability, true, nullptr, {}};
  if (deny_all_)
    return decide(nullptr, 0);
  if (mutant(Mutant::kAclCheckKeepsMemory)) [[unlikely]]
    keep_memory();
  const bool list = capability == Capability::kList || capability == Capability::kScan;
  return decide(list ? index_->find_list(path) : index_->find(path), bit(capability));
}

Decision Acl::capabilities(std::string_view path) const noexcept {
  if (root_ || deny_all_)
    return allows(path, Capability::kDeny);
  Decision out = decide(path.ends_with('/') ? index_->find_list(path) : index_->find(path), 0);
  out.allowed = (out.capabilities & kAnyCapability) != 0;
  return out;
}

bool Acl::has_access_below(std::string_view folder, CapabilitySet wanted) const noexcept {
  if (root_ || deny_all_)
    return root_;
  if ((capabilities(folder).capabilities & wanted & kAnyCapability) != 0)
    return true;
  for (const std::vector<Node>* nodes : {&index_->exact, &index_->prefixes}) {
    auto at = std::lower_bound(nodes->begin(), nodes->end(), folder,
                               [](const Node& node, std::string_view f) { return node.text < f; });
    for (; at != nodes->end() && at->text.starts_with(folder); ++at) {
      if (grants(at->rule, wanted))
        return true;
    }
  }
  return std::any_of(index_->wild.begin(), index_->wild.end(),
                     [&](const Wild& wild) { return grants(wild.rule, wanted) && reaches_below(wild, folder); });
}

}  // namespace coffer::core
