// What a member is told that slept while certificates changed (core/certificate_news.h), and how it asks
// (core/joiner.h).
#include <boost/test/unit_test.hpp>

#include <functional>

#include "base/encoding.h"
#include "base/json.h"
#include "core/join.h"
#include "core/joiner.h"
#include "core/return_targets.h"
#include "tests/core/core_fixture.h"

namespace coffer::core {
namespace {

using Phase = CertificatePlan::Phase;

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds(seconds)}; }

std::shared_ptr<const seal::Keyring> make_keyring() {
  return std::move(seal::Keyring::create(KeyringId(0), at(1000), system_random())).value();
}

CertificatePlan steady(std::uint64_t generation) { return {generation, Phase::kSteady, at(1000)}; }

Member member(const std::string& id) {
  Member out;
  out.id = id;
  out.number = member_number(id);
  out.cluster_address = "127.0.0.1:8201";
  return out;
}

// The other node, as far as it answers.
struct Peer {
  std::shared_ptr<const seal::Keyring> keyring = make_keyring();
  CertificateNews news{steady(4), false, {member("a"), member("b")}};
  std::string last_nonce;
  bool repeats = false;      // the proof that it gave before
  std::string last_answer;
  int asked = 0;

  Result<PeerAnswer> operator()(const std::string& path, const std::string& body) {
    json::Arena arena;
    const json::Value root = *json::parse_copy(arena, body, json::Limits());
    const std::string id(root.string_or("server_id", ""));
    if (path == "sys/storage/raft/bootstrap/certificates-challenge")
      return told("challenge", *make_challenge(*keyring, id, at(1000), system_random(), Asked::kCertificates), "", "");
    BOOST_TEST(path == "sys/storage/raft/bootstrap/certificates");
    ++asked;
    const auto bytes = [&](std::string_view field) { return *base64_decode(root.string_or(field, "")); };
    const Status answered =
        check_answer(*keyring, bytes("challenge"), bytes("answer"), asker(id), at(1001), Asked::kCertificates);
    if (!answered.ok())
      return PeerAnswer{403, R"({"errors":["no"]})"};
    if (!repeats || last_nonce.empty())
      last_nonce = bytes("nonce");
    return told("news", encode(news), "proof", prove_plan(*keyring, last_nonce, encode(news)));
  }

  static Member asker(const std::string& id) {
    Member out;
    out.id = id;
    out.number = member_number(id);
    return out;
  }

  static PeerAnswer told(std::string_view field, const std::string& value, std::string_view other,
                         const std::string& other_value) {
    json::Arena arena;
    json::ObjectBuilder data(arena, 2);
    data.add(arena.copy(field), base64_encode(value));
    if (!other.empty())
      data.add(arena.copy(other), base64_encode(other_value));
    std::string body;
    json::write(json::ObjectBuilder(arena, 1).add("data", data.build()).build(), body);
    return {200, body};
  }

  // `told`: the data of the answer to who joins.
  Result<LetIn> join(std::function<std::string(const std::string& nonce)> told) {
    const PeerCall call = [&](const JoinTarget&, const std::string&, const std::string& body) -> Result<PeerAnswer> {
      json::Arena arena;
      const json::Value root = *json::parse_copy(arena, body, json::Limits());
      return PeerAnswer{200, "{\"data\":{" + told(*base64_decode(root.string_or("nonce", ""))) + "\"members\":[]}}"};
    };
    ClusterRecords records;
    records.challenge = "challenge";
    return ask_to_be_let_in(call, JoinTarget(), *keyring, records, member("b"), system_random());
  }

