// Preloaded into a server: a disk that is slow, fails or is full, and a wall clock that jumps, as a driver sets it in a
// file of 32 bytes (COFFER_FAULTS) that both map. All zero: nothing is changed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct faults {
  volatile int64_t wall_offset_ns;
  volatile int64_t sync_delay_us;
  volatile int64_t syncs_fail;  // EIO
  volatile int64_t disk_full;   // ENOSPC
};

static struct faults none;
static struct faults* faults = &none;

static int (*next_fdatasync)(int);
static int (*next_fsync)(int);
static ssize_t (*next_pwrite)(int, const void*, size_t, off_t);
static int (*next_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void start(void) {
  *(void**)&next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  *(void**)&next_fsync = dlsym(RTLD_NEXT, "fsync");
  *(void**)&next_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  *(void**)&next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const char* path = getenv("COFFER_FAULTS");
  if (path == NULL)
    return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    abort();
  void* mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED)
    abort();
  faults = mapped;
  close(fd);
}

static int spoilt(void) {
  const int64_t delay = faults->sync_delay_us;
  if (delay > 0) {
    const struct timespec pause = {delay / 1000000, (delay % 1000000) * 1000};
    nanosleep(&pause, NULL);
  }
  return faults->syncs_fail != 0;
}

int fdatasync(int fd) {
  if (!spoilt())
    return next_fdatasync(fd);
  errno = EIO;
  return -1;
}

int fsync(int fd) {
  if (!spoilt())
    return next_fsync(fd);
  errno = EIO;
  return -1;
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  if (faults->disk_full == 0)
    return next_pwrite(fd, bytes, size, offset);
  errno = ENOSPC;
  return -1;
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) { return pwrite64(fd, bytes, size, offset); }

int clock_gettime(clockid_t id, struct timespec* now) {
  if (next_clock_gettime == NULL)  // another library's constructor was first
    *(void**)&next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const int result = next_clock_gettime(id, now);
  if (result == 0 && id == CLOCK_REALTIME && faults->wall_offset_ns != 0) {
    const int64_t at = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + faults->wall_offset_ns;
    now->tv_sec = at / 1000000000;
    now->tv_nsec = at % 1000000000;
  }
  return result;
}
