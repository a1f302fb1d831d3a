/* Turns the JSON of an index into the headers of the packs that it lists, and back (restic_format/index.py, pack.py).
 *
 * A stored index is inflated piece by piece: the JSON of 50,000 blobs is 9 MB, and a repository has many of them. */

#include "json.h"

#include <stdlib.h>

#define PACK_MOST UINT32_MAX

/* What an index at most says that it inflates to; the least JSON that a pack takes: its id, and a blob. */
#define TEXT_MOST ((unsigned long long)256 * 1024 * 1024)
#define PACK_TEXT_LEAST 200

#define WINDOW_BYTES ((size_t)256 * 1024)
/* More than a blob takes, or all that stands between two of them. */
#define AHEAD_BYTES ((size_t)1024)

#define FORM_COMPRESSED 2 /* restic_format/unpacked.py */

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

/* The text of an index: all of it, or what a window shows that moves on. */
struct index_text {
    struct argosy_json json;
    int is_whole; /* nothing comes after `json.end` */
    void *inflating;
    struct argosy_zstd_input frame;
    unsigned char *window;
};

/* Moves the window on if what comes next might not stand in it whole. 1, or 0 if the frame is not sound. */
static int read_ahead(struct index_text *text) {
    const struct argosy_libraries *lib = &argosy_lib;
    size_t left = (size_t)(text->json.end - text->json.at);
    if (text->is_whole || left >= AHEAD_BYTES)
        return 1;
    memmove(text->window, text->json.at, left);
    struct argosy_zstd_output window = {text->window, WINDOW_BYTES, left};
    while (window.at < window.size && !text->is_whole) {
        size_t read = text->frame.at, written = window.at;
        size_t more = lib->ZSTD_decompressStream(text->inflating, &window, &text->frame);
        if (lib->ZSTD_isError(more))
            return 0;
        text->is_whole = !more;
        if (text->is_whole ? text->frame.at != text->frame.size : read == text->frame.at && written == window.at)
            return 0; /* something stands behind the frame, or it is cut short */
    }
    text->json.at = text->window;
    text->json.end = text->window + window.at;
    return 1;
}

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

static int read_pack(struct index_text *text, struct listed_blobs *blobs, struct listed_pack *pack,
                     unsigned char **header) {
    struct argosy_json *json = &text->json;
    blobs->count = 0;
    if (!read_ahead(text) || !JSON_TAKE(json, "{\"id\":") || !json_id(json, pack->id) || !JSON_TAKE(json, ",\"blobs\":["))
        return 0;
    do {
        struct listed_blob *blob = next_blob(blobs);
        if (!blob || !read_ahead(text) || !read_blob(json, blob))
            return 0;
    } while (JSON_TAKE(json, ","));
    return JSON_TAKE(json, "]}") && write_header(blobs, pack, header);
}

/* The packs of an index, up to `room` of them, their headers one after the other in `headers`; their number, or 0 if any
 * of it is not as it should be. */
static size_t read_index(struct index_text *text, struct listed_pack *packs, size_t room, unsigned char *headers) {
    struct argosy_json *json = &text->json;
    struct listed_blobs blobs = {0};
    unsigned char *header = headers;
    size_t count = 0;
    int good = read_ahead(text) && JSON_TAKE(json, "{\"packs\":[");
    while (good) {
        if (count == room) {
            good = 0;
            break;
        }
        struct listed_pack *pack = &packs[count++];
        pack->header_at = (uint64_t)(header - headers);
        good = read_pack(text, &blobs, pack, &header);
        pack->header_bytes = (uint64_t)(header - headers) - pack->header_at;
        if (!JSON_TAKE(json, ","))
            break;
    }
    free(blobs.rows);
    good = good && read_ahead(text) && JSON_TAKE(json, "]}") && (JSON_TAKE(json, "\n") || 1);
    return good && text->is_whole && json->at == json->end ? count : 0;
}

/* The packs of an index, their headers one after the other in `headers` (which has room for half of the JSON's bytes:
 * an entry takes less than that). Returns their number, or 0 if any of it is not as it should be, or there are more than
 * `room`. */
ARGOSY_EXPORT size_t argosy_index_packs(const unsigned char *text, size_t text_bytes, struct listed_pack *packs,
                                        size_t room, unsigned char *headers) {
    struct index_text whole = {.json = {text, text + text_bytes}, .is_whole = 1};
    return read_index(&whole, packs, room, headers);
}

/* Inflates and reads what a session has decrypted; `*packs` and `*headers` are given places in its memory. */
static size_t read_frame(struct argosy_session *session, const unsigned char *frame, size_t frame_bytes,
                         struct listed_pack **packs, unsigned char **headers) {
    unsigned long long told = argosy_lib.ZSTD_getFrameContentSize(frame, frame_bytes);
    if (told > TEXT_MOST) /* or unknown, or no frame */
        return 0;
    size_t room = (size_t)told / PACK_TEXT_LEAST + 1;
    if (!argosy_make_room(&session->rows, room * sizeof **packs + (size_t)told / 2 + 1) ||
        !argosy_make_room(&session->content, WINDOW_BYTES))
        return 0;
    *packs = (struct listed_pack *)session->rows.data;
    *headers = session->rows.data + room * sizeof **packs;
    unsigned char *window = session->content.data;
    struct index_text text = {.json = {window, window}, .frame = {frame, frame_bytes, 0}, .window = window};
    text.inflating = argosy_lib.ZSTD_createDCtx(); /* its own: it keeps memory that only a stream needs */
    size_t count = text.inflating ? read_index(&text, *packs, room, *headers) : 0;
    argosy_lib.ZSTD_freeDCtx(text.inflating);
    return count;
}

/* The packs that a stored index lists, and their headers, in the session's memory; good until its next call. Returns
 * their number, or 0 if Python is to look at it. */
ARGOSY_EXPORT size_t argosy_index_read(struct argosy_session *session, const unsigned char *stored, size_t stored_bytes,
                                       struct listed_pack **packs, unsigned char **headers) {
    if (!argosy_is_genuine(session, stored, stored_bytes) || stored_bytes < ARGOSY_OVERHEAD_BYTES + 2)
        return 0;
    size_t length = stored_bytes - ARGOSY_OVERHEAD_BYTES;
    if (!argosy_make_room(&session->frame, length) ||
        !argosy_crypt(session, stored, stored + ARGOSY_IV_BYTES, length, session->frame.data) ||
        session->frame.data[0] != FORM_COMPRESSED)
        return 0;
    return read_frame(session, session->frame.data + 1, length - 1, packs, headers);
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