  Result<CertificateNews> ask(const seal::Keyring& keys) {
    const PeerCall call = [this](const JoinTarget&, const std::string& path, const std::string& body) {
      return (*this)(path, body);
    };
    return ask_for_news(call, JoinTarget(), keys, "b", system_random());
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(certificate_news)

BOOST_AUTO_TEST_CASE(a_member_is_told) {
  Peer peer;
  const CertificateNews told = *peer.ask(*peer.keyring);
  BOOST_TEST((told.plan == peer.news.plan && !told.by_leader && told.members == peer.news.members));
}

BOOST_AUTO_TEST_CASE(who_has_other_keys_tells_and_learns_nothing) {
  Peer peer;
  BOOST_TEST((peer.ask(*make_keyring()).code() == Code::kDenied));
  BOOST_TEST(peer.asked == 1);
}

BOOST_AUTO_TEST_CASE(what_was_told_before_counts_no_more) {
  Peer peer;
  peer.repeats = true;
  BOOST_TEST(peer.ask(*peer.keyring).ok());
  BOOST_TEST((peer.ask(*peer.keyring).code() == Code::kDenied));
}

// A node that stands between hands on a challenge of the leader's for joining.
BOOST_AUTO_TEST_CASE(an_answer_lets_nobody_in) {
  const auto keyring = make_keyring();
  for (const auto& [given, answered] : {std::pair(Asked::kToJoin, Asked::kCertificates),
                                        std::pair(Asked::kCertificates, Asked::kToJoin)}) {
    const std::string challenge = *make_challenge(*keyring, "b", at(1000), system_random(), given);
    const std::string answer = answer_challenge(*keyring, challenge, member("b"), answered);
    for (const Asked checked : {given, answered})
      BOOST_TEST((check_answer(*keyring, challenge, answer, member("b"), at(1001), checked).code() == Code::kDenied));
  }
}

BOOST_AUTO_TEST_CASE(only_the_leader_names_an_earlier_plan) {
  for (const bool by_leader : {false, true}) {
    BOOST_TEST(is_newer({steady(5), by_leader, {}}, steady(4)));
    BOOST_TEST(is_newer({{4, Phase::kChanging, at(1)}, by_leader, {}}, {4, Phase::kAnnounced, at(1)}));
    BOOST_TEST(!is_newer({steady(4), by_leader, {}}, steady(4)));
    BOOST_TEST(is_newer({steady(3), by_leader, {}}, steady(4)) == by_leader);
  }
}

BOOST_AUTO_TEST_CASE(an_older_leader_lets_in_without_a_word_of_certificates) {
  Peer peer;
  const std::string plan = encode(steady(3));
  const auto field = [](std::string_view name, const std::string& bytes) {
    return "\"" + std::string(name) + "\":\"" + base64_encode(bytes) + "\",";
  };
  const auto proof = [&](const std::string& nonce) {
    return field("certificates_proof", prove_plan(*peer.keyring, nonce, plan));
  };
  BOOST_TEST((peer.join([](const std::string&) { return ""; })->certificates == CertificatePlan()));
  const auto whole = [&](const std::string& nonce) { return field("certificates", plan) + proof(nonce); };
  BOOST_TEST((peer.join(whole)->certificates == steady(3)));
  BOOST_TEST(!peer.join([&](const std::string&) { return field("certificates", plan); }).ok());
  BOOST_TEST(!peer.join(proof).ok());
}

BOOST_AUTO_TEST_CASE(members_are_trusted_as_the_configuration_says) {
  Members members{member("self"), member("a"), member("b"), member("silent")};
  members[0].api_address = "https://self:8200";
  members[1].api_address = "https://a:8200";
  members[2].api_address = "https://b:8200";
  const auto targets = [&](const std::vector<JoinTarget>& configured) {
    return return_targets(configured, members, member_number("self"));
  };
  BOOST_TEST(targets({}).size() == 2u);
  JoinTarget first;
  first.url = "https://a:8200";
  first.ca_file = "ca.pem";
  first.server_name = "cluster";
  std::vector<JoinTarget> all = targets({first});
  BOOST_REQUIRE(all.size() == 2u);  // nobody is asked twice
  BOOST_TEST((all[1].url == "https://b:8200" && all[1].ca_file == "ca.pem" && all[1].server_name == "cluster"));
  JoinTarget other = first;
  other.url = "https://elsewhere:8200";
  other.server_name = "elsewhere";
  all = targets({first, other});
  BOOST_REQUIRE(all.size() == 3u);
  BOOST_TEST((all[0] == first && all[1] == other));
  BOOST_TEST((all[2].url == "https://b:8200" && all[2].ca_file == "ca.pem" && all[2].server_name.empty()));
}

BOOST_AUTO_TEST_CASE(it_reads_as_it_was_written) {
  const CertificateNews news{{7, Phase::kAnnounced, at(5)}, true, {member("a"), member("b")}};
  const std::string bytes = encode(news);
  const CertificateNews read = *decode_certificate_news(bytes);
  BOOST_TEST((read.plan == news.plan && read.by_leader && read.members == news.members));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!decode_certificate_news(bytes.substr(0, size)).ok());
  BOOST_TEST(!decode_certificate_news(bytes + "x").ok());
  BOOST_TEST(!decode_certificate_news(encode(news.plan)).ok());
  BOOST_TEST(!decode_certificate_plan(bytes).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
