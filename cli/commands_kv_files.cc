// Secrets as files: export and import.
#include <cerrno>
#include <limits>

#include "base/error_text.h"
#include "base/rng.h"
#include "base/secret.h"
#include "cli/commands.h"
#include "cli/dotenv.h"
#include "cli/kv_args.h"
#include "cli/kv_mount.h"
#include "cli/private_file.h"
#include "cli/render.h"
#include "cli/sealed_export.h"
#include "cli/text.h"
#include "cli/value_text.h"
#include "cli/yaml.h"
#include "cli/yaml_reader.h"

namespace coffer::cli {
namespace {

// The name under which the secret at the path itself is written, beside those below it.
constexpr std::string_view kItself = ".";

enum class Kind { kJson, kYaml, kDotenv };

std::optional<Kind> kind_named(std::string_view name) {
  if (name == "json")
    return Kind::kJson;
  if (name == "yaml" || name == "yml")
    return Kind::kYaml;
  if (name == "dotenv" || name == "env")
    return Kind::kDotenv;
  return std::nullopt;
}

// By -as, else by how the file is called, else JSON.
std::optional<Kind> kind_of(Context& context, const std::string& file) {
  const std::string& given = context.flags().text("as");
  const std::size_t dot = file.rfind('.');
  const std::string name = !given.empty() ? given : dot == std::string::npos ? "json" : lower(file.substr(dot + 1));
  const std::optional<Kind> kind = kind_named(name);
  if (kind || !given.empty()) {
    if (!kind)
      context.fail(1, "Unknown format in -as: " + given + " (json, yaml or dotenv)");
    return kind;
  }
  return Kind::kJson;
}

std::string api_path(const KvTarget& at, const std::string& name) {
  const std::string typed = join_path({at.mount, at.rest, name});
  return at.v2 ? kv_api_path(typed, at.mount, "data") : typed;
}

// The data of one secret; nothing when there is none (deleted, destroyed). False after a failure was printed.
bool read_one(Context& context, const KvTarget& at, const std::string& name, std::optional<json::Value>& data) {
  const std::string path = api_path(at, name);
  const KvRead read = kv_read(context, *at.client, path, {}, "Error reading " + path);
  if (read.failed)
    return false;
  const json::Value* found = !read.secret ? nullptr : at.v2 ? member(read.secret->data, "data") : &read.secret->data;
  if (found != nullptr && found->is_object())
    data = *found;
  return true;
}

// From a file's first line, or from the terminal: twice where it is new. Nothing after the failure was printed.
std::optional<SecretBytes> passphrase(Context& context, bool is_new) {
  if (const std::string& file = context.flags().text("passphrase-file"); !file.empty()) {
    Result<std::string> text = read_file(file);
    if (!text.ok()) {
      context.fail(1, "Error reading the passphrase: " + text.status().message());
      return std::nullopt;
    }
    const std::string_view line = std::string_view(*text).substr(0, text->find_first_of("\r\n"));
    std::optional<SecretBytes> given;
    if (line.empty())
      context.fail(1, "The passphrase must not be empty");
    else
      given = SecretBytes::copy_of(line);
    wipe(text->data(), text->size());
    return given;
  }
  std::string first;
  for (const char* question : {"Passphrase (will be hidden): ", "Once more: "}) {
    Result<std::string> typed = context.ports().read_hidden(context.invocation(),
                                                            [&] { context.ui().prompt(question); });
    if (!typed.ok()) {
      context.fail(1, "A passphrase can be asked for on a terminal only; give -passphrase-file elsewhere");
      return std::nullopt;
    }
    if (typed->empty() || (!first.empty() && *typed != first)) {
      context.fail(1, typed->empty() ? "The passphrase must not be empty" : "The passphrases differ");
      return std::nullopt;
    }
    first = *typed;
    wipe(typed->data(), typed->size());
    if (!is_new)
      break;
  }
  SecretBytes secret = SecretBytes::copy_of(first);
  wipe(first.data(), first.size());
  return secret;
}

int write_out(Context& context, std::string text) {
  if (context.flags().boolean("encrypt")) {
    const std::optional<SecretBytes> secret = passphrase(context, true);
    if (!secret)
      return 1;
    Result<std::string> sealed = seal_export(text, *secret, system_random());
    wipe(text.data(), text.size());
    if (!sealed.ok())
      return context.fail(2, "Error encrypting: " + sealed.status().message());
    text = std::move(*sealed);
  }
  const std::string& file = context.flags().text("file");
  if (file.empty() && !context.ui().bare(text))
    return context.fail(2, "Error writing to standard output: " + lower_error_text(errno));
  if (file.empty())
    return 0;
  const Status status = replace_file(file, text);
  return status.ok() ? 0 : context.fail(2, "Error writing file: " + status.message());
}

int export_secrets(Context& context) {
  const bool by_flag = !context.flags().text("mount").empty();
  if (!context.arity(by_flag ? 0 : 1, 1))
    return 1;
  const std::optional<Kind> kind = kind_of(context, context.flags().text("file"));
  if (!kind)
    return 1;
  const std::optional<KvTarget> at = kv_target(context, "metadata");
  if (!at)
    return 2;
  std::map<std::string, json::Value> secrets;
  std::optional<json::Value> itself;
  if (!at->rest.empty() && !read_one(context, *at, "", itself))
    return 2;
  if (*kind == Kind::kDotenv) {
    if (!itself)
      return context.fail(2, "No value found at " + api_path(*at, ""));
    std::map<std::string, std::string> values;
    for (const json::Member& m : itself->members())
      values[std::string(m.key())] = m.value.is_string() ? std::string(m.value.as_string()) : Context::body_of(m.value);
    const Result<std::string> text = write_dotenv(values);
    return text.ok() ? write_out(context, *text) : context.fail(2, "Error exporting: " + text.status().message());
  }
  if (itself)
    secrets[std::string(kItself)] = *itself;
  const auto names = kv_tree(context, *at, "Error listing " + at->full);
  if (!names)
    return 2;
  for (const std::string& name : *names) {
    std::optional<json::Value> data;
    if (!read_one(context, *at, name, data))
      return 2;
    if (data)
      secrets[name] = *data;
  }
  if (secrets.empty())
    return context.fail(2, "No value found at " + at->full);
  const json::Value all = sorted(context.arena(), object_of(context.arena(), secrets));
  std::string text;
  if (*kind == Kind::kYaml)
    text = yaml(all);
  else
    json::write_pretty(all, text);
  return write_out(context, text + "\n");
}

// The file as secrets by their names.
Result<std::map<std::string, json::Value>> parse_file(Arena& arena, Kind kind, const std::string& text) {
  std::map<std::string, json::Value> secrets;
  if (kind == Kind::kDotenv) {
    COFFER_ASSIGN(const auto values, read_dotenv(text));
    secrets[std::string(kItself)] = object_of(arena, values);
    return secrets;
  }
  json::Limits bounds;
  bounds.strings = std::numeric_limits<std::size_t>::max();
  json::Value root;
  if (kind == Kind::kYaml) {
    COFFER_ASSIGN(root, read_yaml(arena, text));
  } else {
    COFFER_ASSIGN(root, json::parse_copy(arena, text, bounds));
  }
  if (!root.is_object())
    return Status(Code::kInvalid, "the file is not a map of names to secrets");
  for (const json::Member& m : root.members()) {
    if (!m.value.is_object())
      return Status(Code::kInvalid, "every secret in the file must be a map");
    secrets[std::string(m.key())] = m.value;
  }
  return secrets;
}

bool write_one(Context& context, const KvTarget& at, const std::string& name, const json::Value& data) {
  const std::string path = api_path(at, name == kItself ? "" : name);
  json::Value body = data;
  if (at.v2) {
    json::ObjectBuilder options(context.arena());
    if (!context.flags().boolean("overwrite"))
      options.add("cas", 0);
    body = json::ObjectBuilder(context.arena()).add("data", data).add("options", options.build()).build();
  }
  const Reply reply =
      at.client->call({.method = "PUT", .path = path, .body = Context::body_of(body), .has_body = true});
  if (report(context, reply, "Error writing data to " + path))
    return false;
  if (context.ui().is_table())
    context.ui().out("Success! Data written to: " + path);
  return true;
}

int import_secrets(Context& context) {
  if (!context.arity(2, 2))
    return 1;
  const std::string& file = context.args()[1];
  const std::optional<Kind> kind = kind_of(context, file);
  if (!kind)
    return 1;
  const Result<std::string> text = file == "-" ? read_descriptor(context.invocation().in) : read_file(file);
  if (!text.ok())
    return context.fail(1, "Error reading file: " + text.status().message());
  SecretBytes opened;
  std::string_view content = *text;
  if (is_sealed_export(content)) {
    const std::optional<SecretBytes> secret = passphrase(context, false);
    if (!secret)
      return 1;
    Result<SecretBytes> plain = open_export(content, *secret);
    if (!plain.ok())
      return context.fail(1, "Error reading file: " + plain.status().message());
    opened = std::move(*plain);
    content = opened.reveal_text();
  }
  const auto secrets = parse_file(context.arena(), *kind, std::string(content));
  if (!secrets.ok())
    return context.fail(1, "Error reading file: " + secrets.status().message());
  const std::optional<KvTarget> at = kv_target(context, "data");
  if (!at)
    return 2;
  if (at->rest.empty() && secrets->contains(std::string(kItself)))
    return context.fail(1, "The path must name a secret, not only the store");
  for (const auto& [name, data] : *secrets)
    if (!write_one(context, *at, name, data))
      return 2;
  return 0;
}

Flag as_flag() {
  return {.name = "as", .usage = "Format: \"json\", \"yaml\" or \"dotenv\"; by the file's name if not given."};
}

Flag passphrase_flag() {
  return {.name = "passphrase-file",
          .usage = "File whose first line is the passphrase of an encrypted export, instead of asking for it."};
}

}  // namespace

void add_kv_file_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "kv export",
                      .synopsis = "Print secrets as JSON, YAML or dotenv",
                      .usage = "[options] PATH",
                      .help = "Prints the newest versions of the secrets below PATH by their names, and that of PATH "
                              "itself under the name \".\". As dotenv, it prints the one secret at PATH. What it "
                              "prints is secret: -file writes it to a file that only its owner reads.\n\n"
                              "$ {cmd} kv export -file=app.yaml secret/app\n\n"
                              "$ {cmd} kv export -encrypt -file=app.sealed secret/app",
                      .flags = {{"Common Options",
                                 {kKvMountFlag,
                                  as_flag(),
                                  {.name = "file", .usage = "File to write instead."},
                                  {.name = "encrypt",
                                   .kind = FlagKind::kBool,
                                   .usage = "Encrypt it under a passphrase, which is asked for twice."},
                                  passphrase_flag()}}},
                      .format = true,
                      .run = export_secrets});
  commands.push_back({.name = "kv import",
                      .synopsis = "Store secrets from a file",
                      .usage = "[options] PATH FILE",
                      .help = "Stores each secret of FILE (\"-\" is standard input) below PATH, in the formats of \"kv "
                              "export\". A secret that is there already stops it unless -overwrite is given.\n\n"
                              "$ {cmd} kv import secret/app app.yaml",
                      .flags = {{"Common Options",
                                 {kKvMountFlag,
                                  as_flag(),
                                  {.name = "overwrite",
                                   .kind = FlagKind::kBool,
                                   .usage = "Make a new version of a secret that is there already."},
                                  passphrase_flag()}}},
                      .format = true,
                      .run = import_secrets});
}

}  // namespace coffer::cli
