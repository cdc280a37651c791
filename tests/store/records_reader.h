// Records in memory as a store::StateReader, for model stores.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "store/state_table.h"

namespace coffer::testing {

using Records = std::map<std::string, std::string, std::less<>>;

class RecordCursor final : public store::Cursor {
 public:
  explicit RecordCursor(std::shared_ptr<const Records> records) : records_(std::move(records)), at_(records_->end()) {}
  Result<bool> seek(std::string_view key) override {
    at_ = records_->lower_bound(key);
    return at_ != records_->end();
  }
  Result<bool> next() override { return ++at_ != records_->end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  std::shared_ptr<const Records> records_;
  Records::const_iterator at_;
};

class RecordsReader final : public store::StateReader {
 public:
  void open(std::shared_ptr<const Records> records, Index applied) {
    records_ = std::move(records);
    applied_ = applied;
  }
  void close() { records_.reset(); }
  Index applied() const override { return applied_; }
  Result<bool> get(std::string_view key, std::string& out) const override {
    const auto it = records_->find(key);
    if (it == records_->end())
      return false;
    out = it->second;
    return true;
  }
  Result<std::unique_ptr<store::Cursor>> cursor() const override {
    return std::unique_ptr<store::Cursor>(std::make_unique<RecordCursor>(records_));
  }

 private:
  std::shared_ptr<const Records> records_;
  Index applied_;
};

}  // namespace coffer::testing
