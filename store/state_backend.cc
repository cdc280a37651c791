#include "store/state_backend.h"

#include <array>

#include "base/mutant.h"
#include "store/overlay.h"

namespace coffer::store {

// What readers take their view from. Immutable; it pins the generations.
struct StateBackend::Publication {
  Index index;
  std::shared_ptr<const Attachment> attachment;
  std::array<std::shared_ptr<const Generation>, 2> generations;  // newest first; either may be null
  std::shared_ptr<StateTable> table;
};

// A frozen generation, given to the flusher with the table that it belongs to.
struct StateBackend::Handover {
  Handover(std::shared_ptr<const Generation> frozen, std::shared_ptr<StateTable> of)
      : generation(std::move(frozen)), table(std::move(of)) {}
  std::shared_ptr<const Generation> generation;  // the flusher's, once taken
  const std::shared_ptr<StateTable> table;
  std::atomic<bool> done{false};
};

namespace {

// One source of a merged walk: a generation, or the table.
class Source {
 public:
  explicit Source(GenerationCursor cursor) : overlay_(cursor) {}
  explicit Source(std::unique_ptr<Cursor> cursor) : table_(std::move(cursor)) {}

  Status seek(std::string_view key) {
    if (overlay_) {
      overlay_->seek(key);
      return ok_status();
    }
    COFFER_ASSIGN(valid_, table_->seek(key));
    return ok_status();
  }
  Status next() {
    if (overlay_) {
      overlay_->next();
      return ok_status();
    }
    COFFER_ASSIGN(valid_, table_->next());
    return ok_status();
  }
  bool valid() const { return overlay_ ? overlay_->valid() : valid_; }
  std::string_view key() const { return overlay_ ? overlay_->key() : table_->key(); }
  Found found() const { return overlay_ ? overlay_->found() : Found{false, table_->value()}; }

 private:
  std::optional<GenerationCursor> overlay_;
  std::unique_ptr<Cursor> table_;
  bool valid_ = false;
};

}  // namespace

// Newest source first: of equal keys the first source has the say, and a deletion there hides the others.
class StateBackend::MergedCursor final : public Cursor {
 public:
  void add(Source source) { sources_.push_back(std::move(source)); }

  Result<bool> seek(std::string_view key) override {
    for (Source& source : sources_)
      COFFER_TRY(source.seek(key));
    return settle();
  }
  Result<bool> next() override {
    COFFER_CHECK(at_ != nullptr);
    COFFER_TRY(step_past(at_->key()));
    return settle();
  }
  std::string_view key() const override { return at_->key(); }
  std::string_view value() const override { return value_; }

 private:
  Result<bool> settle() {
    while ((at_ = lowest()) != nullptr) {
      const Found found = at_->found();
      if (!found.deleted) {
        value_ = found.value;
        return true;
      }
      COFFER_TRY(step_past(at_->key()));
    }
    return false;
  }

  Source* lowest() {
    Source* best = nullptr;
    for (Source& source : sources_) {
      if (source.valid() && (best == nullptr || source.key() < best->key()))
        best = &source;
    }
    return best;
  }

  Status step_past(std::string_view key) {
    // The source that owns `key` moves last: its bytes are compared with until then.
    Source* owner = nullptr;
    for (Source& source : sources_) {
      if (!source.valid() || source.key() != key)
        continue;
      if (source.key().data() == key.data())
        owner = &source;
      else
        COFFER_TRY(source.next());
    }
    return owner == nullptr ? ok_status() : owner->next();
  }

  std::vector<Source> sources_;
  Source* at_ = nullptr;
  std::string_view value_;
};

class StateBackend::StateView final : public View {
 public:
  StateView(std::shared_ptr<const Publication> publication, ReaderHold reader)
      : publication_(std::move(publication)), reader_(std::move(reader)) {}

  Index index() const override { return publication_->index; }
  const std::shared_ptr<const Attachment>& attachment() const override { return publication_->attachment; }

  Result<bool> get(std::string_view key, std::string& out) const override {
    const std::uint64_t hash = overlay_hash(key);
    for (const auto& generation : publication_->generations) {
      if (generation == nullptr)
        continue;
      if (const auto found = generation->find(hash, key, publication_->index)) {
        out = found->value;
        return !found->deleted;
      }
    }
    return reader_->get(key, out);
  }

  Result<std::unique_ptr<Cursor>> cursor() const override {
    auto merged = std::make_unique<MergedCursor>();
    for (const auto& generation : publication_->generations) {
      if (generation != nullptr)
        merged->add(Source(GenerationCursor(*generation, publication_->index)));
    }
    COFFER_ASSIGN(auto table_cursor, reader_->cursor());
    merged->add(Source(std::move(table_cursor)));
    return std::unique_ptr<Cursor>(std::move(merged));
  }

