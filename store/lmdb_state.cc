#include "store/lmdb_state.h"

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <lmdb.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "store/overlay.h"

namespace coffer::store {
namespace {

constexpr std::uint32_t kFormatVersion = 1;
// The store's own records begin with a zero byte, below every class of store/key.h.
constexpr std::string_view kFormatKey("\0format", 7);
constexpr std::string_view kSummaryKey("\0summary", 8);
constexpr std::string_view kFirstStoreKey("\1", 1);
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kTrimAfterRecords = 16384;   // walked by the scrub
constexpr std::size_t kTrimAfterCommitted = 1024;  // each may touch a page of its own, and the system maps 16 around it
constexpr std::chrono::milliseconds kGrowRecheckTime{1};
// Of the map, for one transaction of a load: its records, the last of which may be as long as a chunk, on pages that
// may be half empty.
constexpr std::uint64_t kLoadRoomBytes = 2 * (limits::kSnapshotInstallBytes + limits::kSnapshotChunkBytesMax);

MDB_val to_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view to_view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

std::uint32_t record_checksum(std::string_view key, std::string_view value) { return crc32c(value, crc32c(key)); }

// The value inside a stored record, or nothing when its checksum does not fit.
std::optional<std::string_view> checked_value(std::string_view key, std::string_view stored) {
  if (stored.size() < kChecksumBytes)
    return std::nullopt;
  const std::string_view value = stored.substr(kChecksumBytes);
  if (load_u32(stored.data()) != record_checksum(key, value))
    return std::nullopt;
  return value;
}

struct TxnAbort {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
using TxnHold = std::unique_ptr<MDB_txn, TxnAbort>;

// LMDB met a page that contradicts itself. It aborts after this call; the words tell the operator which file.
void on_assert(MDB_env* env, const char* message) {
  const auto* path = static_cast<const std::string*>(mdb_env_get_userctx(env));
  std::fprintf(stderr, "state file %s is damaged: %s\n", path->c_str(), message);
}

std::size_t thread_slot() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace

class LmdbState::LmdbCursor final : public Cursor {
 public:
  LmdbCursor(const LmdbState& state, MDB_cursor* cursor) : state_(state), cursor_(cursor) {}
  ~LmdbCursor() override { mdb_cursor_close(cursor_); }

  Result<bool> seek(std::string_view key) override {
    MDB_val at = to_val(key < kFirstStoreKey ? kFirstStoreKey : key);
    return settle(at, MDB_SET_RANGE);
  }
  Result<bool> next() override {
    MDB_val at{};
    return settle(at, MDB_NEXT);
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }

 private:
  Result<bool> settle(MDB_val& key, MDB_cursor_op op) {
    MDB_val stored{};
    const int error = mdb_cursor_get(cursor_, &key, &stored, op);
    if (error == MDB_NOTFOUND)
      return false;
    if (error != 0)
      return state_.failed("walk", error);
    key_ = to_view(key);
    const auto value = checked_value(key_, to_view(stored));
    if (!value)
      return state_.damaged("a record does not fit its checksum");
    value_ = *value;
    return true;
  }

  const LmdbState& state_;
  MDB_cursor* const cursor_;
  std::string_view key_;
  std::string_view value_;
};

class LmdbState::Reader final : public StateReader {
 public:
  Reader(const LmdbState& state, MDB_txn* txn) : state_(state), txn_(txn) {}
  ~Reader() override { mdb_txn_abort(txn_); }

  Status renew() {
    if (const int error = mdb_txn_renew(txn_); error != 0)
      return state_.failed("begin to read", error);
    // The same transaction number is the same commit: no need to look the index up again.
    if (const std::uint64_t id = mdb_txn_id(txn_); id != id_) {
      COFFER_ASSIGN(const StateSummary summary, read_summary());
      applied_ = summary.applied;
      id_ = id;
    }
    return ok_status();
  }
  void reset() { mdb_txn_reset(txn_); }

