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

#include "native.h"

/* Answers below zero. What is not among them is the negative errno of a listing that failed. */
enum {
    UNUSUAL = -100001,        /* Python does this directory */
    UNKNOWN_OWNER = -100002,  /* tell it of uid and gid, and ask again */
    UNKNOWN_PRINTABLE = -100003,
    NO_MEMORY = -100004
};

enum { READ_BYTES = 64 * 1024, NAME_MOST = 255, PREFIX_FIXED_MOST = 512 };

typedef struct {
    size_t name; /* offset of the name, which ends with NUL, in names */
    uint64_t device, inode, size, links;
    int64_t mtime, ctime;
    uint32_t mtime_ns, ctime_ns, mode, uid, gid;
} entry;

typedef struct {
    uint32_t uid, gid;
    size_t length;
    char *text;
} owner;

/* An entry that Python is to look at: its name, and where the parent's node of that name stands, or -1. */
typedef struct {
    uint64_t name;
    int64_t node;
} look;

/* The name of a node that no entry has: a piece of the tree. */
typedef struct {
    uint64_t start, length;
} drop;

/* Read by Python (listing.py): its fields, in this order. */
typedef struct {
    uint64_t standing_files, standing_bytes, standing_others, look_count, drop_count;
    const look *looks;
    const drop *drops;
    const char *names;
    uint64_t uid, gid;
} result;

typedef struct {
    result result; /* first: a listing's address is its result's */
    entry *entries;
    char *names;
    look *looks;
    drop *drops;
    owner *owners;
    uint32_t *printable; /* pairs: first and last of each range, in order */
    char *prefix;
    size_t entry_count, entry_room, name_bytes, name_room, look_room, drop_room, owner_count, owner_room;
    size_t printable_count, prefix_room, last_owner;
    char buffer[READ_BYTES] __attribute__((aligned(8)));
} listing;

typedef struct {
    const uint8_t *bytes;
    size_t length;
} tree;

ARGOSY_EXPORT listing *argosy_listing_new(void) { return calloc(1, sizeof(listing)); }

ARGOSY_EXPORT void argosy_listing_free(listing *self) {
    if (!self) return;
    for (size_t i = 0; i < self->owner_count; i++) free(self->owners[i].text);
    free(self->entries);
    free(self->names);
    free(self->looks);
    free(self->drops);
    free(self->owners);
    free(self->printable);
    free(self->prefix);
    free(self);
}

/* Room for count items of a size; 0 if there is no memory. */
static int grow(void **items, size_t *room, size_t count, size_t size) {
    if (count <= *room) return 1;
    size_t wanted = *room ? *room : 64;
    while (wanted < count) wanted *= 2;
    void *larger = realloc(*items, wanted * size);
    if (!larger) return 0;
    *items = larger;
    *room = wanted;
    return 1;
}

/* ---- listing ---- */

