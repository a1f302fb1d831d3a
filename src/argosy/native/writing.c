/* Makes a restore's small files: each made, written, given its times and closed without a return to Python.
 *
 * It takes only files that nothing stands in the way of and that need no more than that. Of whatever goes wrong it leaves
 * nothing behind and says only that the file is not done: Python does it then, from the beginning, and has the words for
 * what fails. restorer/file_jobs.py is the definition. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "native.h"

#define FILE_FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define NS_PER_SECOND 1000000000

/* As writing.py packs it. */
struct new_file {
    int32_t dir_fd;
    uint32_t mode;
    int64_t atime_ns, mtime_ns;
    const unsigned char *content;
    uint64_t length;
};

static struct timespec time_of(int64_t ns) {
    int64_t seconds = ns / NS_PER_SECOND, rest = ns % NS_PER_SECOND;
    if (rest < 0)
        seconds--, rest += NS_PER_SECOND;
    return (struct timespec){seconds, rest};
}

static int fill(int fd, const struct new_file *file) {
    const struct timespec times[2] = {time_of(file->atime_ns), time_of(file->mtime_ns)};
    ssize_t written = write(fd, file->content, file->length);
    return written >= 0 && (uint64_t)written == file->length && !futimens(fd, times);
}

static int make_file(const struct new_file *file, const char *name) {
    int fd = openat(file->dir_fd, name, FILE_FLAGS, (mode_t)file->mode);
    if (fd < 0)
        return 0;
    int done = fill(fd, file);
    if (close(fd)) /* network file systems tell of a full disk only now */
        done = 0;
    if (!done)
        unlinkat(file->dir_fd, name, 0);
    return done;
}

/* `names`: one for each file, each ends with NUL. `done` gets a 1 for each file that stands there whole. */
ARGOSY_EXPORT void argosy_make_files(const struct new_file *files, size_t count, const char *names,
                                     unsigned char *done) {
    for (size_t i = 0; i < count; i++) {
        done[i] = (unsigned char)make_file(&files[i], names);
        names += strlen(names) + 1;
    }
}
