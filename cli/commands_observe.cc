// monitor, debug and version-history: what a running server tells of itself.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>

#include "base/error_text.h"
#include "base/time_text.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "cli/secret.h"
#include "cli/table.h"
#include "cli/tar_gz.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::chrono::milliseconds kForever{0};

int monitor(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const int out = context.invocation().out;
  const Reply reply = client->call({.method = "GET",
                                    .path = "sys/monitor",
                                    .query = {{"log_level", context.flags().text("log-level")},
                                              {"log_format", context.flags().text("log-format")}},
                                    .on_piece =
                                        [out](std::string_view piece) {
                                          write_fd(out, piece);
                                          return true;
                                        },
                                    .stream_time = kForever});
  return report(context, reply, "Error starting monitor") ? 2 : 0;
}

int version_history(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const Reply reply = client->call({.method = "GET", .path = "sys/version-history", .query = {{"list", "true"}}});
  if (report(context, reply, "Error listing versions"))
    return 2;
  if (!context.ui().is_table())
    return output_data(context, reply.json);
  context.ui().warn("Note:\nVersions are noted from the first start on this store with this program.\n");
  const json::Value* data = member(reply.json, "data");
  const json::Value* info = data == nullptr ? nullptr : member(*data, "key_info");
  std::vector<Row> rows;
  if (const json::Value* keys = data == nullptr ? nullptr : member(*data, "keys"); keys != nullptr && info != nullptr)
    for (const json::Value& key : keys->elements()) {
      const json::Value* row = key.is_string() ? info->find(key.as_string()) : nullptr;
      if (row != nullptr)
        rows.push_back({std::string(key.as_string()), std::string(row->string_or("timestamp_installed", "")),
                        std::string(row->string_or("build_date", ""))});
    }
  context.ui().out(table({"Version", "Installation Time", "Build Date"}, rows));
  return 0;
}

// What can be captured, where it is read, and the file that it goes to.
struct Target {
  std::string_view name;
  std::string_view path;
  std::string_view file;
  bool once;
};
constexpr Target kTargets[] = {{"config", "sys/config/state/sanitized", "config.json", true},
                               {"host", "sys/host-info", "host_info.json", false},
                               {"requests", "sys/in-flight-req", "requests.json", false},
                               {"metrics", "sys/metrics", "metrics.json", false},
                               {"server-status", "sys/seal-status", "server_status.json", false}};

class Bundle {
 public:
  Bundle(Context& context, Client& client, std::string folder)
      : context_(context), client_(client), folder_(std::move(folder)) {}

  bool wants(std::string_view name) const {
    const std::vector<std::string> targets = context_.flags().list("target");
    return targets.empty() || std::ranges::find(targets, name) != targets.end();
  }

  void capture(bool once) {
    for (const Target& target : kTargets) {
      if (target.once != once || !wants(target.name))
        continue;
      const Reply reply = client_.call({.method = "GET", .path = std::string(target.path)});
      std::string& content = files_[std::string(target.file)];
      captured_ = captured_ || reply.ok();
      if (!reply.ok())
        errors_.push_back(std::string(target.name) + ": " + std::string(trim(reply.error)));
      else if (once)
        content = reply.body;
      else
        content.append(content.empty() ? "[" : ",\n").append(trim(reply.body));
    }
  }

  // Collects the log for so long, or lets the time pass.
  void wait(std::chrono::milliseconds time) {
    if (!wants("log")) {
      context_.ports().sleep(time);
      return;
    }
    std::string& log = files_["vault.log"];
    const Reply reply = client_.call({.method = "GET",
                                      .path = "sys/monitor",
                                      .query = {{"log_level", context_.flags().text("log-level")},
                                                {"log_format", context_.flags().text("log-format")}},
                                      .on_piece =
                                          [&log](std::string_view piece) {
                                            log.append(piece);
                                            return log.size() < kLogBytesMax;
                                          },
                                      .stream_time = time});
    if (!reply.ok()) {
      errors_.push_back("log: " + std::string(trim(reply.error)));
      context_.ports().sleep(time);
    }
  }

  // Whether there is anything at all.
  bool captured() const { return captured_ || (files_.contains("vault.log") && !files_.at("vault.log").empty()); }
  const std::vector<std::string>& errors() const { return errors_; }

  Status write(bool compress) {
    for (const Target& target : kTargets)
      if (auto found = files_.find(std::string(target.file)); !target.once && found != files_.end())
        found->second.append(found->second.empty() ? "[]\n" : "]\n");
    files_["index.json"] = index();
    const std::string base = folder_.substr(folder_.rfind('/') == std::string::npos ? 0 : folder_.rfind('/') + 1);
    if (compress) {
      std::vector<std::pair<std::string, std::string>> entries;
      for (const auto& [name, content] : files_)
        entries.emplace_back(base + "/" + name, content);
      return write_file(folder_ + ".tar.gz", tar_gz(entries));
    }
    if (::mkdir(folder_.c_str(), 0700) != 0)
      return Status(Code::kIo, folder_ + ": " + std::string(error_text(errno)));
    for (const auto& [name, content] : files_)
      COFFER_TRY(write_file(folder_ + "/" + name, content));
    return ok_status();
  }

 private:
  static constexpr std::size_t kLogBytesMax = 64u << 20;

  static Status write_file(const std::string& path, const std::string& content) {
    const mode_t before = ::umask(0077);
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << content;
    out.close();
    ::umask(before);
    return out ? ok_status() : Status(Code::kIo, path + ": cannot be written");
  }

