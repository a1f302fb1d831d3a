/* A worker's inner loop for small files: open, look, read and close a run of a directory's files, and encode their nodes,
 * with as few Python objects for each as may be.
 *
 * It reads only what is plainly as it was scanned: a regular file, the inode that is asked for, a small size that the
 * read then confirms, no extended attributes, a name that JSON does not escape. Whatever else it meets, an error among
 * it, it leaves to Python, which looks at that entry from the beginning: archiver/fetching.py is the definition.
 *
 * As there, the fields come from fstat before the first byte. A reading is used by one thread at a time. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "metadata.h"

/* As in filesystem/reading.py: a fifo put in a file's place must not block. */
#define FILE_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

enum { NOT_READ = -1 };

/* Read by Python (reading.py): its fields, in this order. */
typedef struct {
    const char *text;
    uint64_t text_length, uid, gid;
} result;

typedef struct {
    result result; /* first: a reading's address is its result's */
    struct argosy_metadata metadata;
    struct argosy_entry *entries;
    char *text;
    size_t entry_room, text_room;
} reading;

/* What was scanned of a run's entries, in parallel, and what is asked of them. Written by Python (reading.py). */
typedef struct {
    const char *names; /* each ends with NUL */
    uint64_t names_bytes;
    const uint32_t *modes;
    const uint64_t *inodes, *devices;
    uint64_t count, most_bytes; /* of a file that is small */
    int32_t exact;              /* whether it must be the inode that was scanned */
    int32_t device_always;
} run;

ARGOSY_EXPORT reading *argosy_reading_new(void) { return calloc(1, sizeof(reading)); }

ARGOSY_EXPORT void argosy_reading_free(reading *self) {
    if (!self) return;
    argosy_metadata_clear(&self->metadata);
    free(self->entries);
    free(self->text);
    free(self);
}

/* What tells how names and owners are written; Python supplies it (metadata.py). */
ARGOSY_EXPORT struct argosy_metadata *argosy_reading_metadata(reading *self) { return &self->metadata; }

/* Open without moving the access time, or, where that is refused (neither the owner nor root), moving it. */
static int open_file(int dir_fd, const char *name) {
    int fd = openat(dir_fd, name, FILE_FLAGS | O_NOATIME);
    return fd < 0 && errno == EPERM ? openat(dir_fd, name, FILE_FLAGS) : fd;
}

static int has_no_attributes(int fd) {
    ssize_t size = flistxattr(fd, NULL, 0);
    /* CIFS says ENODATA where it has none. */
    return size == 0 || (size < 0 && (errno == ENOTSUP || errno == ENODATA));
}

/* The length of an open file that was read whole, or NOT_READ. There is room for one byte more than most_bytes. */
static int64_t read_open(int fd, const run *of, size_t index, struct argosy_entry *into, uint8_t *data) {
    struct stat found;
    if (fstat(fd, &found) || !S_ISREG(found.st_mode) || (of->exact && found.st_ino != of->inodes[index]) ||
        found.st_size < 0 || (uint64_t)found.st_size > of->most_bytes)
        return NOT_READ;
    size_t name = into->name;
    *into = argosy_entry_of(&found);
    into->name = name;
    if (!argosy_has_usual_times(into) || !has_no_attributes(fd)) return NOT_READ;
    /* One byte more than expected: to get exactly the size proves the file's end. */
    ssize_t got = read(fd, data, into->size + 1);
    return got >= 0 && (uint64_t)got == into->size ? got : NOT_READ;
}

static int64_t read_file(int dir_fd, const run *of, size_t index, struct argosy_entry *into, uint8_t *data) {
    if (!S_ISREG(of->modes[index])) return NOT_READ;
    int fd = open_file(dir_fd, of->names + into->name);
    if (fd < 0) return NOT_READ;
    int64_t length = read_open(fd, of, index, into, data);
    close(fd);
    return length;
}

