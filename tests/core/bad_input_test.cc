// Every field of every path table with values of wrong type, size and form: a 4xx with a text, nothing of what was
// sent in it, and no entry. The tables are those of the mounts of a whole core, so a new endpoint is covered when it is
#include <boost/test/unit_test.hpp>

#include <set>

#include "core/path_table.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

constexpr std::string_view kCanary = "canary-7f3a91";

// Fields of reads and lists that share a row with a write, which does not look at them.
const std::set<std::string_view> kQueryOnly = {"after", "limit", "version", "depth", "destroy"};

// JSON texts that are no value of the type, whatever is converted.
std::vector<std::string> wrong_values(FieldType type) {
  const std::string text = "\"" + std::string(kCanary) + "\"";
  const std::string object = "{\"" + std::string(kCanary) + "\":1}";
  const std::string list = "[{\"a\":" + text + "}]";
  switch (type) {
    case FieldType::kString:
      return {object, list, "true"};
    case FieldType::kInt:
      return {text, object, list, "1.5", "1e9", "-9223372036854775809", "9223372036854775808", "\"0x10\"", "\" 1\""};
    case FieldType::kBool:
      return {text, object, list, "7", "\"yes please\""};
    case FieldType::kDuration:
      return {text, object, list, "\"5 parsecs\"", "\"1e400h\"", "99999999999999999999"};
    case FieldType::kStringList:
      return {object, list, "[[\"a\"]]", "true"};
    case FieldType::kMap:
      return {text, list, "7", "true"};
    case FieldType::kAny:
      return {};
  }
  return {};
}

