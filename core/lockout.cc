#include "core/lockout.h"

#include <algorithm>

#include "core/mounts.h"

namespace coffer::core {

std::string Lockouts::key_of(std::string_view accessor, std::string_view name) {
  return std::string(accessor).append(1, '\0').append(name.substr(0, kNameBytesMax));
}

LockoutRule Lockouts::rule(std::string_view type, const MountTuning& tuning) const {
  LockoutRule rule;
  for (const std::string_view name : {std::string_view("all"), type})
    if (const auto at = rules_.find(name); at != rules_.end())
      rule = at->second;
  if (!tuning.lockout_set)
    return rule;
  rule.disabled = tuning.lockout_disable;
  if (tuning.lockout_threshold > 0)
    rule.threshold = tuning.lockout_threshold;
  if (tuning.lockout_duration > Nanos(0))
    rule.duration = tuning.lockout_duration;
  if (tuning.lockout_counter_reset > Nanos(0))
    rule.counter_reset = tuning.lockout_counter_reset;
  return rule;
}

bool Lockouts::keep(Order::iterator at, const LockoutRule& rule, WallTime now) {
  const Nanos life = at->failures >= rule.threshold ? rule.duration : rule.counter_reset;
  if (now < at->last + life)
    return true;
  index_.erase(at->key);
  entries_.erase(at);
  count_ = index_.size();
  return false;
}

bool Lockouts::locked(std::string_view accessor, std::string_view name, const LockoutRule& rule, WallTime now) {
  if (count_.load(std::memory_order_relaxed) == 0 || rule.disabled)
    return false;
  const std::string key = key_of(accessor, name);
  const std::lock_guard lock(mutex_);
  const auto at = index_.find(key);
  return at != index_.end() && keep(at->second, rule, now) && at->second->failures >= rule.threshold;
}

void Lockouts::failed(std::string_view accessor, std::string_view name, const LockoutRule& rule, WallTime now) {
  if (rule.disabled)
    return;
  std::string key = key_of(accessor, name);
  const std::lock_guard lock(mutex_);
  auto at = index_.find(key);
  if (at != index_.end() && !keep(at->second, rule, now))
    at = index_.end();
  if (at != index_.end()) {
    entries_.splice(entries_.begin(), entries_, at->second);
  } else {
    if (entries_.size() == kNamesMax) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({std::move(key)});
    index_.emplace(entries_.front().key, entries_.begin());
    count_ = index_.size();
  }
  ++entries_.front().failures;
  entries_.front().last = now;
}

void Lockouts::forget(std::string_view accessor, std::string_view name) {
  if (count_.load(std::memory_order_relaxed) == 0)
    return;
  const std::string key = key_of(accessor, name);
  const std::lock_guard lock(mutex_);
  const auto at = index_.find(key);
  if (at == index_.end())
    return;
  const Order::iterator entry = at->second;
  index_.erase(at);
  entries_.erase(entry);
  count_ = index_.size();
}

std::vector<std::string> Lockouts::names(std::string_view accessor, const LockoutRule& rule, WallTime now) {
  std::vector<std::string> names;
  const std::string prefix = key_of(accessor, "");
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_)
    if (entry.failures >= rule.threshold && now < entry.last + rule.duration && entry.key.starts_with(prefix))
      names.push_back(entry.key.substr(prefix.size()));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace coffer::core
