#include "cli/shares.h"

#include "cli/kv_args.h"
#include "cli/text.h"

namespace coffer::cli {

Result<std::string> share_from(Context& context, std::string_view lead, std::string_view label) {
  std::string key = context.flags().text("key");
  if (key.empty() && !context.args().empty())
    key = trim(context.args()[0]);
  if (key == "-") {
    COFFER_ASSIGN(const std::string text, read_descriptor(0));
    return std::string(trim(text));
  }
  if (!key.empty())
    return key;
  if (context.flags().boolean("non-interactive"))
    return Status(Code::kInvalid, "A share is needed as the argument when -non-interactive forbids to ask for it.");
  context.ui().bare(lead);
  Result<std::string> typed = context.ports().read_hidden(
      context.invocation(), [&] { context.ui().bare(std::string(label) + " (will be hidden): "); });
  context.ui().bare("\n");
  if (!typed.ok())
    return Status(Code::kInvalid, "A share can be asked for on a terminal only. Where there is none, give it as the "
                                  "argument; it then shows in the list of processes. The reason was: " +
                                      typed.status().message());
  return typed;
}

}  // namespace coffer::cli