  Result<StateSummary> read_summary() const {
    MDB_val key = to_val(kSummaryKey);
    MDB_val stored{};
    if (const int error = mdb_get(txn_, state_.dbi_, &key, &stored); error != 0)
      return state_.failed("read the summary of", error);
    const auto value = checked_value(kSummaryKey, to_view(stored));
    if (!value)
      return state_.damaged("its summary does not fit its checksum");
    ByteReader in(*value);
    StateSummary summary;
    summary.applied = Index(in.u64());
    summary.records = in.u64();
    summary.set_hash.low = in.u64();
    summary.set_hash.high = in.u64();
    if (!in.finish().ok())
      return state_.damaged("its summary has another length");
    return summary;
  }

  Index applied() const override { return applied_; }

  Result<bool> get(std::string_view key, std::string& out) const override {
    out.clear();
    MDB_val at = to_val(key);
    MDB_val stored{};
    const int error = mdb_get(txn_, state_.dbi_, &at, &stored);
    if (error == MDB_NOTFOUND)
      return false;
    if (error != 0)
      return state_.failed("read", error);
    const auto value = checked_value(key, to_view(stored));
    if (!value)
      return state_.damaged("a record does not fit its checksum");
    out = *value;
    return true;
  }

  Result<std::unique_ptr<Cursor>> cursor() const override {
    MDB_cursor* cursor = nullptr;
    if (const int error = mdb_cursor_open(txn_, state_.dbi_, &cursor); error != 0)
      return state_.failed("walk", error);
    return std::unique_ptr<Cursor>(std::make_unique<LmdbCursor>(state_, cursor));
  }

