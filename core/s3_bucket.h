// A bucket of S3-compatible storage, as snapshots need it: put, list, remove. Blocks. Memory is one part of an upload
// (16 MiB), whatever the size.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/aws_signature.h"
#include "core/snapshot_plan.h"
#include "core/web_call.h"

namespace coffer::core {

// One thread at a time.
class S3Bucket {
 public:
  // `clock` outlives it. `gives_up`, which may be empty, is asked before each exchange and about once a second in it.
  S3Bucket(SnapshotPlan::S3 target, WebCall call, const Clock& clock, std::function<bool()> gives_up = nullptr);

  // Appends the next piece; false: that was the last.
  using Source = std::function<Result<bool>(std::string& out)>;
  // A large object goes in parts: what fails leaves no part behind, as far as the storage still answers.
  Status put(const std::string& key, const Source& next);
  // Whole keys that begin so; kTooLarge above kKeysMax.
  Result<std::vector<std::string>> list(const std::string& prefix);
  Status remove(const std::string& key);
  std::string url_of(const std::string& key) const;

  static constexpr std::size_t kPartBytes = 16u << 20;
  static constexpr std::size_t kPartsMax = 10'000;
  static constexpr std::size_t kKeysMax = 100'000;
  static constexpr std::chrono::seconds kSilenceMax{30};  // of the storage, in one exchange

 private:
  struct Ask {
    std::string method;
    std::string key;
    aws::NamedTexts query;
    aws::NamedTexts headers;
    std::string body;
  };
  std::string path_of(const std::string& key) const;
  Result<WebAnswer> ask(const Ask& request);
  aws::NamedTexts encryption() const;
  Status put_parts(const std::string& key, std::string first, const Source& next);
  Status send_parts(const std::string& key, const std::string& upload, std::string part, const Source& next,
                    bool more);

  const SnapshotPlan::S3 target_;
  const WebCall call_;
  const Clock& clock_;
  const std::function<bool()> gives_up_;
  std::string host_;
};

}  // namespace coffer::core
