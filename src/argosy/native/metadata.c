/* Encodes a node's metadata, of plain names alone; see metadata.h. */

#include "metadata.h"

#include <stdlib.h>
#include <string.h>

enum { FIXED_MOST = 512 }; /* what an encoded entry has besides its name and its owner */

int argosy_grow(void **items, size_t *room, size_t count, size_t size) {
    if (count <= *room) return 1;
    size_t wanted = *room ? *room : 64;
    while (wanted < count) wanted *= 2;
    void *larger = realloc(*items, wanted * size);
    if (!larger) return 0;
    *items = larger;
    *room = wanted;
    return 1;
}

struct argosy_entry argosy_entry_of(const struct stat *found) {
    return (struct argosy_entry){
        .device = found->st_dev,
        .inode = found->st_ino,
        .size = found->st_size < 0 ? 0 : (uint64_t)found->st_size,
        .links = found->st_nlink,
        .mtime = found->st_mtim.tv_sec,
        .ctime = found->st_ctim.tv_sec,
        .mtime_ns = (uint32_t)found->st_mtim.tv_nsec,
        .ctime_ns = (uint32_t)found->st_ctim.tv_nsec,
        .mode = found->st_mode,
        .uid = found->st_uid,
        .gid = found->st_gid,
    };
}

/* ---- names ---- */

int argosy_next_character(const uint8_t *text, size_t length, uint32_t *character) {
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

static int is_printable(const struct argosy_metadata *self, uint32_t character) {
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

int argosy_check_plain(const struct argosy_metadata *self, const uint8_t *name, size_t length) {
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
        int size = argosy_next_character(name + i, length - i, &character);
        if (!size || !is_printable(self, character)) return UNUSUAL;
        i += (size_t)size;
    }
    return 0;
}

ARGOSY_EXPORT int argosy_metadata_set_printable(struct argosy_metadata *self, const uint32_t *ranges, uint64_t count) {
    uint32_t *copy = malloc((count ? count : 1) * 2 * sizeof(uint32_t));
    if (!copy) return NO_MEMORY;
    memcpy(copy, ranges, count * 2 * sizeof(uint32_t));
    free(self->printable);
    self->printable = copy;
    self->printable_count = count;
    return 0;
}

/* ---- owners ---- */

static size_t owner_place(const struct argosy_metadata *self, uint32_t uid, uint32_t gid) {
    size_t low = 0, high = self->owner_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct argosy_owner *there = &self->owners[middle];
        if (there->uid < uid || (there->uid == uid && there->gid < gid))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct argosy_owner *find_owner(struct argosy_metadata *self, uint32_t uid, uint32_t gid) {
    size_t place = self->last_owner;
    if (place >= self->owner_count || self->owners[place].uid != uid || self->owners[place].gid != gid)
        place = owner_place(self, uid, gid);
    if (place >= self->owner_count || self->owners[place].uid != uid || self->owners[place].gid != gid) return NULL;
    self->last_owner = place;
    return &self->owners[place];
}

/* Forget all owners: other names are to be written for them. */
ARGOSY_EXPORT void argosy_metadata_forget_owners(struct argosy_metadata *self) {
    for (size_t i = 0; i < self->owner_count; i++) free(self->owners[i].text);
    self->owner_count = 0;
}

/* The text of a node's owner keys, from ,"uid" to the group's name. */
ARGOSY_EXPORT int argosy_metadata_add_owner(struct argosy_metadata *self, uint32_t uid, uint32_t gid,
                                           const char *text, uint64_t length) {
    if (find_owner(self, uid, gid)) return 0;
    if (!argosy_grow((void **)&self->owners, &self->owner_room, self->owner_count + 1, sizeof(struct argosy_owner)))
        return NO_MEMORY;
    char *copy = malloc(length + 1);
    if (!copy) return NO_MEMORY;
    memcpy(copy, text, length);
    size_t place = owner_place(self, uid, gid);
    memmove(self->owners + place + 1, self->owners + place, (self->owner_count - place) * sizeof(struct argosy_owner));
    self->owners[place] = (struct argosy_owner){uid, gid, length, copy};
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

int argosy_has_usual_times(const struct argosy_entry *item) {
    return is_usual_time(item->mtime) && is_usual_time(item->ctime);
}

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

const char *argosy_type_name(uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFLNK: return "symlink";
    case S_IFBLK: return "dev";
    case S_IFCHR: return "chardev";
    case S_IFIFO: return "fifo";
    default: return NULL;
    }
}

int64_t argosy_encode_metadata(struct argosy_metadata *self, const struct argosy_entry *item, const char *name,
                               size_t name_length, uint64_t device, int device_always) {
    const struct argosy_owner *owned = find_owner(self, item->uid, item->gid);
    if (!owned) return UNKNOWN_OWNER;
    if (!argosy_grow((void **)&self->text, &self->text_room, name_length + owned->length + FIXED_MOST, 1))
        return NO_MEMORY;
    char *to = put(self->text, "{\"name\":\"");
    memcpy(to, name, name_length);
    to = put(put(put(to + name_length, "\",\"type\":\""), argosy_type_name(item->mode)), "\"");
    to = put_key(to, ",\"mode\":", go_mode(item->mode));
    const char *modified = put(to, ",\"mtime\":\"");
    char *end = put_time((char *)modified, item->mtime, item->mtime_ns);
    size_t length = (size_t)(end - modified);
    to = put(end, "\",\"atime\":\"");
    memcpy(to, modified, length);
    to = put(to + length, "\",\"ctime\":\"");
    if (item->ctime == item->mtime && item->ctime_ns == item->mtime_ns)
        to = (char *)memcpy(to, modified, length) + length;
    else
        to = put_time(to, item->ctime, item->ctime_ns);
    to = put(to, "\"");
    memcpy(to, owned->text, owned->length);
    to = put_key(to + owned->length, ",\"inode\":", item->inode);
    if (device_always || item->links > 1) to = put_key(to, ",\"device_id\":", device);
    if (S_ISREG(item->mode)) to = put_key(to, ",\"size\":", item->size);
    if (!S_ISFIFO(item->mode)) to = put_key(to, ",\"links\":", item->links);
    return to - self->text;
}

void argosy_metadata_clear(struct argosy_metadata *self) {
    argosy_metadata_forget_owners(self);
    free(self->owners);
    free(self->printable);
    free(self->text);
}
