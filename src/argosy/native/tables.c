/* Tables of ids in little memory, and what a check and a prune ask of them about whole packs. An id takes its record and 5
 * to 11 bytes more; a search is one probe, mostly. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

/* Records stand one after the other in order of their addition; `slots` (a power of two) holds their numbers, from 1, at
 * places given by the ids, which are hashes already. */
struct argosy_table {
    unsigned char *records;
    uint32_t *slots;
    size_t count, room, slot_count, record_bytes;
};

#define FEWEST 64
#define START_BYTES 8

ARGOSY_EXPORT void argosy_table_free(struct argosy_table *table) {
    if (table) {
        free(table->records);
        free(table->slots);
        free(table);
    }
}

/* NULL without memory. */
ARGOSY_EXPORT struct argosy_table *argosy_table_new(size_t payload_bytes) {
    struct argosy_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->record_bytes = ARGOSY_HASH_BYTES + payload_bytes;
    table->slot_count = FEWEST;
    table->slots = calloc(FEWEST, sizeof *table->slots);
    if (table->slots)
        return table;
    argosy_table_free(table);
    return NULL;
}

ARGOSY_EXPORT size_t argosy_table_count(const struct argosy_table *table) {
    return table->count;
}

static size_t slot_of(const struct argosy_table *table, const unsigned char *id) {
    uint64_t start;
    memcpy(&start, id, sizeof start);
    return (size_t)(start & (table->slot_count - 1));
}

/* The record of the next slot from `*slot` on that has this id; NULL at the end, with `*slot` a free one. */
static unsigned char *next_of(const struct argosy_table *table, const unsigned char *id, size_t *slot) {
    for (uint32_t number; (number = table->slots[*slot]) != 0; *slot = (*slot + 1) & (table->slot_count - 1)) {
        unsigned char *record = table->records + (size_t)(number - 1) * table->record_bytes;
        if (!memcmp(record, id, ARGOSY_HASH_BYTES))
            return record;
    }
    return NULL;
}

static unsigned char *find(const struct argosy_table *table, const unsigned char *id) {
    size_t slot = slot_of(table, id);
    return next_of(table, id, &slot);
}

static int grow_slots(struct argosy_table *table) {
    size_t doubled = 2 * table->slot_count;
    free(table->slots); /* first, so that both never stand in memory */
    table->slots = calloc(doubled, sizeof *table->slots);
    if (!table->slots)
        return 0;
    table->slot_count = doubled;
    for (size_t i = 0; i < table->count; i++) {
        size_t slot = slot_of(table, table->records + i * table->record_bytes);
        while (table->slots[slot])
            slot = (slot + 1) & (doubled - 1);
        table->slots[slot] = (uint32_t)(i + 1);
    }
    return 1;
}

/* A new record for an id whose free slot is known, its payload zero; NULL without memory (the table is useless then). */
static unsigned char *append(struct argosy_table *table, const unsigned char *id, size_t slot) {
    if (table->count == table->room) {
        size_t room = table->room + table->room / 8 + 1024;
        unsigned char *records = room < UINT32_MAX ? realloc(table->records, room * table->record_bytes) : NULL;
        if (!records)
            return NULL;
        table->records = records, table->room = room;
    }
    unsigned char *record = table->records + table->count * table->record_bytes;
    memcpy(record, id, ARGOSY_HASH_BYTES);
    memset(record + ARGOSY_HASH_BYTES, 0, table->record_bytes - ARGOSY_HASH_BYTES);
    table->slots[slot] = (uint32_t)++table->count;
    if (table->count > table->slot_count - table->slot_count / 4 && !grow_slots(table))
        return NULL;
    return record;
}

/* Adds the ids that are not there; their number, or -1 without memory. */
ARGOSY_EXPORT int64_t argosy_table_add(struct argosy_table *table, const unsigned char *ids, size_t count) {
    int64_t added = 0;
    for (; count; count--, ids += ARGOSY_HASH_BYTES) {
        size_t slot = slot_of(table, ids);
        if (next_of(table, ids, &slot))
            continue;
        if (!append(table, ids, slot))
            return -1;
        added++;
    }
    return added;
}

/* Adds the ids that are not there, each with this payload, and copies them to `fresh`; their number, or -1 without
 * memory. */
