#include "core/audit_gzip.h"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error_text.h"

namespace coffer::core {
namespace {

constexpr std::size_t kPieceBytes = 64u << 10;
constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for gzip's head and tail
constexpr int kNice = 10;

Status system_error(std::string_view what) {
  return Status(Code::kIo, std::string(what).append(": ").append(error_text(errno)));
}

struct EndDeflate {
  void operator()(z_stream* stream) const {
    ::deflateEnd(stream);
    delete stream;
  }
};

Status write_all(int fd, const unsigned char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, bytes, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return system_error("writing the compressed file");
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return ok_status();
}

// A piece at a time, whatever the file's size.
Status compress(int from, int to, const std::atomic<bool>& stop) {
  std::unique_ptr<z_stream, EndDeflate> stream(new z_stream{});
  if (::deflateInit2(stream.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return Status(Code::kIo, "no memory to compress with");
  const auto in = std::make_unique<unsigned char[]>(kPieceBytes);
  const auto out = std::make_unique<unsigned char[]>(kPieceBytes);
  for (bool ended = false; !ended;) {
    const ssize_t size = stop ? -1 : ::read(from, in.get(), kPieceBytes);
    if (stop)
      return Status(Code::kUnavailable, "the server is stopping");
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return system_error("reading the file");
    ended = size == 0;
    stream->next_in = in.get();
    stream->avail_in = static_cast<uInt>(size);
    do {
      stream->next_out = out.get();
      stream->avail_out = kPieceBytes;
      if (::deflate(stream.get(), ended ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
        return Status(Code::kIo, "the file cannot be compressed");
      COFFER_TRY(write_all(to, out.get(), kPieceBytes - stream->avail_out));
    } while (stream->avail_out == 0);
  }
  return ok_status();
}

Status write_part(int folder, const std::string& name, const std::string& part, const std::atomic<bool>& stop) {
  const Descriptor from(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat about {};
  if (!from.valid() || ::fstat(from.get(), &about) != 0 || !S_ISREG(about.st_mode))
    return system_error("opening the file");
  ::unlinkat(folder, part.c_str(), 0);
  const Descriptor to(::openat(folder, part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.valid())
    return system_error("making the compressed file");
  COFFER_TRY(compress(from.get(), to.get(), stop));
  if (::fchmod(to.get(), about.st_mode & 07777) != 0 || ::fsync(to.get()) != 0)
    return system_error("finishing the compressed file");
  return ok_status();
}

// Names are on disk before the plain file goes.
void sync_folder(int folder) {
  const Descriptor listed(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (listed.valid())
    ::fsync(listed.get());
}

}  // namespace

Status gzip_file(int folder, const std::string& name, const std::atomic<bool>& stop) {
  const std::string whole = name + std::string(kGzipSuffix);
  const std::string part = whole + ".part";
  Status status = write_part(folder, name, part, stop);
  if (status.ok() && ::renameat2(folder, part.c_str(), folder, whole.c_str(), RENAME_NOREPLACE) != 0)
    status = system_error("naming the compressed file");
  if (!status.ok()) {
    ::unlinkat(folder, part.c_str(), 0);
    return status;
  }
  sync_folder(folder);
  return ::unlinkat(folder, name.c_str(), 0) == 0 ? ok_status() : system_error("removing the plain file");
}

bool is_gzip_of(int fd, std::string_view head) {
  unsigned char in[512];
  unsigned char out[64];
  const ssize_t size = ::pread(fd, in, sizeof in, 0);
  z_stream stream{};
  if (size <= 0 || head.size() > sizeof out || ::inflateInit2(&stream, kGzipWindow) != Z_OK)
    return false;
  stream.next_in = in;
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = out;
  stream.avail_out = static_cast<uInt>(head.size());
  ::inflate(&stream, Z_SYNC_FLUSH);
  const bool begins = stream.avail_out == 0 && head == std::string_view(reinterpret_cast<char*>(out), head.size());
  ::inflateEnd(&stream);
  return begins;
}

GzipThread::~GzipThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable())
    thread_.join();
}

void GzipThread::put(Descriptor folder, std::string name) {
  const std::lock_guard lock(mutex_);
  if (items_.size() >= kFilesQueuedMax || stopping_)
    return;
  for (const Item& item : items_)
    if (item.name == name)
      return;
  items_.push_back({std::move(folder), std::move(name)});
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "audit-gzip");
  }
  changed_.notify_all();
}

// What fails is tried again at the next rotation: the plain file is still there.
void GzipThread::run() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !items_.empty(); });
    if (stopping_)
      return;
    const Item item = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    static_cast<void>(gzip_file(item.folder.get(), item.name, stopping_));
    lock.lock();
  }
}

}  // namespace coffer::core
