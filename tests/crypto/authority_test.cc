#include "crypto/authority.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "tests/crypto/fake_random.h"

using namespace coffer;
using namespace coffer::crypto;
using coffer::testing::FailingRandom;
using coffer::testing::SeededRandom;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};
constexpr std::uint64_t kNode = 0x0123456789abcdef;

struct FreeCert {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeStore {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};
struct FreeCheck {
  void operator()(X509_STORE_CTX* check) const { X509_STORE_CTX_free(check); }
};

std::unique_ptr<X509, FreeCert> parse(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  std::unique_ptr<X509, FreeCert> out(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  return out;
}

// Whether who trusts `authority` alone takes `cert` at `time` for a peer of that purpose.
bool trusts(const std::string& authority, const std::string& cert, WallTime time, int purpose) {
  const auto root = parse(authority), leaf = parse(cert);
  const std::unique_ptr<X509_STORE, FreeStore> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, FreeCheck> check(X509_STORE_CTX_new());
  BOOST_REQUIRE((root && leaf && X509_STORE_add_cert(store.get(), root.get()) == 1));
  BOOST_REQUIRE(X509_STORE_CTX_init(check.get(), store.get(), leaf.get(), nullptr) == 1);
  X509_STORE_CTX_set_time(check.get(), 0,
                          std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  X509_STORE_CTX_set_purpose(check.get(), purpose);
  return X509_verify_cert(check.get()) == 1;
}

Authority authority(std::uint64_t seed = 1) {
  SeededRandom random(seed);
  auto made = make_authority(kNow, 100, random);
  BOOST_REQUIRE(made.ok());
  return std::move(made).value();
}

NodeCertificate certificate(const Authority& from) {
  SeededRandom random(5);
  auto made = issue_node_certificate(from, kNode, kNow, 10, random);
  BOOST_REQUIRE(made.ok());
  return std::move(made).value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(authority_test)

BOOST_AUTO_TEST_CASE(a_nodes_certificate_serves_both_ends_while_it_is_valid) {
  const Authority made = authority();
  const NodeCertificate node = certificate(made);
  BOOST_TEST(node.authority_pem == made.cert_pem);
  BOOST_TEST(check_node_certificate(node, kNode).ok());
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    BOOST_TEST(trusts(made.cert_pem, node.cert_pem, kNow, purpose));
    BOOST_TEST(trusts(made.cert_pem, node.cert_pem, kNow - std::chrono::hours(23), purpose));
    BOOST_TEST(!trusts(made.cert_pem, node.cert_pem, kNow - std::chrono::hours(25), purpose));
    BOOST_TEST(trusts(made.cert_pem, node.cert_pem, kNow + std::chrono::hours(24 * 9), purpose));
    BOOST_TEST(!trusts(made.cert_pem, node.cert_pem, kNow + std::chrono::hours(24 * 11), purpose));
  }
}

BOOST_AUTO_TEST_CASE(another_authority_is_not_trusted_and_no_node_is_one) {
  const Authority made = authority(1), other = authority(2);
  const NodeCertificate node = certificate(made);
  BOOST_TEST(!trusts(other.cert_pem, node.cert_pem, kNow, X509_PURPOSE_SSL_SERVER));
  const auto leaf = parse(node.cert_pem), root = parse(made.cert_pem), second = parse(other.cert_pem);
  BOOST_TEST(X509_check_ca(leaf.get()) == 0);
  BOOST_TEST(X509_check_ca(root.get()) == 1);
  BOOST_TEST(X509_NAME_cmp(X509_get_subject_name(root.get()), X509_get_subject_name(second.get())) != 0);
}

BOOST_AUTO_TEST_CASE(a_certificate_is_refused_for_another_node_or_with_another_key) {
  const Authority made = authority();
  NodeCertificate node = certificate(made);
  const Status wrong_node = check_node_certificate(node, kNode + 1);
  BOOST_TEST((wrong_node.code() == Code::kInvalid));
  BOOST_TEST(wrong_node.message() == "cluster certificate: it is not for node-0123456789abcdf0.coffer.internal");
  node.key_pem = made.key_pem.clone();
  BOOST_TEST(check_node_certificate(node, kNode).message() ==
             "cluster certificate: the key is not the certificate's");
  node.key_pem = SecretBytes::copy_of(std::string_view("no key"));
  BOOST_TEST(!check_node_certificate(node, kNode).ok());
}

BOOST_AUTO_TEST_CASE(who_derives_it_from_the_same_seed_trusts_the_same_nodes) {
  const SecretBytes seed = SecretBytes::copy_of(std::string(32, 's'));
  const SecretBytes other = SecretBytes::copy_of(std::string(32, 't'));
  const auto here = derive_authority(seed, kNow, 100), there = derive_authority(seed, kNow + std::chrono::hours(1), 90);
  const auto elsewhere = derive_authority(other, kNow, 100);
  BOOST_REQUIRE((here.ok() && there.ok() && elsewhere.ok()));
  const NodeCertificate node = certificate(*here);
  BOOST_TEST(trusts(there->cert_pem, node.cert_pem, kNow, X509_PURPOSE_SSL_SERVER));
  BOOST_TEST(trusts(there->cert_pem, node.cert_pem, kNow, X509_PURPOSE_SSL_CLIENT));
  BOOST_TEST(!trusts(elsewhere->cert_pem, node.cert_pem, kNow, X509_PURPOSE_SSL_CLIENT));
}

BOOST_AUTO_TEST_CASE(an_authority_whose_key_is_anothers_signs_nothing) {
  Authority mixed = authority(1);
  mixed.key_pem = authority(2).key_pem.clone();
  SeededRandom random(3);
  BOOST_TEST((issue_node_certificate(mixed, kNode, kNow, 10, random).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_CASE(a_source_that_fails_makes_no_certificate) {
  const Authority made = authority();
  for (int failing = 0; failing < 2; ++failing) {
    FailingRandom random(failing, FailingRandom::How::kError);
    BOOST_TEST(!make_authority(kNow, 1, random).ok());
  }
  FailingRandom random(0, FailingRandom::How::kError);
  BOOST_TEST(!issue_node_certificate(made, kNode, kNow, 1, random).ok());
}

BOOST_AUTO_TEST_CASE(names_of_nodes_are_read_back_and_nothing_else_is) {
  for (const std::uint64_t node : {std::uint64_t{1}, kNode, ~std::uint64_t{0}})
    BOOST_TEST((node_of_dns_name(node_dns_name(node)) == node));
  for (const char* name :
       {"", "localhost", "node-0123456789abcdef", "node-0123456789ABCDEF.coffer.internal",
        "node-0000000000000000.coffer.internal", "node-0123456789abcde.coffer.internal",
        "node-00123456789abcdef.coffer.internal", "nodex0123456789abcdef.coffer.internal"})
    BOOST_TEST(!node_of_dns_name(name).has_value(), name);
}

BOOST_AUTO_TEST_SUITE_END()
