// A request with everything in it that a line tells, and fakes for what lies behind a device.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/check.h"
#include "core/audit_broker.h"
#include "core/audit_file.h"
#include "core/pipeline_state.h"

namespace coffer::testing {

inline SecretBytes test_salt(char fill = 's') { return SecretBytes::copy_of(std::string(32, fill)); }

inline std::unique_ptr<core::Exchange> new_exchange() { return std::make_unique<core::Exchange>(); }

// A KV read as the pipeline sees it, and its facts.
struct AuditedRead {
  explicit AuditedRead(std::string_view id = "2b83dec2-3dc4-461a-a60e-b78bb3a877c7") {
    core::Request& q = exchange->request;
    q.id = exchange->arena.copy(id);
    q.path = *CanonicalPath::from_text("secret/data/a/b");
    q.token = "hvs.CAESIKtokentokentoken";
    q.remote_address = "127.0.0.1";
    q.remote_port = 50482;
    auto data = json::parse_copy(exchange->arena, R"({"data":{"k":"v","n":1.10},)"
                                                  R"("metadata":{"created_time":"2026-11-22T02:40:30.814566774Z",)"
                                                  R"("custom_metadata":null,"deletion_time":"","destroyed":false,)"
                                                  R"("version":1}})");
    COFFER_CHECK(data.ok());
    exchange->response.data = *data;
    facts.accessor = "9JHN8Q3cx0jsFsjkJ0OgyzFZ";
    facts.display_name = "token";
    facts.token_type = "service";
    facts.policies = {"default", "kv-reader"};
    facts.token_policies = {"default", "kv-reader"};
    facts.token_ttl = std::chrono::hours(1);
    facts.token_issue_time = WallTime(std::chrono::seconds(1795314004));
    facts.mount_point = "secret/";
    facts.mount_type = "kv";
    facts.mount_accessor = "kv_c800f02b";
    facts.client_token_known = true;
  }
  std::unique_ptr<core::Exchange> exchange = new_exchange();
  core::AuditFacts facts;
  WallTime now = WallTime(std::chrono::seconds(1795315230) + Nanos(824367385));
};

// Files in memory that do what the test says. Any thread.
class FakeAuditFiles final : public core::AuditFileSystem, public std::enable_shared_from_this<FakeAuditFiles> {
 public:
  std::mutex mutex;
  std::condition_variable changed;
  std::string content;                 // of all files together
  std::vector<std::size_t> writes;     // sizes of the calls that wrote
  int opens = 0;
  int syncs = 0;
  int removed = 0;
  Status open_fails;                   // success: opens
  Status write_fails;
  std::size_t room = SIZE_MAX;         // bytes until ENOSPC
  std::size_t piece = SIZE_MAX;        // a call writes at most so much
  bool blocked = false;                // writes wait until it is false
  int waiting = 0;                     // calls that wait now

  Result<core::OpenedAuditFile> open(const core::AuditOptions&, std::span<const std::string>) override {
    const std::scoped_lock lock(mutex);
    ++opens;
    if (!open_fails.ok())
      return open_fails;
    return core::OpenedAuditFile{std::make_unique<FakeFile>(shared_from_this()), true};
  }
  void remove(const core::AuditOptions&) override { ++removed; }

  void set_blocked(bool value) {
    const std::scoped_lock lock(mutex);
    blocked = value;
    changed.notify_all();
  }
  // Returns once a write waits.
  void await_blocked_write() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return waiting > 0; });
  }

 private:
  class FakeFile final : public core::AuditFile {
   public:
    explicit FakeFile(std::shared_ptr<FakeAuditFiles> files) : files_(std::move(files)) {}
    Result<std::size_t> write(std::string_view bytes) override {
      std::unique_lock lock(files_->mutex);
      ++files_->waiting;
      files_->changed.notify_all();
      files_->changed.wait(lock, [this] { return !files_->blocked; });
      --files_->waiting;
      if (!files_->write_fails.ok())
        return files_->write_fails;
      const std::size_t size = std::min({bytes.size(), files_->piece, files_->room});
      if (size == 0)
        return Status(Code::kIo, "write: No space left on device");
      files_->room -= size;
      files_->content.append(bytes.substr(0, size));
      files_->writes.push_back(size);
      return size;
    }
    bool ends_in_part() const override {
      const std::scoped_lock lock(files_->mutex);
      return !files_->content.empty() && files_->content.back() != '\n';
    }
    Status sync() override {
      const std::scoped_lock lock(files_->mutex);
      ++files_->syncs;
      return ok_status();
    }
    bool ready() const override {
      const std::scoped_lock lock(files_->mutex);
      return !files_->blocked;
    }

   private:
    std::shared_ptr<FakeAuditFiles> files_;
  };
};

// Collects what devices answer. Any thread.
class CollectingSink final : public core::AuditSink {
 public:
  void audited(std::unique_ptr<core::Exchange> exchange, const Status& status) override {
    const std::scoped_lock lock(mutex_);
    answers_.push_back(status);
    exchanges_.push_back(std::move(exchange));
    changed_.notify_all();
  }
  // Waits until there are so many.
  std::vector<Status> await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_.size() >= count; });
    return answers_;
  }
  std::size_t count() {
    const std::scoped_lock lock(mutex_);
    return answers_.size();
  }
  std::unique_ptr<core::Exchange> take_last() {
    const std::scoped_lock lock(mutex_);
    auto last = std::move(exchanges_.back());
    exchanges_.pop_back();
    return last;
  }
  std::vector<std::string> ids() {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> ids;
    for (const auto& exchange : exchanges_)
      ids.emplace_back(exchange->request.id);
    return ids;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Status> answers_;
  std::vector<std::unique_ptr<core::Exchange>> exchanges_;
};

}  // namespace coffer::testing
