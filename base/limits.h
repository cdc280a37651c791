// Every bound of the server in one list, with its unit in its name. A bound that an operator may change is a default here and
// a setting in server/config.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coffer::limits {

// Names and keys.
inline constexpr std::size_t kPathBytesMax = 4096;          // a canonical path
inline constexpr std::size_t kPathSegmentsMax = 64;         // its segments
inline constexpr std::size_t kStoreKeyPlainBytesMax = 480;  // longer ones are shortened, LMDB ends at 511
inline constexpr std::size_t kStoreKeyBytesMax = 511;       // what LMDB takes

// Requests.
inline constexpr std::size_t kRequestBodyBytesMax = 32u << 20;   // as the peer
inline constexpr std::size_t kRequestHeaderBytesMax = 16u << 10;
inline constexpr std::size_t kTokenBytesMax = 8u << 10;
inline constexpr std::size_t kJsonDepthMax = 128;
inline constexpr std::size_t kJsonStringsMax = 1000;             // keys and values of a body, as the peer
inline constexpr std::size_t kConnectionsMax = 20000;
inline constexpr std::size_t kRequestsInFlightMax = 8192;
inline constexpr std::size_t kTokenlessBodyBytesMax = 1u << 20;    // a body of a request that shows no token
inline constexpr std::size_t kSmallBodyBytesMax = 64u << 10;       // a body that counts as small
inline constexpr std::size_t kSmallBodiesHeldBytesMax = 32u << 20; // small bodies held by all connections together
inline constexpr std::size_t kLargeBodiesHeldBytesMax = 96u << 20; // and large ones
inline constexpr std::size_t kChunkHeadBytesMax = 4096;            // chunk size line with extensions; the trailer
inline constexpr std::size_t kQueryParametersMax = 256;            // of one request
inline constexpr std::size_t kExchangesKeptMax = 64;               // unused ones an io thread keeps for the next request
inline constexpr std::size_t kGrpcMessageBytesMax = 32u << 20;
inline constexpr std::size_t kGrpcConnectionsMax = 4096;
inline constexpr std::size_t kGrpcStreamsMax = 256;                // concurrent calls on one connection
inline constexpr std::chrono::seconds kGrpcHandshakeTimeMax{10};
inline constexpr std::chrono::seconds kRequestTimeMax{90};
inline constexpr std::size_t kTransactionRunsMax = 64;           // runs of one handler before it is refused as 503

// Log and state.
inline constexpr std::size_t kEntryBytesMax = 1u << 20;          // one Raft entry, default
inline constexpr std::size_t kEntryOpsMax = 4096;                // records one entry writes
inline constexpr std::size_t kProposalsQueuedMax = 8192;
inline constexpr std::size_t kOverlayGenerationBytesMax = 16u << 20;
inline constexpr std::chrono::seconds kOverlayGenerationAgeMax{10};

// Audit.
inline constexpr std::size_t kAuditRingLinesMax = 16384;
inline constexpr std::size_t kAuditBatchBytesMax = 1u << 20;
inline constexpr std::chrono::seconds kAuditAcceptTimeMax{2};

}  // namespace coffer::limits