 private:
  const LmdbState& state_;
  MDB_txn* const txn_;
  std::uint64_t id_ = 0;
  Index applied_;
};

LmdbState::LmdbState(std::string path, MDB_env* env) : path_(std::move(path)), env_(env) {}

LmdbState::~LmdbState() {
  readers_.clear();
  mdb_env_close(env_);
}

Status LmdbState::damaged(std::string_view what) const {
  return Status(Code::kDataLoss, "state file " + path_ + " is damaged (" + std::string(what) +
                                     "): put back a backup of the whole data folder (docs/operations.md)");
}

Status LmdbState::failed(std::string_view what, int error) const {
  if (error == MDB_CORRUPTED || error == MDB_PAGE_NOTFOUND || error == MDB_INVALID || error == MDB_VERSION_MISMATCH ||
      error == MDB_NOTFOUND)
    return damaged(mdb_strerror(error));
  const Code code = error == MDB_MAP_FULL || error == MDB_READERS_FULL ? Code::kExhausted : Code::kIo;
  return Status(code, std::string(what) + " state file " + path_ + ": " + mdb_strerror(error));
}

Result<std::unique_ptr<LmdbState>> LmdbState::open_env(const std::string& path, const LmdbOptions& options) {
  MDB_env* env = nullptr;
  COFFER_CHECK(mdb_env_create(&env) == 0);
  std::unique_ptr<LmdbState> state(new LmdbState(path, env));
  mdb_env_set_userctx(env, const_cast<std::string*>(&state->path_));
  mdb_env_set_assert(env, &on_assert);
  int error = mdb_env_set_maxreaders(env, options.readers_max);
  if (error == 0)
    error = mdb_env_set_mapsize(env, options.map_bytes);
  // Pages are read as they are needed: read-ahead would only fill memory. Full sync is LMDB's default and stays on.
  if (error == 0)
    error = mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
  if (error != 0)
    return state->failed("open", error);
  if (::chmod(path.c_str(), 0600) != 0 || ::chmod((path + "-lock").c_str(), 0600) != 0)
    return Status(Code::kIo, "cannot set the mode of state file " + path);
  return state;
}

Result<std::unique_ptr<LmdbState>> LmdbState::create(const std::string& path, const LmdbOptions& options,
                                                     RandomSource& random, std::optional<SetHashKey> hash_key) {
  if (!hash_key)
    COFFER_TRY(random.fill(hash_key.emplace()));
  COFFER_ASSIGN(auto state, open_env(path, options));
  MDB_txn* txn = nullptr;
  if (const int error = mdb_txn_begin(state->env_, nullptr, 0, &txn); error != 0)
    return state->failed("create", error);
  TxnHold hold(txn);
  if (const int error = mdb_dbi_open(txn, nullptr, 0, &state->dbi_); error != 0)
    return state->failed("create", error);
  std::string format;
  ByteWriter(format)
      .u32(0)
      .u32(kFormatVersion)
      .raw({reinterpret_cast<const char*>(hash_key->data()), hash_key->size()});
  store_u32(format.data(), record_checksum(kFormatKey, std::string_view(format).substr(kChecksumBytes)));
  MDB_val key = to_val(kFormatKey);
  MDB_val value = to_val(format);
  if (const int error = mdb_put(txn, state->dbi_, &key, &value, MDB_NOOVERWRITE); error != 0)
    return state->failed("create", error);
  COFFER_TRY(state->put_summary(txn, StateSummary{}));
  if (const int error = mdb_txn_commit(hold.release()); error != 0)
    return state->failed("create", error);
  COFFER_TRY(state->load_meta());
  return state;
}

Result<std::unique_ptr<LmdbState>> LmdbState::open(const std::string& path, const LmdbOptions& options) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return Status(Code::kDataLoss, "state file " + path +
                                       " is missing: put back a backup of the whole data folder (docs/operations.md)");
  COFFER_ASSIGN(auto state, open_env(path, options));
  // A process that was killed in the middle of a commit may have left the new root in the page cache only. What is read
  // from here on counts as durable, and the log is cut below it.
  if (const int error = mdb_env_sync(state->env_, 1); error != 0)
    return state->failed("sync", error);
  COFFER_TRY(state->check_file_size());
  COFFER_TRY(state->load_meta());
  return state;
}

// LMDB maps the file without comparing its length with what its root says; a page beyond the end would kill the
// process.
Status LmdbState::check_file_size() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  struct stat file {};
  COFFER_CHECK(mdb_env_info(env_, &info) == 0 && mdb_env_stat(env_, &stat) == 0);
  if (::stat(path_.c_str(), &file) != 0)
    return Status(Code::kIo, "cannot stat state file " + path_);
  const std::uint64_t needed = (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
  return static_cast<std::uint64_t>(file.st_size) >= needed ? ok_status() : damaged("it is shorter than its root says");
}

Status LmdbState::load_meta() {
  MDB_txn* txn = nullptr;
  if (const int error = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); error != 0)
    return failed("read", error);
  TxnHold hold(txn);
  if (const int error = mdb_dbi_open(txn, nullptr, 0, &dbi_); error != 0)
    return failed("read", error);
  MDB_val key = to_val(kFormatKey);
  MDB_val stored{};
  if (const int error = mdb_get(txn, dbi_, &key, &stored); error != 0)
    return failed("read the format of", error);
  const auto format = checked_value(kFormatKey, to_view(stored));
  if (!format)
    return damaged("its format record does not fit its checksum");
  ByteReader in(*format);
  const std::uint32_t version = in.u32();
  const std::string_view hash_key = in.raw(hash_key_.size());
  if (!in.finish().ok())
    return damaged("its format record has another length");
  if (version != kFormatVersion)
    return Status(Code::kUnsupported, "state file " + path_ + " has format " + std::to_string(version) +
                                          "; this version reads format " + std::to_string(kFormatVersion));
  std::copy(hash_key.begin(), hash_key.end(), hash_key_.begin());
  if (const int error = mdb_txn_commit(hold.release()); error != 0)  // keeps dbi_ open for later transactions
    return failed("read", error);
  find_map();
  COFFER_ASSIGN(StateReader* const reader, acquire());
  const Result<StateSummary> summary = static_cast<Reader*>(reader)->read_summary();
  release(reader);
  COFFER_TRY(summary.status());
  summary_ = *summary;
  durable_.store(summary_.applied.get(), std::memory_order_release);
  return ok_status();
}

// Lets go of mapped pages: they stay in the page cache, and those in use are mapped again at the next touch. Without it
// a walk over all records would make the whole file count as this process's memory.
void LmdbState::trim_memory() noexcept {
  since_trim_ = 0;
  MDB_envinfo info{};
  MDB_stat stat{};
  COFFER_CHECK(mdb_env_info(env_, &info) == 0 && mdb_env_stat(env_, &stat) == 0);
  const std::size_t used = (info.me_last_pgno + 1) * stat.ms_psize;
  if (map_ != nullptr && used > limits::kStateMappedBytesKept)
    ::madvise(map_, used, MADV_DONTNEED);  // advice: nothing depends on it
}

// LMDB does not tell where its map begins; the system does.
void LmdbState::find_map() {
  map_ = nullptr;
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0)
    return;
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (map_ == nullptr && std::getline(maps, line)) {
    unsigned long long begin = 0, offset = 0, inode = 0;
    if (std::sscanf(line.c_str(), "%llx-%*x %*s %llx %*s %llu", &begin, &offset, &inode) == 3 && inode == info.st_ino &&
        offset == 0)
      map_ = reinterpret_cast<void*>(static_cast<std::uintptr_t>(begin));
  }
}

