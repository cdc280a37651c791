#include "cli/commands.h"
#include "cli/pgp_keys.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {

void add_init_command(std::vector<Command>& commands);

namespace {

struct InitRequest {
  std::int64_t shares = 0;
  std::int64_t threshold = 0;
  std::int64_t recovery_shares = 0;
  std::int64_t recovery_threshold = 0;
  std::vector<std::string> pgp_keys;
  std::vector<std::string> recovery_pgp_keys;
  std::string root_pgp_key;
  bool labels_as_unseal_keys = false;  // the user spoke of key shares, but the seal opens by itself
};

json::Value list_or_null(Arena& arena, const std::vector<std::string>& strings) {
  return strings.empty() ? json::Value::null() : texts_value(arena, strings);
}

std::string request_body(Arena& arena, const InitRequest& request) {
  json::ObjectBuilder body(arena);
  body.add("secret_shares", request.shares).add("secret_threshold", request.threshold);
  body.add("pgp_keys", list_or_null(arena, request.pgp_keys));
  body.add("recovery_shares", request.recovery_shares).add("recovery_threshold", request.recovery_threshold);
  body.add("recovery_pgp_keys", list_or_null(arena, request.recovery_pgp_keys));
  body.add("root_token_pgp_key", request.root_pgp_key);
  return Context::body_of(body.build());
}

json::Value machine_readable(Arena& arena, const InitRequest& request, const json::Value& answer) {
  std::vector<std::string> keys = texts_of(answer, "keys");
  std::vector<std::string> recovery = texts_of(answer, "recovery_keys");
  bool recovered = !recovery.empty();
  std::int64_t recovery_shares = request.labels_as_unseal_keys ? request.shares : request.recovery_shares;
  std::int64_t recovery_threshold = request.labels_as_unseal_keys ? request.threshold : request.recovery_threshold;
  json::ObjectBuilder out(arena, 10);
  out.add("unseal_keys_b64", texts_value(arena, texts_of(answer, "keys_base64")));
  out.add("unseal_keys_hex", texts_value(arena, keys));
  out.add("unseal_shares", keys.empty() ? 1 : request.shares);  // with stored shares there is one, which the seal keeps
  out.add("unseal_threshold", keys.empty() ? 1 : request.threshold);
  out.add("recovery_keys_b64", texts_value(arena, texts_of(answer, "recovery_keys_base64")));
  out.add("recovery_keys_hex", texts_value(arena, recovery));
  out.add("recovery_keys_shares", recovered ? recovery_shares : request.recovery_shares);
  out.add("recovery_keys_threshold", recovered ? recovery_threshold : request.recovery_threshold);
  out.add("root_token", answer.string_or("root_token", ""));
  return out.build();
}

void print_keys(Context& context, std::string_view label, const json::Value& answer, const std::string& field) {
  std::vector<std::string> keys = texts_of(answer, field + "_base64");
  if (keys.empty())
    keys = texts_of(answer, field);
  for (std::size_t i = 0; i < keys.size(); ++i)
    context.ui().out(std::string(label) + " " + std::to_string(i + 1) + ": " + keys[i]);
}

void print_unseal_advice(Context& context, const InitRequest& request) {
  std::string shares = std::to_string(request.shares);
  std::string threshold = std::to_string(request.threshold);
  Output& ui = context.ui();
  ui.out("");
  ui.out(wrap(context.named("{Name} initialized with " + shares + " key shares and a key threshold of " + threshold +
                            ". Give each share above to another keeper. After a start, or when it was sealed, the "
                            "server serves nothing until " +
                            threshold + " of them have been given.")));
  ui.out("");
  ui.out(wrap(context.named("The root key itself is kept nowhere. With fewer than " + threshold +
                            " shares left, nothing that {Name} keeps can ever be read again!")));
  ui.out("");
  ui.out(wrap(context.named("With " + threshold + " of them, \"{cmd} operator rekey\" exchanges all for new ones.")));
}

int show_init(Context& context, const InitRequest& request, const json::Value& answer) {
  Output& ui = context.ui();
  if (!ui.is_table())
    return output_data(context, machine_readable(context.arena(), request, answer));
  bool has_keys = member(answer, "keys") != nullptr && member(answer, "keys")->size() > 0;
  bool has_recovery = member(answer, "recovery_keys") != nullptr && member(answer, "recovery_keys")->size() > 0;
  bool relabel = !has_keys && has_recovery && request.labels_as_unseal_keys;
  print_keys(context, "Unseal Key", answer, relabel ? "recovery_keys" : "keys");
  print_keys(context, "Recovery Key", answer, "recovery_keys");
  ui.out("");
  ui.out("Initial Root Token: " + std::string(answer.string_or("root_token", "")));
  if (has_keys) {
    print_unseal_advice(context, request);
  } else {
    ui.out("");
    ui.out(context.named("Success! {Name} is initialized"));
  }
  if (has_recovery) {
    std::int64_t shares = relabel ? request.shares : request.recovery_shares;
    std::int64_t threshold = relabel ? request.threshold : request.recovery_threshold;
    ui.out("");
    ui.out(wrap("Recovery key initialized with " + std::to_string(shares) + " key shares and a key threshold of " +
                std::to_string(threshold) + ". Give each share above to another keeper."));
  }
  return 0;
}

int init_status(Context& context, Client& client) {
  Reply reply = client.call({.method = "GET", .path = "sys/init"});
  if (report(context, reply, "Error checking init status"))
    return 1;
  bool initialized = bool_or(reply.json, "initialized", false);
  if (context.ui().is_table())
    context.ui().out(context.named(initialized ? "{Name} is initialized" : "{Name} is not initialized"));
  else
    output_data(context, json::ObjectBuilder(context.arena()).add("Initialized", initialized).build());
  return initialized ? 0 : 2;
}

// What the user left open depends on the seal: with one that opens by itself the shares are recovery shares.
Status complete_request(Context& context, bool recovery_seal, InitRequest& request) {
  const FlagSet& flags = context.flags();
  constexpr std::int64_t kShares = 5;
  constexpr std::int64_t kThreshold = 3;
  request.shares = flags.integer("key-shares");
  request.threshold = flags.integer("key-threshold");
  request.recovery_shares = flags.integer("recovery-shares");
  request.recovery_threshold = flags.integer("recovery-threshold");
  bool asked_keys = flags.given("key-shares") || flags.given("key-threshold");
  bool asked_recovery = flags.given("recovery-shares") || flags.given("recovery-threshold");
  request.labels_as_unseal_keys = recovery_seal && asked_keys && !asked_recovery;
  bool plain = !recovery_seal || request.labels_as_unseal_keys;
  std::int64_t& shares = plain ? request.shares : request.recovery_shares;
  std::int64_t& threshold = plain ? request.threshold : request.recovery_threshold;
  if (shares == 0 && !flags.given(plain ? "key-shares" : "recovery-shares"))
    shares = kShares;
  if (threshold == 0 && !flags.given(plain ? "key-threshold" : "recovery-threshold"))
    threshold = kThreshold;
  COFFER_ASSIGN(request.pgp_keys, pgp_keys_or_file(context, "pgp-keys"));
  COFFER_ASSIGN(request.recovery_pgp_keys, pgp_keys_of(context, "recovery-pgp-keys"));
  COFFER_ASSIGN(std::vector<std::string> root, pgp_keys_of(context, "root-token-pgp-key"));
  if (root.size() > 1)
    return Status(Code::kInvalid, "-root-token-pgp-key: one key is wanted");
  request.root_pgp_key = root.empty() ? "" : root[0];
  return ok_status();
}

int init(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  if (context.flags().boolean("status"))
    return init_status(context, *client);
  Reply seal = client->call({.method = "GET", .path = "sys/seal-status", .aside = true});
  if (!seal.ok())
    return context.fail(2, seal.error);
  InitRequest request;
  if (Status ready = complete_request(context, bool_or(seal.json, "recovery_seal", false), request);
      !ready.ok())
    return context.fail(1, ready.message());
  Reply reply = client->call(
      {.method = "PUT", .path = "sys/init", .body = request_body(context.arena(), request), .has_body = true});
  if (report(context, reply, "Error initializing"))
    return 2;
  return show_init(context, request, reply.json);
}

}  // namespace

