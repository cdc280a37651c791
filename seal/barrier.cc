#include "seal/barrier.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "crypto/random.h"
#include "crypto/xaes.h"
#include "seal/record.h"

namespace coffer::seal {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kHeaderBytes = 1 + 4 + 4;
constexpr std::size_t kCounterBytes = 6;
constexpr std::size_t kNonceAt = kHeaderBytes;
constexpr std::size_t kBodyAt = kNonceAt + crypto::kXaesNonceBytes;
constexpr std::uint64_t kSealsPerPrefixMax = std::uint64_t{1} << 32;
constexpr std::size_t kLanes = 16;         // threads that seal or open at once without waiting for each other
constexpr std::size_t kLaneKeysMax = 16;   // derived keys that a lane keeps for opening
static_assert(kBodyAt + crypto::kGcmTagBytes == kSealedOverheadBytes);

using PrefixBytes = std::array<std::uint8_t, crypto::kXaesPrefixBytes>;

// Header, then the path's length, then the path: no two (header, path) pairs give the same bytes. Short paths are
// joined into one piece, because each further piece costs a call into the cipher.
class SealedAad {
 public:
  SealedAad(const std::uint8_t* header, std::string_view path) noexcept {
    if (mutant(Mutant::kSealedPathNotBound))
      path = {};
    std::memcpy(joined_.data(), header, kHeaderBytes);
    store_be(joined_.data() + kHeaderBytes, path.size(), 4);
    if (path.size() <= joined_.size() - kFixedBytes) {
      if (!path.empty())
        std::memcpy(joined_.data() + kFixedBytes, path.data(), path.size());
      aad_ = {std::span(joined_).first(kFixedBytes + path.size())};
    } else {
      aad_ = {std::span(joined_).first(kFixedBytes), bytes_of(path)};
    }
  }
  SealedAad(const SealedAad&) = delete;
  SealedAad& operator=(const SealedAad&) = delete;
  const crypto::AesGcm::Aad& get() const noexcept { return aad_; }

 private:
  static constexpr std::size_t kFixedBytes = kHeaderBytes + 4;
  std::array<std::uint8_t, 512> joined_;
  crypto::AesGcm::Aad aad_;
};

Status cannot_open() { return Status(Code::kDataLoss, "a sealed value cannot be opened"); }

std::size_t first_lane_of_this_thread() noexcept {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed) % kLanes;
  return mine;
}

}  // namespace

// The first half of the nonces in use, and the key that goes with it.
struct Barrier::Prefix {
  PrefixBytes bytes;
  SecretBytes derived;
  std::uint64_t taken = 0;  // counters given to lanes; guarded by Shared::mutex
};

// Used by the one thread that has set `busy`.
struct alignas(64) Barrier::Lane {
  struct Opener {
    PrefixBytes prefix;
    KeyTerm term;
    crypto::AesGcm gcm;  // without a key: the place is free
  };

  crypto::AesGcm& opener(const TermKey& key, crypto::XaesPrefixView prefix);

  std::atomic<bool> busy{false};
  std::shared_ptr<const Prefix> prefix;  // the one that `sealer` is keyed for
  crypto::AesGcm sealer;
  std::uint64_t next = 0;  // counters that this lane may still use: [next, end)
  std::uint64_t end = 0;
  std::array<Opener, kLaneKeysMax> openers;
  std::size_t last = 0;    // most recently used opener
  std::size_t victim = 0;  // next to be replaced
};

struct Barrier::Shared {
  std::array<Lane, kLanes> lanes;
  std::mutex mutex;
  std::shared_ptr<Prefix> prefix;  // guarded by mutex; null until the first seal
};

// Holds a lane for one call. Finding one free takes one atomic exchange unless more than kLanes threads are inside at
// once.
class Barrier::Borrowed {
 public:
  explicit Borrowed(Shared& shared) noexcept {
    for (std::size_t at = first_lane_of_this_thread();; at = (at + 1) % kLanes) {
      lane_ = &shared.lanes[at];
      if (!lane_->busy.exchange(true, std::memory_order_acquire))
        return;
      if (at == 0)
        std::this_thread::yield();
    }
  }
  ~Borrowed() { lane_->busy.store(false, std::memory_order_release); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Lane& operator*() const noexcept { return *lane_; }

 private:
  Lane* lane_;
};

crypto::AesGcm& Barrier::Lane::opener(const TermKey& key, crypto::XaesPrefixView wanted) {
  const auto matches = [&](const Opener& opener) {
    return std::memcmp(opener.prefix.data(), wanted.data(), wanted.size()) == 0 && opener.term == key.term &&
           opener.gcm.has_key();
  };
  if (matches(openers[last])) [[likely]]
    return openers[last].gcm;
  for (std::size_t i = 0; i < openers.size(); ++i) {
    if (matches(openers[i])) {
      last = i;
      return openers[i].gcm;
    }
  }
  last = victim;
  victim = (victim + 1) % openers.size();
  Opener& replaced = openers[last];
  std::copy(wanted.begin(), wanted.end(), replaced.prefix.begin());
  replaced.term = key.term;
  const SecretBytes derived = crypto::xaes_derive(key.key.reveal().first<kKeyBytes>(), wanted);
  replaced.gcm.set_key(derived.reveal().first<kKeyBytes>());
  return replaced.gcm;
}

Barrier::Barrier(std::shared_ptr<const Keyring> keyring, Limits limits)
    : keyring_(std::move(keyring)), limits_(limits), shared_(std::make_unique<Shared>()) {
  COFFER_CHECK(keyring_ != nullptr);
  COFFER_CHECK(limits_.seals_per_prefix > 0 && limits_.seals_per_prefix <= kSealsPerPrefixMax);
  COFFER_CHECK(limits_.seals_per_block > 0);
}

Barrier::~Barrier() = default;

std::shared_ptr<const Barrier> Barrier::create(std::shared_ptr<const Keyring> keyring) {
  return create(std::move(keyring), Limits());
}

std::shared_ptr<const Barrier> Barrier::create(std::shared_ptr<const Keyring> keyring, Limits limits) {
  return std::shared_ptr<const Barrier>(new Barrier(std::move(keyring), limits));
}

Result<SealSession> Barrier::begin(RandomSource& random) const {
  SealSession session(*this, random);
  COFFER_TRY(crypto::draw(random, session.drawn_));
  return session;
}

// Gives the lane a block of counters nobody else has, under a new prefix when the current one is used up.
Status Barrier::refill(Lane& lane, RandomSource& random) const {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->prefix == nullptr || shared_->prefix->taken >= limits_.seals_per_prefix) {
    auto fresh = std::make_shared<Prefix>();
    COFFER_TRY(crypto::draw(random, fresh->bytes));
    fresh->derived = crypto::xaes_derive(keyring_->active().key.reveal().first<kKeyBytes>(), fresh->bytes);
    shared_->prefix = std::move(fresh);
  }
  Prefix& prefix = *shared_->prefix;
  lane.next = prefix.taken;
  lane.end = std::min<std::uint64_t>(prefix.taken + limits_.seals_per_block, limits_.seals_per_prefix);
  prefix.taken = lane.end;
  if (lane.prefix != shared_->prefix) {
    lane.sealer.set_key(prefix.derived.reveal().first<kKeyBytes>());
    lane.prefix = shared_->prefix;
  }
  return Status();
}

