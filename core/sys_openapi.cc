#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

std::string_view schema_type(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return "integer";
    case FieldType::kBool:
      return "boolean";
    case FieldType::kStringList:
      return "array";
    case FieldType::kMap:
      return "object";
    case FieldType::kString:
    case FieldType::kDuration:
    case FieldType::kAny:
      break;
  }
  return "string";
}

json::Value schema_of(json::Arena& arena, const Field& field) {
  json::ObjectBuilder schema(arena, 4);
  schema.add("type", schema_type(field.type));
  if (field.type == FieldType::kDuration)
    schema.add("format", "seconds");
  if (field.type == FieldType::kStringList)
    schema.add("items", json::ObjectBuilder(arena, 1).add("type", "string").build());
  if (field.type == FieldType::kMap)
    schema.add("format", "map");
  return schema.build();
}

// A pattern as the document writes it: "{name}" for what it captures.
struct Template {
  std::string path;
  std::vector<std::string> names;
};

Template template_of(const std::string& prefix, std::string_view pattern) {
  Template out;
  out.path = "/" + prefix;
  bool first = true;
  while (!pattern.empty()) {
    const std::size_t slash = pattern.find('/');
    std::string_view segment = pattern.substr(0, slash);
    pattern.remove_prefix(slash == std::string_view::npos ? pattern.size() : slash + 1);
    if (!first)
      out.path += '/';
    first = false;
    if (!segment.empty() && (segment.front() == ':' || segment.front() == '*')) {
      std::string name(segment.substr(1));
      if (!name.empty() && name.back() == '?')
        name.pop_back();
      out.path += "{" + name + "}";
      out.names.push_back(std::move(name));
    } else {
      out.path += segment;
    }
  }
  return out;
}

// "kv" and "data/{path}" become kv-write-data-path.
std::string operation_id(std::string_view type, std::string_view verb, std::string_view pattern) {
  std::string id = std::string(type) + "-" + std::string(verb);
  bool gap = true;
  for (const char c : pattern) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    if (plain && gap)
      id += '-';
    gap = !plain;
    if (plain)
      id += c;
  }
  return id;
}

struct Verb {
  std::string_view method;
  std::string_view name;
};

Verb verb_of(Operation operation) {
  switch (operation) {
    case Operation::kRead:
    case Operation::kHelp:
      return {"get", "read"};
    case Operation::kList:
      return {"get", "list"};
    case Operation::kScan:
      return {"get", "scan"};
    case Operation::kDelete:
      return {"delete", "delete"};
    case Operation::kPatch:
      return {"patch", "patch"};
    case Operation::kWrite:
      break;
  }
  return {"post", "write"};
}

class Document {
 public:
  Document(CallContext& ctx, bool generic) : ctx_(ctx), arena_(ctx.arena), generic_(generic), paths_(ctx.arena, 256) {}

  void add_mount(const Route& route) {
    if (route.engine == nullptr)
      return;
    // A mount of its own kind may stand anywhere; the document names the kind then and not the place.
    const bool fixed = route.record.info.type == "system" || route.prefix == "auth/token/" ||
                       route.prefix == "cubbyhole/" || route.prefix == "identity/";
    std::string prefix = route.prefix;
    std::string mount_name;
    if (generic_ && !fixed) {
      mount_name = route.record.info.type + "_mount_path";
      prefix = (route.record.table == MountTable::kAuth ? "auth/{" : "{") + mount_name + "}/";
    }
    for (const PathSpec& spec : route.engine->paths(route.record.info).specs())
      add_path(route, prefix, mount_name, spec);
  }

  json::Value build() {
    for (const auto& [path, item] : items_)
      paths_.add(path, item);
    const json::Value license = json::ObjectBuilder(arena_, 2)
                                    .add("name", "Mozilla Public License 2.0")
                                    .add("url", "https://www.mozilla.org/en-US/MPL/2.0")
                                    .build();
    const json::Value info = json::ObjectBuilder(arena_, 4)
                                 .add("description", "All paths of this server; each stands below /v1.")
                                 .add("license", license)
                                 .add("title", "HashiCorp Vault API")
                                 .add("version", ctx_.services.version.substr(0, ctx_.services.version.find('+')))
                                 .build();
    return json::ObjectBuilder(arena_, 4)
        .add("components", json::ObjectBuilder(arena_, 1)
                               .add("schemas", json::ObjectBuilder(arena_, 1).build())
                               .build())
        .add("info", info)
        .add("openapi", "3.0.2")
        .add("paths", paths_.build())
        .build();
  }

 private:
  json::Value parameter(std::string_view name, std::string_view in, std::string_view help, json::Value schema) {
    return json::ObjectBuilder(arena_, 5)
        .add("description", help)
        .add("in", in)
        .add("name", name)
        .add("required", in == "path")
        .add("schema", schema)
        .build();
  }

  json::Value text_schema() { return json::ObjectBuilder(arena_, 1).add("type", "string").build(); }

  json::Value parameters_of(const Template& place, const std::string& mount_name, const PathSpec& spec) {
    json::ArrayBuilder list(arena_, 4);
    if (!mount_name.empty())
      list.add(parameter(mount_name, "path", "Where it is mounted.", text_schema()));
    for (const std::string& name : place.names) {
      std::string_view help = "Part of the path.";
      for (const Field& field : spec.fields)
        if (field.name == name)
          help = field.help;
      list.add(parameter(name, "path", help, text_schema()));
    }
    return list.build();
  }

