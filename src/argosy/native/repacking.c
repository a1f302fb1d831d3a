/* Copies blobs of one pack into others for `prune`: which ranges to read, and of these the blobs that are sound. */

#include "native.h"

#include <string.h>

/* Goes through a pack's header with a byte for each of its blobs in `wanted`. */
struct cursor {
    const unsigned char *at, *end, *entry;
    unsigned char *wanted;
    struct argosy_blob blob; /* its offset is that in the pack */
    size_t entry_bytes;
};

static int next(struct cursor *cursor) {
    uint64_t offset = cursor->blob.offset + cursor->blob.length;
    cursor->wanted += cursor->entry != NULL;
    cursor->entry = cursor->at;
    cursor->entry_bytes = argosy_read_entry(cursor->at, (size_t)(cursor->end - cursor->at), &cursor->blob);
    cursor->blob.offset = offset;
    cursor->at += cursor->entry_bytes;
    return cursor->entry_bytes != 0;
}

struct range {
    uint64_t offset, end;
};

/* The ranges of a pack that hold its wanted blobs: two blobs are in one if no more than `gap` bytes lie between them and
 * all of it has `most` bytes at most. Returns their number, `room` at most. */
ARGOSY_EXPORT size_t argosy_wanted_ranges(const unsigned char *header, size_t header_bytes, unsigned char *wanted,
                                          uint64_t gap, uint64_t most, struct range *ranges, size_t room) {
    struct cursor cursor = {.at = header, .end = header + header_bytes, .wanted = wanted};
    size_t count = 0;
    while (next(&cursor)) {
        if (*cursor.wanted != 1)
            continue;
        uint64_t start = cursor.blob.offset, end = start + cursor.blob.length;
        if (!count || start - ranges[count - 1].end > gap || end - ranges[count - 1].offset > most) {
            if (count == room)
                break;
            ranges[count++].offset = start;
        }
        ranges[count - 1].end = end;
    }
    return count;
}

/* Blobs that are opened together. */
struct group {
    struct argosy_blob blobs[ARGOSY_GROUP_BLOBS];
    struct cursor places[ARGOSY_GROUP_BLOBS];
    size_t count, contents_bytes;
};

/* What was copied: bytes and entries, their sizes and number. */
struct copied {
    unsigned char *sealed, *entries;
    uint64_t sealed_bytes, entries_bytes, blobs;
};

static int copy_group(struct argosy_session *session, const unsigned char *data, struct group *group,
                      struct copied *copied) {
    unsigned char sound[ARGOSY_GROUP_BLOBS];
    if (!argosy_make_room(&session->content, group->contents_bytes))
        return 0;
    argosy_open_group(session, data, group->blobs, group->count, session->content.data, NULL, sound);
    for (size_t i = 0; i < group->count; i++) {
        const struct argosy_blob *blob = &group->blobs[i];
        const struct cursor *place = &group->places[i];
        if (!sound[i])
            continue;
        memcpy(copied->sealed + copied->sealed_bytes, data + blob->offset, blob->length);
        memcpy(copied->entries + copied->entries_bytes, place->entry, place->entry_bytes);
        copied->sealed_bytes += blob->length;
        copied->entries_bytes += place->entry_bytes;
        copied->blobs++;
        *place->wanted = 2;
    }
    group->count = group->contents_bytes = 0;
    return 1;
}

/* Copies, of the pack's bytes from `start` on, the wanted blobs (of trees or of data) that are sound: one after the other
 * to `sealed`, which has room for all of `data`, and their entries to `entries`, which has room for the header. Their
 * byte in `wanted` becomes 2; all others are left to Python, and with `compressed_only` those that are not compressed.
 * `sizes`: the bytes in both places, and the number of blobs. */
ARGOSY_EXPORT void argosy_copy_blobs(struct argosy_session *session, const unsigned char *data, size_t data_bytes,
                                     uint64_t start, const unsigned char *header, size_t header_bytes,
                                     unsigned char *wanted, int trees, int compressed_only, unsigned char *sealed,
                                     unsigned char *entries, uint64_t *sizes) {
    struct cursor cursor = {.at = header, .end = header + header_bytes, .wanted = wanted};
    struct copied copied = {.sealed = sealed, .entries = entries};
    struct group group = {.count = 0};
    while (next(&cursor)) {
        const struct argosy_blob *blob = &cursor.blob;
        size_t content_bytes = argosy_content_bytes(blob);
        if (*cursor.wanted != 1 || (*cursor.entry & 1) != (trees != 0) || (compressed_only && !blob->uncompressed) ||
            content_bytes > ARGOSY_CONTENT_MOST || blob->offset < start || blob->length > data_bytes ||
            blob->offset - start > data_bytes - blob->length)
            continue;
        struct argosy_blob *taken = &group.blobs[group.count];
        *taken = *blob;
        taken->offset = blob->offset - start;
        taken->content_at = group.contents_bytes;
        group.places[group.count++] = cursor;
        group.contents_bytes += content_bytes;
        if ((group.count == ARGOSY_GROUP_BLOBS || group.contents_bytes >= ARGOSY_GROUP_BYTES) &&
            !copy_group(session, data, &group, &copied))
            break;
    }
    if (group.count)
        copy_group(session, data, &group, &copied);
    sizes[0] = copied.sealed_bytes, sizes[1] = copied.entries_bytes, sizes[2] = copied.blobs;
}
