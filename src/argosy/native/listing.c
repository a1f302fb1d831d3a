/* The scan's inner loop: list an open directory with the lstat of each name, and compare it with its tree in the
 * parent snapshot, without a Python object for each entry that has not changed.
 *
 * It decides only what is plainly so. Whatever is unusual (a name that JSON or Go would escape, a tree of another
 * shape than Argosy's and restic's encoders write, an lstat that fails, too many entries) it hands back, and Python
 * does that directory: archiver/parent.py is the definition, and this must never come to another verdict than that.
 *
 * The tree comes from a repository: its MAC and hash hold, but anyone with its key may have written it. Every
 * position in it is checked against its end before it is read. A listing is used by one thread at a time.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "metadata.h"

enum { READ_BYTES = 64 * 1024 };

/* An entry that Python is to look at: its name, and where the parent's node of that name begins and ends; -1 if there is
 * none. */
typedef struct {
    uint64_t name;
    int64_t node, node_end;
} look;

/* The name of a node that no entry has: a piece of the tree. */
typedef struct {
    uint64_t start, length;
} drop;

/* Read by Python (listing.py): its fields, in this order. The first three count the entries that stand, or all. */
typedef struct {
    uint64_t files, files_bytes, others, look_count, drop_count;
    const look *looks;
    const drop *drops;
    const char *names;
    uint64_t uid, gid;
} result;

typedef struct {
    result result; /* first: a listing's address is its result's */
    struct argosy_metadata metadata;
    struct argosy_entry *entries;
    char *names;
    look *looks;
    drop *drops;
    size_t entry_count, entry_room, name_bytes, name_room, look_room, drop_room;
    char buffer[READ_BYTES] __attribute__((aligned(8)));
} listing;

typedef struct {
    const uint8_t *bytes;
    size_t length;
} tree;

ARGOSY_EXPORT listing *argosy_listing_new(void) { return calloc(1, sizeof(listing)); }

ARGOSY_EXPORT void argosy_listing_free(listing *self) {
    if (!self) return;
    argosy_metadata_clear(&self->metadata);
    free(self->entries);
    free(self->names);
    free(self->looks);
    free(self->drops);
    free(self);
}

/* What tells how names and owners are written; Python supplies it (metadata.py). */
ARGOSY_EXPORT struct argosy_metadata *argosy_listing_metadata(listing *self) { return &self->metadata; }

/* ---- listing ---- */

