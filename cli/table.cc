#include "cli/table.h"

#include <algorithm>

#include "cli/text.h"

namespace coffer::cli {

std::string columns(const std::vector<Row>& rows) {
  constexpr std::size_t kGapColumns = 4;
  std::vector<Row> cells;
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    Row& to = cells.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string_view text = trim(row[i]);
      to.emplace_back(text.empty() ? "n/a" : text);
      if (widths.size() <= i)
        widths.push_back(0);
      widths[i] = std::max(widths[i], rune_count(to.back()));
    }
  }
  std::string out;
  for (std::size_t r = 0; r < cells.size(); ++r) {
    if (r > 0)
      out += '\n';
    for (std::size_t i = 0; i < cells[r].size(); ++i) {
      out += cells[r][i];
      if (i + 1 < cells[r].size())
        out.append(widths[i] - rune_count(cells[r][i]) + kGapColumns, ' ');
    }
  }
  return out;
}

std::string table(const Row& header, const std::vector<Row>& rows) {
  std::vector<Row> all = {header, {}};
  for (const std::string& title : header)
    all[1].emplace_back(title.size(), '-');
  all.insert(all.end(), rows.begin(), rows.end());
  return columns(all);
}

}  // namespace coffer::cli
