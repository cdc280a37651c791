// The two texts that a reading is shown as.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/json.h"
#include "base/metrics.h"

namespace coffer::metrics {
namespace {

void append_number(double value, std::string& out) {
  char text[40];
  if (std::isfinite(value) && value == std::floor(value) && std::abs(value) < 1e15) {
    const auto end = std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(value)).ptr;
    out.append(text, end);
    return;
  }
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

std::string exported(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool kept = letter || (c >= '0' && c <= '9') || c == '_' || c == ':';
    out.push_back(kept ? c : '_');
  }
  return out;
}

void append_label(const Label& label, bool first, std::string& out) {
  if (!first)
    out.push_back(',');
  out.append(exported(label.name)).append("=\"");
  for (const char c : label.value) {
    if (c == '\\' || c == '"')
      out.push_back('\\');
    if (c == '\n')
      out.append("\\n");
    else
      out.push_back(c);
  }
  out.push_back('"');
}

void append_labels(const std::vector<Label>& own, const std::vector<Label>& common, std::string& out) {
  if (own.empty() && common.empty())
    return;
  out.push_back('{');
  bool first = true;
  for (const std::vector<Label>* some : {&own, &common})
    for (const Label& label : *some)
      append_label(label, std::exchange(first, false), out);
  out.push_back('}');
}

void append_head(const std::string& name, std::string_view source, std::string_view kind, std::string& out) {
  out.append("# HELP ").append(name).append(" ").append(source).append("\n# TYPE ").append(name).append(" ");
  out.append(kind).append("\n");
}

void append_line(const std::string& name, std::string_view suffix, const std::vector<Label>& own,
                 const std::vector<Label>& common, double value, std::string& out) {
  out.append(name).append(suffix);
  append_labels(own, common, out);
  out.push_back(' ');
  append_number(value, out);
  out.push_back('\n');
}

void append_member(std::string_view name, double value, std::string& out) {
  out.append(",\"").append(name).append("\":");
  append_number(value, out);
}

void append_sample(const std::string& name, const Durations& d, double seconds_up, std::string& out) {
  out.append(out.back() == '[' ? "{\"Name\":" : ",{\"Name\":");
  json::write_string(name, out);
  append_member("Count", static_cast<double>(d.count), out);
  append_member("Rate", seconds_up > 0 ? d.sum_ms / seconds_up : 0, out);
  append_member("Sum", d.sum_ms, out);
  append_member("Min", d.quantile_ms(0), out);
  append_member("Max", d.max_ms, out);
  append_member("Mean", d.count == 0 ? 0 : d.sum_ms / static_cast<double>(d.count), out);
  append_member("Stddev", 0, out);
  out.append(",\"Labels\":{}}");
}

void append_counter(const Reading::Counter& counter, double seconds_up, std::string& out) {
  const auto value = static_cast<double>(counter.count);
  out.append(out.back() == '[' ? "{\"Name\":" : ",{\"Name\":");
  json::write_string(counter.name, out);
  append_member("Count", value, out);
  append_member("Rate", seconds_up > 0 ? value / seconds_up : 0, out);
  append_member("Sum", value, out);
  append_member("Min", counter.count == 0 ? 0 : 1, out);
  append_member("Max", counter.count == 0 ? 0 : 1, out);
  append_member("Mean", counter.count == 0 ? 0 : 1, out);
  append_member("Stddev", 0, out);
  out.append(",\"Labels\":{}}");
}

template <typename T>
std::vector<const T*> by_name(const std::vector<T>& all) {
  std::vector<const T*> sorted;
  for (const T& one : all)
    sorted.push_back(&one);
  std::ranges::stable_sort(sorted, {}, [](const T* one) { return std::string_view(one->name); });
  return sorted;
}

}  // namespace

std::string prometheus_text(const Reading& reading, const std::vector<Label>& labels) {
  std::string out;
  std::string last;
  for (const auto* gauge : by_name(reading.gauges)) {
    const std::string name = exported(gauge->name);
    if (name != last)
      append_head(name, gauge->name, "gauge", out);
    last = name;
    append_line(name, "", gauge->labels, labels, gauge->value, out);
  }
  for (const auto* counter : by_name(reading.counters)) {
    const std::string name = exported(counter->name);
    append_head(name, counter->name, "counter", out);
    append_line(name, "", {}, labels, static_cast<double>(counter->count), out);
  }
  last.clear();
  for (const auto* summary : by_name(reading.summaries)) {
    const std::string name = exported(summary->name);
    if (name == last)  // two mounts whose paths differ in a character that cannot stand in a name
      continue;
    last = name;
    append_head(name, summary->name, "summary", out);
    for (const auto& [text, q] : {std::pair{"0.5", 0.5}, {"0.9", 0.9}, {"0.99", 0.99}})
      append_line(name, "", {{"quantile", text}}, labels, summary->durations.quantile_ms(q), out);
    append_line(name, "_sum", {}, labels, summary->durations.sum_ms, out);
    append_line(name, "_count", {}, labels, static_cast<double>(summary->durations.count), out);
  }
  return out;
}

std::string json_text(const Reading& reading, std::string_view timestamp, double seconds_up) {
  std::string out = "{\"Timestamp\":";
  json::write_string(timestamp, out);
  out.append(",\"Gauges\":[");
  for (const auto* gauge : by_name(reading.gauges)) {
    out.append(out.back() == '[' ? "{\"Name\":" : ",{\"Name\":");
    json::write_string(gauge->name, out);
    append_member("Value", gauge->value, out);
    out.append(",\"Labels\":{");
    bool first = true;
    for (const Label& label : gauge->labels) {
      if (!std::exchange(first, false))
        out.push_back(',');
      json::write_string(label.name, out);
      out.push_back(':');
      json::write_string(label.value, out);
    }
    out.append("}}");
  }
  out.append("],\"Points\":[],\"Counters\":[");
  for (const auto* counter : by_name(reading.counters))
    append_counter(*counter, seconds_up, out);
  out.append("],\"Samples\":[");
  for (const auto* summary : by_name(reading.summaries))
    append_sample(summary->name, summary->durations, seconds_up, out);
  out.append("]}");
  return out;
}

}  // namespace coffer::metrics
