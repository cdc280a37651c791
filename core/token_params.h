// The settings of tokens that every auth method, and every token role, has under the same names: token_ttl,
// token_policies and so on. One reader, one record, one way to show them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/status.h"
#include "core/path_fields.h"

namespace coffer::core {

struct HandlerContext;

enum class WishedType : std::uint8_t { kDefault = 0, kService = 1, kBatch = 2, kDefaultService = 3, kDefaultBatch = 4 };

struct TokenParams {
  Nanos ttl{0};               // 0: the mount's
  Nanos max_ttl{0};           // 0: the mount's
  Nanos explicit_max_ttl{0};  // 0: none
  Nanos period{0};            // 0: not periodic
  std::int64_t num_uses = 0;  // 0: not limited
  bool no_default_policy = false;
  bool strictly_bind_ip = false;  // the token works from the address that logged in only
  WishedType type = WishedType::kDefault;
  std::vector<std::string> policies;     // normalised
  std::vector<std::string> bound_cidrs;  // as given, checked
};

// Fields of a path table.
std::vector<Field> token_param_fields();

// Takes over what the body gives and leaves the rest as it is. kInvalid names the field.
Status read_token_params(HandlerContext& ctx, TokenParams& params);
// A list of policies under the name `field`: lower case, trimmed, sorted, without repetition; "root" is refused
// whatever its spelling (advisories E1 to E3). `out` is left alone when the field is absent.
Status read_policy_list(HandlerContext& ctx, std::string_view field, std::vector<std::string>& out);
// A list of networks under the name `field`. `out` is left alone when the field is absent.
Status read_cidr_list(HandlerContext& ctx, std::string_view field, std::vector<std::string>& out);
// A duration of whole seconds under the name `field`, at most 100 years.
Status read_ttl(HandlerContext& ctx, std::string_view field, Nanos& out);

// What must hold of settings whichever way they were changed.
Status check_token_params(const TokenParams& params);

void show_token_params(json::ObjectBuilder& data, json::Arena& arena, const TokenParams& params);

void encode(const TokenParams& params, ByteWriter& writer);
TokenParams decode_token_params(ByteReader& reader);

std::string_view type_name(WishedType type);

// Whether a token with `policies` (sorted) has those that `params` would give now.
bool same_policies(const TokenParams& params, const std::vector<std::string_view>& policies);

void encode_texts(const std::vector<std::string>& texts, ByteWriter& writer);
std::vector<std::string> decode_texts(ByteReader& reader);
json::Value owned_text_list(json::Arena& arena, const std::vector<std::string>& texts);

}  // namespace coffer::core