  std::string index() {
    Arena& arena = context_.arena();
    json::ArrayBuilder names(arena);
    for (const auto& [name, content] : files_)
      names.add(name);
    json::ArrayBuilder errors(arena);
    for (const std::string& error : errors_)
      errors.add(error);
    std::string out;
    json::write_pretty(json::ObjectBuilder(arena, 4)
                           .add("version", 1)
                           .add("vault_address", client_.options().address)
                           .add("client_version", kVaultVersion)
                           .add("files", names.build())
                           .add("errors", errors.build())
                           .build(),
                       out);
    return out + "\n";
  }

  Context& context_;
  Client& client_;
  const std::string folder_;
  std::map<std::string, std::string> files_;
  std::vector<std::string> errors_;
  bool captured_ = false;
};

// The flag's duration, at least `least`.
Result<std::chrono::milliseconds> at_least(Context& context, std::string_view flag, std::chrono::seconds least) {
  const Result<Nanos> given = coffer::parse_duration(context.flags().text(flag));
  if (!given.ok())
    return Status(Code::kInvalid, "-" + std::string(flag) + ": expected a duration such as 30s");
  if (*given >= least)
    return std::chrono::duration_cast<std::chrono::milliseconds>(*given);
  context.ui().warn("-" + std::string(flag) + " is raised to its least value, " + std::to_string(least.count()) + "s");
  return std::chrono::milliseconds(least);
}

int debug(Context& context) {
  constexpr std::chrono::seconds kLeast{1};
  if (!context.arity(0, 0))
    return 1;
  const auto duration = at_least(context, "duration", kLeast);
  const auto interval = at_least(context, "interval", kLeast);
  for (const auto* one : {&duration, &interval})
    if (!one->ok())
      return context.fail(1, "Error during validation: " + one->status().message());
  for (const std::string& target : context.flags().list("target"))
    if (target != "log" && std::ranges::none_of(kTargets, [&](const Target& t) { return t.name == target; }))
      return context.fail(1, "Error during validation: there is no target " + quoted(target));
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string folder = context.flags().text("output");
  const bool compress = context.flags().boolean("compress");
  if (folder.ends_with(".tar.gz"))
    folder.resize(folder.size() - 7);
  if (folder.empty())
    folder = context.program() + "-debug-" + std::to_string(::getpid());
  const std::size_t slash = folder.rfind('/');
  if (folder.size() - (slash == std::string::npos ? 0 : slash + 1) > kTarFolderBytesMax)
    return context.fail(1, "Error during validation: -output: a name of more than " +
                               std::to_string(kTarFolderBytesMax) + " bytes");
  const std::string name = compress ? folder + ".tar.gz" : folder;
  if (::access(name.c_str(), F_OK) == 0)
    return context.fail(1, "Error during validation: output file already exists: " + name);
  context.ui().out("==> Starting debug capture...\n" +
                   columns({{"Address:", client->options().address},
                            {"Client Version:", std::string(kVaultVersion)},
                            {"Duration:", coffer::format_duration_short(*duration)},
                            {"Interval:", coffer::format_duration_short(*interval)},
                            {"Output:", name}}));
  Bundle bundle(context, *client, folder);
  bundle.capture(true);
  for (std::chrono::milliseconds passed{0}; passed < *duration; passed += *interval) {
    bundle.capture(false);
    bundle.wait(std::min(*interval, *duration - passed));
  }
  if (const Status written = bundle.write(compress); !written.ok())
    return context.fail(2, "Error writing the bundle: " + written.message());
  if (!bundle.errors().empty())
    context.ui().warn(std::to_string(bundle.errors().size()) + " captures failed, the first: " +
                      bundle.errors().front() + " (index.json has all of them)");
  if (!bundle.captured())
    return context.fail(2, "Error: nothing could be captured; see index.json in: " + name);
  context.ui().out("Success! Bundle written to: " + name);
  return 0;
}

}  // namespace

void add_observe_commands(std::vector<Command>& commands) {
  const Flag level{.name = "log-level", .usage = "Lines of this level and above.", .fallback = "info"};
  const Flag format{.name = "log-format", .usage = "standard or json.", .fallback = "standard"};
  commands.push_back({.name = "monitor",
                      .synopsis = "Print the server's log as it is written",
                      .usage = "[options]",
                      .help = "Prints lines of the server's log until it is interrupted.\n\n"
                              "$ {cmd} monitor -log-level=debug",
                      .flags = {{"Command Options", {level, format}}},
                      .run = monitor});
  commands.push_back({.name = "version-history",
                      .synopsis = "List the versions that ran on the server's store",
                      .usage = "[options]",
                      .help = "Lists each version of the server that was started on its store, and when first.",
                      .format = true,
                      .run = version_history});
  commands.push_back(
      {.name = "debug",
       .synopsis = "Collect what helps to find a fault",
       .usage = "[options]",
       .help = "Reads configuration, host, metrics, state, requests in flight and log of a server for a while, and "
               "writes them to one file for those who help. It holds no secret.\n\n$ {cmd} debug -duration=1m",
       .flags = {{"Command Options",
                  {{.name = "duration", .usage = "How long to collect.", .fallback = "2m"},
                   {.name = "interval", .usage = "Time between two readings.", .fallback = "30s"},
                   {.name = "metrics-interval",
                    .usage = "Taken for compatibility; metrics are read with the rest.",
                    .fallback = "10s"},
                   {.name = "compress",
                    .kind = FlagKind::kBool,
                    .usage = "Write one .tar.gz file instead of a folder.",
                    .fallback = "true"},
                   {.name = "output", .usage = "Name of the file or folder."},
                   {.name = "target",
                    .kind = FlagKind::kList,
                    .usage = "config, host, metrics, requests, server-status or log; all of them if not given. May be "
                             "given several times."},
                   level, format}}},
       .run = debug});
}

}  // namespace coffer::cli
