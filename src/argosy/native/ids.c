/* A list of ids in the least memory: the first 20 of their 32 bytes each, and little more. All are added first; the first
 * question puts them in order of their first bits, in place, so that an id is looked for among few: ids are hashes, and
 * so spread evenly.
 *
 * To find an id that begins like one of 2^32 others takes 2^128 trials, as many as to find two contents with one id. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES 20
#define BUCKET_IDS 8
#define MOST_BITS 24

struct argosy_ids {
    unsigned char *ids;
    size_t count, room;
    uint32_t *starts; /* of each bucket, and the end; NULL: not in order */
    unsigned bits;
};

/* NULL without memory. */
ARGOSY_EXPORT struct argosy_ids *argosy_ids_new(void) {
    return calloc(1, sizeof(struct argosy_ids));
}

ARGOSY_EXPORT void argosy_ids_free(struct argosy_ids *list) {
    if (list) {
        free(list->ids);
        free(list->starts);
        free(list);
    }
}

static int add(struct argosy_ids *list, const unsigned char *id) {
    if (list->count == list->room) {
        size_t room = list->room + list->room / 8 + 1024;
        unsigned char *ids = room < UINT32_MAX ? realloc(list->ids, room * KEPT_BYTES) : NULL;
        if (!ids)
            return 0;
        list->ids = ids, list->room = room;
    }
    memcpy(list->ids + list->count++ * KEPT_BYTES, id, KEPT_BYTES);
    return 1;
}

/* Adds the data blobs of a pack, given by its header; one that is there stands there twice. 1, or 0 without memory. */
ARGOSY_EXPORT int argosy_ids_add_data(struct argosy_ids *list, const unsigned char *header, size_t header_bytes) {
    struct argosy_blob blob;
    free(list->starts);
    list->starts = NULL;
    for (size_t size; header_bytes && (size = argosy_read_entry(header, header_bytes, &blob)) != 0;
         header += size, header_bytes -= size)
        if (!(*header & 1) && !add(list, blob.id))
            return 0;
    return 1;
}

static uint32_t bucket_of(const struct argosy_ids *list, const unsigned char *id) {
    uint32_t first = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return list->bits ? first >> (32 - list->bits) : 0;
}

/* Puts each id that is not in its bucket into it, and takes from there the one that was in its place. `next`: the first
 * place of each bucket that is not known to be right. */
static void distribute(struct argosy_ids *list, uint32_t *next) {
    unsigned char moving[KEPT_BYTES], other[KEPT_BYTES];
    for (uint32_t bucket = 0; bucket < 1u << list->bits; bucket++)
        while (next[bucket] < list->starts[bucket + 1]) {
            unsigned char *place = list->ids + (size_t)next[bucket] * KEPT_BYTES;
            uint32_t target = bucket_of(list, place);
            memcpy(moving, place, sizeof moving);
            while (target != bucket) {
                unsigned char *there = list->ids + (size_t)next[target]++ * KEPT_BYTES;
                memcpy(other, there, sizeof other);
                memcpy(there, moving, sizeof moving);
                memcpy(moving, other, sizeof moving);
                target = bucket_of(list, moving);
            }
            memcpy(place, moving, sizeof moving);
            next[bucket]++;
        }
}

static int put_in_order(struct argosy_ids *list) {
    for (list->bits = 0; list->bits < MOST_BITS && list->count >> list->bits > BUCKET_IDS;)
        list->bits++;
    size_t buckets = (size_t)1 << list->bits;
    uint32_t *starts = calloc(buckets + 1, sizeof *starts), *next = malloc(buckets * sizeof *next);
    if (starts && next) {
        for (size_t i = 0; i < list->count; i++)
            starts[bucket_of(list, list->ids + i * KEPT_BYTES) + 1]++;
        for (size_t bucket = 0; bucket < buckets; bucket++)
            starts[bucket + 1] += starts[bucket];
        memcpy(next, starts, buckets * sizeof *next);
        list->starts = starts;
        distribute(list, next);
    } else
        free(starts);
    free(next);
    return list->starts != NULL;
}

static int contains(const struct argosy_ids *list, const unsigned char *id) {
    uint32_t bucket = bucket_of(list, id);
    for (size_t i = list->starts[bucket]; i < list->starts[bucket + 1]; i++)
        if (!memcmp(list->ids + i * KEPT_BYTES, id, KEPT_BYTES))
            return 1;
    return 0;
}

/* Copies the ids that were not added to `missing`; their number, or -1 without memory. */
ARGOSY_EXPORT int64_t argosy_ids_missing(struct argosy_ids *list, const unsigned char *ids, size_t count,
                                         unsigned char *missing) {
    int64_t found = 0;
    if (!list->starts && !put_in_order(list))
        return -1;
    for (; count; count--, ids += ARGOSY_HASH_BYTES)
        if (!contains(list, ids))
            memcpy(missing + found++ * ARGOSY_HASH_BYTES, ids, ARGOSY_HASH_BYTES);
    return found;
}
