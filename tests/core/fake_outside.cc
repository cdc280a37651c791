#include "tests/core/fake_outside.h"

#include <algorithm>

namespace coffer::core::testing {

Status FakeOutside::create(const std::string& user, Nanos time_max) {
  switch (next()) {
    case Fate::kFails:
      return Status(Code::kInvalid, "the system outside refused");
    case Fate::kLate:
      late_.emplace(now + Nanos(below_ ? below_(std::max<std::int64_t>(1, time_max.count())) : 0), user);
      return Status(Code::kInvalid, "the system outside did not answer in time");
    case Fate::kWorksSilent:
      ++created[user];
      users.insert(user);
      return Status(Code::kInvalid, "the connection broke");
    case Fate::kWorks:
      break;
  }
  ++created[user];
  users.insert(user);
  return ok_status();
}

Status FakeOutside::drop(const std::string& user) {
  const Fate what = next();
  if (what == Fate::kFails || what == Fate::kLate)
    return Status(Code::kInvalid, "the system outside refused");
  users.erase(user);
  dropped.insert(user);
  return what == Fate::kWorks ? ok_status() : Status(Code::kInvalid, "the connection broke");
}

void FakeOutside::advance(WallTime to) {
  now = to;
  while (!late_.empty() && late_.begin()->first <= now) {
    ++created[late_.begin()->second];
    users.insert(late_.begin()->second);
    late_.erase(late_.begin());
  }
}

}  // namespace coffer::core::testing
