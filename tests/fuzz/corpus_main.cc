// Runs a fuzz target over its corpus without libFuzzer, as part of every test run: each file as it is, every beginning
// of it, and each with single bytes changed in a fixed way.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kVariantsPerFileMax = 400;

void run(const std::string& input) {
  // A copy of exactly this size, so that the sanitizers see a read past its end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  (void)LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::size_t run_variants(const std::string& input) {
  const std::size_t step = input.size() / (kVariantsPerFileMax / 2) + 1;
  static constexpr char kBytes[] = "\0\"{}[]\\/*+%\xff\n0";
  std::size_t runs = 0;
  for (std::size_t at = 0; at < input.size(); at += step, runs += 2) {
    run(input.substr(0, at));
    std::string changed = input;
    changed[at] = kBytes[at % (sizeof kBytes - 1)];
    run(changed);
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0, runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      run(input);
      runs += 1 + run_variants(input);
      ++files;
    }
  }
  std::printf("%zu files, %zu runs\n", files, runs);
  return files > 0 ? 0 : 1;
}