static int add_entry(listing *self, int fd, const char *name) {
    struct stat found;
    if (fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? 0 : UNUSUAL;
    size_t length = strlen(name) + 1;
    if (!grow((void **)&self->entries, &self->entry_room, self->entry_count + 1, sizeof(entry)) ||
        !grow((void **)&self->names, &self->name_room, self->name_bytes + length, 1))
        return NO_MEMORY;
    memcpy(self->names + self->name_bytes, name, length);
    self->entries[self->entry_count++] = (entry){
        .name = self->name_bytes,
        .device = found.st_dev,
        .inode = found.st_ino,
        .size = found.st_size < 0 ? 0 : (uint64_t)found.st_size,
        .links = found.st_nlink,
        .mtime = found.st_mtim.tv_sec,
        .ctime = found.st_ctim.tv_sec,
        .mtime_ns = (uint32_t)found.st_mtim.tv_nsec,
        .ctime_ns = (uint32_t)found.st_ctim.tv_nsec,
        .mode = found.st_mode,
        .uid = found.st_uid,
        .gid = found.st_gid,
    };
    self->name_bytes += length;
    return 0;
}

static int by_name(const void *left, const void *right, void *names) {
    return strcmp((const char *)names + ((const entry *)left)->name, (const char *)names + ((const entry *)right)->name);
}

/* List the directory open at fd from its beginning, sorted by raw name, each name once; names that vanish meanwhile are
 * left out. Returns how many entries; UNUSUAL if there are more than most or one cannot be looked at. */
ARGOSY_EXPORT int64_t argosy_listing_read(listing *self, int fd, uint64_t most) {
    self->entry_count = self->name_bytes = 0;
    if (lseek(fd, 0, SEEK_SET) < 0) return -errno;
    for (;;) {
        long got = syscall(SYS_getdents64, fd, self->buffer, sizeof self->buffer);
        if (got < 0) return -errno;
        if (got == 0) break;
        for (long at = 0; at < got;) {
            const struct dirent64 *item = (const struct dirent64 *)(self->buffer + at);
            const char *name = item->d_name;
            at += item->d_reclen;
            if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
            int failed = self->entry_count >= most ? UNUSUAL : add_entry(self, fd, name);
            if (failed) return failed;
        }
    }
    if (self->entry_count) qsort_r(self->entries, self->entry_count, sizeof(entry), by_name, self->names);
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

/* ---- what names are written as ---- */

/* The next character of a strict UTF-8 text, and its length in bytes; 0 if it is none. */
static int next_character(const uint8_t *text, size_t length, uint32_t *character) {
    uint8_t first = text[0];
    int size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (!size || (size_t)size > length) return 0;
    uint32_t value = size == 1 ? first : first & (0x7Fu >> size);
    for (int i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (text[i] & 0x3Fu);
    }
    if ((size == 3 && value < 0x800) || (size == 4 && (value < 0x10000 || value > 0x10FFFF)) ||
        (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *character = value;
    return size;
}

static int is_printable(const listing *self, uint32_t character) {
    size_t low = 0, high = self->printable_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character < self->printable[2 * middle])
            high = middle;
        else if (character > self->printable[2 * middle + 1])
            low = middle + 1;
        else
            return 1;
    }
    return 0;
}

/* 0 if a name stands in JSON as it is, UNUSUAL if a byte of it is escaped there. */
static int check_plain(const listing *self, const uint8_t *name, size_t length) {
    for (size_t i = 0; i < length;) {
        uint8_t byte = name[i];
        if (byte < 0x80) {
            if (byte < 0x20 || byte == 0x7F || byte == '"' || byte == '\\' || byte == '<' || byte == '>' || byte == '&')
                return UNUSUAL;
            i++;
            continue;
        }
        if (!self->printable) return UNKNOWN_PRINTABLE;
        uint32_t character;
        int size = next_character(name + i, length - i, &character);
        if (!size || !is_printable(self, character)) return UNUSUAL;
        i += (size_t)size;
    }
    return 0;
}

ARGOSY_EXPORT int argosy_listing_set_printable(listing *self, const uint32_t *ranges, uint64_t count) {
    uint32_t *copy = malloc((count ? count : 1) * 2 * sizeof(uint32_t));
    if (!copy) return NO_MEMORY;
    memcpy(copy, ranges, count * 2 * sizeof(uint32_t));
    free(self->printable);
    self->printable = copy;
    self->printable_count = count;
    return 0;
}

/* ---- owners ---- */

static size_t owner_place(const listing *self, uint32_t uid, uint32_t gid) {
    size_t low = 0, high = self->owner_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const owner *there = &self->owners[middle];
        if (there->uid < uid || (there->uid == uid && there->gid < gid))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const owner *find_owner(listing *self, uint32_t uid, uint32_t gid) {
    size_t place = self->last_owner;
    if (place >= self->owner_count || self->owners[place].uid != uid || self->owners[place].gid != gid)
        place = owner_place(self, uid, gid);
    if (place >= self->owner_count || self->owners[place].uid != uid || self->owners[place].gid != gid) return NULL;
    self->last_owner = place;
    return &self->owners[place];
}

/* The text of a node's owner keys, from ,"uid" to the group's name. */
ARGOSY_EXPORT int argosy_listing_add_owner(listing *self, uint32_t uid, uint32_t gid, const char *text, uint64_t length) {
    if (find_owner(self, uid, gid)) return 0;
    if (!grow((void **)&self->owners, &self->owner_room, self->owner_count + 1, sizeof(owner))) return NO_MEMORY;
    char *copy = malloc(length + 1);
    if (!copy) return NO_MEMORY;
    memcpy(copy, text, length);
    size_t place = owner_place(self, uid, gid);
    memmove(self->owners + place + 1, self->owners + place, (self->owner_count - place) * sizeof(owner));
    self->owners[place] = (owner){uid, gid, length, copy};
    self->owner_count++;
    return 0;
}

/* ---- a node's metadata, as restic_format/node.py encodes it ---- */

static char *put(char *to, const char *text) {
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static char *put_number(char *to, uint64_t number) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

static char *put_digits(char *to, uint32_t number, int digits) {
    for (int i = digits - 1; i >= 0; i--, number /= 10) to[i] = (char)('0' + number % 10);
    return to + digits;
}

static char *put_key(char *to, const char *key, uint64_t number) { return number ? put_number(put(to, key), number) : to; }

static int is_usual_time(int64_t seconds) { return seconds >= 0 && seconds < 253402300800; /* the year 10000 */ }

static char *put_time(char *to, int64_t seconds, uint32_t nanoseconds) {
    /* Howard Hinnant's algorithm, of days since 1970-01-01, none of them before it. */
    uint64_t days = (uint64_t)seconds / 86400 + 719468;
    uint32_t second = (uint32_t)((uint64_t)seconds % 86400);
    uint32_t era_day = (uint32_t)(days % 146097);
    uint32_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    uint32_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    uint32_t shifted = (5 * year_day + 2) / 153;
    uint32_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    uint32_t year = era_year + (uint32_t)(days / 146097) * 400 + (month <= 2);
    to = put_digits(to, year, 4);
    *to++ = '-';
    to = put_digits(to, month, 2);
    *to++ = '-';
    to = put_digits(to, year_day - (153 * shifted + 2) / 5 + 1, 2);
    *to++ = 'T';
    to = put_digits(to, second / 3600, 2);
    *to++ = ':';
    to = put_digits(to, second / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, second % 60, 2);
    if (nanoseconds) {
        *to++ = '.';
        to = put_digits(to, nanoseconds, 9);
        while (to[-1] == '0') to--;
    }
    *to++ = 'Z';
    return to;
}

static uint64_t go_mode(uint32_t mode) {
    uint64_t go = mode & 0777;
    if (mode & S_ISUID) go |= 1u << 23;
    if (mode & S_ISGID) go |= 1u << 22;
    if (mode & S_ISVTX) go |= 1u << 20;
    switch (mode & S_IFMT) {
    case S_IFLNK: return go | 1u << 27;
    case S_IFBLK: return go | 1u << 26;
    case S_IFCHR: return go | 1u << 26 | 1u << 21;
    case S_IFIFO: return go | 1u << 25;
    default: return go;
    }
}

static const char *type_name(uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFLNK: return "symlink";
    case S_IFBLK: return "dev";
    case S_IFCHR: return "chardev";
    case S_IFIFO: return "fifo";
    default: return NULL; /* directories need more than their metadata, sockets are left out */
    }
}

/* Encode an entry's metadata into self->prefix. Returns its length, or why it cannot. */
static int64_t encode_prefix(listing *self, const entry *item, size_t name_length, int device_always) {
    const owner *owned = find_owner(self, item->uid, item->gid);
    if (!owned) {
        self->result.uid = item->uid;
        self->result.gid = item->gid;
        return UNKNOWN_OWNER;
    }
    if (!grow((void **)&self->prefix, &self->prefix_room, name_length + owned->length + PREFIX_FIXED_MOST, 1))
        return NO_MEMORY;
    char *to = put(self->prefix, "{\"name\":\"");
    memcpy(to, self->names + item->name, name_length);
    to = put(put(put(to + name_length, "\",\"type\":\""), type_name(item->mode)), "\"");
    to = put_key(to, ",\"mode\":", go_mode(item->mode));
    const char *modified = put(to, ",\"mtime\":\"");
    char *end = put_time((char *)modified, item->mtime, item->mtime_ns);
    size_t length = (size_t)(end - modified);
    to = put(end, "\",\"atime\":\"");
    memcpy(to, modified, length);
    to = put(to + length, "\",\"ctime\":\"");
    to = put(put_time(to, item->ctime, item->ctime_ns), "\"");
    memcpy(to, owned->text, owned->length);
    to = put_key(to + owned->length, ",\"inode\":", item->inode);
    if (device_always || item->links > 1) to = put_key(to, ",\"device_id\":", item->device);
    if (S_ISREG(item->mode)) to = put_key(to, ",\"size\":", item->size);
    if (!S_ISFIFO(item->mode)) to = put_key(to, ",\"links\":", item->links);
    return to - self->prefix;
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

static int is_hex(uint8_t byte) { return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'); }

/* The offset behind a list of blob ids with its brackets, 0 if it is written otherwise. */
static size_t after_ids(tree of, size_t at) {
    enum { ID = 66 }; /* with its quotes */
    if (STARTS_WITH(of, at, "[]")) return at + 2;
    while (of.length - at > ID + 1 && of.bytes[at + 1] == '"' && of.bytes[at + ID] == '"') {
        for (size_t i = at + 2; i < at + ID; i++)
            if (!is_hex(of.bytes[i])) return 0;
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
        int size = next_character(of.bytes + i, quote - i, &character);
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
        for (size_t i = 0; i < 64; i++, end++)
            if (end >= of.length || !is_hex(of.bytes[end])) return UNUSUAL;
        if (!is_byte(of, end++, '"')) return UNUSUAL;
    }
    if (!is_byte(of, end, '}')) return UNUSUAL;
    into->end = end + 1;
    into->next = is_byte(of, into->end, ',') ? into->end + 1 : into->end;
    return is_byte(of, into->end, ',') || is_byte(of, into->end, ']') ? 0 : UNUSUAL;
}

/* Whether the entry's node is at a position and stands, for its bytes begin with exactly today's metadata: then the
 * position of the next one, else 0. */
static size_t after_standing(tree of, size_t at, const entry *item, const char *prefix, size_t length) {
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

static int add_look(listing *self, const entry *item, int64_t at) {
    size_t count = self->result.look_count;
    if (!grow((void **)&self->looks, &self->look_room, count + 1, sizeof(look))) return NO_MEMORY;
    self->looks[count] = (look){item->name, at};
    self->result.look_count++;
    return 0;
}

static int add_drop(listing *self, const node *there) {
    size_t count = self->result.drop_count;
    if (!grow((void **)&self->drops, &self->drop_room, count + 1, sizeof(drop))) return NO_MEMORY;
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
static int join(listing *self, cursor *tree_cursor, const entry *item, size_t length) {
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
            return add_look(self, item, start);
        }
        failed = drop_node(self, tree_cursor, &there);
        if (failed) return failed;
    }
    return add_look(self, item, -1);
}

static void count_standing(result *into, const entry *item) {
    if (S_ISREG(item->mode)) {
        into->standing_files++;
        into->standing_bytes += item->size;
    } else {
        into->standing_others++;
    }
}

static int compare_entry(listing *self, cursor *tree_cursor, const entry *item, uint64_t device, uint64_t largest,
                         int device_always) {
    const char *name = self->names + item->name;
    size_t length = strlen(name);
    int failed = check_plain(self, (const uint8_t *)name, length);
    if (failed) return failed;
    int usual = type_name(item->mode) && item->device == device && item->size <= largest &&
                is_usual_time(item->mtime) && is_usual_time(item->ctime);
    if (usual) {
        int64_t prefix = encode_prefix(self, item, length, device_always);
        if (prefix < 0) return (int)prefix;
        size_t next = after_standing(tree_cursor->of, tree_cursor->at, item, self->prefix, (size_t)prefix);
        if (next) {
            tree_cursor->at = next;
            pass(tree_cursor, name, length);
            count_standing(&self->result, item);
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
