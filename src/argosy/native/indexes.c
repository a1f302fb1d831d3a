/* Turns the JSON of an index into the headers of the packs that it lists, and back (restic_format/index.py, pack.py). */

#include "json.h"

#include <stdlib.h>

#define PACK_MOST UINT32_MAX

enum { HOLDS_DATA = 1, HOLDS_TREES = 2, HOLDS_PLAIN = 4 };

/* A pack as Python reads it: where its header lies in what was written, the sealed bytes of its blobs, what it holds. */
struct listed_pack {
    unsigned char id[ARGOSY_HASH_BYTES];
    uint64_t header_at, header_bytes, content_bytes, holds;
};

struct listed_blob {
    unsigned char id[ARGOSY_HASH_BYTES];
    uint64_t offset, length, uncompressed;
    int is_tree;
};

/* The blobs of the pack that is read, in memory that grows. */
struct listed_blobs {
    struct listed_blob *rows;
    size_t count, room;
};

static struct listed_blob *next_blob(struct listed_blobs *blobs) {
    if (blobs->count == blobs->room) {
        size_t room = blobs->room ? 2 * blobs->room : 1024;
        struct listed_blob *rows = realloc(blobs->rows, room * sizeof *rows);
        if (!rows)
            return NULL;
        blobs->rows = rows, blobs->room = room;
    }
    return &blobs->rows[blobs->count++];
}

static int read_blob(struct argosy_json *json, struct listed_blob *blob) {
    blob->uncompressed = 0;
    if (!JSON_TAKE(json, "{\"id\":") || !json_id(json, blob->id) || !JSON_TAKE(json, ",\"type\":\""))
        return 0;
    blob->is_tree = JSON_TAKE(json, "tree\"");
    if ((!blob->is_tree && !JSON_TAKE(json, "data\"")) || !JSON_TAKE(json, ",\"offset\":") ||
        !json_number(json, &blob->offset) || !JSON_TAKE(json, ",\"length\":") || !json_number(json, &blob->length))
        return 0;
    if (JSON_TAKE(json, ",\"uncompressed_length\":") && !json_number(json, &blob->uncompressed))
        return 0;
    return JSON_TAKE(json, "}");
}

static int by_offset(const void *left, const void *right) {
    uint64_t a = ((const struct listed_blob *)left)->offset, b = ((const struct listed_blob *)right)->offset;
    return (a > b) - (a < b);
}

/* The header of a pack with these blobs; 0 if no pack can hold them. */
static int write_header(struct listed_blobs *blobs, struct listed_pack *pack, unsigned char **header) {
    uint64_t end = 0;
    int sorted = 1;
    for (size_t i = 1; i < blobs->count; i++)
        sorted &= blobs->rows[i - 1].offset < blobs->rows[i].offset;
    if (!sorted)
        qsort(blobs->rows, blobs->count, sizeof *blobs->rows, by_offset);
    pack->holds = 0;
    for (size_t i = 0; i < blobs->count; i++) {
        const struct listed_blob *blob = &blobs->rows[i];
        if (blob->length < ARGOSY_OVERHEAD_BYTES || blob->length > PACK_MOST || blob->offset != end ||
            blob->uncompressed > PACK_MOST || end + blob->length > PACK_MOST)
            return 0;
        end += blob->length;
        pack->holds |= blob->is_tree ? HOLDS_TREES : HOLDS_DATA;
        pack->holds |= blob->uncompressed ? 0 : HOLDS_PLAIN;
        *header = argosy_write_entry(*header, blob->is_tree, (uint32_t)blob->length, (uint32_t)blob->uncompressed,
                                     blob->id);
    }
    pack->content_bytes = end;
    return blobs->count != 0;
}

static int read_pack(struct argosy_json *json, struct listed_blobs *blobs, struct listed_pack *pack,
                     unsigned char **header) {
    blobs->count = 0;
    if (!JSON_TAKE(json, "{\"id\":") || !json_id(json, pack->id) || !JSON_TAKE(json, ",\"blobs\":["))
        return 0;
    do {
        struct listed_blob *blob = next_blob(blobs);
        if (!blob || !read_blob(json, blob))
            return 0;
    } while (JSON_TAKE(json, ","));
    return JSON_TAKE(json, "]}") && write_header(blobs, pack, header);
}

/* The packs of an index, their headers one after the other in `headers` (which has room for half of the JSON's bytes:
 * an entry takes less than that). Returns their number, or 0 if any of it is not as it should be, or there are more than
 * `room`. */
ARGOSY_EXPORT size_t argosy_index_packs(const unsigned char *text, size_t text_bytes, struct listed_pack *packs,
                                        size_t room, unsigned char *headers) {
    struct argosy_json json = {text, text + text_bytes};
    struct listed_blobs blobs = {0};
    unsigned char *header = headers;
    size_t count = 0;
    int good = JSON_TAKE(&json, "{\"packs\":[");
    while (good) {
        if (count == room) {
            good = 0;
            break;
        }
        struct listed_pack *pack = &packs[count++];
        pack->header_at = (uint64_t)(header - headers);
        good = read_pack(&json, &blobs, pack, &header);
        pack->header_bytes = (uint64_t)(header - headers) - pack->header_at;
        if (!JSON_TAKE(&json, ","))
            break;
    }
    free(blobs.rows);
    good = good && JSON_TAKE(&json, "]}") && (JSON_TAKE(&json, "\n") || 1) && json.at == json.end;
    return good ? count : 0;
}

static unsigned char *put_text(unsigned char *at, const char *text) {
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static unsigned char *put_id(unsigned char *at, const unsigned char *id) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < ARGOSY_HASH_BYTES; i++) {
        *at++ = (unsigned char)digits[id[i] >> 4];
        *at++ = (unsigned char)digits[id[i] & 15];
    }
    return at;
}

static unsigned char *put_number(unsigned char *at, uint64_t number) {
    unsigned char digits[20];
    size_t count = 0;
    do
        digits[count++] = (unsigned char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *at++ = digits[--count];
    return at;
}

/* The JSON of the blobs that a pack's header lists, with commas between them, to `text`, which needs 200 bytes for each;
 * `count` gets their number. Returns the JSON's bytes, or 0 if the header is malformed. */
ARGOSY_EXPORT size_t argosy_index_blobs(const unsigned char *header, size_t header_bytes, unsigned char *text,
                                        uint64_t *count) {
    unsigned char *at = text;
    uint64_t offset = 0;
    for (*count = 0; header_bytes; ++*count) {
        struct argosy_blob blob;
        size_t size = argosy_read_entry(header, header_bytes, &blob);
        if (!size)
            return 0;
        at = put_id(put_text(at, *count ? ",{\"id\":\"" : "{\"id\":\""), blob.id);
        at = put_text(at, *header & 1 ? "\",\"type\":\"tree\",\"offset\":" : "\",\"type\":\"data\",\"offset\":");
        at = put_text(put_number(at, offset), ",\"length\":");
        at = put_number(at, blob.length);
        if (blob.uncompressed)
            at = put_number(put_text(at, ",\"uncompressed_length\":"), blob.uncompressed);
        *at++ = '}';
        offset += blob.length;
        header += size, header_bytes -= size;
    }
    return (size_t)(at - text);
}
