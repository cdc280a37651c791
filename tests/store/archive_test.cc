// What operators keep: written, read back, and refused when it is anything else. S1-33, S1-37, S1-41, SNP-08, SNP-09.
#include <boost/test/unit_test.hpp>

#include <zlib.h>

#include <cstdlib>
#include <fstream>

#include "base/disk.h"
#include "base/encoding.h"
#include "store/archive.h"

namespace coffer::store {
namespace {

constexpr std::string_view kState = "the stream of a state, which nobody here looks into";

ArchiveMeta sample(std::uint64_t state_bytes) {
  ArchiveMeta meta;
  meta.id = "raft-3-41";
  meta.index = Index(41);
  meta.term = Term(3);
  meta.state_bytes = state_bytes;
  meta.created = WallTime(std::chrono::seconds(1'700'000'000));
  meta.server_version = "1.21.0+coffer.0.1.0";
  meta.cluster_name = "vault-cluster-1";
  meta.cluster_id = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
  return meta;
}

std::string seal(std::string_view sums) { return "sealed " + std::to_string(sums.size()) + "\n"; }

std::string archive_of(std::string_view state, const ArchiveMeta& meta, std::size_t piece = 7) {
  std::string out;
  ArchiveWriter writer(meta, seal);
  writer.begin(out);
  for (std::size_t at = 0; at < state.size(); at += piece)
    writer.state(state.substr(at, piece), out);
  writer.finish(out);
  return out;
}

std::string archive_of(std::string_view state) { return archive_of(state, sample(state.size())); }

struct Read {
  Status status;
  std::string state;
  ArchiveMeta meta;
  std::string sums;
  std::string sealed;
};

Read read(std::string_view bytes, std::size_t piece = SIZE_MAX) {
  Read out;
  ArchiveReader reader([](const ArchiveMeta&) { return ok_status(); },
                       [&](std::string_view some) {
                         out.state += some;
                         return ok_status();
                       });
  while (!bytes.empty() && out.status.ok()) {
    out.status = reader.take(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (out.status.ok())
    out.status = reader.finish();
  if (out.status.ok()) {
    out.meta = reader.meta();
    out.sums = reader.sums();
    out.sealed = reader.sealed_sums();
  }
  return out;
}

std::string unpacked(std::string_view archive) {
  std::string out(1u << 20, '\0');
  z_stream stream{};
  BOOST_TEST_REQUIRE(::inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(archive.data()));
  stream.avail_in = static_cast<unsigned>(archive.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  BOOST_TEST_REQUIRE(::inflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::inflateEnd(&stream);
  return out;
}

std::string packed(std::string_view tar) {
  std::string out(tar.size() + 4096, '\0');
  z_stream stream{};
  BOOST_TEST_REQUIRE(::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(tar.data()));
  stream.avail_in = static_cast<unsigned>(tar.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  BOOST_TEST_REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

void require_refused(std::string_view bytes, std::string_view why) {
  const Read got = read(bytes);
  BOOST_TEST((got.status.code() == Code::kInvalid));
  BOOST_TEST(got.status.message().find(why) != std::string::npos, got.status.message());
}

BOOST_AUTO_TEST_SUITE(archive)

BOOST_AUTO_TEST_CASE(S1_41_what_is_written_is_read) {
  for (const std::size_t size : {0u, 1u, 511u, 512u, 200'000u}) {
    std::string state(size, 'x');
    for (std::size_t i = 0; i < size; ++i)
      state[i] = static_cast<char>(i * 7 % 251);
    const std::string bytes = archive_of(state, sample(size), 70'000);
    for (const std::size_t piece : {std::size_t{1000}, SIZE_MAX}) {
      const Read got = read(bytes, piece);
      BOOST_TEST_REQUIRE(got.status.ok(), got.status.message());
      BOOST_TEST((got.state == state));
      BOOST_TEST(got.meta.index.get() == 41u);
      BOOST_TEST(got.meta.cluster_id == sample(0).cluster_id);
      BOOST_TEST(got.sealed == seal(got.sums));
    }
  }
  const Read one_by_one = read(archive_of(kState), 1);
  BOOST_TEST(one_by_one.status.ok(), one_by_one.status.message());
}

BOOST_AUTO_TEST_CASE(packed_anew_it_is_the_same) {
  const Read got = read(packed(unpacked(archive_of(kState)) + std::string(8192, '\0')));
  BOOST_TEST(got.status.ok(), got.status.message());
  BOOST_TEST(got.state == kState);
}

BOOST_AUTO_TEST_CASE(more_than_eight_gigabytes_have_a_size) {
  std::string out;
  ArchiveWriter writer(sample(std::uint64_t{9} << 30), seal);
  writer.begin(out);
  Status told;
  ArchiveReader reader([](const ArchiveMeta&) { return ok_status(); }, [](std::string_view) { return ok_status(); });
  BOOST_TEST(reader.take(out).ok());
  BOOST_TEST(reader.finish().message().find("too early") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(cut_anywhere_it_is_refused) {
  const std::string whole = archive_of(kState);
  for (std::size_t size = 0; size < whole.size(); ++size)
    BOOST_TEST_REQUIRE(!read(whole.substr(0, size)).status.ok(), size);
  require_refused(whole + "x", "something follows");
}

BOOST_AUTO_TEST_CASE(a_byte_that_changed_is_noticed) {
  const std::string whole = archive_of(kState);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    // Some bits mean nothing: of gzip's head, and of the heads of its blocks.
    const Read got = read(bytes);
    BOOST_TEST_REQUIRE((!got.status.ok() || got.state == kState), at);
  }
}

BOOST_AUTO_TEST_CASE(doctored_ones_are_refused) {
  const std::string tar = unpacked(archive_of(kState));
  const auto with = [&](std::string_view what, std::string_view by) {
    std::string changed = tar;
    const std::size_t at = changed.find(what);
    BOOST_TEST_REQUIRE(at != std::string::npos);
    changed.replace(at, what.size(), by);
    return packed(changed);
  };
  require_refused(with("which nobody", "which nobodx"), "SHA256SUMS are not those");
  require_refused(with("state.bin", "../../bin"), "the head of state.bin");
  require_refused(with("\"Size\": 51", "\"Size\": 52"), "another size of state.bin");
  require_refused(with("\"Index\"", "\"Ixdex\""), "lacks Index");
  require_refused(packed(tar.substr(0, tar.size() - 1024) + std::string(512, 'x')), "something follows its last file");
  require_refused(packed(std::string(4096, '\0')), "the head of meta.json");
  require_refused("this is no gzip at all", "gzip cannot read it");
  require_refused("", "too early");
}

BOOST_AUTO_TEST_CASE(S1_37_a_version_that_is_not_known_is_named) {
  const std::string tar = unpacked(archive_of(kState));
  std::string changed = tar;
  changed.replace(changed.find("\"Version\": 1"), 12, "\"Version\": 7");
  const Read got = read(packed(changed));
  BOOST_TEST(got.status.message() ==
             "the snapshot has version 7 of the format, and this server reads version 1: restore it with a server of "
             "its own version");
}

BOOST_AUTO_TEST_CASE(S1_37_servers_that_fit) {
  for (const char* good : {"1.21.0", "1.21.9+coffer.0.2.0", "1.22.0", "1.20.3", "1.2.0"})
    BOOST_TEST(check_server_version(good, "1.21.0+coffer.0.1.0").ok(), good);
  for (const char* bad : {"1.23.0", "2.0.0", "0.9.1", "", "one", "1", "1.x"})
    BOOST_TEST((check_server_version(bad, "1.21.0+coffer.0.1.0").code() == Code::kInvalid), bad);
}

BOOST_AUTO_TEST_CASE(golden) {
  const std::string path = "tests/golden/store/archive.hex";
  std::string found;
  const std::string hex = hex_encode(archive_of(kState));
  for (std::size_t at = 0; at < hex.size(); at += 96)
    found += hex.substr(at, 96) + "\n";
  if (std::getenv("COFFER_WRITE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::trunc) << found;
  const auto expected = read_file(posix_disk(), path, 1u << 20);
  BOOST_TEST_REQUIRE(expected.ok(), expected.status().message());
  BOOST_TEST((found == *expected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
