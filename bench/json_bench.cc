// JSON of a usual request and of the largest body, with RapidJSON's bare SAX reader (which builds nothing) and its DOM
// beside ours as the ceiling.
#include <benchmark/benchmark.h>

#include <rapidjson/document.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <string>

#include "base/json.h"
#include "base/path.h"

namespace coffer::json {
namespace {

const std::string& small() {
  static const std::string text =
      R"({"data":{"username":"app_user","password":"P@ssw0rd!2026","host":"postgres.internal","port":"5432",)"
      R"("n":1.10},"options":{"cas":3}})";
  return text;
}

// 30 MiB of what the limits let pass furthest.
std::string large(int kind) {
  constexpr std::size_t kBytes = 30u << 20;
  std::string text;
  switch (kind) {
    case 0:
      return "\"" + std::string(kBytes, 'a') + "\"";
    case 1:
      while (text.size() < kBytes)
        text += "\xc3\xa9";
      return "\"" + text + "\"";
    case 2:
      while (text.size() < kBytes)
        text += "\\u00e9";
      return "\"" + text + "\"";
    default:
      text = "[1234567890123";
      while (text.size() < kBytes)
        text += ",1234567890123";
      return text + "]";
  }
}

void parse_small(benchmark::State& state) {
  Arena arena;
  for (auto _ : state) {
    auto root = parse(arena, small());
    benchmark::DoNotOptimize(root);
    arena.reset();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * small().size()));
}
BENCHMARK(parse_small);

void parse_small_rapidjson_sax(benchmark::State& state) {
  for (auto _ : state) {
    rapidjson::BaseReaderHandler<> handler;
    rapidjson::Reader reader;
    rapidjson::StringStream stream(small().c_str());
    auto result = reader.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag |
                               rapidjson::kParseIterativeFlag>(stream, handler);
    benchmark::DoNotOptimize(result);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * small().size()));
}
BENCHMARK(parse_small_rapidjson_sax);

void parse_small_rapidjson_dom(benchmark::State& state) {
  for (auto _ : state) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(small().data(), small().size());
    benchmark::DoNotOptimize(document);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * small().size()));
}
BENCHMARK(parse_small_rapidjson_dom);

void parse_large(benchmark::State& state) {
  const std::string text = large(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    Arena arena;
    auto root = parse(arena, text);
    benchmark::DoNotOptimize(root);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(parse_large)->DenseRange(0, 3)->Unit(benchmark::kMillisecond);

void parse_large_rapidjson_sax(benchmark::State& state) {
  const std::string text = large(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    rapidjson::BaseReaderHandler<> handler;
    rapidjson::Reader reader;
    rapidjson::StringStream stream(text.c_str());
    auto result = reader.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag |
                               rapidjson::kParseIterativeFlag>(stream, handler);
    benchmark::DoNotOptimize(result);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(parse_large_rapidjson_sax)->DenseRange(0, 3)->Unit(benchmark::kMillisecond);

void write_small(benchmark::State& state) {
  const auto document = Document::parse(small());
  std::string out;
  for (auto _ : state) {
    out.clear();
    write(document->root, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * small().size()));
}
BENCHMARK(write_small);

void write_small_rapidjson(benchmark::State& state) {
  rapidjson::Document document;
  document.Parse(small().data(), small().size());
  rapidjson::StringBuffer out;
  for (auto _ : state) {
    out.Clear();
    rapidjson::Writer<rapidjson::StringBuffer> writer(out);
    document.Accept(writer);
    benchmark::DoNotOptimize(out.GetString());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * small().size()));
}
BENCHMARK(write_small_rapidjson);

void build_and_write_envelope(benchmark::State& state) {
  Arena arena;
  std::string out;
  for (auto _ : state) {
    arena.reset();
    out.clear();
    const Value root = ObjectBuilder(arena, 10)
                           .add("request_id", "0b2a8a52-b6c1-8f6e-2d4a-5a0c1f0e9d11")
                           .add("lease_id", "")
                           .add("renewable", false)
                           .add("lease_duration", 0)
                           .add("data", Value::raw(small()))
                           .add("wrap_info", nullptr)
                           .add("warnings", nullptr)
                           .add("auth", nullptr)
                           .add("mount_type", "kv")
                           .build();
    write(root, out, {.html_escape = true});
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(build_and_write_envelope);

class Replace final : public ScalarRewriter {
 public:
  void rewrite(const Scalar&, std::string& out) override { out.append("\"hmac-sha256:0\""); }
};

void rewrite_scalars_of_text(benchmark::State& state) {
  std::string out;
  Replace replace;
  for (auto _ : state) {
    out.clear();
    auto status = rewrite_scalars(small(), out, replace);
    benchmark::DoNotOptimize(status);
  }
}
BENCHMARK(rewrite_scalars_of_text);

void canonical_path_40_bytes(benchmark::State& state) {
  const std::string raw = "secret/data/team-alpha/app/database-0001";
  for (auto _ : state) {
    auto path = CanonicalPath::from_percent_encoded(raw);
    benchmark::DoNotOptimize(path);
  }
}
BENCHMARK(canonical_path_40_bytes);

}  // namespace
}  // namespace coffer::json