Status Barrier::seal(std::string_view path, std::span<const std::uint8_t> plaintext, SealSession& session,
                     std::string& out) const {
  out.clear();
  const Borrowed borrowed(*shared_);
  Lane& lane = *borrowed;
  if (lane.next == lane.end)
    COFFER_TRY(refill(lane, *session.random_));
  const std::uint64_t counter = lane.next++;
  COFFER_CHECK(counter < kSealsPerPrefixMax);

  std::array<std::uint8_t, kBodyAt> head;
  head[0] = kFormat;
  store_be(head.data() + 1, keyring_->id().get(), 4);
  store_be(head.data() + 5, keyring_->active_term().get(), 4);
  std::uint8_t* nonce = head.data() + kNonceAt;
  std::memcpy(nonce, lane.prefix->bytes.data(), crypto::kXaesPrefixBytes);
  store_be(nonce + crypto::kXaesPrefixBytes, counter, kCounterBytes);
  std::memcpy(nonce + crypto::kXaesPrefixBytes + kCounterBytes, session.drawn_.data(), session.drawn_.size());

  const SealedAad aad(head.data(), path);
  out.resize(kSealedOverheadBytes + plaintext.size());
  auto* to = reinterpret_cast<std::uint8_t*>(out.data());
  std::memcpy(to, head.data(), head.size());
  lane.sealer.seal(std::span(head).last<crypto::kGcmNonceBytes>(), aad.get(), plaintext, to + kBodyAt);
  ++session.seals_;
  return Status();
}

Result<std::size_t> Barrier::open(std::string_view path, std::string_view sealed, std::span<std::uint8_t> out) const {
  if (sealed.size() < kSealedOverheadBytes)
    return cannot_open();
  const auto bytes = bytes_of(sealed);
  if (bytes[0] != kFormat || load_be(bytes.data() + 1, 4) != keyring_->id().get())
    return cannot_open();
  const TermKey* key = keyring_->find(KeyTerm(static_cast<std::uint32_t>(load_be(bytes.data() + 5, 4))));
  if (key == nullptr)
    return Status(Code::kUnavailable, "a sealed value names a key term that this node does not hold yet");
  const std::size_t size = plaintext_size(sealed);
  COFFER_CHECK(out.size() >= size);

  const SealedAad aad(bytes.data(), path);
  const auto nonce = bytes.subspan<kNonceAt, crypto::kXaesNonceBytes>();
  const Borrowed borrowed(*shared_);
  crypto::AesGcm& gcm = (*borrowed).opener(*key, nonce.first<crypto::kXaesPrefixBytes>());
  if (!gcm.open(nonce.last<crypto::kGcmNonceBytes>(), aad.get(), bytes.subspan(kBodyAt), out.data()))
    return cannot_open();
  return size;
}

SealSession::SealSession(SealSession&& other) noexcept
    : barrier_(std::exchange(other.barrier_, nullptr)),
      random_(other.random_),
      drawn_(other.drawn_),
      seals_(std::exchange(other.seals_, 0)) {}

SealSession::~SealSession() {
  if (barrier_ != nullptr && seals_ != 0)
    barrier_->keyring()->active().encryptions.fetch_add(seals_, std::memory_order_relaxed);
}

Status SealSession::seal(std::string_view path, std::span<const std::uint8_t> plaintext, std::string& out) {
  COFFER_CHECK(barrier_ != nullptr);
  return barrier_->seal(path, plaintext, *this, out);
}

Status SealSession::seal(std::string_view path, std::string_view plaintext, std::string& out) {
  return seal(path, bytes_of(plaintext), out);
}

KeyTerm SealSession::term() const noexcept { return barrier_->keyring()->active_term(); }

}  // namespace coffer::seal
