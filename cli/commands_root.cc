// operator generate-root
#include "base/encoding.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/pgp_keys.h"
#include "cli/render.h"
#include "cli/shares.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {

void add_generate_root_command(std::vector<Command>& commands);

namespace {

constexpr std::string_view kAttempt = "sys/generate-root/attempt";
constexpr std::size_t kOtpBytesMax = 256;

int show_attempt(Context& context, const json::Value& state) {
  if (!context.ui().is_table())
    return output_data(context, state);
  const std::string progress =
      std::to_string(number_or(state, "progress", 0)) + "/" + std::to_string(number_or(state, "required", 0));
  std::vector<Row> rows = {{"Nonce", std::string(state.string_or("nonce", ""))},
                           {"Started", bool_text(bool_or(state, "started", false))},
                           {"Progress", progress},
                           {"Complete", bool_text(bool_or(state, "complete", false))}};
  for (const auto& [key, title] :
       {std::pair{"pgp_fingerprint", "PGP Fingerprint"}, {"encoded_token", "Encoded Token"}, {"otp", "OTP"}})
    if (const std::string_view text = state.string_or(key, ""); !text.empty())
      rows.push_back({title, std::string(text)});
  rows.push_back({"OTP Length", std::to_string(number_or(state, "otp_length", 0))});
  context.ui().out(columns(rows));
  return 0;
}

int begin(Context& context, Client& client) {
  const std::string& otp = context.flags().text("otp");
  const Result<std::vector<std::string>> keys = pgp_keys_of(context, "pgp-key");
  if (!keys.ok() || keys->size() > 1)
    return context.fail(1, keys.ok() ? "-pgp-key: one key is wanted" : keys.status().message());
  json::ObjectBuilder body(context.arena());
  body.add("otp", otp);
  if (!keys->empty())
    body.add("pgp_key", keys->front());
  Reply reply = client.call(
      {.method = "PUT", .path = std::string(kAttempt), .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error initializing root generation"))
    return 2;
  if (otp.empty() && keys->empty() && context.ui().is_table())
    context.ui().out(wrap("A one-time password was made for this attempt and is shown as OTP. Keep it: the token that "
                          "comes out can be read with it alone."));
  return show_attempt(context, reply.json);
}

// As the flag says, or as the server has it. Empty after the failure was printed.
std::string nonce_of(Context& context, Client& client) {
  if (const std::string& given = context.flags().text("nonce"); !given.empty())
    return given;
  Reply reply = client.call({.method = "GET", .path = std::string(kAttempt), .aside = true});
  if (report(context, reply, "Error getting root generation status"))
    return "";
  const std::string nonce(reply.json.string_or("nonce", ""));
  if (!bool_or(reply.json, "started", false))
    context.fail(1, "No root generation is in progress. Begin one with -init.");
  else if (nonce.empty())
    context.fail(1, wrap("Missing nonce value: without a token the server does not tell it, give -nonce."));
  return nonce;
}

int cancel(Context& context, Client& client) {
  json::ObjectBuilder body(context.arena());
  body.add("nonce", context.flags().text("nonce"));
  Reply reply = client.call(
      {.method = "DELETE", .path = std::string(kAttempt), .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error canceling root token generation"))
    return 2;
  context.ui().out("Success! Root token generation canceled (if it was started)");
  return 0;
}

int status(Context& context, Client& client) {
  std::vector<std::pair<std::string, std::string>> query;
  if (const std::string& nonce = context.flags().text("nonce"); !nonce.empty())
    query.emplace_back("nonce", nonce);
  Reply reply = client.call({.method = "GET", .path = std::string(kAttempt), .query = std::move(query)});
  return report(context, reply, "Error getting root generation status") ? 2 : show_attempt(context, reply.json);
}

int generate_otp(Context& context, Client& client) {
  Reply reply = client.call({.method = "GET", .path = std::string(kAttempt), .aside = true});
  if (report(context, reply, "Error getting the length of a one-time password"))
    return 2;
  const std::int64_t length = number_or(reply.json, "otp_length", 0);
  if (length < 1 || length > static_cast<std::int64_t>(kOtpBytesMax))
    return context.fail(2, "The server does not tell how long a one-time password is");
  const Result<std::string> otp = random_base62(system_random(), static_cast<std::size_t>(length));
  if (!otp.ok())
    return context.fail(2, otp.status().message());
  if (!context.ui().is_table())
    return output_data(context, json::ObjectBuilder(context.arena()).add("otp", *otp).build());
  context.ui().out(*otp);
  return 0;
}

// Here, not at the server: nobody else sees the token.
int decode(Context& context) {
  std::string encoded = context.flags().text("decode");
  if (encoded == "-") {
    const Result<std::string> text = read_descriptor(0);
    if (!text.ok())
      return context.fail(1, text.status().message());
    encoded = trim(*text);
  }
  const std::string& otp = context.flags().text("otp");
  if (otp.empty())
    return context.fail(1, "-decode needs the one-time password of the attempt: give -otp.");
  encoded.erase(encoded.find_last_not_of('=') + 1);
  encoded.append((4 - encoded.size() % 4) % 4, '=');
  Result<std::string> token = base64_decode(encoded);
  if (!token.ok() || token->size() != otp.size())
    return context.fail(1, "Error decoding root token: it is no base64, or not as long as the one-time password");
  for (std::size_t i = 0; i < otp.size(); ++i)
    (*token)[i] = static_cast<char>((*token)[i] ^ otp[i]);
  if (!context.ui().is_table())
    return output_data(context, json::ObjectBuilder(context.arena()).add("token", *token).build());
  context.ui().out(*token);
  return 0;
}

int give(Context& context, Client& client) {
  const std::string nonce = nonce_of(context, client);
  if (nonce.empty())
    return 1;
  const Result<std::string> share = share_from(context, "Operation nonce: " + nonce + "\n", "Unseal Key");
  if (!share.ok())
    return context.fail(1, wrap(share.status().message()));
  json::ObjectBuilder body(context.arena());
  body.add("key", *share).add("nonce", nonce);
  Reply reply = client.call({.method = "PUT",
                             .path = "sys/generate-root/update",
                             .body = Context::body_of(body.build()),
                             .has_body = true});
  return report(context, reply, "Error posting unseal key") ? 2 : show_attempt(context, reply.json);
}

int generate_root(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  const FlagSet& flags = context.flags();
  if (!flags.text("decode").empty())
    return decode(context);
  Client* const client = context.client();
  if (client == nullptr)
    return 2;
  if (flags.boolean("generate-otp"))
    return generate_otp(context, *client);
  if (flags.boolean("init"))
    return begin(context, *client);
  if (flags.boolean("cancel"))
    return cancel(context, *client);
  return flags.boolean("status") ? status(context, *client) : give(context, *client);
}

}  // namespace

void add_generate_root_command(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "operator generate-root",
       .synopsis = "Make a root token from shares",
       .usage = "[options] [KEY]",
       .help = "Makes a new root token when enough holders of shares agree: of unseal keys, or of recovery keys with a "
               "seal that opens by itself. No token is needed. It comes out encoded with a one-time password, which "
               "whoever began is told.\n\n"
               "Begin, give shares, decode:\n\n"
               "$ {cmd} operator generate-root -init\n"
               "$ {cmd} operator generate-root -nonce=NONCE\n"
               "$ {cmd} operator generate-root -decode=ENCODED -otp=OTP",
       .flags =
           {{"Command Options",
             {{.name = "init", .kind = FlagKind::kBool, .usage = "Begin an attempt."},
              {.name = "cancel", .kind = FlagKind::kBool, .usage = "End the attempt that -nonce names."},
              {.name = "status", .kind = FlagKind::kBool, .usage = "Print how far it is."},
              {.name = "nonce",
               .usage = "The attempt, as -init has told. Without it the server is asked, which tells the last one to "
                        "whoever has a token."},
              {.name = "key", .usage = "The share, as the argument is. It shows in the list of processes."},
              {.name = "otp",
               .usage = "With -init: the one-time password to encode with, instead of one that the server makes. With "
                        "-decode: that of the attempt."},
              {.name = "pgp-key",
               .usage = "With -init: public PGP key that the token is encrypted to, instead of a one-time password. A "
                        "file, or \"keybase:\" and the name of a user.",
               .example = "file"},
              {.name = "generate-otp", .kind = FlagKind::kBool, .usage = "Print a one-time password for -init."},
              {.name = "decode", .usage = "The encoded token to decode, or \"-\" for standard input."}}}},
       .format = true,
       .run = generate_root});
}

}  // namespace coffer::cli
