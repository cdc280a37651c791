// Every bound of the server in one list, with its unit in its name. A bound that an operator may change is a default
// here and a setting in server/config.h.
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
inline constexpr std::size_t kListItemsMax = 1000;               // of one field that is a list, or a text with commas
inline constexpr std::size_t kConnectionsMax = 20000;
inline constexpr std::size_t kRequestsInFlightMax = 8192;
inline constexpr std::size_t kTokenlessBodyBytesMax = 1u << 20;    // a body of a request that shows no token
inline constexpr std::size_t kSmallBodyBytesMax = 64u << 10;       // a body that counts as small
inline constexpr std::size_t kSmallBodiesHeldBytesMax = 32u << 20; // small bodies held by all connections together
inline constexpr std::size_t kLargeBodiesHeldBytesMax = 96u << 20; // and large ones
inline constexpr std::size_t kChunkHeadBytesMax = 4096;            // chunk size line with extensions; the trailer
inline constexpr std::size_t kQueryParametersMax = 256;            // of one request
inline constexpr std::size_t kExchangesKeptMax = 64;  // unused ones an io thread keeps for the next request
inline constexpr std::size_t kGrpcMessageBytesMax = 32u << 20;
inline constexpr std::size_t kGrpcConnectionsMax = 4096;
inline constexpr std::size_t kGrpcStreamsMax = 256;                // concurrent calls on one connection
inline constexpr std::chrono::seconds kGrpcHandshakeTimeMax{10};
inline constexpr std::chrono::seconds kRequestTimeMax{90};
inline constexpr std::size_t kPipeBytesMax = 1u << 20;             // of a body on its way to whoever takes it
inline constexpr std::chrono::hours kPipedRequestTimeMax{2};       // from such a request's head to its answer
inline constexpr std::size_t kTransactionRunsMax = 64;           // runs of one handler before it is refused as 503

// Events.
inline constexpr std::size_t kEventSubscribersMax = 256;           // of one node
inline constexpr std::size_t kEventsHeldMax = 8192;                // for subscribers that have not taken them yet...
inline constexpr std::size_t kEventBytesHeldMax = 16u << 20;       // ...and in bytes; who is further behind is cut off
inline constexpr std::size_t kEventNamespacesMax = 64;             // patterns of one subscription
inline constexpr std::size_t kEventFilterBytesMax = 4096;
inline constexpr std::size_t kEventScanMax = 256;                  // events looked at in one step of a subscription
inline constexpr std::size_t kFeedPieceBytesMax = 64u << 10;       // framed for a client at once
inline constexpr std::size_t kFeedFrameBytesMax = 4096;            // that a subscriber may send
inline constexpr std::chrono::seconds kFeedPingInterval{20};       // how long a quiet client is left alone...
inline constexpr std::chrono::seconds kFeedSilenceMax{60};         // ...and after how long it counts as gone

inline constexpr std::size_t kListNamesMax = 1u << 20;           // names one list answers with; more are paged
inline constexpr std::size_t kTokenTreeEntryMax = 256;           // tokens revoked in one entry; a larger tree is a job
inline constexpr std::uint32_t kTokenDepthMax = 1000;             // tokens from an orphan down to its last descendant
inline constexpr std::uint64_t kRefusalsExplainedPerSecondMax = 20;  // in the log
inline constexpr std::size_t kJobStepKeysMax = 1024;             // records one step of a job deletes
inline constexpr std::chrono::seconds kTendPause{60};            // before a mount without work is looked after again
inline constexpr std::size_t kBatchPathsMax = 128;               // paths that one batch reads
inline constexpr std::size_t kSearchQueryBytesMax = 256;
inline constexpr std::size_t kBatchAnswerBytesMax = 16u << 20;   // and what they may take in memory together
inline constexpr std::size_t kExpiryBatchTokensMax = 128;        // tokens one entry of the expiry driver revokes
inline constexpr std::size_t kExpiryBatchLeasesMax = 256;        // leases one entry of the expiry driver removes
inline constexpr std::size_t kLeaseDataBytesMax = 32u << 10;     // what an engine keeps with one lease
inline constexpr std::size_t kLeaseKindBytesMax = 64;
inline constexpr std::size_t kOutsideCallsQueuedMax = 1024;      // that wait for a thread; more are refused
inline constexpr std::size_t kOutsideThreadsMax = 8;
inline constexpr std::size_t kRevocationsPerMountMax = 4;        // calls that revoke under way for one mount
inline constexpr std::chrono::seconds kOutsideTimeMax{30};       // one call to a system outside
inline constexpr std::chrono::seconds kOutsideClockBound{5};     // clocks and networks: after it a call is over
inline constexpr std::chrono::seconds kIntentAgainAfter{60};     // a pending lease is revoked once more after that
inline constexpr unsigned kRevokeTriesMax = 6;                   // then the lease is irrevocable
inline constexpr std::size_t kLeaseListMax = 10'000;             // leases one request revokes at once (sync)
inline constexpr std::size_t kQuotasMax = 1024;
inline constexpr std::size_t kQuotaClientsMax = 65'536;          // callers one quota keeps apart
inline constexpr std::size_t kAclCacheSetsMax = 256;             // compiled policy sets a thread keeps

