// Columns of text, four spaces apart, as wide as their widest cell.
#pragma once

#include <string>
#include <vector>

namespace coffer::cli {

using Row = std::vector<std::string>;

// Cells are trimmed; an empty one prints as "n/a". The last cell of a row is not padded. No newline at the end.
std::string columns(const std::vector<Row>& rows);

// The same with a header row and a line of dashes below it.
std::string table(const Row& header, const std::vector<Row>& rows);

}  // namespace coffer::cli
