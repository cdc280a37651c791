#include "server/run.h"

#include <unistd.h>

#include <utility>

#include "base/mutant.h"
#include "base/version.h"
#include "crypto/library.h"
#include "server/app.h"
#include "server/options.h"
#include "server/process.h"

namespace coffer::server {
namespace {


void print_row(std::string& out, std::string_view name, std::string_view value) {
  constexpr std::size_t kNameColumns = 24;
  out.append(name.size() < kNameColumns ? kNameColumns - name.size() : 0, ' ')
      .append(name)
      .append(": ")
      .append(value)
      .append("\n");
}

void print_banner(const RunOptions& options, const StartOptions& start, const App& app) {
  std::string text = "==> " + options.product + " server configuration:\n\n";
  print_row(text, "Api Address", start.app_info.api_address);
  print_row(text, "Cluster Address", start.app_info.cluster_address);
  int number = 0;
  for (const std::string& address : app.http_addresses())
    print_row(text, "Listener " + std::to_string(++number), "tcp (" + address + ")");
  for (const std::string& address : app.grpc_addresses())
    print_row(text, "Listener " + std::to_string(++number), "grpc (" + address + ")");
  print_row(text, "Storage", start.app_info.storage_type);
  print_row(text, "Seal", start.seal_kind);
  print_row(text, "Version", std::string(kVaultVersion) + " (" + std::string(build_revision()) + ")");
  text += "\n==> " + options.product + " server started! Log data will stream in below:\n\n";
  options.print(text);
}

void print_dev_banner(const RunOptions& options, const DevTls* tls, const App& app,
                      const core::Lifecycle::DevKeys& keys) {
  std::string text =
      "WARNING! Dev mode: everything is kept in memory and lost when this server ends, and it starts "
      "unsealed with one key\nshare and a root token. Never use it in production.\n\n"
      "For the command line in another terminal:\n\n    $ export VAULT_ADDR='" +
      app.http_addresses().front() + "'\n" +
      (tls != nullptr ? "    $ export VAULT_CACERT='" + tls->ca_file() + "'\n" : std::string()) +
      "\nThe key share and the root token, should you want to seal and unseal:\n\n";
  text += "Unseal Key: " + keys.unseal_key + "\nRoot Token: " + keys.root_token + "\n\n";
  options.print(text);
}

Status start_dev(const RunOptions& options, const DevTls* tls, App& app, Logger& logger) {
  COFFER_ASSIGN(const core::Lifecycle::DevKeys keys, app.init_dev());
  if (!options.dev_no_store_token) {
    if (const Status stored = options.store_token(keys.root_token); !stored.ok())
      logger.warn("server", "the root token was not kept for the command line: " + stored.message());
  }
  print_dev_banner(options, tls, app, keys);
  return Status();
}

// Only what is configured otherwise than before is changed: a level that was set through the API outlives the SIGHUP of
// whoever rotates the log.
Status reload_levels(const RunOptions& options, LogLevels& configured, App& app, Logger& logger) {
  COFFER_ASSIGN(const LogLevels now, log_levels(options));
  if (now.level != configured.level)
    logger.set_level(now.level);
  if (now.requests != configured.requests)
    app.log_requests(now.requests);
  configured = now;
  return ok_status();
}

// Until a signal says stop: 0, or the node failed: 1.
int serve(const RunOptions& options, LogLevels levels, App& app, Logger& logger, Signals& signals) {
  for (;;) {
    switch (signals.wait()) {
      case Signals::Event::kReload: {
        logger.info("server", options.product + " reload triggered");
        for (const Status& status : {logger.reopen(), app.reload(), reload_levels(options, levels, app, logger)})
          if (!status.ok())
            logger.error("server", "reload failed in part: " + status.message());
        break;
      }
      case Signals::Event::kStop:
        logger.info("server", options.product + " shutdown triggered");
        app.stop();
        return 0;
      case Signals::Event::kFailed:
        app.stop();
        return 1;
    }
  }
}

}  // namespace

int run(const RunOptions& options) {
  crypto::keep_library_until_the_end();
  Signals signals;
  const std::vector<std::string> notes = harden_process();
  // Before the configuration is read: a seal's key may stand in it.
  const bool locked = init_secret_arena(kSecretArenaBytes);
  Result<StartOptions> start = start_options(options);
  if (!start.ok()) {
    options.complain(start.status().message() + "\n");
    return 1;
  }
  Result<std::unique_ptr<Logger>> logger = Logger::open(start->log);
  if (!logger.ok()) {
    options.complain(logger.status().message() + "\n");
    return 1;
  }
  if (mutant(Mutant::kEnvironmentLogged))
    for (char** variable = environ; *variable != nullptr; ++variable)
      (*logger)->info("server", *variable);
  for (const std::string& line : start->derived)
    (*logger)->info("server", line);
  for (const std::string& warning : start->warnings)
    (*logger)->warn("server", warning);
  for (const std::string& note : notes)
    (*logger)->warn("server", note);
  if (!locked && !start->disable_mlock)
    (*logger)->warn("server", "memory for keys could not be locked: raise RLIMIT_MEMLOCK or grant CAP_IPC_LOCK");
  const LogLevels levels{start->log.level, start->app.log_requests};
  Result<std::unique_ptr<App>> app =
      App::start(std::move(start->app), **logger, [&signals](const Status&) { signals.fail(); });
  if (!app.ok()) {
    options.complain("Error starting the server: " + app.status().message() + "\n");
    return 1;
  }
  const Result<PidFile> pid = PidFile::write(start->pid_file);
  if (!pid.ok()) {
    options.complain("Error storing the process id: " + pid.status().message() + "\n");
    return 1;
  }
  print_banner(options, *start, **app);
  if (options.dev) {
    if (const Status status = start_dev(options, start->dev_tls.get(), **app, **logger); !status.ok()) {
      options.complain("Error initializing dev mode: " + status.message() + "\n");
      return 1;
    }
  }
  return serve(options, levels, **app, **logger, signals);
}

}  // namespace coffer::server