// Log and state.
inline constexpr std::size_t kSecretBytesMax = 1u << 20;         // data of one version of a secret, as JSON
// One Raft entry: two versions of a secret, and what is kept beside them.
inline constexpr std::size_t kEntryBytesMax = 3 * kSecretBytesMax;
inline constexpr std::size_t kEntryOpsMax = 4096;                // records one entry writes
inline constexpr std::size_t kProposalsQueuedMax = 8192;
inline constexpr std::uint64_t kLogSegmentBytes = 32u << 20;
inline constexpr std::size_t kLogSpareSegmentsMax = 4;  // kept to be used again, because they sync faster than new ones
inline constexpr std::size_t kLogPrimeBytes = 256u << 10;        // of a new segment, written ahead of the frames
inline constexpr std::size_t kLogBufferBytesKept = 1u << 20;  // a larger one is given back after its frame is written
inline constexpr std::size_t kOverlayGenerationBytesMax = 8u << 20;    // measured: store/README.md
inline constexpr std::size_t kOverlayGenerationKeysMax = 16384;  // one page each may become dirty in memory at a commit
inline constexpr std::chrono::seconds kOverlayGenerationAgeMax{10};
inline constexpr std::size_t kStateMappedBytesKept = 8u << 20;  // above, the state's pages are let go after commits
inline constexpr std::uint64_t kDiskBytesKeptFree = 512u << 20;  // default watermark
inline constexpr std::size_t kSnapshotChunkBytes = 64u << 10;
inline constexpr std::size_t kSnapshotChunkBytesMax = 64u << 20; // one that claims more is damaged
inline constexpr std::size_t kSnapshotInstallBytes = 8u << 20;   // records per commit while a snapshot is installed
inline constexpr std::size_t kLoadHeldBytesMax = 4u << 20;       // of a snapshot, read and not in its state file
inline constexpr std::size_t kArchivePieceBytes = 256u << 10;    // of a snapshot, read and packed at once
inline constexpr std::size_t kSnapshotHeldBytesMax = 512u << 10; // packed and not sent yet, for each client
inline constexpr unsigned kSnapshotStreamsMax = 4;               // clients that are sent snapshots at once
inline constexpr std::chrono::minutes kSnapshotSaveTimeMax{10};  // to write the state into a file
inline constexpr std::chrono::seconds kPipeSilenceMax{30};       // of a client that sends a snapshot
inline constexpr std::uint64_t kSnapshotBytesMax = 256ull << 30; // that a client may send
inline constexpr std::size_t kScrubStepRecordsMax = 512;
inline constexpr std::chrono::milliseconds kScrubStepPause{2};

// Audit.
inline constexpr std::size_t kAuditRingLinesMax = 16384;
inline constexpr std::size_t kAuditRingBytesMax = 16u << 20;         // lines that wait for one device
inline constexpr std::size_t kAuditBatchBytesMax = 1u << 20;  // what one write(2) is given, unless one line is longer
inline constexpr std::size_t kAuditLineKeptBytesMax = 32u << 10;  // formatting memory an exchange keeps for a device
inline constexpr std::size_t kAuditOptionBytesMax = 4096;            // one option of a device
inline constexpr std::chrono::seconds kAuditAcceptTimeMax{2};

// Command line.
inline constexpr std::size_t kClientResponseBytesMax = 256u << 20;  // an answer that a command reads
inline constexpr std::size_t kClientInputBytesMax = 32u << 20;      // a file or standard input that a command sends
inline constexpr int kClientRetriesMax = 100;                       // whatever VAULT_MAX_RETRIES says

// Configuration and policies.
inline constexpr std::size_t kHclBytesMax = 1u << 20;
inline constexpr std::size_t kHclDepthMax = 32;
inline constexpr std::size_t kHclNodesMax = 100'000;
inline constexpr std::size_t kConfigFilesMax = 256;  // files of one configuration folder

}  // namespace coffer::limits