 private:
  const std::shared_ptr<const Publication> publication_;  // outlives the reader of its table
  const ReaderHold reader_;
};

StateBackend::StateBackend(std::unique_ptr<StateTable> table, const StateBackendOptions& options)
    : table_(std::move(table)),
      options_(options),
      applied_(table_->durable_index()),
      published_index_(applied_),
      active_(std::make_shared<Generation>()) {
  republish();
}

StateBackend::~StateBackend() = default;

Result<std::unique_ptr<View>> StateBackend::view() const {
  while (true) {
    COFFER_ASSIGN(std::unique_ptr<View> view, view_of(published_.load()));
    if (view != nullptr)
      return view;
  }
}

// Null when the table was committed past this publication after it was loaded; a newer one is out by then.
Result<std::unique_ptr<View>> StateBackend::view_of(std::shared_ptr<const Publication> publication) const {
  StateTable& table = *publication->table;
  COFFER_ASSIGN(StateReader* const reader, table.acquire());
  ReaderHold hold(table, *reader);
  if (hold->applied() > publication->index && !mutant(Mutant::kOverlayBeforeStateUnchecked))
    return std::unique_ptr<View>();
  return std::unique_ptr<View>(std::make_unique<StateView>(std::move(publication), std::move(hold)));
}

Result<std::unique_ptr<View>> StateBackend::applied_view() const {
  auto applied = std::make_shared<Publication>();
  applied->index = applied_;
  applied->generations = {active_, frozen_};
  applied->table = table_;
  COFFER_ASSIGN(std::unique_ptr<View> view, view_of(std::move(applied)));
  COFFER_CHECK(view != nullptr);  // the table is never ahead of what was applied
  return view;
}

std::shared_ptr<StateTable> StateBackend::table_in_use() const {
  const std::lock_guard lock(handover_mutex_);
  return table_;
}

Index StateBackend::durable_index() const { return table_in_use()->durable_index(); }

Result<bool> StateBackend::scrub_step(std::size_t records_max) { return table_in_use()->scrub_step(records_max); }

void StateBackend::replace(std::unique_ptr<StateTable> table) {
  COFFER_CHECK(table->durable_index() > applied_);
  applied_ = table->durable_index();
  active_ = std::make_shared<Generation>();
  frozen_.reset();
  handed_.reset();
  active_since_.reset();
  {
    const std::lock_guard lock(handover_mutex_);
    table_ = std::move(table);
    handover_.reset();
  }
  update_pressure();
}

std::shared_ptr<const Attachment> StateBackend::attachment() const { return published_.load()->attachment; }

bool StateBackend::full(const Generation& generation) const noexcept {
  return generation.bytes() >= options_.generation_bytes_max || generation.keys() >= options_.generation_keys_max;
}

void StateBackend::apply(Index index, std::span<const Op> ops) {
  COFFER_CHECK(index > applied_);
  drop_flushed();
  if (frozen_ == nullptr && full(*active_))
    freeze_active();
  for (const Op& op : ops)
    active_->put(index, op.key, op.value ? std::optional<std::string_view>(*op.value) : std::nullopt);
  active_->reach(index);
  applied_ = index;
  update_pressure();
}

void StateBackend::publish(std::shared_ptr<const Attachment> attachment) {
  attachment_ = std::move(attachment);
  published_index_ = applied_;
  drop_flushed();
  republish();
  hand_over();
}

void StateBackend::republish() {
  auto fresh = std::make_shared<Publication>();
  fresh->index = published_index_;
  fresh->attachment = attachment_;
  fresh->generations = {active_, frozen_};
  fresh->table = table_;
  published_.store(std::move(fresh));
}

void StateBackend::freeze_active() {
  COFFER_CHECK(frozen_ == nullptr);
  frozen_ = std::exchange(active_, std::make_shared<Generation>());
  active_since_.reset();
  handed_.reset();
}

// A generation goes to the flusher only once all of it is published; otherwise the table could run ahead of every view.
void StateBackend::hand_over() {
  if (frozen_ == nullptr || handed_ != nullptr || frozen_->last_index() > published_index_)
    return;
  handed_ = std::make_shared<Handover>(frozen_, table_);
  {
    const std::lock_guard lock(handover_mutex_);
    handover_ = handed_;
  }
  if (flush_wanted_)
    flush_wanted_();
}

void StateBackend::drop_flushed() {
  if (handed_ != nullptr && handed_->done.load(std::memory_order_acquire)) {
    frozen_.reset();
    handed_.reset();
  }
}

void StateBackend::update_pressure() {
  pressure_.store(frozen_ != nullptr && full(*active_), std::memory_order_relaxed);
}

void StateBackend::tick(BootTime now) {
  const bool had_frozen = frozen_ != nullptr;
  drop_flushed();
  const bool empty = active_->keys() == 0;
  if (empty)
    active_since_.reset();
  else if (!active_since_)
    active_since_ = now;
  const bool due = !empty && (full(*active_) || now - *active_since_ >= options_.generation_age_max);
  if (due && frozen_ == nullptr)
    freeze_active();
  if (had_frozen != (frozen_ != nullptr) || due)
    republish();
  hand_over();
  update_pressure();
}

bool StateBackend::freeze() {
  drop_flushed();
  const bool empty = active_->last_index() == Index(0);
  if (frozen_ == nullptr && !empty)
    freeze_active();
  republish();
  hand_over();
  update_pressure();
  return active_->last_index() == Index(0) && (frozen_ == nullptr || handed_ != nullptr);
}

std::size_t StateBackend::overlay_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const auto& generation : published_.load()->generations)
    bytes += generation == nullptr ? 0 : generation->bytes();
  return bytes;
}

Result<bool> StateBackend::flush_step() {
  std::shared_ptr<Handover> handover;
  {
    const std::lock_guard lock(handover_mutex_);
    handover = std::move(handover_);
  }
  if (handover == nullptr)
    return false;
  COFFER_TRY(handover->table->commit(*handover->generation, handover->generation->last_index()));
  handover->generation.reset();
  handover->done.store(true, std::memory_order_release);
  return true;
}

}  // namespace coffer::store