ARGOSY_EXPORT int64_t argosy_table_add_fresh(struct argosy_table *table, const unsigned char *ids, size_t count,
                                             const unsigned char *payload, unsigned char *fresh) {
    int64_t added = 0;
    for (; count; count--, ids += ARGOSY_HASH_BYTES) {
        size_t slot = slot_of(table, ids);
        if (next_of(table, ids, &slot))
            continue;
        unsigned char *record = append(table, ids, slot);
        if (!record)
            return -1;
        memcpy(record + ARGOSY_HASH_BYTES, payload, table->record_bytes - ARGOSY_HASH_BYTES);
        memcpy(fresh + added++ * ARGOSY_HASH_BYTES, ids, ARGOSY_HASH_BYTES);
    }
    return added;
}

/* Copies an id that begins with these 8 bytes to `id`: 1, or 0 if there is none. They are all that a slot depends on. */
ARGOSY_EXPORT int argosy_table_starting(const struct argosy_table *table, const unsigned char *start, unsigned char *id) {
    size_t slot = slot_of(table, start);
    for (uint32_t number; (number = table->slots[slot]) != 0; slot = (slot + 1) & (table->slot_count - 1)) {
        const unsigned char *record = table->records + (size_t)(number - 1) * table->record_bytes;
        if (!memcmp(record, start, START_BYTES)) {
            memcpy(id, record, ARGOSY_HASH_BYTES);
            return 1;
        }
    }
    return 0;
}

/* Copies the ids that are not there to `missing`; their number. */
ARGOSY_EXPORT size_t argosy_table_missing(const struct argosy_table *table, const unsigned char *ids, size_t count,
                                          unsigned char *missing) {
    size_t found = 0;
    for (; count; count--, ids += ARGOSY_HASH_BYTES)
        if (!find(table, ids))
            memcpy(missing + found++ * ARGOSY_HASH_BYTES, ids, ARGOSY_HASH_BYTES);
    return found;
}

/* Copies the first payload of each id to its place in `payloads`, and writes how many it has (2: or more). */
ARGOSY_EXPORT void argosy_table_firsts(const struct argosy_table *table, const unsigned char *ids, size_t count,
                                       unsigned char *payloads, unsigned char *numbers) {
    size_t payload_bytes = table->record_bytes - ARGOSY_HASH_BYTES;
    for (; count; count--, ids += ARGOSY_HASH_BYTES, payloads += payload_bytes, numbers++) {
        size_t slot = slot_of(table, ids);
        const unsigned char *record = next_of(table, ids, &slot);
        *numbers = record != NULL;
        if (!record)
            continue;
        memcpy(payloads, record + ARGOSY_HASH_BYTES, payload_bytes);
        slot = (slot + 1) & (table->slot_count - 1);
        *numbers += next_of(table, ids, &slot) != NULL;
    }
}

/* Copies the payloads of an id, `most` at most, in order of their addition; their number. */
ARGOSY_EXPORT size_t argosy_table_get(const struct argosy_table *table, const unsigned char *id, unsigned char *payloads,
                                      size_t most) {
    size_t payload_bytes = table->record_bytes - ARGOSY_HASH_BYTES, found = 0, slot = slot_of(table, id);
    for (unsigned char *record; found < most && (record = next_of(table, id, &slot)) != NULL;
         slot = (slot + 1) & (table->slot_count - 1))
        memcpy(payloads + found++ * payload_bytes, record + ARGOSY_HASH_BYTES, payload_bytes);
    return found;
}

/* Copies the ids whose payload begins with this byte to `ids`, `most` at most; the number of all of them. */
ARGOSY_EXPORT size_t argosy_table_with(const struct argosy_table *table, unsigned char byte, unsigned char *ids,
                                       size_t most) {
    size_t found = 0;
    for (size_t i = 0; i < table->count; i++) {
        const unsigned char *record = table->records + i * table->record_bytes;
        if (record[ARGOSY_HASH_BYTES] != byte)
            continue;
        if (found < most)
            memcpy(ids + found * ARGOSY_HASH_BYTES, record, ARGOSY_HASH_BYTES);
        found++;
    }
    return found;
}

/* -- packs, given by their headers --------------------------------------------------------------------------------- */

/* Goes through a header; 0 at its end, or where it is malformed. */
struct entries {
    const unsigned char *at, *end;
    struct argosy_blob blob; /* its offset is that in the pack */
    int is_tree;
};

static struct entries entries_of(const unsigned char *header, size_t header_bytes) {
    return (struct entries){.at = header, .end = header + header_bytes};
}

static int next_entry(struct entries *entries) {
    uint64_t offset = entries->blob.offset + entries->blob.length;
    size_t size = argosy_read_entry(entries->at, (size_t)(entries->end - entries->at), &entries->blob);
    if (!size)
        return 0;
    entries->blob.offset = offset;
    entries->is_tree = *entries->at & 1;
    entries->at += size;
    return 1;
}