static int add_entry(listing *self, int fd, const char *name) {
    struct stat found;
    if (fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? 0 : UNUSUAL;
    size_t length = strlen(name) + 1;
    if (!argosy_grow((void **)&self->entries, &self->entry_room, self->entry_count + 1, sizeof(struct argosy_entry)) ||
        !argosy_grow((void **)&self->names, &self->name_room, self->name_bytes + length, 1))
        return NO_MEMORY;
    memcpy(self->names + self->name_bytes, name, length);
    self->entries[self->entry_count] = argosy_entry_of(&found);
    self->entries[self->entry_count++].name = self->name_bytes;
    self->name_bytes += length;
    return 0;
}

static int by_name(const void *left, const void *right, void *names) {
    return strcmp((const char *)names + ((const struct argosy_entry *)left)->name, (const char *)names + ((const struct argosy_entry *)right)->name);
}

/* The next entry of a run of them, but for "." and ".."; NULL behind the last. */
static const struct dirent64 *next_item(const listing *self, long *at, long end) {
    while (*at < end) {
        const struct dirent64 *item = (const struct dirent64 *)(self->buffer + *at);
        const char *name = item->d_name;
        *at += item->d_reclen;
        if (name[0] != '.' || (name[1] && (name[1] != '.' || name[2]))) return item;
    }
    return NULL;
}

static int has_subdirectory(const listing *self, long end) {
    const struct dirent64 *item;
    for (long at = 0; (item = next_item(self, &at, end));)
        if (item->d_type == DT_DIR) return 1;
    return 0;
}

/* List the directory open at fd from its beginning, sorted by raw name, each name once; names that vanish meanwhile are
 * left out. Returns how many entries; UNUSUAL if there are more than most, one cannot be looked at, or, with
 * `is_leaf`, one is a directory: known before the lstat of its neighbours, where the file system tells. */
ARGOSY_EXPORT int64_t argosy_listing_read(listing *self, int fd, uint64_t most, int is_leaf) {
    self->entry_count = self->name_bytes = 0;
    if (lseek(fd, 0, SEEK_SET) < 0) return -errno;
    for (;;) {
        long got = syscall(SYS_getdents64, fd, self->buffer, sizeof self->buffer);
        if (got < 0) return -errno;
        if (got == 0) break;
        if (is_leaf && has_subdirectory(self, got)) return UNUSUAL;
        const struct dirent64 *item;
        for (long at = 0; (item = next_item(self, &at, got));) {
            int failed = self->entry_count >= most ? UNUSUAL : add_entry(self, fd, item->d_name);
            if (failed) return failed;
        }
    }
    if (self->entry_count) qsort_r(self->entries, self->entry_count, sizeof(struct argosy_entry), by_name, self->names);
    size_t kept = 0;
    for (size_t i = 0; i < self->entry_count; i++) {
        /* readdir may return a file twice that is removed and made again meanwhile. */
        const char *name = self->names + self->entries[i].name;
        if (kept && !strcmp(self->names + self->entries[kept - 1].name, name)) continue;
        self->entries[kept++] = self->entries[i];
    }
    self->entry_count = kept;
    return (int64_t)kept;
}

/* All names, each with its NUL, in order, for rules that judge by name; the caller gives room for size bytes. Returns
 * the bytes that they take. */
ARGOSY_EXPORT uint64_t argosy_listing_names(const listing *self, char *into, uint64_t size) {
    size_t at = 0;
    for (size_t i = 0; i < self->entry_count; i++) {
        const char *name = self->names + self->entries[i].name;
        size_t length = strlen(name) + 1;
        if (at + length <= size) memcpy(into + at, name, length);
        at += length;
    }
    return at;
}

static void count_entry(result *into, const struct argosy_entry *item) {
    if (S_ISREG(item->mode)) {
        into->files++;
        into->files_bytes += item->size;
    } else {
        into->others++;
    }
}

/* What was read, a column for each of an entry's fields; the caller gives room. Written by Python (listing.py). */
typedef struct {
    uint64_t *inodes, *sizes;
    uint32_t *modes, *uids, *gids;
} columns;

/* Fill the columns, and in self->result how many entries are regular files. UNUSUAL unless each entry can be saved with
 * its neighbours and stands for itself: no directory, no socket, no second link, of this device and not larger. */
ARGOSY_EXPORT int argosy_listing_columns(listing *self, uint64_t device, uint64_t largest, const columns *into) {
    self->result = (result){0};
    for (size_t i = 0; i < self->entry_count; i++) {
        const struct argosy_entry *item = &self->entries[i];
        if (!argosy_type_name(item->mode) || item->links > 1 || item->device != device || item->size > largest)
            return UNUSUAL;
        into->inodes[i] = item->inode, into->sizes[i] = item->size;
        into->modes[i] = item->mode, into->uids[i] = item->uid, into->gids[i] = item->gid;
        count_entry(&self->result, item);
    }
    return 0;
}

/* ---- the parent's tree ---- */

static int starts_with(tree of, size_t at, const void *text, size_t length) {
    return at <= of.length && of.length - at >= length && !memcmp(of.bytes + at, text, length);
}

#define STARTS_WITH(of, at, text) starts_with(of, at, text, sizeof(text) - 1)

static int is_byte(tree of, size_t at, char byte) { return at < of.length && of.bytes[at] == (uint8_t)byte; }

/* Where text stands at or behind a position and before end; end if nowhere. */
static size_t find(tree of, size_t from, size_t end, const char *text) {
    if (from >= end) return end;
    const uint8_t *found = memmem(of.bytes + from, end - from, text, strlen(text));
    return found ? (size_t)(found - of.bytes) : end;
}

enum { ID_DIGITS = 64 };

/* Whether there are as many lower-case hexadecimal digits as an id has. Every byte is looked at: so compilers do many at once. */
static int is_id(const uint8_t *digits) {
    uint8_t other = 0;
    for (size_t i = 0; i < ID_DIGITS; i++) {
        uint8_t decimal = (uint8_t)(digits[i] - '0') < 10, letter = (uint8_t)(digits[i] - 'a') < 6;
        other |= !(decimal | letter);
    }
    return !other;
}

/* The offset behind a list of blob ids with its brackets, 0 if it is written otherwise. */
static size_t after_ids(tree of, size_t at) {
    enum { ID = ID_DIGITS + 2 }; /* with its quotes */
    if (STARTS_WITH(of, at, "[]")) return at + 2;
    while (of.length - at > ID + 1 && of.bytes[at + 1] == '"' && of.bytes[at + ID] == '"' && is_id(of.bytes + at + 2)) {
        at += ID + 1;
        if (of.bytes[at] == ']') return at + 1;
        if (of.bytes[at] != ',') return 0;
    }
    return 0;
}

/* What a node is, found by its text: where its content's value and where its end is. */
typedef struct {
    size_t name, name_length, content, end, next;
} node;

/* Read the node at a position. UNUSUAL unless it is written as usual, up to the next node or the tree's end. */
static int read_node(tree of, size_t at, node *into) {
    static const char type[] = "\",\"type\":\"", content[] = ",\"content\":";
    if (!STARTS_WITH(of, at, "{\"name\":\"")) return UNUSUAL;
    into->name = at + 9;
    size_t quote = find(of, into->name, of.length, "\"");
    if (!STARTS_WITH(of, quote, "\",\"type\":\"")) return UNUSUAL;
    into->name_length = quote - into->name;
    for (size_t i = into->name; i < quote;) {
        uint32_t character;
        int size = argosy_next_character(of.bytes + i, quote - i, &character);
        if (!size || character < 0x20 || character == '\\') return UNUSUAL;
        i += (size_t)size;
    }
    size_t found = find(of, quote, of.length, content);
    if (found == of.length || find(of, quote + 1, found, type) != found) return UNUSUAL;
    into->content = found + sizeof content - 1;
    size_t end = STARTS_WITH(of, into->content, "null") ? into->content + 4 : after_ids(of, into->content);
    if (!end) return UNUSUAL;
    if (STARTS_WITH(of, end, ",\"subtree\":\"")) {
        end += 12;
        if (of.length - end < ID_DIGITS || !is_id(of.bytes + end)) return UNUSUAL;
        end += ID_DIGITS;
        if (!is_byte(of, end++, '"')) return UNUSUAL;
    }
    if (!is_byte(of, end, '}')) return UNUSUAL;
    into->end = end + 1;
    into->next = is_byte(of, into->end, ',') ? into->end + 1 : into->end;
    return is_byte(of, into->end, ',') || is_byte(of, into->end, ']') ? 0 : UNUSUAL;
}

/* Whether the entry's node is at a position and stands, for its bytes begin with exactly today's metadata: then the
 * position of the next one, else 0. */
static size_t after_standing(tree of, size_t at, const struct argosy_entry *item, const char *prefix, size_t length) {
    if (!starts_with(of, at, prefix, length) || !is_byte(of, at + length, ',')) return 0;
    size_t content;
    if (STARTS_WITH(of, at + length, ",\"content\":")) {
        content = at + length + 11;
    } else {
        node whole; /* a link's target or extended attributes come first */
        if (read_node(of, at, &whole)) return 0;
        content = whole.content;
    }
    size_t end = S_ISREG(item->mode) ? after_ids(of, content) : STARTS_WITH(of, content, "null") ? content + 4 : 0;
    if (!end || !is_byte(of, end, '}')) return 0;
    if (is_byte(of, end + 1, ',')) return end + 2;
    return is_byte(of, end + 1, ']') ? end + 1 : 0;
}

static int name_order(tree of, const node *there, const char *name, size_t length) {
    size_t shorter = there->name_length < length ? there->name_length : length;
    int order = memcmp(of.bytes + there->name, name, shorter);
    return order ? order : there->name_length < length ? -1 : there->name_length > length;
}

/* ---- comparing ---- */

static int add_look(listing *self, const struct argosy_entry *item, int64_t at, int64_t end) {
    size_t count = self->result.look_count;
    if (!argosy_grow((void **)&self->looks, &self->look_room, count + 1, sizeof(look))) return NO_MEMORY;
    self->looks[count] = (look){item->name, at, end};
    self->result.look_count++;
    return 0;
}

static int add_drop(listing *self, const node *there) {
    size_t count = self->result.drop_count;
    if (!argosy_grow((void **)&self->drops, &self->drop_room, count + 1, sizeof(drop))) return NO_MEMORY;
    self->drops[count] = (drop){there->name, there->name_length};
    self->result.drop_count++;
    return 0;
}

/* A cursor over the tree: the next node's position, and the name behind which all nodes from here on must stand. */
typedef struct {
    tree of;
    size_t at, passed_length;
    const char *passed;
} cursor;

static void pass(cursor *self, const char *name, size_t length) {
    self->passed = name;
    self->passed_length = length;
}

/* A node whose name no entry has. In a tree out of order a name might be dropped here and relied on elsewhere. */
static int drop_node(listing *self, cursor *tree_cursor, const node *there) {
    if (name_order(tree_cursor->of, there, tree_cursor->passed, tree_cursor->passed_length) <= 0) return UNUSUAL;
    pass(tree_cursor, (const char *)tree_cursor->of.bytes + there->name, there->name_length);
    tree_cursor->at = there->next;
    return add_drop(self, there);
}

/* Pass over nodes of lesser names, which were deleted; what has the entry's own name is for Python to judge. */
static int join(listing *self, cursor *tree_cursor, const struct argosy_entry *item, size_t length) {
    tree of = tree_cursor->of;
    while (!is_byte(of, tree_cursor->at, ']')) {
        node there;
        int failed = read_node(of, tree_cursor->at, &there);
        if (failed) return failed;
        int order = name_order(of, &there, self->names + item->name, length);
        if (order > 0) break;
        if (order == 0) {
            int64_t start = (int64_t)tree_cursor->at;
            tree_cursor->at = there.next;
            return add_look(self, item, start, (int64_t)there.end);
        }
        failed = drop_node(self, tree_cursor, &there);
        if (failed) return failed;
    }
    return add_look(self, item, -1, -1);
}

static int compare_entry(listing *self, cursor *tree_cursor, const struct argosy_entry *item, uint64_t device, uint64_t largest,
                         int device_always) {
    const char *name = self->names + item->name;
    size_t length = strlen(name);
    int failed = argosy_check_plain(&self->metadata, (const uint8_t *)name, length);
    if (failed) return failed;
    int usual = argosy_type_name(item->mode) && item->device == device && item->size <= largest &&
                argosy_has_usual_times(item);
    if (usual) {
        int64_t prefix = argosy_encode_metadata(&self->metadata, item, name, length, item->device, device_always);
        if (prefix == UNKNOWN_OWNER) {
            self->result.uid = item->uid;
            self->result.gid = item->gid;
        }
        if (prefix < 0) return (int)prefix;
        size_t next = after_standing(tree_cursor->of, tree_cursor->at, item, self->metadata.text, (size_t)prefix);
        if (next) {
            tree_cursor->at = next;
            pass(tree_cursor, name, length);
            count_entry(&self->result, item);
            return 0;
        }
    }
    failed = join(self, tree_cursor, item, length);
    pass(tree_cursor, name, length);
    return failed;
}

/* Compare what was read with the parent's tree. Entries of another device than the directory's, and larger ones than
 * largest, are always looked at by Python. 0, with self->result filled; or what is missing, or UNUSUAL. */
ARGOSY_EXPORT int argosy_listing_compare(listing *self, const uint8_t *bytes, uint64_t length, uint64_t device, uint64_t largest,
                           int device_always) {
    static const char head[] = "{\"nodes\":[", tail[] = "]}\n";
    tree of = {bytes, length};
    cursor tree_cursor = {of, sizeof head - 1, 0, ""};
    self->result = (result){0};
    if (!STARTS_WITH(of, 0, head)) return UNUSUAL;
    for (size_t i = 0; i < self->entry_count; i++) {
        int failed = compare_entry(self, &tree_cursor, &self->entries[i], device, largest, device_always);
        if (failed) return failed;
    }
    while (!is_byte(of, tree_cursor.at, ']')) {
        node there;
        int failed = read_node(of, tree_cursor.at, &there);
        if (!failed) failed = drop_node(self, &tree_cursor, &there);
        if (failed) return failed;
    }
    if (of.length - tree_cursor.at != sizeof tail - 1 || !STARTS_WITH(of, tree_cursor.at, tail)) return UNUSUAL;
    self->result.looks = self->looks;
    self->result.drops = self->drops;
    self->result.names = self->names;
    return 0;
}
