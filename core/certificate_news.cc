#include "core/certificate_news.h"

#include "base/codec.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 101;  // far from the plan's own

}  // namespace

std::string encode(const CertificateNews& news) {
  std::string out;
  ByteWriter(out).u8(kFormat).u8(news.by_leader ? 1 : 0).bytes(encode(news.plan)).bytes(encode(news.members));
  return out;
}

Result<CertificateNews> decode_certificate_news(std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint8_t format = reader.u8();
  const std::uint8_t by_leader = reader.u8();
  const std::string_view plan = reader.bytes();
  const std::string_view members = reader.bytes();
  if (!reader.finish().ok() || format != kFormat || by_leader > 1)
    return Status(Code::kInvalid, "no news of certificates");
  CertificateNews out;
  out.by_leader = by_leader == 1;
  COFFER_ASSIGN(out.plan, decode_certificate_plan(plan));
  COFFER_ASSIGN(out.members, decode_members(members));
  return out;
}

bool is_newer(const CertificateNews& news, const CertificatePlan& now) {
  return news.by_leader ? news.plan.step() != now.step() : news.plan.step() > now.step();
}

}  // namespace coffer::core