  json::Value body_of(const PathSpec& spec, const Template& place) {
    json::ObjectBuilder properties(arena_, spec.fields.size() + 1);
    json::ArrayBuilder required(arena_, 4);
    for (const Field& field : spec.fields) {
      if (std::find(place.names.begin(), place.names.end(), field.name) != place.names.end())
        continue;
      json::ObjectBuilder one(arena_, 4);
      one.add("description", field.help);
      const json::Value schema = schema_of(arena_, field);
      for (const json::Member& member : schema.members())
        one.add(member.key(), member.value);
      properties.add(field.name, one.build());
      if (field.required)
        required.add(field.name);
    }
    json::ObjectBuilder schema(arena_, 3);
    schema.add("properties", properties.build());
    if (required.size() > 0)
      schema.add("required", required.build());
    schema.add("type", "object");
    const json::Value json_body = json::ObjectBuilder(arena_, 1).add("schema", schema.build()).build();
    return json::ObjectBuilder(arena_, 2)
        .add("content", json::ObjectBuilder(arena_, 1).add("application/json", json_body).build())
        .add("required", true)
        .build();
  }

  json::Value operation_value(const Route& route, const PathSpec& spec, const Template& place,
                              const OperationSpec& operation) {
    const Verb verb = verb_of(operation.operation);
    json::ObjectBuilder out(arena_, 8);
    out.add("operationId", operation_id(route.record.info.type, verb.name, spec.pattern));
    if (operation.operation == Operation::kList) {
      json::ArrayBuilder list(arena_, 1);
      const json::Value only = json::ObjectBuilder(arena_, 2)
                                   .add("enum", json::ArrayBuilder(arena_, 1).add("true").build())
                                   .add("type", "string")
                                   .build();
      list.add(parameter("list", "query", "Must be true.", only));
      out.add("parameters", list.build());
    }
    const bool body = operation.operation == Operation::kWrite || operation.operation == Operation::kPatch;
    if (body && !spec.fields.empty())
      out.add("requestBody", body_of(spec, place));
    const bool silent = operation.operation == Operation::kDelete;
    out.add("responses", json::ObjectBuilder(arena_, 1)
                             .add(silent ? "204" : "200", json::ObjectBuilder(arena_, 1)
                                                              .add("description", silent ? "empty body" : "OK")
                                                              .build())
                             .build());
    out.add("summary", operation.help);
    json::ArrayBuilder tags(arena_, 1);
    tags.add(route.record.table == MountTable::kAuth      ? "auth"
             : route.record.info.type == "system"         ? "system"
             : route.record.info.type == "identity"       ? "identity"
                                                          : "secrets");
    out.add("tags", tags.build());
    return out.build();
  }

  void add_path(const Route& route, const std::string& prefix, const std::string& mount_name, const PathSpec& spec) {
    const Template place = template_of(prefix, spec.pattern);
    json::ObjectBuilder item(arena_, 8);
    item.add("description", spec.help);
    const json::Value parameters = parameters_of(place, mount_name, spec);
    if (!parameters.elements().empty())
      item.add("parameters", parameters);
    bool got = false;
    for (const OperationSpec& operation : spec.operations) {
      const Verb verb = verb_of(operation.operation);
      if (verb.method == "get" && std::exchange(got, true))
        continue;  // a list beside a read: the same method
      item.add(verb.method, operation_value(route, spec, place, operation));
    }
    if (spec.sudo || std::ranges::any_of(spec.operations, &OperationSpec::sudo))
      item.add("x-vault-sudo", true);
    if (spec.unauthenticated)
      item.add("x-vault-unauthenticated", true);
    items_.try_emplace(place.path, item.build());
  }

  CallContext& ctx_;
  json::Arena& arena_;
  const bool generic_;
  json::ObjectBuilder paths_;
  std::map<std::string, json::Value> items_;
};

// Of every mount that the calling token can reach into.
Status handle_openapi(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const bool generic, ctx.bool_field("generic_mount_paths", false));
  COFFER_TRY(ctx.string_field("context", "").status());
  Document document(ctx, generic);
  for (const Route& route : ctx.published.router->routes())
    if (route.record.info.namespace_id == ctx.ns.id && ctx.acl != nullptr &&
        (ctx.acl->is_root() || ctx.acl->has_access_below(ctx.acl_path(route.prefix))))
      document.add_mount(route);
  ctx.response.data = document.build();
  ctx.response.bare = true;
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_openapi_specs() {
  std::vector<PathSpec> specs;
  specs.push_back(
      {"internal/specs/openapi",
       "A document of every path of every mount, for tools that read OpenAPI.",
       {{"generic_mount_paths", FieldType::kBool, "Name the kind of a mount instead of its place."},
        {"context", FieldType::kString, "Taken and not looked at."}},
       {{Operation::kRead, Effect::kReads, handle_openapi, "Writes the document."},
        {Operation::kWrite, Effect::kReads, handle_openapi, "Writes the document."}},
       nullptr,
       true});
  return specs;
}

}  // namespace coffer::core
