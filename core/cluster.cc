#include "core/cluster.h"

#include <algorithm>

#include "base/codec.h"

namespace coffer::core {
namespace {

// Records without zone and upgrade version keep the first form, which older servers read too.
constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kFormatWithZone = 2;
constexpr std::size_t kNodeIdBytesMax = 128;
constexpr std::size_t kAddressBytesMax = 512;
constexpr std::size_t kVersionBytesMax = 64;
constexpr std::size_t kZoneBytesMax = 128;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

Status check_text(std::string_view field, std::string_view text, std::size_t bytes_max, bool needed) {
  if (text.size() > bytes_max || !printable(text) || (needed && text.empty()))
    return Status(Code::kInvalid, std::string(field) + " must have " + (needed ? "1" : "0") + " to " +
                                      std::to_string(bytes_max) + " printable characters without spaces");
  return ok_status();
}

}  // namespace

raft::NodeId member_number(const std::string& id) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : id)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return raft::NodeId((hash >> 1) | 1);
}

const Member* find_member(const Members& members, raft::NodeId number) noexcept {
  const auto found = std::ranges::find(members, number, &Member::number);
  return found == members.end() ? nullptr : &*found;
}

Status check_member(const Member& member) {
  COFFER_TRY(check_text("server_id", member.id, kNodeIdBytesMax, true));
  COFFER_TRY(check_text("cluster_addr", member.cluster_address, kAddressBytesMax, true));
  COFFER_TRY(check_text("api_addr", member.api_address, kAddressBytesMax, false));
  COFFER_TRY(check_text("version", member.version, kVersionBytesMax, false));
  COFFER_TRY(check_text("autopilot_redundancy_zone", member.zone, kZoneBytesMax, false));
  COFFER_TRY(check_text("autopilot_upgrade_version", member.upgrade_version, kVersionBytesMax, false));
  const std::size_t colon = member.cluster_address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == member.cluster_address.size())
    return Status(Code::kInvalid, "cluster_addr must be a host and a port");
  return ok_status();
}

std::string encode(const Member& member) {
  std::string out;
  const bool with_zone = !member.zone.empty() || !member.upgrade_version.empty();
  ByteWriter writer(out);
  writer.u8(with_zone ? kFormatWithZone : kFormat)
      .u8(member.non_voter ? 1 : 0)
      .bytes(member.id)
      .bytes(member.cluster_address)
      .bytes(member.api_address)
      .bytes(member.version);
  if (with_zone)
    writer.bytes(member.zone).bytes(member.upgrade_version);
  return out;
}

Result<Member> decode_member(std::string_view plaintext) {
  ByteReader reader(plaintext);
  Member member;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  member.non_voter = flags == 1;
  member.id = reader.bytes();
  member.cluster_address = reader.bytes();
  member.api_address = reader.bytes();
  member.version = reader.bytes();
  if (format == kFormatWithZone) {
    member.zone = reader.bytes();
    member.upgrade_version = reader.bytes();
  }
  COFFER_TRY(reader.finish().with_context("a member's record"));
  if ((format != kFormat && format != kFormatWithZone) || flags > 1 || !check_member(member).ok())
    return Status(Code::kDataLoss, "a member's record has an unknown form");
  member.number = member_number(member.id);
  return member;
}

std::string encode(const Members& members) {
  std::string out;
  ByteWriter writer(out);
  writer.varint(members.size());
  for (const Member& member : members)
    writer.bytes(encode(member));
  return out;
}

Result<Members> decode_members(std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint64_t count = reader.varint();
  if (count > kMembersMax)
    return Status(Code::kInvalid, "a list of too many members");
  Members members;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    COFFER_ASSIGN(Member member, decode_member(reader.bytes()));
    members.push_back(std::move(member));
  }
  COFFER_TRY(reader.finish().with_context("a list of members"));
  return members;
}

}  // namespace coffer::core