// Values of the right type that go over every bound, or hold what text should not.
std::vector<std::string> large_values(FieldType type) {
  if (type == FieldType::kInt || type == FieldType::kDuration)
    return {"9223372036854775807", "-9223372036854775808", "-1"};
  if (type == FieldType::kMap)
    return {"{\"\":{}}", "{\"a\\u0000b\":[[[[1]]]]}", "{\"k\":\"" + std::string(100'000, 'v') + "\"}"};
  if (type == FieldType::kStringList)
    return {"[\"\"]", "[\"a\\u0000b\",\"\\u202e\"]", "[\"" + std::string(100'000, 'v') + "\"]"};
  if (type == FieldType::kBool)
    return {};
  return {"\"\"", "\"a\\u0000b\\u001f\"", "\"\\ud83d\\ude00 ../../ %2e%2e \\\\\"",
          "\"" + std::string(100'000, 'v') + "\""};
}

std::string a_value(const Field& field) {
  switch (field.type) {
    case FieldType::kInt:
      return "1";
    case FieldType::kBool:
      return "true";
    case FieldType::kDuration:
      return "\"1h\"";
    case FieldType::kStringList:
      return "[\"one\"]";
    case FieldType::kMap:
      return "{}";
    case FieldType::kString:
    case FieldType::kAny:
      break;
  }
  return "\"1\"";
}

// `name` stands for what the pattern captures.
std::string path_of(std::string_view pattern, std::string_view name = "x1") {
  std::string path;
  while (!pattern.empty()) {
    const std::size_t slash = pattern.find('/');
    const std::string_view part = pattern.substr(0, slash);
    path += part.front() == ':' || part.front() == '*' ? name : part;
    if (slash != std::string_view::npos)
      path += '/';
    pattern.remove_prefix(slash == std::string_view::npos ? pattern.size() : slash + 1);
  }
  return path;
}

struct Row {
  std::string prefix;
  const PathSpec* spec;
  Operation operation;
  bool writes = false;
  std::string path() const { return prefix + path_of(spec->pattern); }
};

// A core with a mount of each kind, and something under the names that the paths are filled with.
struct Filled : CoreFixture {
  Filled() {
    write("sys/mounts/k1", R"({"type":"kv","options":{"version":"1"}})");
    write("sys/mounts/k2", R"({"type":"kv","options":{"version":"2"}})");
    write("k1/x1", R"({"a":"b"})");
    write("k2/data/x1", R"({"data":{"a":"b"}})");
    write("cubbyhole/x1", R"({"a":"b"})");
    write("sys/policies/acl/x1", R"({"policy":"path \"a\" { capabilities = [\"read\"] }"})");
  }
  std::vector<Row> rows() {
    std::vector<Row> rows;
    const auto attachment = backend.attachment();
    for (const Route& route : published_in(attachment)->router->routes()) {
      if (route.engine == nullptr)
        continue;
      for (const PathSpec& spec : route.engine->paths(route.record.info).specs())
        for (const OperationSpec& operation : spec.operations)
          if (operation.operation != Operation::kHelp && !spec.fields.empty())
            rows.push_back({route.prefix, &spec, operation.operation, operation.effect == Effect::kWrites});
    }
    return rows;
  }
};

bool in_path(const PathSpec& spec, std::string_view name) {
  for (std::size_t at = 0; (at = spec.pattern.find(name, at)) != std::string_view::npos; ++at)
    if (at > 0 && (spec.pattern[at - 1] == ':' || spec.pattern[at - 1] == '*'))
      return true;
  return false;
}

// The field with `value`, the required ones with values that fit.
std::string body_with(const PathSpec& spec, const Field& field, std::string_view value) {
  std::string body = "{\"" + std::string(field.name) + "\":" + std::string(value);
  for (const Field& other : spec.fields)
    if (other.required && other.name != field.name && !in_path(spec, other.name))
      body += ",\"" + std::string(other.name) + "\":" + a_value(other);
  return body + "}";
}

// What is wrong with the answer; empty: nothing.
std::string judge(Filled& core, const Row& row, const Field& field, std::string_view value, bool must_fail) {
  const Index before = core.backend.applied_index();
  const Answer answer = core.request(row.operation, row.path(), body_with(*row.spec, field, value));
  const std::string at = row.path() + " operation " + std::to_string(static_cast<int>(row.operation)) + " field " +
                         std::string(field.name) + " = " + std::string(value.substr(0, 60)) + ": " +
                         std::to_string(answer.status) + " " + answer.body.substr(0, 200);
  if (answer.status >= 500)
    return "failed inside: " + at;
  if (answer.status < 400)
    return must_fail ? "accepted: " + at : "";
  if (core.backend.applied_index() != before)
    return "changed the state: " + at;
  if (answer.text("errors").find(kCanary) != std::string::npos)
    return "tells what was sent: " + at;
  if (answer.status == 400 && answer.text("errors").size() < 8)
    return "says nothing: " + at;
  return "";
}

// Runs every row in a core of its own, made anew when a request has changed something.
template <typename Visit>
std::size_t for_each_field(Visit visit) {
  const std::size_t count = Filled().rows().size();
  std::size_t fields = 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto core = std::make_unique<Filled>();
    Row row = core->rows()[i];
    for (std::size_t f = 0; f < row.spec->fields.size(); ++f) {
      const Field field = row.spec->fields[f];
      if (in_path(*row.spec, field.name))
        continue;
      ++fields;
      const Index before = core->backend.applied_index();
      visit(*core, row, field);
      if (core->backend.applied_index() != before) {
        core = std::make_unique<Filled>();
        row = core->rows()[i];
      }
    }
  }
  return fields;
}

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(a_value_of_the_wrong_type_is_refused_everywhere) {
  const std::size_t fields = for_each_field([](Filled& core, const Row& row, const Field& field) {
    const bool writes = row.operation == Operation::kWrite || row.operation == Operation::kPatch;
    const bool strict = writes && !row.spec->any_fields && !kQueryOnly.contains(field.name);
    for (const std::string& value : wrong_values(field.type)) {
      const std::string wrong = judge(core, row, field, value, strict);
      BOOST_TEST(wrong.empty(), wrong);
    }
  });
  BOOST_TEST(fields > 60u);
}

BOOST_AUTO_TEST_CASE(values_beyond_every_bound_do_no_harm) {
  for_each_field([](Filled& core, const Row& row, const Field& field) {
    for (const std::string& value : large_values(field.type)) {
      const std::string wrong = judge(core, row, field, value, false);
      BOOST_TEST(wrong.empty(), wrong);
    }
  });
}

// Names at the edge of what a path may hold, with an empty body and with one that fits.
BOOST_AUTO_TEST_CASE(names_of_every_size_and_encoding_do_no_harm) {
  const std::string names[] = {std::string(441, 'n'),
                               std::string(3000, 'n'),
                               "\xf0\x9f\x98\x80\xe2\x80\xae",
                               "a b\"'<>;$(x)",
                               "+",
                               "*",
                               "root",
                               "-1",
                               "a%2eb",
                               "\xc3\xa9" + std::string(500, 'e')};
  const std::size_t count = Filled().rows().size();
  for (std::size_t i = 0; i < count; ++i) {
    Filled core;
    const Row row = core.rows()[i];
    if (row.spec->pattern.find_first_of(":*") == std::string_view::npos)
      continue;
    for (const std::string& name : names) {
      const std::string path = row.prefix + path_of(row.spec->pattern, name);
      if (!CanonicalPath::from_text(path).ok())
        continue;
      std::string body = "{";
      for (const Field& field : row.spec->fields)
        if (!in_path(*row.spec, field.name) && field.required)
          body += (body.size() > 1 ? ",\"" : "\"") + std::string(field.name) + "\":" + a_value(field);
      for (const std::string& text : {std::string(), body + "}"}) {
        const Index before = core.backend.applied_index();
        const Answer answer = core.request(row.operation, path, text);
        const std::string at =
            path.substr(0, 60) + ": " + std::to_string(answer.status) + " " + answer.body.substr(0, 200);
        BOOST_TEST(answer.status < 500, at);
        BOOST_TEST((answer.status < 400 || core.backend.applied_index() == before), at);
      }
    }
  }
}

// The driver notices both.
BOOST_AUTO_TEST_CASE(a_server_that_echoes_or_accepts_is_found) {
  for (const Mutant mutant : {Mutant::kErrorEchoesValue, Mutant::kKvErrorEchoesValue, Mutant::kNumbersUnchecked}) {
    const coffer::testing::ScopedMutant on(mutant);
    std::size_t found = 0;
    for_each_field([&](Filled& core, const Row& row, const Field& field) {
      if (row.prefix != "k2/")
        return;
      std::vector<std::string> values = wrong_values(field.type);
      if (field.name == "options")
        values = {"{\"cas\":\"" + std::string(kCanary) + "\"}"};
      if (field.name == "max_versions")
        values.emplace_back("9223372036854775807");
      for (const std::string& value : values)
        found += !judge(core, row, field, value, !kQueryOnly.contains(field.name)).empty();
    });
    BOOST_TEST(found > 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
