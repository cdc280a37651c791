// What one node sends another when a request that it was given is to run there, and what comes back. The format is
// docs/formats/forward.md.
//
// Pure. The bytes hold tokens and secrets in the clear: whoever has done with them calls wipe_text(). They are made in
// one piece of exactly their size, so that no smaller one is left behind in the heap.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "core/request.h"

namespace coffer::core::forward {

inline constexpr std::size_t kMessageBytesMax = 40u << 20;  // a request or a reply; the link takes as much
inline constexpr std::size_t kValuesMax = 2u << 20;         // JSON values of one message
inline constexpr unsigned kDepthMax = 512;                  // of one value
inline constexpr std::size_t kLinesMax = 8192;              // headers of one list
inline constexpr std::size_t kTextsMax = 65'536;            // texts of one list: policies, warnings, errors
inline constexpr Nanos kTimeMax = std::chrono::hours(24);   // that a request may still take

// What the other node did with it.
enum class Told : std::uint8_t {
  kAnswered = 1,    // it ran, and this is its answer
  kNotLeading = 2,  // nothing was done: the node does not lead
  kFull = 3,        // nothing was done: too many requests of others are there already
};

// Bytes of what encode_request() makes, or its refusal.
Result<std::size_t> request_bytes(const Exchange& exchange);

// Everything that matters to run the request of `exchange` elsewhere. `time_left`: until its answer must be there.
// kTooLarge when it is beyond the bounds above, with which one it is.
Result<std::string> encode_request(const Exchange& exchange, Nanos time_left);

// Into an exchange that is fresh or reset; all texts are copied into its arena. kInvalid, and the exchange is good for
// reset() alone, for bytes that encode_request() does not make.
Status decode_request(std::string_view bytes, Exchange& into);

// The response of `exchange`, which is no stream and no feed. kTooLarge as above.
Result<std::string> encode_reply(const Exchange& exchange);
std::string encode_refusal(Told told);

// What became of the request; for kAnswered the response of `into` is the other node's, its texts in the arena.
// kInvalid, and `into` has no response, for bytes that are no reply.
Result<Told> decode_reply(std::string_view bytes, Exchange& into);

// Overwrites the text and makes it empty.
void wipe_text(std::string& text) noexcept;

}  // namespace coffer::core::forward
