/* Preloaded into a program, answers each of its calls for what lies below $SLOW_SOURCE only after $SLOW_SOURCE_NS:
   open, stat, read, listing of names and of extended attributes. So a network file system answers whose server is far.
   A descriptor is the source's if it was opened by a path below it or by a descriptor of the source's. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS 65536
static volatile char ours[DESCRIPTORS];

static int is_below(int directory, const char *path) {
  static const char *root;
  if (!root && !(root = getenv("SLOW_SOURCE"))) root = "\n";
  if (path && path[0] == '/') return strncmp(path, root, strlen(root)) == 0;
  return directory >= 0 && directory < DESCRIPTORS && ours[directory];
}

static void wait_if(int slow) {
  if (!slow) return;
  const char *text = getenv("SLOW_SOURCE_NS");
  struct timespec pause = {0, text ? atol(text) : 0};
  nanosleep(&pause, NULL);
}

#define REAL(type, name) static type (*real)(); if (!real) real = (type (*)())dlsym(RTLD_NEXT, name)

static int opened(int descriptor, int slow) {
  if (descriptor >= 0 && descriptor < DESCRIPTORS) ours[descriptor] = (char)slow;
  return descriptor;
}

static int open_at(int directory, const char *path, int flags, mode_t mode) {
  REAL(int, "openat64");
  int slow = is_below(directory, path);
  wait_if(slow);
  return opened(real(directory, path, flags, mode), slow);
}

#define OPEN_AT(name) int name(int directory, const char *path, int flags, ...) { \
  va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
  return open_at(directory, path, flags, mode); }
#define OPEN(name) int name(const char *path, int flags, ...) { \
  va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
  return open_at(AT_FDCWD, path, flags, mode); }
OPEN_AT(openat) OPEN_AT(openat64) OPEN(open) OPEN(open64)

#define STAT_AT(name, buffer) int name(int directory, const char *path, buffer *found, int flags) { \
  REAL(int, #name); wait_if(is_below(directory, path)); return real(directory, path, found, flags); }
STAT_AT(fstatat, struct stat) STAT_AT(fstatat64, struct stat64)
#define STAT(name, buffer) int name(const char *path, buffer *found) { \
  REAL(int, #name); wait_if(is_below(AT_FDCWD, path)); return real(path, found); }
STAT(stat, struct stat) STAT(stat64, struct stat64) STAT(lstat, struct stat) STAT(lstat64, struct stat64)
#define FSTAT(name, buffer) int name(int descriptor, buffer *found) { \
  REAL(int, #name); wait_if(is_below(descriptor, NULL)); return real(descriptor, found); }
FSTAT(fstat, struct stat) FSTAT(fstat64, struct stat64)

ssize_t read(int descriptor, void *buffer, size_t size) {
  REAL(ssize_t, "read"); wait_if(is_below(descriptor, NULL)); return real(descriptor, buffer, size);
}
#define PREAD(name, offset_type) ssize_t name(int descriptor, void *buffer, size_t size, offset_type offset) { \
  REAL(ssize_t, #name); wait_if(is_below(descriptor, NULL)); return real(descriptor, buffer, size, offset); }
PREAD(pread, off_t) PREAD(pread64, off64_t)
ssize_t flistxattr(int descriptor, char *names, size_t size) {
  REAL(ssize_t, "flistxattr"); wait_if(is_below(descriptor, NULL)); return real(descriptor, names, size);
}
ssize_t llistxattr(const char *path, char *names, size_t size) {
  REAL(ssize_t, "llistxattr"); wait_if(is_below(AT_FDCWD, path)); return real(path, names, size);
}
DIR *opendir(const char *path) {
  REAL(DIR *, "opendir"); wait_if(is_below(AT_FDCWD, path)); return real(path);
}
int close(int descriptor) {
  REAL(int, "close");
  if (descriptor >= 0 && descriptor < DESCRIPTORS) ours[descriptor] = 0;
  return real(descriptor);
}
