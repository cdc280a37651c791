// AWS Signature Version 4: what a request to S3 must carry so that it is known whose it is. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace coffer::core::aws {

struct Keys {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none
};

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

struct SignedRequest {
  std::string method;
  std::string host;     // as it goes into the header Host
  std::string path;     // encoded once, begins with '/'
  NamedTexts query;     // not encoded
  NamedTexts headers;   // further ones that are signed; names in lower case
  std::string_view payload;
};

// Everything but letters, digits and "-._~" (and '/', when it stays) as %XX.
std::string encode_uri(std::string_view text, bool slash_stays);
// "a=b&c=d", in the order in which it is signed.
std::string query_text(NamedTexts query);

// The headers to send beside Host: those of the request, x-amz-content-sha256, x-amz-date, a session's token,
// Authorization.
NamedTexts sign(const SignedRequest& request, const Keys& keys, std::string_view region, std::string_view service,
                WallTime now);

}  // namespace coffer::core::aws
