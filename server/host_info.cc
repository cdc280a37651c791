// sys/host-info, in the shape that clients of such servers read.
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/json.h"
#include "base/time_text.h"
#include "server/instruments.h"

namespace coffer::server {
namespace {

constexpr std::size_t kRowsMax = 1024;

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return std::string(text);
}

std::map<std::string, std::string> key_values(std::istream& in, std::string_view until_blank) {
  std::map<std::string, std::string> out;
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty() && !until_blank.empty())
      break;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos)
      out[trimmed(std::string_view(line).substr(0, colon))] = trimmed(std::string_view(line).substr(colon + 1));
  }
  return out;
}

json::Value cpus(json::Arena& arena) {
  json::ArrayBuilder out(arena);
  std::ifstream in("/proc/cpuinfo");
  while (in && out.size() < kRowsMax) {
    auto cpu = key_values(in, "blank");
    if (cpu.empty())
      continue;
    json::ArrayBuilder flags(arena, 256);
    std::istringstream words(cpu["flags"]);
    for (std::string word; words >> word;)
      flags.add(word);
    out.add(json::ObjectBuilder(arena, 12)
                .add("cpu", std::atoll(cpu["processor"].c_str()))
                .add("vendorId", cpu["vendor_id"])
                .add("family", cpu["cpu family"])
                .add("model", cpu["model"])
                .add("stepping", std::atoll(cpu["stepping"].c_str()))
                .add("physicalId", cpu["physical id"])
                .add("coreId", cpu["core id"])
                .add("cores", std::atoll(cpu["cpu cores"].c_str()))
                .add("modelName", cpu["model name"])
                .add("mhz", std::atoll(cpu["cpu MHz"].c_str()))
                .add("cacheSize", std::atoll(cpu["cache size"].c_str()))
                .add("flags", flags.build())
                .add("microcode", cpu["microcode"])
                .build());
  }
  return out.build();
}

// Times of all processors and of each, in seconds.
json::Value cpu_times(json::Arena& arena) {
  constexpr std::string_view kNames[] = {"user",    "nice",  "system", "idle",  "iowait",
                                         "irq",     "softirq", "steal", "guest", "guestNice"};
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  json::ArrayBuilder out(arena);
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line) && line.starts_with("cpu") && out.size() < kRowsMax;) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "cpu")
      continue;
    json::ObjectBuilder row(arena, 12);
    row.add("cpu", name);
    for (const std::string_view what : kNames) {
      double value = 0;
      words >> value;
      std::ostringstream text;
      text << value / ticks;
      row.add(what, json::Value::number_from_text(arena.copy(text.str())));
    }
    out.add(row.build());
  }
  return out.build();
}

json::Value disks(json::Arena& arena) {
  json::ArrayBuilder out(arena);
  std::set<std::string> seen;
  std::ifstream in("/proc/self/mounts");
  for (std::string device, path, kind, rest; in >> device >> path >> kind && std::getline(in, rest);) {
    struct statvfs about {};
    if (!device.starts_with("/dev/") || !seen.insert(device).second || ::statvfs(path.c_str(), &about) != 0 ||
        out.size() >= kRowsMax)
      continue;
    const std::uint64_t total = about.f_blocks * about.f_frsize;
    const std::uint64_t free = about.f_bavail * about.f_frsize;
    const std::uint64_t used = (about.f_blocks - about.f_bfree) * about.f_frsize;
    out.add(json::ObjectBuilder(arena, 9)
                .add("path", path)
                .add("fstype", kind)
                .add("total", total)
                .add("free", free)
                .add("used", used)
                .add("usedPercent", used + free == 0 ? 0 : used * 100 / (used + free))
                .add("inodesTotal", static_cast<std::uint64_t>(about.f_files))
                .add("inodesUsed", static_cast<std::uint64_t>(about.f_files - about.f_ffree))
                .add("inodesFree", static_cast<std::uint64_t>(about.f_ffree))
                .build());
  }
  return out.build();
}

json::Value host(json::Arena& arena, WallTime now) {
  utsname names{};
  ::uname(&names);
  struct sysinfo info {};
  ::sysinfo(&info);
  std::string distribution;
  std::string version;
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    const auto value = [&line](std::string_view name) {
      std::string text = line.substr(name.size());
      std::erase(text, '"');
      return text;
    };
    if (line.starts_with("ID="))
      distribution = value("ID=");
    if (line.starts_with("VERSION_ID="))
      version = value("VERSION_ID=");
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return json::ObjectBuilder(arena, 10)
      .add("hostname", names.nodename)
      .add("uptime", static_cast<std::int64_t>(info.uptime))
      .add("bootTime", seconds - info.uptime)
      .add("procs", static_cast<std::int64_t>(info.procs))
      .add("os", "linux")
      .add("platform", distribution)
      .add("platformVersion", version)
      .add("kernelVersion", names.release)
      .add("kernelArch", names.machine)
      .build();
}

json::Value memory(json::Arena& arena) {
  std::ifstream in("/proc/meminfo");
  auto all = key_values(in, "");
  const auto bytes = [&all](const char* name) {
    return static_cast<std::uint64_t>(std::atoll(all[name].c_str())) << 10;
  };
  const std::uint64_t total = bytes("MemTotal");
  const std::uint64_t available = bytes("MemAvailable");
  return json::ObjectBuilder(arena, 10)
      .add("total", total)
      .add("available", available)
      .add("used", total - std::min(total, available))
      .add("usedPercent", total == 0 ? 0 : (total - std::min(total, available)) * 100 / total)
      .add("free", bytes("MemFree"))
      .add("buffers", bytes("Buffers"))
      .add("cached", bytes("Cached"))
      .add("swapTotal", bytes("SwapTotal"))
      .add("swapFree", bytes("SwapFree"))
      .build();
}

}  // namespace

std::string host_info_json(const Clock& clock) {
  json::Arena arena;
  const WallTime now = clock.wall_now();
  const json::Value all = json::ObjectBuilder(arena, 6)
                              .add("cpu", cpus(arena))
                              .add("cpu_times", cpu_times(arena))
                              .add("disk", disks(arena))
                              .add("host", host(arena, now))
                              .add("memory", memory(arena))
                              .add("timestamp", format_time(now))
                              .build();
  std::string out;
  json::write(all, out);
  return out;
}

}  // namespace coffer::server
