// HCL 1 and its JSON form, read into one tree. Who reads the tree (a policy, the server's configuration) sees no
// difference between the two spellings. Errors name line, column and what was expected, never a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/status.h"

namespace coffer::hcl {

struct Position {
  std::uint32_t line = 0;  // from 1
  std::uint32_t column = 0;  // from 1, in bytes
};

enum class Kind : std::uint8_t { kString, kNumber, kBool, kList, kObject };

struct Item;

// One value. Plain data, owned by its parent.
struct Node {
  Kind kind = Kind::kString;
  Position at;
  std::string text;         // string: decoded; number: as written; bool: "true" or "false"
  std::vector<Node> list;   // kList
  std::vector<Item> items;  // kObject: in the order of the text, keys may repeat (two blocks `listener`)

  // The only item of this key, or null. Of several, the last.
  const Node* find(std::string_view key) const noexcept;
};

// `key = value`, or a block `key "label" … { … }`. JSON's {"key": {"label": {…}}} becomes a block without labels, whose
// reader takes the inner keys for labels where it expects some; see blocks().
struct Item {
  std::string key;
  Position at;
  std::vector<std::string> labels;
  bool is_block = false;
  Node value;
};

// A block with as many labels as asked for, whatever form it was written in.
struct Block {
  std::vector<std::string> labels;
  const Node* body = nullptr;  // an object
  Position at;
};

// All blocks `key` of `object`, with `labels` labels each: HCL blocks, JSON objects nested by label, lists of either.
// kInvalid, naming the place, when one has fewer or more labels or is no object.
Result<std::vector<Block>> blocks(const Node& object, std::string_view key, std::size_t labels);

struct Limits {
  std::size_t bytes = limits::kHclBytesMax;
  std::size_t depth = limits::kHclDepthMax;
  std::size_t nodes = limits::kHclNodesMax;
};

// The whole text as one object. Text whose first character is '{' is read as JSON, everything else as HCL. Linear in
// the size of the text.
Result<Node> parse(std::string_view text, const Limits& limits = {});

// "line 3, column 7: " and the message, as kInvalid.
Status error_at(Position at, std::string_view message);

// Overwrites every text of the tree, for trees that hold keys.
void wipe_tree(Node& node) noexcept;

// Whole numbers also in octal (0644) and hexadecimal; a string that holds one is taken too, as Vault does.
Result<std::int64_t> as_int(const Node& node);
// true, false, 1, 0, and strings of these (T, f, TRUE …).
Result<bool> as_bool(const Node& node);

}  // namespace coffer::hcl