/* Adds a pack's trees, or its data, with their places (struct argosy_place): one payload more for a blob that is there
 * already. 1, or 0 without memory. */
ARGOSY_EXPORT int argosy_table_add_places(struct argosy_table *table, uint32_t pack, const unsigned char *header,
                                          size_t header_bytes, int trees) {
    for (struct entries entries = entries_of(header, header_bytes); next_entry(&entries);) {
        const struct argosy_blob *blob = &entries.blob;
        if (!entries.is_tree != !trees || blob->offset > UINT32_MAX)
            continue;
        size_t slot = slot_of(table, blob->id);
        while (next_of(table, blob->id, &slot))
            slot = (slot + 1) & (table->slot_count - 1);
        struct argosy_place place = {pack, (uint32_t)blob->offset, blob->length, blob->uncompressed};
        unsigned char *record = append(table, blob->id, slot);
        if (!record)
            return 0;
        memcpy(record + ARGOSY_HASH_BYTES, &place, sizeof place);
    }
    return 1;
}

int argosy_table_place(const struct argosy_table *table, const unsigned char *id, struct argosy_place *place) {
    const unsigned char *record = find(table, id);
    if (record)
        memcpy(place, record + ARGOSY_HASH_BYTES, sizeof *place);
    return record != NULL;
}

/* The marks of operations/prune/blob_marks.py; what they mean stands there. */
enum { MISSING = 0, ONE = 1, MOST = 254, LAST = 255 };

static unsigned char *mark_of(const struct argosy_table *data, const struct argosy_table *trees,
                              const struct entries *entries) {
    unsigned char *record = find(entries->is_tree ? trees : data, entries->blob.id);
    return record ? record + ARGOSY_HASH_BYTES : NULL;
}

/* Counts the copies in a pack. 1 if there is a blob that was seen before. */
ARGOSY_EXPORT int argosy_marks_see(struct argosy_table *data, struct argosy_table *trees, const unsigned char *header,
                                   size_t header_bytes) {
    int several = 0;
    for (struct entries entries = entries_of(header, header_bytes); next_entry(&entries);) {
        unsigned char *mark = mark_of(data, trees, &entries);
        if (!mark || *mark >= MOST)
            continue;
        several |= *mark == ONE;
        ++*mark;
    }
    return several;
}

/* How much of a pack is used: blobs and bytes that have no copy, and the number of copies; then all blobs. */
ARGOSY_EXPORT void argosy_marks_count(const struct argosy_table *data, const struct argosy_table *trees,
                                      const unsigned char *header, size_t header_bytes, uint64_t *counts) {
    memset(counts, 0, 4 * sizeof *counts);
    for (struct entries entries = entries_of(header, header_bytes); next_entry(&entries);) {
        const unsigned char *mark = mark_of(data, trees, &entries);
        counts[3]++;
        if (mark && *mark == ONE) {
            counts[0]++;
            counts[1] += entries.blob.length;
        } else if (mark)
            counts[2]++;
    }
}

/* Chooses which copies in a pack are the used ones: `counts` as of argosy_marks_count, and they grow. */
ARGOSY_EXPORT void argosy_marks_choose(struct argosy_table *data, struct argosy_table *trees,
                                       const unsigned char *header, size_t header_bytes, uint64_t *counts) {
    int nothing_but_copies = counts[2] == counts[3];
    for (struct entries entries = entries_of(header, header_bytes); next_entry(&entries);) {
        unsigned char *mark = mark_of(data, trees, &entries);
        if (!mark || *mark == ONE)
            continue;
        if (counts[0] || nothing_but_copies || *mark == LAST) {
            counts[0]++;
            counts[1] += entries.blob.length;
            *mark = ONE;
        } else
            *mark = *mark == ONE + 1 ? LAST : *mark - 1;
    }
}

/* Gives a pack's blobs that have the mark `from` (below 0: any) the mark `to`, and writes 1 into `changed` for each of
 * them, 0 for the others; their number. */
ARGOSY_EXPORT size_t argosy_marks_change(struct argosy_table *data, struct argosy_table *trees,
                                         const unsigned char *header, size_t header_bytes, int from, unsigned char to,
                                         unsigned char *changed) {
    size_t count = 0;
    for (struct entries entries = entries_of(header, header_bytes); next_entry(&entries); changed++) {
        unsigned char *mark = mark_of(data, trees, &entries);
        *changed = mark && (from < 0 || *mark == from);
        if (*changed) {
            *mark = to;
            count++;
        }
    }
    return count;
}
