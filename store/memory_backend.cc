#include "store/memory_backend.h"

#include <algorithm>
#include <mutex>

#include "base/check.h"

namespace coffer::store {

struct MemoryBackend::Publication {
  Index index;
  std::shared_ptr<const Attachment> attachment;
  std::shared_ptr<const Contents> contents;
};

const MemoryBackend::Version* MemoryBackend::visible(const Versions& versions, Index index) noexcept {
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (at->index <= index)
      return &*at;
  }
  return nullptr;
}

// Finds its place by key at every step, so it holds no lock and no iterator in between.
class MemoryBackend::MemoryCursor final : public Cursor {
 public:
  MemoryCursor(const Contents& contents, Index index) : contents_(contents), index_(index) {}

  Result<bool> seek(std::string_view key) override {
    const std::shared_lock lock(contents_.mutex);
    return settle(contents_.table.lower_bound(key));
  }
  Result<bool> next() override {
    const std::shared_lock lock(contents_.mutex);
    return settle(contents_.table.upper_bound(key_));
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return *value_; }

 private:
  bool settle(Table::const_iterator at) {
    for (; at != contents_.table.end(); ++at) {
      const Version* version = visible(at->second, index_);
      if (version == nullptr || !version->value)
        continue;
      key_ = at->first;
      value_ = *version->value;
      return true;
    }
    return false;
  }

  const Contents& contents_;
  const Index index_;
  std::string key_;
  std::shared_ptr<const std::string> value_;
};

class MemoryBackend::MemoryView final : public View {
 public:
  explicit MemoryView(std::shared_ptr<const Publication> publication)
      : contents_(*publication->contents), publication_(std::move(publication)) {}

  Index index() const override { return publication_->index; }
  const std::shared_ptr<const Attachment>& attachment() const override { return publication_->attachment; }

  Result<bool> get(std::string_view key, std::string& out) const override {
    const std::shared_lock lock(contents_.mutex);
    out.clear();
    const auto at = contents_.table.find(key);
    const Version* version = at == contents_.table.end() ? nullptr : visible(at->second, publication_->index);
    if (version == nullptr || !version->value)
      return false;
    out = **version->value;
    return true;
  }

  Result<std::unique_ptr<Cursor>> cursor() const override {
    return std::unique_ptr<Cursor>(std::make_unique<MemoryCursor>(contents_, publication_->index));
  }

 private:
  const Contents& contents_;  // the publication's
  const std::shared_ptr<const Publication> publication_;
};

MemoryBackend::MemoryBackend() { publish(nullptr); }
MemoryBackend::~MemoryBackend() = default;

Result<std::unique_ptr<View>> MemoryBackend::view() const {
  return std::unique_ptr<View>(std::make_unique<MemoryView>(published_.load()));
}

std::shared_ptr<const Attachment> MemoryBackend::attachment() const { return published_.load()->attachment; }

void MemoryBackend::apply(Index index, std::span<const Op> ops) {
  COFFER_CHECK(index > applied_);
  const Index needed = oldest_needed();
  const std::lock_guard lock(contents_->mutex);
  for (const Op& op : ops) {
    auto [at, is_new] = contents_->table.try_emplace(op.key);
    Versions& versions = at->second;
    if (!versions.empty() && versions.back().index == index)
      versions.pop_back();
    versions.push_back(
        {index, op.value ? std::optional(std::make_shared<const std::string>(*op.value)) : std::nullopt});
    if (!is_new || !op.value)
      superseded_.emplace_back(index, op.key);
  }
  applied_ = index;
  // Twice as many as were added, so that the list shrinks once old views are gone.
  for (std::size_t left = 2 * ops.size(); left > 0 && !superseded_.empty() && superseded_.front().first <= needed;
       --left) {
    collapse(superseded_.front().second, needed);
    superseded_.pop_front();
  }
}

void MemoryBackend::replace(Index applied, Records records) {
  COFFER_CHECK(applied > applied_);
  auto contents = std::make_shared<Contents>();
  for (auto& [key, value] : records)
    contents->table[key].push_back({applied, std::make_shared<const std::string>(std::move(value))});
  contents_ = std::move(contents);
  applied_ = applied;
  live_.clear();
  superseded_.clear();
}

std::unique_ptr<View> MemoryBackend::applied_view() {
  const auto applied = std::make_shared<const Publication>(Publication{applied_, nullptr, contents_});
  live_.push_back(applied);
  return std::make_unique<MemoryView>(applied);
}

void MemoryBackend::publish(std::shared_ptr<const Attachment> attachment) {
  const auto fresh = std::make_shared<const Publication>(Publication{applied_, std::move(attachment), contents_});
  live_.push_back(fresh);
  published_.store(fresh);
}

// A view that is being made holds the publication that it was loaded from, so one that has expired can serve nobody any
// more.
Index MemoryBackend::oldest_needed() {
  std::shared_ptr<const Publication> oldest;
  while (!live_.empty() && (oldest = live_.front().lock()) == nullptr)
    live_.pop_front();
  // The one published last is held by the cell; after replace() nobody sees what is there now.
  return oldest == nullptr ? applied_ : oldest->index;
}

void MemoryBackend::collapse(const std::string& key, Index needed) {
  const auto at = contents_->table.find(key);
  if (at == contents_->table.end())
    return;
  Versions& versions = at->second;
  const Version* keep = visible(versions, needed);
  if (keep == nullptr)
    return;
  versions.erase(versions.begin(), versions.begin() + (keep - versions.data()));
  if (versions.size() == 1 && !versions.front().value)
    contents_->table.erase(at);
}

std::size_t MemoryBackend::versions_held() const {
  const std::shared_lock lock(contents_->mutex);
  std::size_t count = 0;
  for (const auto& [key, versions] : contents_->table)
    count += versions.size();
  return count;
}

}  // namespace coffer::store
