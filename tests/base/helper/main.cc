// A helper that does what it is told, good and bad, for tests/base/helper_process_test.cc.
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/helper_process.h"

namespace {

using coffer::Code;
using coffer::SecretBytes;
using coffer::Status;

std::string what_is_inherited() {
  std::string out;
  for (int descriptor = 0; descriptor < 256; ++descriptor)
    if (::dup2(descriptor, descriptor) == descriptor)
      out += std::to_string(descriptor) + " ";
  for (char** one = environ; *one != nullptr; ++one)
    out.append(*one).append(" ");
  return out;
}

coffer::Result<SecretBytes> act(std::string_view request) {
  if (request == "crash")
    std::raise(SIGSEGV);
  if (request == "exit")
    ::_exit(0);
  if (request == "hang")
    for (;;)
      ::pause();
  if (request == "refuse")
    return Status(Code::kInvalid, "not this one");
  if (request == "much")
    return SecretBytes(coffer::kHelperFrameBytesMax + 1);
  if (request == "memory")
    return SecretBytes::copy_of(new (std::nothrow) char[512u << 20] == nullptr ? "none" : "granted");
  if (request == "inherited")
    return SecretBytes::copy_of(what_is_inherited());
  if (request == "nothing")
    return SecretBytes();
  return SecretBytes::copy_of(request);
}

}  // namespace

int main() { return coffer::started_as_helper() ? coffer::serve_helper(act, 256u << 20) : 2; }