Result<LmdbState::Reader*> LmdbState::make_reader() {
  MDB_txn* txn = nullptr;
  if (const int error = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); error != 0)
    return failed("begin to read", error);
  mdb_txn_reset(txn);
  readers_.push_back(std::make_unique<Reader>(*this, txn));
  return readers_.back().get();
}

Result<StateReader*> LmdbState::acquire() {
  const std::size_t start = thread_slot();
  while (true) {
    Reader* reader = nullptr;
    for (std::size_t i = 0; i < kPoolSlots && reader == nullptr; ++i) {
      std::atomic<Reader*>& slot = pool_[(start + i) % kPoolSlots].reader;
      if (slot.load(std::memory_order_relaxed) != nullptr)
        reader = slot.exchange(nullptr);
    }
    if (reader == nullptr) {
      std::unique_lock lock(mutex_);
      grown_.wait(lock, [this] { return !growing_.load(); });
      COFFER_ASSIGN(reader, make_reader());
    }
    // After the reader has left the pool: grow_map() sets the flag before it counts, so one of the two sees the other.
    if (growing_.load()) {
      reader->reset();
      release(reader);
      std::unique_lock lock(mutex_);
      grown_.wait(lock, [this] { return !growing_.load(); });
      continue;
    }
    if (Status status = reader->renew(); !status.ok()) {
      release(reader);
      return status;
    }
    return static_cast<StateReader*>(reader);
  }
}

