#include "core/s3_bucket.h"

#include <algorithm>
#include <utility>

#include "core/xml_element.h"

namespace coffer::core {
namespace {

constexpr unsigned kTriesMax = 3;  // of one exchange that failed for no reason of its own
constexpr std::size_t kWordBytesMax = 128;  // of the storage's own word for what is wrong

Status failed(const WebAnswer& answer) {
  std::string word = xml_element(answer.body, "Code").substr(0, kWordBytesMax);
  std::erase_if(word, [](char c) { return c < ' ' || c > '~'; });
  return Status(Code::kUnavailable,
                "the storage answered " + std::to_string(answer.status) + (word.empty() ? "" : " " + word));
}

std::string header_of(const WebAnswer& answer, std::string_view name) {
  for (const auto& [known, value] : answer.headers)
    if (known == name)
      return value;
  return {};
}

// Reads on until there is a part, or no more.
Result<bool> fill(const S3Bucket::Source& next, std::string& part) {
  while (part.size() < S3Bucket::kPartBytes) {
    COFFER_ASSIGN(const bool more, next(part));
    if (!more)
      return false;
  }
  return true;
}

}  // namespace

S3Bucket::S3Bucket(SnapshotPlan::S3 target, WebCall call, const Clock& clock, std::function<bool()> gives_up)
    : target_(std::move(target)), call_(std::move(call)), clock_(clock), gives_up_(std::move(gives_up)) {
  std::string where = target_.endpoint.empty() ? "s3." + target_.region + ".amazonaws.com" : target_.endpoint;
  // HTTP leaves the scheme's own port out of Host, and what is signed must be what is sent.
  if (const std::string_view usual = target_.disable_tls ? ":80" : ":443"; where.ends_with(usual))
    where.resize(where.size() - usual.size());
  host_ = target_.force_path_style ? where : target_.bucket + "." + where;
}

std::string S3Bucket::path_of(const std::string& key) const {
  const std::string below = target_.force_path_style && key.empty() ? "" : "/" + key;
  return aws::encode_uri(target_.force_path_style ? "/" + target_.bucket + below : below, true);
}

std::string S3Bucket::url_of(const std::string& key) const {
  return (target_.disable_tls ? "http://" : "https://") + host_ + path_of(key);
}

aws::NamedTexts S3Bucket::encryption() const {
  if (target_.enable_kms)
    return {{"x-amz-server-side-encryption", "aws:kms"},
            {"x-amz-server-side-encryption-aws-kms-key-id", target_.kms_key}};
  if (target_.server_side_encryption)
    return {{"x-amz-server-side-encryption", "AES256"}};
  return {};
}

// 2xx, or a failure that says what the storage said.
Result<WebAnswer> S3Bucket::ask(const Ask& request) {
  const aws::Keys keys{target_.access_key_id, target_.secret_access_key, target_.session_token};
  for (unsigned tries = 1;; ++tries) {
    if (gives_up_ && gives_up_())
      return Status(Code::kUnavailable, "the node is stopping");
    const aws::SignedRequest to_sign{request.method, host_,           path_of(request.key),
                                     request.query,  request.headers, request.body};
    WebRequest out;
    out.method = request.method;
    out.url = url_of(request.key);
    if (!request.query.empty())
      out.url += "?" + aws::query_text(request.query);
    out.headers = aws::sign(to_sign, keys, target_.region, "s3", clock_.wall_now());
    out.body = request.body;
    out.silence_max = kSilenceMax;
    out.gives_up = gives_up_;
    Result<WebAnswer> answer = call_(out);
    if (answer.ok() && answer->status >= 200 && answer->status < 300)
      return answer;
    if (tries < kTriesMax && (!answer.ok() || answer->status >= 500))
      continue;
    return answer.ok() ? failed(*answer) : answer.status();
  }
}

Status S3Bucket::put(const std::string& key, const Source& next) {
  std::string first;
  COFFER_ASSIGN(const bool more, fill(next, first));
  if (more)
    return put_parts(key, std::move(first), next);
  return ask({"PUT", key, {}, encryption(), std::move(first)}).status();
}

Status S3Bucket::put_parts(const std::string& key, std::string first, const Source& next) {
  COFFER_ASSIGN(const WebAnswer begun, ask({"POST", key, {{"uploads", ""}}, encryption(), {}}));
  const std::string upload = xml_element(begun.body, "UploadId");
  if (upload.empty())
    return Status(Code::kUnavailable, "the storage did not name the upload that it began");
  Status sent = send_parts(key, upload, std::move(first), next, true);
  if (!sent.ok())
    static_cast<void>(ask({"DELETE", key, {{"uploadId", upload}}, {}, {}}));
  return sent;
}

Status S3Bucket::send_parts(const std::string& key, const std::string& upload, std::string part, const Source& next,
                            bool more) {
  std::string all = "<CompleteMultipartUpload>";
  for (std::size_t number = 1; !part.empty(); ++number) {
    if (number > kPartsMax)
      return Status(Code::kTooLarge, "the snapshot is larger than an object may be");
    const std::string place = std::to_string(number);
    COFFER_ASSIGN(const WebAnswer answer,
                  ask({"PUT", key, {{"partNumber", place}, {"uploadId", upload}}, {}, std::move(part)}));
    all += "<Part><PartNumber>" + place + "</PartNumber><ETag>" + header_of(answer, "etag") + "</ETag></Part>";
    part.clear();
    if (more) {
      COFFER_ASSIGN(more, fill(next, part));
    }
  }
  all += "</CompleteMultipartUpload>";
  COFFER_ASSIGN(const WebAnswer ended, ask({"POST", key, {{"uploadId", upload}}, {}, std::move(all)}));
  // It may fail after its status went out.
  if (ended.body.find("<CompleteMultipartUploadResult") == std::string::npos)
    return failed(ended);
  return ok_status();
}

Result<std::vector<std::string>> S3Bucket::list(const std::string& prefix) {
  std::vector<std::string> keys;
  for (std::string token;;) {
    const std::size_t before = keys.size();
    aws::NamedTexts query = {{"list-type", "2"}, {"prefix", prefix}};
    if (!token.empty())
      query.emplace_back("continuation-token", token);
    COFFER_ASSIGN(const WebAnswer answer, ask({"GET", "", std::move(query), {}, {}}));
    for (std::size_t at = 0; at != std::string::npos;) {
      std::string key = xml_element(answer.body, "Key", &at);
      if (at != std::string::npos)
        keys.push_back(std::move(key));
    }
    if (keys.size() > kKeysMax)
      return Status(Code::kTooLarge, "the bucket holds more keys of that prefix than are looked at");
    token = xml_element(answer.body, "IsTruncated") == "true" ? xml_element(answer.body, "NextContinuationToken") : "";
    if (token.empty())
      return keys;
    if (keys.size() == before)  // it would go on for ever
      return Status(Code::kUnavailable, "the storage says that it has more keys, and names none");
  }
}

Status S3Bucket::remove(const std::string& key) { return ask({"DELETE", key, {}, {}, {}}).status(); }

}  // namespace coffer::core
