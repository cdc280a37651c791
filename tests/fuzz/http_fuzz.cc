// module: http/request_reader.cc http/request_build.cc http/body.cc http/body.h http/query.cc
// HTTP requests as a connection reads them: a stream of bytes in pieces, several requests one after the other, without
// a socket. The first byte chooses the pieces. What must hold: no crash, no byte used twice, all memory for bodies
// given back, refusals with a status and without what was sent, and a request that is the same whatever the pieces.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "http/answer.h"
#include "http/request_reader.h"

namespace {

using coffer::http::BodyBudget;
using coffer::http::Config;
using coffer::http::RequestReader;
using Step = RequestReader::Step;

constexpr int kRequestsMax = 16;

std::string summary(const coffer::core::Request& request) {
  std::string text = std::to_string(static_cast<int>(request.operation)) + " " + request.path.str() + " ";
  text += request.token;
  text += ' ';
  text += request.namespace_path;
  text += ' ';
  text += std::to_string(request.wrap_ttl ? request.wrap_ttl->count() : -1);
  text += ' ';
  coffer::json::write(request.data, text);
  return text;
}

// What a connection would make of `stream` in pieces of `piece` bytes.
std::string run(std::string_view stream, std::size_t piece, const Config& config) {
  BodyBudget budget(config.limits.small_bodies_bytes, config.limits.large_bodies_bytes);
  std::string story;
  {
    RequestReader reader(config, budget);
    coffer::core::Exchange exchange;
    std::string held, scratch, out;
    bool in_body = false;
    int requests = 0;
    std::size_t at = 0;
    while (requests < kRequestsMax) {
      std::size_t used = 0;
      Step step = Step::kMore;
      if (in_body) {
        step = reader.more(held, used);
      } else {
        step = reader.scan_head(held, used);
        held.erase(0, used);
        used = 0;
        if (step == Step::kReady)
          step = reader.begin(held, exchange, used);
        in_body = step == Step::kMore && used != 0;
      }
      COFFER_CHECK(used <= held.size());
      held.erase(0, used);
      if (step == Step::kPiped) {
        in_body = true;  // nobody takes it here
        continue;
      }
      if (step == Step::kMore) {
        if (at >= stream.size())
          break;
        held.append(stream.substr(at, piece));
        at += piece;
        continue;
      }
      ++requests;
      in_body = false;
      if (step == Step::kRefused) {
        const auto& refusal = reader.refusal();
        COFFER_CHECK(refusal.status >= 400 && refusal.status < 600);
        coffer::http::write_refusal(refusal.status, refusal.text, {}, scratch, out);
        story += "refused " + std::to_string(refusal.status) + "\n";
        if (!reader.whole())
          break;
      } else {
        story += summary(exchange.request) + "\n";
      }
      reader.reset();
      exchange.reset();
    }
  }
  COFFER_CHECK(budget.held() == 0);
  return story;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  Config config;
  config.limits.header_bytes = 1024;
  config.limits.body_bytes = 4096;
  config.limits.tokenless_body_bytes = 1024;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = run(stream, stream.size() + 1, config);
  const std::string pieces = run(stream, std::size_t{data[0]} + 1, config);
  COFFER_CHECK(whole == pieces);
  return 0;
}