void LmdbState::release(StateReader* state_reader) noexcept {
  auto* reader = static_cast<Reader*>(state_reader);
  reader->reset();
  const std::size_t start = thread_slot();
  for (std::size_t i = 0; i < kPoolSlots; ++i) {
    Reader* expected = nullptr;
    if (pool_[(start + i) % kPoolSlots].reader.compare_exchange_strong(expected, reader))
      return;
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(readers_, [reader](const auto& owned) { return owned.get() == reader; });
}

Status LmdbState::grow_map() {
  std::unique_lock lock(mutex_);
  growing_.store(true);
  std::vector<Reader*> idle;
  while (true) {
    for (Slot& slot : pool_) {
      if (Reader* reader = slot.reader.exchange(nullptr))
        idle.push_back(reader);
    }
    if (idle.size() == readers_.size())
      break;
    grown_.wait_for(lock, kGrowRecheckTime);  // views are short; nobody signals the return of a reader
  }
  MDB_envinfo info{};
  COFFER_CHECK(mdb_env_info(env_, &info) == 0);
  const int error = mdb_env_set_mapsize(env_, info.me_mapsize * 2);
  find_map();
  // More than the pool holds, when they came back into slots that were emptied meanwhile.
  for (std::size_t i = 0; i < idle.size(); ++i) {
    if (i < kPoolSlots)
      pool_[i].reader.store(idle[i]);
    else
      std::erase_if(readers_, [reader = idle[i]](const auto& owned) { return owned.get() == reader; });
  }
  growing_.store(false);
  grown_.notify_all();
  return error == 0 ? ok_status() : failed("enlarge the map of", error);
}

Status LmdbState::ensure_map(std::uint64_t bytes) {
  MDB_envinfo info{};
  MDB_stat stat{};
  while (true) {
    COFFER_CHECK(mdb_env_info(env_, &info) == 0 && mdb_env_stat(env_, &stat) == 0);
    if (info.me_mapsize >= (info.me_last_pgno + 1) * stat.ms_psize + bytes)
      return ok_status();
    COFFER_TRY(grow_map());
  }
}

// The disk begins to write what was committed without a sync, so that the sync at the end finds little left. Whether it
// could is known by that sync only.
void LmdbState::begin_writeback() noexcept {
  mdb_filehandle_t file = -1;
  COFFER_CHECK(mdb_env_get_fd(env_, &file) == 0);
  static_cast<void>(::sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
}

Status LmdbState::put_summary(MDB_txn* txn, const StateSummary& summary) {
  std::string bytes;
  ByteWriter(bytes)
      .u32(0)
      .u64(summary.applied.get())
      .u64(summary.records)
      .u64(summary.set_hash.low)
      .u64(summary.set_hash.high);
  store_u32(bytes.data(), record_checksum(kSummaryKey, std::string_view(bytes).substr(kChecksumBytes)));
  MDB_val key = to_val(kSummaryKey);
  MDB_val value = to_val(bytes);
  const int error = mdb_put(txn, dbi_, &key, &value, 0);
  return error == 0 ? ok_status() : failed("write", error);
}

Status LmdbState::put_record(MDB_txn* txn, std::string_view key, std::optional<std::string_view> value, SetHash& hash,
                             StateSummary& summary, Scrub& scrub) {
  const bool scrubbed = scrub.running && key <= scrub.after;
  MDB_val at = to_val(key);
  MDB_val stored{};
  int error = mdb_get(txn, dbi_, &at, &stored);
  if (error != 0 && error != MDB_NOTFOUND)
    return failed("read", error);
  if (error == 0) {
    const auto old = checked_value(key, to_view(stored));
    if (!old)
      return damaged("a record does not fit its checksum");
    hash.remove(key, *old);
    COFFER_CHECK(summary.records > 0);
    --summary.records;
    if (scrubbed) {
      scrub.hash.remove(key, *old);
      --scrub.records;
    }
    if (!value && (error = mdb_del(txn, dbi_, &at, nullptr)) != 0)
      return failed("write", error);
  }
  if (!value)
    return ok_status();
  stored = {value->size() + kChecksumBytes, nullptr};
  if (error = mdb_put(txn, dbi_, &at, &stored, MDB_RESERVE); error != 0)
    return failed("write", error);
  store_u32(stored.mv_data, record_checksum(key, *value));
  std::copy(value->begin(), value->end(), static_cast<char*>(stored.mv_data) + kChecksumBytes);
  hash.add(key, *value);
  ++summary.records;
  if (scrubbed) {
    scrub.hash.add(key, *value);
    ++scrub.records;
  }
  return ok_status();
}

Status LmdbState::try_commit(const Generation& generation, Index applied) {
  MDB_txn* txn = nullptr;
  if (const int error = mdb_txn_begin(env_, nullptr, 0, &txn); error != 0)
    return failed("write", error);
  TxnHold hold(txn);
  StateSummary summary = summary_;
  Scrub scrub = scrub_;
  SetHash hash(hash_key_, summary.set_hash);
  GenerationCursor cursor(generation, applied);
  std::size_t records = 0;
  for (cursor.seek({}); cursor.valid(); cursor.next()) {
    if (++records % kTrimAfterCommitted == 0)
      trim_memory();
    const Found& found = cursor.found();
    const auto value = found.deleted ? std::nullopt : std::optional(found.value);
    COFFER_TRY(put_record(txn, cursor.key(), value, hash, summary, scrub));
  }
  summary.applied = applied;
  summary.set_hash = hash.sum();
  COFFER_TRY(put_summary(txn, summary));
  if (const int error = mdb_txn_commit(hold.release()); error != 0)
    return failed("commit to", error);
  summary_ = summary;
  scrub_ = std::move(scrub);
  durable_.store(applied.get(), std::memory_order_release);
  trim_memory();
  return ok_status();
}

Status LmdbState::commit(const Generation& generation, Index applied) {
  COFFER_TRY(dead_);
  COFFER_CHECK(applied >= summary_.applied);
  COFFER_CHECK(generation.last_index() <= applied);
  Status status = try_commit(generation, applied);
  while (status.code() == Code::kExhausted) {
    status = grow_map();
    if (status.ok())
      status = try_commit(generation, applied);
  }
  dead_ = status;
  return status;
}

LmdbState::Load::Load(LmdbState& state) : state_(state) {
  COFFER_CHECK(state.summary_.applied == Index(0) && state.summary_.records == 0);
  COFFER_CHECK(mdb_env_set_flags(state.env_, MDB_NOSYNC, 1) == 0);
}

LmdbState::Load::~Load() {
  if (txn_ != nullptr)
    mdb_txn_abort(txn_);
}

// A transaction that finds the map full is lost, so the room is made before.
Status LmdbState::Load::begin() {
  COFFER_TRY(state_.ensure_map(kLoadRoomBytes));
  const int error = mdb_txn_begin(state_.env_, nullptr, 0, &txn_);
  return error == 0 ? ok_status() : state_.failed("write", error);
}

Status LmdbState::Load::commit() {
  if (const int error = mdb_txn_commit(std::exchange(txn_, nullptr)); error != 0)
    return state_.failed("commit to", error);
  bytes_ = 0;
  state_.begin_writeback();
  state_.trim_memory();
  return ok_status();
}

Status LmdbState::Load::put(std::string_view key, std::string_view value) {
  if (txn_ == nullptr)
    COFFER_TRY(begin());
  MDB_val at = to_val(key);
  MDB_val stored{value.size() + kChecksumBytes, nullptr};
  // Behind the last key, or not at all: no page is split, and no record takes the place of another.
  const int error = mdb_put(txn_, state_.dbi_, &at, &stored, MDB_APPEND | MDB_RESERVE);
  if (error == MDB_KEYEXIST)
    return state_.damaged("its records come out of order");
  if (error != 0)
    return state_.failed("write", error);
  store_u32(stored.mv_data, record_checksum(key, value));
  std::copy(value.begin(), value.end(), static_cast<char*>(stored.mv_data) + kChecksumBytes);
  ++summary_.records;
  bytes_ += key.size() + value.size();
  return bytes_ < limits::kSnapshotInstallBytes ? ok_status() : commit();
}

Status LmdbState::Load::finish(const Hash128& set_hash) {
  summary_.set_hash = set_hash;
  if (txn_ == nullptr)
    COFFER_TRY(begin());
  COFFER_TRY(state_.put_summary(txn_, summary_));
  COFFER_TRY(commit());
  COFFER_CHECK(mdb_env_set_flags(state_.env_, MDB_NOSYNC, 0) == 0);
  if (const int error = mdb_env_sync(state_.env_, 1); error != 0)
    return state_.failed("sync", error);
  state_.summary_ = summary_;
  return ok_status();
}

Result<bool> LmdbState::scrub_step(std::size_t records_max) {
  COFFER_TRY(dead_);
  if (!scrub_.running)
    scrub_ = Scrub{true, {}, 0, SetHash(hash_key_)};
  COFFER_ASSIGN(StateReader* const taken, acquire());
  const ReaderHold reader(*this, *taken);
  COFFER_ASSIGN(const auto cursor, reader->cursor());
  COFFER_ASSIGN(bool more, cursor->seek(scrub_.after));
  if (more && cursor->key() == scrub_.after) {
    COFFER_ASSIGN(more, cursor->next());
  }
  for (std::size_t i = 0; more && i < records_max; ++i) {
    if (cursor->key() <= scrub_.after && !scrub_.after.empty())
      return damaged("its keys are out of order");
    scrub_.after = cursor->key();
    scrub_.hash.add(cursor->key(), cursor->value());
    ++scrub_.records;
    COFFER_ASSIGN(more, cursor->next());
  }
  since_trim_ += records_max;
  if (!more || since_trim_ >= kTrimAfterRecords)
    trim_memory();
  if (more)
    return false;
  scrub_.running = false;
  if (scrub_.records != summary_.records || scrub_.hash.sum() != summary_.set_hash)
    return damaged("its records do not add up to its set hash");
  return true;
}

}  // namespace coffer::store
