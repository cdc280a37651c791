// Automated snapshots without a disk or a network: plans, names, signatures, a bucket that is played. SNP-11.
#include <boost/test/unit_test.hpp>

#include <deque>

#include "base/encoding.h"
#include "core/s3_bucket.h"
#include "core/snapshot_plan.h"

namespace coffer::core {
namespace {

constexpr WallTime kNow{std::chrono::milliseconds(1'714'979'289'123)};  // 2024-05-06T07:08:09.123Z

SnapshotPlan local() {
  SnapshotPlan plan;
  plan.name = "hourly";
  plan.interval = std::chrono::hours(1);
  plan.retain = 2;
  plan.path_prefix = "a/b";
  return plan;
}

SnapshotPlan s3() {
  SnapshotPlan plan = local();
  plan.store = SnapshotPlan::Store::kS3;
  plan.s3 = {"backups", "eu-central-1", "s3.example.com:9000", "AKID", "SECRET", "SESSION", "key-1", true, true, false,
             true};
  return plan;
}

class FixedClock final : public Clock {
 public:
  WallTime wall_now() const override { return kNow; }
  BootTime boot_now() const override { return BootTime(); }
};

BOOST_AUTO_TEST_SUITE(snapshot_plan)

BOOST_AUTO_TEST_CASE(records_are_read_as_written) {
  for (const SnapshotPlan& plan : {local(), s3()}) {
    const std::string bytes = encode(plan);
    const auto read = decode_snapshot_plan(bytes);
    BOOST_TEST_REQUIRE(read.ok());
    BOOST_TEST((*read == plan));
    for (std::size_t size = 0; size < bytes.size(); ++size)
      BOOST_TEST(!decode_snapshot_plan(std::string_view(bytes).substr(0, size)).ok());
  }
  BOOST_TEST(hex_encode(encode(local())) ==
             "01010006686f75726c7980c0e285e3680203612f620e7661756c742d736e617073686f740000000000000000");
  const SnapshotPlanStatus status{3, kNow, kNow, kNow, "why", "file:///x"};
  BOOST_TEST((*decode_snapshot_plan_status(encode(status)) == status));
  BOOST_TEST(!decode_snapshot_plan_status("").ok());
}

BOOST_AUTO_TEST_CASE(nothing_leads_out_of_the_folder) {
  BOOST_TEST(check_snapshot_plan(local()).ok());
  for (const char* bad :
       {"/etc", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/.", "a b", "a\\b", "~", "a\nb", "%2e%2e"}) {
    SnapshotPlan plan = local();
    plan.path_prefix = bad;
    BOOST_TEST((check_snapshot_plan(plan).code() == Code::kInvalid), bad);
    plan = local();
    plan.file_prefix = bad;
    BOOST_TEST((check_snapshot_plan(plan).code() == Code::kInvalid), bad);
    plan = local();
    plan.name = bad;
    BOOST_TEST((check_snapshot_plan(plan).code() == Code::kInvalid), bad);
  }
  SnapshotPlan plan = local();
  plan.path_prefix.clear();
  BOOST_TEST(check_snapshot_plan(plan).ok());
  plan.file_prefix = "a/b";
  BOOST_TEST(check_snapshot_plan(plan).message().find("file_prefix") == 0u);
}

BOOST_AUTO_TEST_CASE(bounds) {
  SnapshotPlan plan = local();
  plan.interval = Nanos(0);
  BOOST_TEST(check_snapshot_plan(plan).message().find("interval") == 0u);
  plan = local();
  plan.retain = 0;
  BOOST_TEST(check_snapshot_plan(plan).message().find("retain") == 0u);
  BOOST_TEST(check_snapshot_plan(s3()).ok());
  plan = s3();
  plan.s3.endpoint = "host/path";
  BOOST_TEST(check_snapshot_plan(plan).message().find("aws_s3_endpoint") == 0u);
  plan = s3();
  plan.s3.bucket.clear();
  BOOST_TEST(check_snapshot_plan(plan).message().find("aws_s3_bucket") == 0u);
  plan = s3();
  plan.s3.session_token = "a\r\nX-Header: b";
  BOOST_TEST(!check_snapshot_plan(plan).ok());
}

BOOST_AUTO_TEST_CASE(names_and_retention) {
  const SnapshotPlan plan = local();
  BOOST_TEST(snapshot_file_name(plan, kNow) == "vault-snapshot-20240506T070809.123Z.snap");
  BOOST_TEST(is_snapshot_file(plan, snapshot_file_name(plan, kNow)));
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i)
    names.insert(names.begin() + i / 2, snapshot_file_name(plan, kNow + std::chrono::hours(i)));
  for (const char* other : {"notes.txt", "vault-snapshot-.snap", "vault-snapshot-20240506T070809.123Z.snap.partial",
                            "vault-snapshot-x0240506T070809.123Z.snap", "other-20240506T070809.123Z.snap"})
    names.push_back(other);
  const std::vector<std::string> gone = superseded_snapshots(plan, names);
  BOOST_TEST(gone == (std::vector<std::string>{snapshot_file_name(plan, kNow),
                                               snapshot_file_name(plan, kNow + std::chrono::hours(1))}),
             boost::test_tools::per_element());
  BOOST_TEST(superseded_snapshots(plan, {}).empty());
}

BOOST_AUTO_TEST_CASE(whose_files_are_whose) {
  SnapshotPlan other = local();
  other.name = "other";
  BOOST_TEST(share_files(local(), other));
  other.file_prefix = "other";
  BOOST_TEST(!share_files(local(), other));
  other = local();
  other.path_prefix = "elsewhere";
  BOOST_TEST(!share_files(local(), other));
  BOOST_TEST(!share_files(local(), s3()));
  other = s3();
  BOOST_TEST(share_files(s3(), other));
  other.s3.bucket = "another";
  BOOST_TEST(!share_files(s3(), other));
}

BOOST_AUTO_TEST_CASE(when_the_next_is_due) {
  SnapshotPlanStatus status;
  BOOST_TEST((next_snapshot(local(), status, kNow) == kNow));
  status.last_start = kNow;
  BOOST_TEST((next_snapshot(local(), status, kNow + std::chrono::hours(9)) == kNow + std::chrono::hours(1)));
}

// The example of the signature's own documentation: an object of which a range is read.
BOOST_AUTO_TEST_CASE(a_known_signature) {
  const aws::SignedRequest request{
      "GET", "examplebucket.s3.amazonaws.com", "/test.txt", {}, {{"range", "bytes=0-9"}}, ""};
  const aws::Keys keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const aws::NamedTexts headers =
      aws::sign(request, keys, "us-east-1", "s3", WallTime(std::chrono::seconds(1'369'353'600)));
  BOOST_TEST(headers.back().second ==
             "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
             "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
             "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

// Clients of HTTP leave the port that the scheme means anyhow out of Host, so it must not be signed.
BOOST_AUTO_TEST_CASE(the_usual_port_is_not_named) {
  const FixedClock clock;
  const auto url = [&clock](const char* endpoint, bool disable_tls) {
    SnapshotPlan::S3 target = s3().s3;
    target.endpoint = endpoint;
    target.disable_tls = disable_tls;
    target.force_path_style = true;
    return S3Bucket(std::move(target), nullptr, clock).url_of("k");
  };
  BOOST_TEST(url("s3.example.com:443", false) == "https://s3.example.com/backups/k");
  BOOST_TEST(url("s3.example.com:80", false) == "https://s3.example.com:80/backups/k");
  BOOST_TEST(url("s3.example.com:80", true) == "http://s3.example.com/backups/k");
  BOOST_TEST(url("s3.example.com:8443", false) == "https://s3.example.com:8443/backups/k");
}

BOOST_AUTO_TEST_CASE(who_stops_asks_no_more) {
  const FixedClock clock;
  int asked = 0;
  bool stopping = false;
  const WebCall silent = [&](const WebRequest& request) -> Result<WebAnswer> {
    ++asked;
    BOOST_TEST((request.silence_max > Nanos(0) && request.silence_max <= std::chrono::minutes(1)));
    stopping = true;
    BOOST_TEST(request.gives_up());
    return Status(Code::kUnavailable, "given up");
  };
  S3Bucket bucket(s3().s3, silent, clock, [&stopping] { return stopping; });
  const S3Bucket::Source one_byte = [](std::string& out) -> Result<bool> {
    out += "x";
    return false;
  };
  BOOST_TEST((bucket.put("k", one_byte).code() == Code::kUnavailable));
  BOOST_TEST(asked == 1);
}

BOOST_AUTO_TEST_CASE(encoding) {
  BOOST_TEST(aws::encode_uri("a/b c~é", true) == "a/b%20c~%C3%A9");
  BOOST_TEST(aws::encode_uri("a/b", false) == "a%2Fb");
  BOOST_TEST(aws::query_text({{"uploads", ""}, {"a", "1&2"}}) == "a=1%262&uploads=");
}

// A bucket that answers what it is told to.
struct Played {
  std::deque<WebAnswer> answers;
  std::vector<WebRequest> asked;
  FixedClock clock;
  S3Bucket bucket{s3().s3,
                  [this](const WebRequest& request) -> Result<WebAnswer> {
                    asked.push_back(request);
                    BOOST_TEST_REQUIRE(!answers.empty());
                    WebAnswer answer = answers.front();
                    answers.pop_front();
                    return answer;
                  },
                  clock};
};

S3Bucket::Source bytes(std::size_t size) {
  return [left = size](std::string& out) mutable -> Result<bool> {
    const std::size_t some = std::min<std::size_t>(left, 1u << 20);
    out.append(some, 'x');
    left -= some;
    return left > 0;
  };
}

BOOST_FIXTURE_TEST_CASE(small_objects_go_at_once, Played) {
  answers = {{200, {}, ""}};
  BOOST_TEST(bucket.put("a/b c", bytes(100)).ok());
  BOOST_TEST(asked.at(0).method == "PUT");
  BOOST_TEST(asked.at(0).url == "http://s3.example.com:9000/backups/a/b%20c");
  BOOST_TEST(asked.at(0).body.size() == 100u);
  BOOST_TEST(bucket.url_of("k") == "http://s3.example.com:9000/backups/k");
}

BOOST_FIXTURE_TEST_CASE(large_ones_in_parts, Played) {
  answers = {{200, {}, "<R><UploadId>u&amp;1</UploadId></R>"}, {200, {{"etag", "\"1\""}}, ""},
             {503, {}, "<Error><Code>SlowDown</Code></Error>"}, {200, {{"etag", "\"2\""}}, ""},
             {200, {}, "<CompleteMultipartUploadResult/>"}};
  BOOST_TEST(bucket.put("k", bytes(S3Bucket::kPartBytes + 5)).ok());
  BOOST_TEST(asked.at(0).url.ends_with("/backups/k?uploads="));
  BOOST_TEST(asked.at(1).url.ends_with("?partNumber=1&uploadId=u%261"));
  BOOST_TEST(asked.at(3).body.size() == 5u);
  BOOST_TEST(asked.at(4).body ==
             "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"1\"</ETag></Part><Part><PartNumber>2"
             "</PartNumber><ETag>\"2\"</ETag></Part></CompleteMultipartUpload>");
}

BOOST_FIXTURE_TEST_CASE(what_fails_leaves_no_parts, Played) {
  answers = {{200, {}, "<UploadId>u</UploadId>"}, {403, {}, "<Error><Code>AccessDenied</Code></Error>"}, {204, {}, ""}};
  const Status status = bucket.put("k", bytes(S3Bucket::kPartBytes + 5));
  BOOST_TEST(status.message() == "the storage answered 403 AccessDenied");
  BOOST_TEST(asked.back().method == "DELETE");
  BOOST_TEST(asked.back().url.ends_with("?uploadId=u"));
  // It may fail behind a good status.
  answers = {{200, {}, "<UploadId>u</UploadId>"}, {200, {}, ""}, {200, {}, ""},
             {200, {}, "<Error><Code>InternalError</Code></Error>"}, {204, {}, ""}};
  BOOST_TEST(!bucket.put("k", bytes(S3Bucket::kPartBytes + 5)).ok());
}

BOOST_FIXTURE_TEST_CASE(lists_come_in_pages, Played) {
  answers = {{200, {}, "<Key>p/a&lt;b</Key><Key>p/c</Key><IsTruncated>true</IsTruncated>"
                       "<NextContinuationToken>t=</NextContinuationToken>"},
             {200, {}, "<Key>p/d</Key><IsTruncated>false</IsTruncated>"}};
  const auto keys = bucket.list("p/");
  BOOST_TEST_REQUIRE(keys.ok());
  BOOST_TEST(*keys == (std::vector<std::string>{"p/a<b", "p/c", "p/d"}), boost::test_tools::per_element());
  BOOST_TEST(asked.at(0).url.ends_with("/backups?list-type=2&prefix=p%2F"));
  BOOST_TEST(asked.at(1).url.find("continuation-token=t%3D") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