void add_init_command(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "operator init",
       .synopsis = "Initialize a server",
       .usage = "[options]",
       .help = "Makes a new server ready to keep data: it makes the root key, splits it into shares, and prints them "
               "with a first root token. It is done once for a whole cluster.\n\n"
               "With a seal that opens by itself the shares are recovery shares, which cannot unseal but authorise new "
               "root tokens and keys.\n\n$ {cmd} operator init -key-shares=5 -key-threshold=3",
       .flags =
           {{"Common Options",
             {{.name = "key-shares",
               .kind = FlagKind::kInt,
               .usage = "Number of shares to split the root key into. 5 if not given.",
               .alias = "n"},
              {.name = "key-threshold",
               .kind = FlagKind::kInt,
               .usage = "Number of shares that together give the root key. 3 if not given.",
               .alias = "t"},
              {.name = "pgp-keys",
               .usage = "Public PGP keys, one a share, with commas between: each share is encrypted to its key and "
                        "shown only so. Files, or \"keybase:\" and the name of a user.",
               .example = "file1, keybase:user, ..."},
              {.name = "pgp-keys-file", .usage = "File with all these keys, in base64, one after the other."},
              {.name = "root-token-pgp-key",
               .usage = "Public PGP key that the root token is encrypted to, named as in -pgp-keys.",
               .example = "file"},
              {.name = "status",
               .kind = FlagKind::kBool,
               .usage = "Only print whether the server is initialized. The exit code is 0 if it is, 2 if not, 1 after "
                        "an error."}}},
            {"Auto Unseal Options",
             {{.name = "recovery-pgp-keys",
               .usage = "As -pgp-keys, for the recovery shares.",
               .example = "file1, file2, ..."},
              {.name = "recovery-shares",
               .kind = FlagKind::kInt,
               .usage = "Number of recovery shares. 5 if not given."},
              {.name = "recovery-threshold",
               .kind = FlagKind::kInt,
               .usage = "Number of recovery shares needed. 3 if not given."}}}},
       .format = true,
       .run = init});
}

}  // namespace coffer::cli
