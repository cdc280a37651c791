#include "cli/tar_gz.h"


#include <cstdint>
#include <cstdio>
#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kTarBlockBytes = 512;
constexpr std::size_t kTarNameBytesMax = 100;

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

void append_le(std::uint32_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i)
    out.push_back(static_cast<char>(value >> 8 * i & 0xff));
}

std::string tar_head(const std::string& name, std::size_t size) {
  // A long name is kept in two parts.
  const std::size_t slash = name.size() <= kTarNameBytesMax ? std::string::npos : name.rfind('/');
  const std::string_view folder = std::string_view(name).substr(0, slash == std::string::npos ? 0 : slash);
  const std::string_view rest = std::string_view(name).substr(slash == std::string::npos ? 0 : slash + 1);
  COFFER_CHECK(folder.size() <= kTarFolderBytesMax && rest.size() <= kTarNameBytesMax);
  std::string head(kTarBlockBytes, '\0');
  const auto put = [&head](std::size_t at, std::string_view text) { text.copy(head.data() + at, text.size()); };
  char number[16];
  put(0, rest);
  put(345, folder);
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  std::snprintf(number, sizeof number, "%011zo", size);
  put(124, number);
  put(136, "00000000000");
  put(148, "        ");
  head[156] = '0';
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const unsigned char byte : head)
    sum += byte;
  std::snprintf(number, sizeof number, "%06o", sum);
  put(148, number);
  head[154] = '\0';
  return head;
}

}  // namespace

std::string tar_gz(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string tar;
  for (const auto& [name, content] : files) {
    tar.append(tar_head(name, content.size())).append(content);
    tar.append((kTarBlockBytes - content.size() % kTarBlockBytes) % kTarBlockBytes, '\0');
  }
  tar.append(2 * kTarBlockBytes, '\0');
  std::string out("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
  constexpr std::size_t kStoredBytesMax = 65535;
  for (std::size_t at = 0; at < tar.size(); at += kStoredBytesMax) {
    const std::size_t size = std::min(kStoredBytesMax, tar.size() - at);
    out.push_back(at + size == tar.size() ? '\x01' : '\x00');
    append_le(static_cast<std::uint32_t>(size), 2, out);
    append_le(~static_cast<std::uint32_t>(size), 2, out);
    out.append(tar, at, size);
  }
  append_le(crc32(tar), 4, out);
  append_le(static_cast<std::uint32_t>(tar.size()), 4, out);
  return out;
}

}  // namespace coffer::cli
