// A core whose seal is Shamir's, with five shares of which three are needed, and calls that run at once.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "core/restored.h"
#include "seal/init.h"
#include "tests/core/core_fixture.h"

namespace coffer::core::testing {

class InlineCalls final : public CallPool {
 public:
  bool submit(std::function<void()> task) override {
    task();
    return true;
  }
};

struct SharesFixture : CoreFixture {
  SharesFixture() {
    const auto shared = SecretBytes::copy_of("0123456789abcdef0123456789abcdef");
    shares = seal::make_shares(shared, {5, 3}, random).value();
    const auto wrapper = seal::make_shamir_wrapper(shared.clone());
    put_seal(seal::make_seal_config(*wrapper, {5, 3}, root_key, SecretBytes(), random)->encode());
    services.calls = &calls;
  }
  void put_seal(const std::string& record) {
    const store::Op op{seal_key(), record};
    committer.apply({&op, 1});
  }
  std::string seal_record() {
    std::string record;
    BOOST_REQUIRE((**backend.view()).get(seal_key(), record).ok());
    return record;
  }
  // The body that gives a share.
  std::string given(std::size_t share, std::string_view nonce) const {
    return R"({"key":")" + hex_encode(shares[share].reveal_text()) + R"(","nonce":")" + std::string(nonce) + R"("})";
  }

  InlineCalls calls;
  std::vector<SecretBytes> shares;
};

}  // namespace coffer::core::testing
