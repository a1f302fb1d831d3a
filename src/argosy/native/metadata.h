/* A node's metadata, encoded as restic_format/node.py does it: for the scan, which compares it with the parent's tree
 * (listing.c), and for the files that a worker reads (reading.c). */

#ifndef ARGOSY_METADATA_H
#define ARGOSY_METADATA_H

#include <sys/stat.h>

#include "native.h"

/* Answers below zero. What is not among them is the negative errno of a listing that failed. */
enum {
    UNUSUAL = -100001,        /* Python does this directory, or this name */
    UNKNOWN_OWNER = -100002,  /* tell it of uid and gid, and ask again */
    UNKNOWN_PRINTABLE = -100003,
    NO_MEMORY = -100004
};

/* What a stat tells of an entry. */
struct argosy_entry {
    size_t name; /* offset of the name, which ends with NUL, in names */
    uint64_t device, inode, size, links;
    int64_t mtime, ctime;
    uint32_t mtime_ns, ctime_ns, mode, uid, gid;
};

struct argosy_owner {
    uint32_t uid, gid;
    size_t length;
    char *text;
};

/* What Python tells of names and owners, and room for one entry's text. All zero to begin with. */
struct argosy_metadata {
    struct argosy_owner *owners;
    uint32_t *printable; /* pairs: first and last of each range, in order */
    char *text;
    size_t owner_count, owner_room, last_owner, printable_count, text_room;
};

/* Gives the memory back. */
void argosy_metadata_clear(struct argosy_metadata *self);

/* Room for `count` items of a size, what is there is kept; 0 if there is no memory. */
int argosy_grow(void **items, size_t *room, size_t count, size_t size);

/* The next character of a strict UTF-8 text, and its length in bytes; 0 if it is none. */
int argosy_next_character(const uint8_t *text, size_t length, uint32_t *character);

/* 0 if a name stands in JSON as it is, UNUSUAL if a byte of it is escaped there; or UNKNOWN_PRINTABLE. */
int argosy_check_plain(const struct argosy_metadata *self, const uint8_t *name, size_t length);

/* The entry that was found, but for its name. */
struct argosy_entry argosy_entry_of(const struct stat *found);

/* restic's name for a type; NULL for directories, which need more than their metadata, and sockets, which are left out. */
const char *argosy_type_name(uint32_t mode);

/* Whether the entry's times can be encoded here: from 1970 to the year 9999. */
int argosy_has_usual_times(const struct argosy_entry *item);

/* Encodes an entry with a plain name, a type name and usual times into self->text; `device` is the number to be written.
 * Returns the text's length, or UNKNOWN_OWNER, NO_MEMORY. */
int64_t argosy_encode_metadata(struct argosy_metadata *self, const struct argosy_entry *item, const char *name,
                               size_t name_length, uint64_t device, int device_always);

#endif