/* Find where each name begins, and give NOT_READ to those that are not plain. */
static int look_at_names(reading *self, const run *of, int64_t *lengths) {
    size_t at = 0;
    if (!argosy_grow((void **)&self->entries, &self->entry_room, of->count, sizeof(struct argosy_entry)))
        return NO_MEMORY;
    for (size_t i = 0; i < of->count; i++) {
        const char *end = at < of->names_bytes ? memchr(of->names + at, 0, of->names_bytes - at) : NULL;
        if (!end) return UNUSUAL;
        size_t length = (size_t)(end - of->names) - at;
        int failed = argosy_check_plain(&self->metadata, (const uint8_t *)of->names + at, length);
        if (failed && failed != UNUSUAL) return failed;
        lengths[i] = failed || !length ? NOT_READ : 0;
        self->entries[i].name = at;
        at += length + 1;
    }
    return 0;
}

/* Read the run's files below dir_fd into data, one behind the other, until another might not find room there; `lengths`
 * has NOT_READ for those that Python is to look at. Returns how many entries were dealt with: 0 means no room at all.
 * Below zero: UNKNOWN_PRINTABLE, NO_MEMORY; UNUSUAL for a run that is none. */
ARGOSY_EXPORT int64_t argosy_reading_read(reading *self, int dir_fd, const run *of, uint8_t *data, uint64_t room,
                                          int64_t *lengths) {
    int failed = look_at_names(self, of, lengths);
    if (failed) return failed;
    size_t done = 0;
    for (; done < of->count && room > of->most_bytes; done++) {
        if (lengths[done] == NOT_READ) continue;
        int64_t length = lengths[done] = read_file(dir_fd, of, done, &self->entries[done], data);
        if (length > 0) data += length, room -= (uint64_t)length;
    }
    return (int64_t)done;
}

static size_t put(char *text, size_t at, const char *what, size_t length) {
    memcpy(text + at, what, length);
    return at + length;
}

/* The end of a file's node: `"content":["…"]` with the blob's id, or nothing in it for an empty file. */
static size_t put_content(char *text, size_t at, const uint8_t *id) {
    static const char digits[] = "0123456789abcdef", start[] = ",\"content\":[", end[] = "]}";
    at = put(text, at, start, sizeof start - 1);
    if (id) {
        text[at++] = '"';
        for (size_t i = 0; i < ARGOSY_HASH_BYTES; i++) {
            text[at++] = digits[id[i] >> 4];
            text[at++] = digits[id[i] & 15];
        }
        text[at++] = '"';
    }
    return put(text, at, end, sizeof end - 1);
}

/* More than put_content and a newline take. */
#define CONTENT_ROOM (2 * ARGOSY_HASH_BYTES + 32)

/* Encode the nodes of the run's first `count` entries, which were just read: a line for each, empty for NOT_READ. `ids`
 * are the blobs of those that are not empty. 0, with self->result filled; or UNKNOWN_OWNER (then tell, and ask again),
 * NO_MEMORY. */
ARGOSY_EXPORT int argosy_reading_encode(reading *self, const run *of, uint64_t count, const int64_t *lengths,
                                        const uint8_t *ids) {
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct argosy_entry *item = &self->entries[i];
        int64_t size = 0;
        if (lengths[i] != NOT_READ) {
            const char *name = of->names + item->name;
            size = argosy_encode_metadata(&self->metadata, item, name, strlen(name), of->devices[i], of->device_always);
            if (size == UNKNOWN_OWNER) self->result.uid = item->uid, self->result.gid = item->gid;
            if (size < 0) return (int)size;
        }
        if (!argosy_grow((void **)&self->text, &self->text_room, at + (size_t)size + CONTENT_ROOM, 1)) return NO_MEMORY;
        if (size) {
            at = put(self->text, at, self->metadata.text, (size_t)size);
            at = put_content(self->text, at, lengths[i] ? ids : NULL);
            ids += lengths[i] ? ARGOSY_HASH_BYTES : 0;
        }
        self->text[at++] = '\n';
    }
    self->result.text = self->text;
    self->result.text_length = at;
    return 0;
}
