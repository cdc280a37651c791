// An object of the cryptographic library that is freed by the library's own function. Internal.
#pragma once

#include <memory>

namespace coffer::crypto {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Freer<Free>>;

}  // namespace coffer::crypto
