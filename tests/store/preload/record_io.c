// Preloaded into a process that uses LMDB: writes down every change and every sync of one file (COFFER_RECORD_FILE), in
// order and with the bytes, to COFFER_RECORD_TRACE. A driver then rebuilds the file as a power cut would have left it
// (tests/store/lmdb_powercut_test.cc).
//
// A trace is a row of: kind (1 byte), 7 bytes zero, offset (8), length (8), the bytes. Kinds: 'w' write, 'd' write that
// is synced by itself (O_DSYNC), 's' sync of the file, 't' truncate to offset, 'm' mark of the program, number in
// offset.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int trace_fd = -1;
static const char* watched;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
  const char* trace = getenv("COFFER_RECORD_TRACE");
  watched = getenv("COFFER_RECORD_FILE");
  if (trace != NULL && watched != NULL)
    trace_fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int is_watched(int fd) {
  char link[64];
  char path[4096];
  if (trace_fd < 0)
    return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0)
    return 0;
  path[size] = '\0';
  return strcmp(path, watched) == 0;
}

// Past the wrappers below: the trace must not record itself.
static void put(const void* bytes, size_t size) {
  if (syscall(SYS_write, trace_fd, bytes, size) != (ssize_t)size)
    abort();
}

static void head(char kind, uint64_t offset, uint64_t length) {
  char bytes[24] = {kind};
  memcpy(bytes + 8, &offset, 8);
  memcpy(bytes + 16, &length, 8);
  put(bytes, sizeof bytes);
}

static void note(char kind, uint64_t offset) {
  pthread_mutex_lock(&lock);
  head(kind, offset, 0);
  pthread_mutex_unlock(&lock);
}

void coffer_record_mark(uint64_t number) {
  if (trace_fd >= 0)
    note('m', number);
}

static char write_kind(int fd) { return (fcntl(fd, F_GETFL) & O_DSYNC) != 0 ? 'd' : 'w'; }

static void note_write(int fd, const struct iovec* parts, int count, off_t offset) {
  size_t size = 0;
  for (int i = 0; i < count; ++i)
    size += parts[i].iov_len;
  pthread_mutex_lock(&lock);
  head(write_kind(fd), (uint64_t)offset, size);
  for (int i = 0; i < count; ++i)
    put(parts[i].iov_base, parts[i].iov_len);
  pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  if (is_watched(fd)) {
    const struct iovec part = {(void*)bytes, size};
    note_write(fd, &part, 1, offset);
  }
  return syscall(SYS_pwrite64, fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) { return pwrite(fd, bytes, size, offset); }

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  if (is_watched(fd))
    note_write(fd, parts, count, offset);
  return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off_t offset) {
  return pwritev(fd, parts, count, offset);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  if (is_watched(fd))
    note_write(fd, parts, count, lseek(fd, 0, SEEK_CUR));
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  if (is_watched(fd)) {
    const struct iovec part = {(void*)bytes, size};
    note_write(fd, &part, 1, lseek(fd, 0, SEEK_CUR));
  }
  return syscall(SYS_write, fd, bytes, size);
}

// A sync counts once it has succeeded.
static int noted_sync(int fd, long number) {
  const int result = (int)syscall(number, fd);
  if (result == 0 && is_watched(fd))
    note('s', 0);
  return result;
}
int fdatasync(int fd) { return noted_sync(fd, SYS_fdatasync); }
int fsync(int fd) { return noted_sync(fd, SYS_fsync); }

int ftruncate(int fd, off_t size) {
  if (is_watched(fd))
    note('t', (uint64_t)size);
  return (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

// Changes through a writable map would escape this library: the state never maps its file so.
int msync(void* address, size_t size, int flags) {
  if (trace_fd >= 0)
    abort();
  return (int)syscall(SYS_msync, address, size, flags);
}
