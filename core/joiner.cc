#include "core/joiner.h"

#include "base/encoding.h"
#include "base/json.h"
#include "core/join.h"

namespace coffer::core {
namespace {

constexpr std::size_t kClusterTextBytesMax = 512;
constexpr std::size_t kNonceBytes = 16;

std::string first_error(const json::Value& answer) {
  const json::Value* errors = answer.find("errors");
  if (errors == nullptr || !errors->is_array() || errors->size() == 0 || !errors->elements()[0].is_string())
    return "no reason was given";
  return std::string(errors->elements()[0].as_string());
}

// Who asks a node to join gives its target's address: what stands there is nobody's to read before it has shown that it
// is the cluster's.
enum class Reason : std::uint8_t { kWithheld, kTold };

// `data` of a good answer; it lives in the arena.
Result<json::Value> ask(const PeerCall& call, const JoinTarget& target, const std::string& path,
                        const std::string& body, json::Arena& arena, Reason reason) {
  const Result<PeerAnswer> answer = call(target, path, body);
  if (!answer.ok())
    return answer.status().with_context(target.url);
  const Result<json::Value> root = json::parse_copy(arena, answer->body, json::Limits());
  if (!root.ok() || !root->is_object())
    return Status(answer->status >= 500 ? Code::kUnavailable : Code::kInvalid,
                  target.url + ": the answer is not one of an API like this");
  if (answer->status >= 300) {
    const Code code = answer->status == 403 ? Code::kDenied : answer->status >= 500 ? Code::kUnavailable
                                                                                    : Code::kInvalid;
    return Status(code, target.url + ": " + (reason == Reason::kTold ? first_error(*root)
                                                                     : "refused with status " +
                                                                           std::to_string(answer->status)));
  }
  const json::Value* data = root->find("data");
  if (data == nullptr || !data->is_object())
    return Status(Code::kInvalid, target.url + ": the answer holds no data");
  return *data;
}

Result<std::string> bytes_of(const json::Value& data, std::string_view field) {
  Result<std::string> bytes = base64_decode(data.string_or(field, ""));
  if (!bytes.ok() || bytes->empty())
    return Status(Code::kInvalid, "the answer's " + std::string(field) + " is not base64");
  return bytes;
}

Result<std::string> make_nonce(RandomSource& random) {
  std::string nonce(kNonceBytes, '\0');
  COFFER_TRY(random.fill({reinterpret_cast<std::uint8_t*>(nonce.data()), nonce.size()}));
  return nonce;
}

// Only who opened the keyring can say this, and not before this node asked.
Result<std::string> proven(const json::Value& data, std::string_view field, std::string_view proof_field,
                           const seal::Keyring& keyring, std::string_view nonce) {
  COFFER_ASSIGN(const std::string text, bytes_of(data, field));
  COFFER_ASSIGN(const std::string proof, bytes_of(data, proof_field));
  if (!is_plan_proven(keyring, nonce, text, proof))
    return Status(Code::kDenied, "the answer does not prove which certificates the cluster has");
  return text;
}

}  // namespace

Result<ClusterRecords> ask_for_records(const PeerCall& call, const JoinTarget& target, const Member& self) {
  json::Arena arena;
  std::string body;
  json::write(json::ObjectBuilder(arena, 1).add("server_id", self.id).build(), body);
  COFFER_ASSIGN(const json::Value data, ask(call, target, "sys/storage/raft/bootstrap/challenge", body, arena,
                                          Reason::kWithheld));
  ClusterRecords out;
  COFFER_ASSIGN(const std::string config, bytes_of(data, "seal_config"));
  COFFER_ASSIGN(out.seal, seal::SealConfig::decode(config));
  COFFER_ASSIGN(out.keyring, bytes_of(data, "keyring"));
  COFFER_ASSIGN(out.challenge, bytes_of(data, "challenge"));
  COFFER_ASSIGN(const std::string cluster, bytes_of(data, "cluster"));
  const std::size_t line = cluster.find('\n');
  if (line == std::string::npos || cluster.size() > kClusterTextBytesMax)
    return Status(Code::kInvalid, target.url + ": the answer does not name the cluster");
  out.cluster_name = cluster.substr(0, line);
  out.cluster_id = cluster.substr(line + 1);
  return out;
}

Result<LetIn> ask_to_be_let_in(const PeerCall& call, const JoinTarget& target, const seal::Keyring& keyring,
                               const ClusterRecords& records, const Member& self, RandomSource& random) {
  COFFER_ASSIGN(const std::string nonce, make_nonce(random));
  json::Arena arena;
  std::string body;
  json::write(json::ObjectBuilder(arena, 10)
                  .add("answer", base64_encode(answer_challenge(keyring, records.challenge, self)))
                  .add("api_addr", self.api_address)
                  .add("challenge", base64_encode(records.challenge))
                  .add("cluster_addr", self.cluster_address)
                  .add("non_voter", self.non_voter)
                  .add("nonce", base64_encode(nonce))
                  .add("server_id", self.id)
                  .add("upgrade_version", self.upgrade_version)
                  .add("version", self.version)
                  .add("zone", self.zone)
                  .build(),
              body);
  COFFER_ASSIGN(const json::Value data,
                ask(call, target, "sys/storage/raft/bootstrap/answer", body, arena, Reason::kTold));
  LetIn out;
  // A leader of a version that knows of one authority alone says nothing of it.
  if (data.find("certificates") != nullptr || data.find("certificates_proof") != nullptr) {
    COFFER_ASSIGN(const std::string plan, proven(data, "certificates", "certificates_proof", keyring, nonce));
    COFFER_ASSIGN(out.certificates, decode_certificate_plan(plan));
  }
  const json::Value* list = data.find("members");
  if (list == nullptr || !list->is_array())
    return Status(Code::kInvalid, target.url + ": the answer does not name the members");
  for (const json::Value& one : list->elements()) {
    Member member;
    member.id = one.string_or("node_id", "");
    member.cluster_address = one.string_or("cluster_addr", "");
    member.api_address = one.string_or("api_addr", "");
    COFFER_TRY(check_member(member).with_context(target.url));
    member.number = member_number(member.id);
    out.members.push_back(std::move(member));
  }
  return out;
}

Result<CertificateNews> ask_for_news(const PeerCall& call, const JoinTarget& target, const seal::Keyring& keyring,
                                     const std::string& id, RandomSource& random) {
  const std::string path = "sys/storage/raft/bootstrap/certificates";
  json::Arena arena;
  std::string body;
  json::write(json::ObjectBuilder(arena, 1).add("server_id", id).build(), body);
  COFFER_ASSIGN(const json::Value given, ask(call, target, path + "-challenge", body, arena, Reason::kTold));
  COFFER_ASSIGN(const std::string challenge, bytes_of(given, "challenge"));
  Member self;
  self.id = id;
  self.number = member_number(id);
  COFFER_ASSIGN(const std::string nonce, make_nonce(random));
  body.clear();
  json::write(json::ObjectBuilder(arena, 4)
                  .add("answer", base64_encode(answer_challenge(keyring, challenge, self, Asked::kCertificates)))
                  .add("challenge", base64_encode(challenge))
                  .add("nonce", base64_encode(nonce))
                  .add("server_id", id)
                  .build(),
              body);
  COFFER_ASSIGN(const json::Value data, ask(call, target, path, body, arena, Reason::kTold));
  COFFER_ASSIGN(const std::string news, proven(data, "news", "proof", keyring, nonce));
  return decode_certificate_news(news);
}

}  // namespace coffer::core
