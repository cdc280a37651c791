// Where a command's words go: results to standard output, everything else to standard error. Colours only on a
// terminal.
#pragma once

#include <string>
#include <string_view>

#include "cli/invocation.h"

namespace coffer::cli {

class Output {
 public:
  // `format` is "table", "json", "yaml", "yml", "pretty" or "raw".
  Output(const Invocation& invocation, std::string format);

  const std::string& format() const { return format_; }
  bool is_table() const { return format_ == "table"; }

  void out(std::string_view text);     // with a newline
  bool bare(std::string_view text);    // without one; false when not all of it was taken
  void field(std::string_view text);   // with one on a terminal only, so that pipes get the very bytes
  void warn(std::string_view text);
  void error(std::string_view text);
  void prompt(std::string_view text);  // to standard error, without a newline

  // From now on warnings and errors are kept back; held() is what they were.
  void hold_errors() { holding_ = true; }
  void release_errors();
  const std::string& held() const { return held_; }

 private:
  void to_err(std::string_view text, std::string_view colour);

  const Invocation& invocation_;
  std::string format_;
  bool colours_;
  bool holding_ = false;
  std::string held_;
};

// Writes all of it. False when the system took only a part; errno says why. To a terminal or pipe that is nobody's
// affair, of a file it is.
bool write_fd(int fd, std::string_view text);

// True for a format that exists.
bool known_format(std::string_view format);

}  // namespace coffer::cli
