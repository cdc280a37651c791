// SHA-256, one-shot and incremental, without the fetch and allocation that the high-level interface pays per digest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace coffer::crypto {

using Digest256 = std::array<std::uint8_t, 32>;

// Any thread.
Digest256 sha256(std::span<const std::uint8_t> data) noexcept;
Digest256 sha256(std::string_view text) noexcept;

// One digest over several pieces. One thread at a time; copying copies the progress so far. The state is wiped at the
// end.
class Sha256 {
 public:
  Sha256() noexcept;
  ~Sha256();
  Sha256(const Sha256&) = default;
  Sha256& operator=(const Sha256&) = default;

  Sha256& update(std::span<const std::uint8_t> data) noexcept;
  Sha256& update(std::string_view text) noexcept;

  // The digest of everything so far; the object starts anew.
  Digest256 finish() noexcept;

 private:
  static constexpr std::size_t kStateBytes = 112;
  alignas(8) std::array<std::uint8_t, kStateBytes> state_;
};

}  // namespace coffer::crypto
