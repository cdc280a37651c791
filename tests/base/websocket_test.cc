#include "base/websocket.h"

#include <boost/test/unit_test.hpp>

namespace coffer::websocket {
namespace {

BOOST_AUTO_TEST_SUITE(websocket)

BOOST_AUTO_TEST_CASE(the_handshake_of_the_standard) {
  BOOST_TEST(accept_of("dGhlIHNhbXBsZSBub25jZQ==").value() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  BOOST_TEST(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
  for (const std::string_view bad :
       {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ!=="})
    BOOST_TEST(!is_key(bad));
}

BOOST_AUTO_TEST_CASE(frames_of_every_length_come_back) {
  const Mask mask{1, 2, 3, 250};
  for (const bool masked : {false, true}) {
    for (const std::size_t size : {0, 1, 125, 126, 127, 65535, 65536, 70000}) {
      const std::string payload(size, 'x');
      std::string bytes;
      append_frame(Opcode::kText, payload, masked ? &mask : nullptr, bytes);
      append_frame(Opcode::kPing, "p", masked ? &mask : nullptr, bytes);
      FrameReader reader(masked, 70000);
      // Byte by byte, where that is not too many.
      std::size_t frames = 0;
      const std::size_t step = size > 1000 ? 4099 : 1;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        reader.put(std::string_view(bytes).substr(at, step));
        for (auto frame = reader.next().value(); frame; frame = reader.next().value())
          BOOST_TEST((frames++ == 0 ? frame->payload == payload : frame->payload == "p"));
      }
      BOOST_TEST(frames == 2u);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_breaks_the_protocol_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view bad : {"\x81\x81"sv, "\xc1\x00"sv, "\x83\x00"sv, "\x09\x00"sv, "\x89\x7e\x00\x80"sv}) {
    FrameReader reader(false, 100);
    reader.put(bad);
    BOOST_TEST((reader.next().code() == Code::kInvalid));
  }
  FrameReader client(true, 100);
  client.put("\x81\x01x");
  BOOST_TEST((client.next().code() == Code::kInvalid));
  for (const std::string_view large :
       {"\x81\x7e\xff\xff"sv, "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"sv, "\x81\x65"sv}) {
    FrameReader reader(false, 100);
    reader.put(large);
    BOOST_TEST((reader.next().code() == Code::kTooLarge));
  }
}

BOOST_AUTO_TEST_CASE(a_close_has_a_code_and_a_reason) {
  std::string bytes;
  append_close(kPolicyViolation, std::string(200, 'r'), nullptr, bytes);
  FrameReader reader(false, 1000);
  reader.put(bytes);
  const Frame frame = *reader.next().value();
  BOOST_TEST(frame.close_code() == kPolicyViolation);
  BOOST_TEST(frame.close_reason() == std::string(123, 'r'));
  BOOST_TEST(Frame{}.close_code() == 1005);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::websocket
