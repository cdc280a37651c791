// operator rekey
#include "cli/commands.h"
#include "cli/pgp_keys.h"
#include "cli/render.h"
#include "cli/shares.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {

void add_rekey_command(std::vector<Command>& commands);

namespace {

// Which shares are meant, and where their exchange stands.
struct Target {
  bool recovery = false;
  std::string path;  // "sys/rekey/"
};

Result<Target> target_of(const FlagSet& flags) {
  const std::string& name = flags.text("target");
  if (name != "barrier" && name != "recovery" && name != "hsm")
    return Status(Code::kInvalid, "-target: \"" + name + "\" is none of barrier, recovery and hsm");
  const bool recovery = name != "barrier" || flags.boolean("recovery");
  return Target{recovery, recovery ? "sys/rekey-recovery-key/" : "sys/rekey/"};
}

int show_state(Context& context, const json::Value& state) {
  if (!context.ui().is_table())
    return output_data(context, state);
  const auto number = [&state](const char* key) { return std::to_string(number_or(state, key, 0)); };
  const bool started = bool_or(state, "started", false);
  std::vector<Row> rows = {{"Nonce", std::string(state.string_or("nonce", ""))}, {"Started", bool_text(started)}};
  if (started) {
    rows.push_back({"Rekey Progress", number("progress") + "/" + number("required")});
    rows.push_back({"New Shares", number("n")});
    rows.push_back({"New Threshold", number("t")});
    rows.push_back({"Verification Required", bool_text(bool_or(state, "verification_required", false))});
    if (const std::string_view nonce = state.string_or("verification_nonce", ""); !nonce.empty())
      rows.push_back({"Verification Nonce", std::string(nonce)});
    if (const std::vector<std::string> prints = texts_of(state, "pgp_fingerprints"); !prints.empty()) {
      rows.push_back({"PGP Fingerprints", "[" + join(prints, " ") + "]"});
      rows.push_back({"Backup", bool_text(bool_or(state, "backup", false))});
    }
  }
  context.ui().out(table({"Key", "Value"}, rows));
  return 0;
}

int show_verification(Context& context, const json::Value& state) {
  if (!context.ui().is_table())
    return output_data(context, state);
  const auto number = [&state](const char* key) { return std::to_string(number_or(state, key, 0)); };
  context.ui().out(table({"Key", "Value"}, {{"Started", bool_text(bool_or(state, "started", false))},
                                            {"New Shares", number("n")},
                                            {"New Threshold", number("t")},
                                            {"Verification Nonce", std::string(state.string_or("nonce", ""))},
                                            {"Verification Progress", number("progress") + "/" + number("t")}}));
  return 0;
}

int show(Context& context, bool verification, const json::Value& state) {
  return verification ? show_verification(context, state) : show_state(context, state);
}

void warn_of_loss(Context& context, bool encrypted) {
  const FlagSet& flags = context.flags();
  if (flags.boolean("verify") || flags.boolean("backup"))
    return;
  std::string text = "WARNING! The new shares are told once, to whoever gives the last of the old ones. What is lost "
                     "then is lost: with -verify nothing takes effect before they have been shown";
  text += encrypted ? ", and with -backup the encrypted shares are kept." : ".";
  context.ui().warn(wrap(text));
}

int begin(Context& context, Client& client, const Target& target) {
  const FlagSet& flags = context.flags();
  const Result<std::vector<std::string>> keys = pgp_keys_or_file(context, "pgp-keys");
  if (!keys.ok())
    return context.fail(keys.code() == Code::kInvalid ? 1 : 2, keys.status().message());
  json::ObjectBuilder body(context.arena());
  body.add("secret_shares", flags.integer("key-shares")).add("secret_threshold", flags.integer("key-threshold"));
  body.add("require_verification", flags.boolean("verify"));
  if (!keys->empty())
    body.add("pgp_keys", texts_value(context.arena(), *keys));
  if (flags.boolean("backup"))
    body.add("backup", true);
  Reply reply = client.call(
      {.method = "PUT", .path = target.path + "init", .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error initializing rekey"))
    return 2;
  warn_of_loss(context, !keys->empty());
  return show_state(context, reply.json);
}

int cancel(Context& context, Client& client, const Target& target) {
  const bool verification = context.flags().boolean("verify");
  json::ObjectBuilder body(context.arena());
  body.add("nonce", context.flags().text("nonce"));
  Reply reply = client.call({.method = "DELETE",
                             .path = target.path + (verification ? "verify" : "init"),
                             .body = Context::body_of(body.build()),
                             .has_body = true});
  if (report(context, reply, verification ? "Error canceling rekey verification" : "Error canceling rekey"))
    return 2;
  context.ui().out(verification ? "Success! Canceled rekey verification (if it was started)"
                                : "Success! Canceled rekeying (if it was started)");
  return 0;
}

// As the flag says, or as the server has it.
Result<std::string> nonce_of(Context& context, Client& client, const Target& target) {
  if (const std::string& given = context.flags().text("nonce"); !given.empty())
    return given;
  const bool verification = context.flags().boolean("verify");
  Reply reply = client.call({.method = "GET", .path = target.path + (verification ? "verify" : "init"), .aside = true});
  if (!reply.ok())
    return Status(Code::kUnavailable, reply.error);
  if (!bool_or(reply.json, "started", false))
    return Status(Code::kInvalid, "No rekey is in progress. Begin one with -init.");
  const std::string_view nonce = reply.json.string_or("nonce", "");
  if (nonce.empty())
    return Status(Code::kInvalid, "Missing nonce value: without a token the server does not tell it, give -nonce.");
  return std::string(nonce);
}

int show_made(Context& context, const Target& target, const json::Value& made, const json::Value& asked) {
  Output& ui = context.ui();
  if (!ui.is_table())
    return output_data(context, made);
  const std::vector<std::string> keys = texts_of(made, "keys_base64");
  const std::vector<std::string> prints = texts_of(made, "pgp_fingerprints");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string number = "Key " + std::to_string(i + 1);
    ui.out(i < prints.size() ? number + " fingerprint: " + prints[i] + "; value: " + keys[i] : number + ": " + keys[i]);
  }
  ui.out("");
  ui.out("Operation nonce: " + std::string(made.string_or("nonce", "")));
  const std::string counts = std::to_string(keys.size()) + " key shares and a key threshold of " +
                             std::to_string(number_or(asked, "t", 0));
  const std::string kind = target.recovery ? "recovery" : "unseal";
  ui.out("");
  if (!bool_or(made, "verification_required", false)) {
    ui.out(wrap(context.named("{Name} " + kind + " keys rekeyed with " + counts +
                              ". Give each share above to another keeper. The old ones are good for nothing now.")));
    return 0;
  }
  ui.out("Verification nonce: " + std::string(made.string_or("verification_nonce", "")));
  ui.out("");
  ui.out(wrap(context.named("{Name} has made new " + kind + " keys with " + counts +
                            ". They take effect when as many of them have been shown with -verify; until then the old "
                            "ones hold.")));
  return 0;
}

int give(Context& context, Client& client, const Target& target) {
  const Result<std::string> nonce = nonce_of(context, client, target);
  if (!nonce.ok())
    return context.fail(nonce.code() == Code::kInvalid ? 1 : 2, nonce.status().message());
  const Result<std::string> share = share_from(context, "Rekey operation nonce: " + *nonce + "\n",
                                               target.recovery ? "Recovery Key" : "Unseal Key");
  if (!share.ok())
    return context.fail(1, wrap(share.status().message()));
  const bool verification = context.flags().boolean("verify");
  json::ObjectBuilder body(context.arena());
  body.add("key", *share).add("nonce", *nonce);
  // How many of the new shares are needed is not told with them.
  Reply before = verification ? Reply() : client.call({.method = "GET", .path = target.path + "init", .aside = true});
  Reply reply = client.call({.method = "PUT",
                             .path = target.path + (verification ? "verify" : "update"),
                             .body = Context::body_of(body.build()),
                             .has_body = true});
  if (report(context, reply, verification ? "Error posting new shares" : "Error posting unseal key"))
    return 2;
  if (!bool_or(reply.json, "complete", false))
    return show(context, verification, reply.json);
  if (!verification)
    return show_made(context, target, reply.json, before.json);
  if (!context.ui().is_table())
    return output_data(context, reply.json);
  context.ui().out("Success! Rekey verification complete: the new shares have taken the place of the old ones.");
  return 0;
}

int backup(Context& context, Client& client, const Target& target) {
  const std::string path = target.recovery ? "sys/rekey/recovery-key-backup" : "sys/rekey/backup";
  if (context.flags().boolean("backup-delete")) {
    Reply reply = client.call({.method = "DELETE", .path = path});
    if (report(context, reply, "Error deleting rekey backup"))
      return 2;
    context.ui().out("Success! Delete backup keys (if they existed)");
    return 0;
  }
  Reply reply = client.call({.method = "GET", .path = path});
  if (report(context, reply, "Error retrieving rekey backup"))
    return 2;
  const json::Value* const data = member(reply.json, "data");
  if (data == nullptr)
    return context.fail(2, "Error retrieving rekey backup: the server answered without data");
  if (!context.ui().is_table())
    return output_data(context, *data);
  std::vector<Row> rows = {{"Nonce", std::string(data->string_or("nonce", ""))}};
  if (const json::Value* const keys = member(*data, "keys_base64"); keys != nullptr && keys->is_object())
    for (const json::Member& one : keys->members())
      for (const std::string& value : texts_of(*keys, one.key()))
        rows.push_back({"Fingerprint " + std::string(one.key()), value});
  context.ui().out(table({"Key", "Value"}, rows));
  return 0;
}

int rekey(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  const Result<Target> target = target_of(context.flags());
  if (!target.ok())
    return context.fail(1, target.status().message());
  Client* const client = context.client();
  if (client == nullptr)
    return 2;
  const FlagSet& flags = context.flags();
  if (flags.boolean("init"))
    return begin(context, *client, *target);
  if (flags.boolean("cancel"))
    return cancel(context, *client, *target);
  if (flags.boolean("backup-retrieve") || flags.boolean("backup-delete"))
    return backup(context, *client, *target);
  if (!flags.boolean("status"))
    return give(context, *client, *target);
  const bool verification = flags.boolean("verify");
  Reply reply = client->call({.method = "GET", .path = target->path + (verification ? "verify" : "init")});
  if (report(context, reply, "Error reading rekey status"))
    return 2;
  return show(context, verification, reply.json);
}

std::vector<FlagGroup> rekey_flags() {
  return {
      {"Common Options",
       {{.name = "init", .kind = FlagKind::kBool, .usage = "Begin. Needs a token with sudo on sys/rekey/init."},
        {.name = "cancel",
         .kind = FlagKind::kBool,
         .usage = "End it before its time; needs -nonce and the same token. With -verify only the shares that were "
                  "shown are forgotten."},
        {.name = "status", .kind = FlagKind::kBool, .usage = "Print how far it is."},
        {.name = "nonce",
         .usage = "The operation that the share is for, as -init has told. Without it the server is asked, which "
                  "tells it to whoever has a token."},
        {.name = "key", .usage = "The share, as the argument is. It shows in the list of processes."},
        {.name = "key-shares",
         .kind = FlagKind::kInt,
         .usage = "Number of new shares.",
         .fallback = "5",
         .alias = "n"},
        {.name = "key-threshold",
         .kind = FlagKind::kInt,
         .usage = "Number of them that is needed.",
         .fallback = "3",
         .alias = "t"},
        {.name = "target",
         .usage = "Which shares: \"barrier\" for those that unseal, \"recovery\" or \"hsm\" for recovery shares.",
         .fallback = "barrier"},
        {.name = "recovery", .kind = FlagKind::kBool, .usage = "The same as -target=recovery."},
        {.name = "verify",
         .kind = FlagKind::kBool,
         .usage = "With -init: nothing takes effect before enough of the new shares were shown. Otherwise: the share "
                  "is a new one, which is shown."},
        {.name = "pgp-keys",
         .usage = "With -init: public PGP keys, one a share, with commas between. Each new share is encrypted to its "
                  "key and shown only so. Files, or \"keybase:\" and the name of a user.",
         .example = "file1, keybase:user, ..."},
        {.name = "pgp-keys-file",
         .usage = "With -init: file with all these keys, in base64, one after the other."}}},
      {"Backup Options",
       {{.name = "backup",
         .kind = FlagKind::kBool,
         .usage = "With -init and PGP keys: the server keeps the encrypted shares."},
        {.name = "backup-retrieve", .kind = FlagKind::kBool, .usage = "Print the encrypted shares that are kept."},
        {.name = "backup-delete", .kind = FlagKind::kBool, .usage = "Let the server keep them no longer."}}}};
}

}  // namespace

void add_rekey_command(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "operator rekey",
       .synopsis = "Exchange the shares of the key for new ones",
       .usage = "[options] [KEY]",
       .help = "Makes new shares of the key that opens the server, as many as one likes, while it serves. Holders of "
               "the old ones give them one after the other; the last one is told the new ones. What is kept is not "
               "encrypted anew: that is \"operator rotate\".\n\n"
               "With a seal that opens by itself there are recovery shares, which -recovery exchanges.\n\n"
               "Begin, then give shares:\n\n"
               "$ {cmd} operator rekey -init -key-shares=5 -key-threshold=3\n"
               "$ {cmd} operator rekey -nonce=NONCE",
       .flags = rekey_flags(),
       .format = true,
       .run = rekey});
}

}  // namespace coffer::cli
