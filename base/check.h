// Checks of invariants. They stay on in every build type: a server that keeps secrets stops rather than go on
// from a state that its authors thought impossible. Never check what a client, a disk or a peer can cause; that
// is a Status (base/status.h).
#pragma once

namespace coffer {

// Writes file, line and the failed expression to stderr and aborts. The expression's text must not hold secrets,
// which is why there is no variant that prints values.
[[noreturn]] void check_failed(const char* file, int line, const char* expression) noexcept;

}  // namespace coffer

#define COFFER_CHECK(cond)                                                 \
  do {                                                                     \
    if (!(cond)) [[unlikely]]                                              \
      ::coffer::check_failed(__FILE__, __LINE__, #cond);                   \
  } while (false)

// For checks too dear for production; compiled in when COFFER_DEBUG_CHECKS is defined (presets dev, asan, tsan).
#ifdef COFFER_DEBUG_CHECKS
#define COFFER_DEBUG_CHECK(cond) COFFER_CHECK(cond)
#else
#define COFFER_DEBUG_CHECK(cond) \
  do {                           \
  } while (false)
#endif
