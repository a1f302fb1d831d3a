/* Seals blobs: compression where it helps, encryption, MAC, and on request all of it back again. */

#include "native.h"

#include <string.h>

/* zstd.h: ZSTD_c_compressionLevel, _minMatch, _targetLength, _literalCompressionMode (experimental, since 1.3.8). Frames
 * carry the content's size by default. */
enum { LEVEL = 100, LEAST_MATCH = 105, ACCELERATION = 106, LITERAL_COMPRESSION = 1002 };

enum { NEVER, SHORTER, ALWAYS };

/* How to seal, as bindings.py writes it. */
struct manner {
    int32_t compresses; /* NEVER, ALWAYS, or where a frame is shorter */
    struct argosy_effort small, large;
    uint32_t small_bytes; /* up to here the small effort counts */
    int32_t verify;
};

/* Blobs to be sealed, each with a row in every one of these. */
struct plain {
    const uint64_t *offsets; /* of the contents, in the data */
    const uint32_t *lengths;
    const unsigned char *ids, *nonces;
    uint64_t count;
};

/* What became of a blob. */
struct sealed {
    size_t at; /* in the output */
    uint32_t length;
    int compressed;
};

static int set(void *context, int parameter, int value) {
    return !argosy_lib.ZSTD_isError(argosy_lib.ZSTD_CCtx_setParameter(context, parameter, value));
}

static int make_effort(void *context, const struct argosy_effort *effort) {
    return set(context, LEVEL, effort->level) && set(context, LEAST_MATCH, effort->least_match) &&
           set(context, ACCELERATION, effort->acceleration) &&
           set(context, LITERAL_COMPRESSION, effort->acceleration != 0); /* by its own judgement, or always */
}

static void *compressor(struct argosy_compressor *kept, const struct argosy_effort *effort) {
    if (!kept->context) {
        kept->context = argosy_lib.ZSTD_createCCtx();
        memset(&kept->effort, 0, sizeof kept->effort);
    }
    if (kept->context && memcmp(&kept->effort, effort, sizeof *effort)) {
        if (!make_effort(kept->context, effort))
            return NULL;
        kept->effort = *effort;
    }
    return kept->context;
}

/* The frame in session->frame and its length, or 0: it is not to be compressed, or could not be (`*failed`). */
static size_t compress(struct argosy_session *session, const struct manner *manner, const unsigned char *content,
                       size_t length, int *failed) {
    /* A blob of no bytes is never compressed: its length 0 means that it is not. */
    if (manner->compresses == NEVER || !length)
        return 0;
    int small = length <= manner->small_bytes;
    void *context = small ? compressor(&session->small, &manner->small) : compressor(&session->large, &manner->large);
    size_t bound = argosy_lib.ZSTD_compressBound(length);
    *failed = !context || !argosy_make_room(&session->frame, bound);
    if (*failed)
        return 0;
    size_t frame = argosy_lib.ZSTD_compress2(context, session->frame.data, bound, content, length);
    *failed = argosy_lib.ZSTD_isError(frame) != 0;
    return *failed || (frame >= length && manner->compresses != ALWAYS) ? 0 : frame;
}

/* Seals one blob at `out`; 0 if memory or the room gave out. */
static int seal_one(struct argosy_session *session, const struct manner *manner, const unsigned char *content,
                    size_t length, const unsigned char *nonce, unsigned char *out, size_t room, struct sealed *done) {
    int failed = 0;
    size_t frame = compress(session, manner, content, length, &failed);
    if (frame)
        length = frame;
    if (failed || room < ARGOSY_OVERHEAD_BYTES || length > room - ARGOSY_OVERHEAD_BYTES)
        return 0;
    memcpy(out, nonce, ARGOSY_IV_BYTES);
    done->compressed = frame != 0;
    done->length = (uint32_t)(length + ARGOSY_OVERHEAD_BYTES);
    return argosy_crypt(session, nonce, frame ? session->frame.data : content, length, out + ARGOSY_IV_BYTES) &&
           argosy_sign(session, nonce, out + ARGOSY_IV_BYTES, length, out + ARGOSY_IV_BYTES + length);
}

/* Opens what was sealed, as a reader will: MAC, decryption, inflation, hash. */
static void verify(struct argosy_session *session, const unsigned char *out, const struct plain *blobs,
                   const struct sealed *sealed, size_t count, unsigned char *sound) {
    for (size_t first = 0; first < count; first += ARGOSY_GROUP_BLOBS) {
        struct argosy_blob rows[ARGOSY_GROUP_BLOBS];
        size_t some = 0, bytes = 0;
        for (; some < ARGOSY_GROUP_BLOBS && first + some < count; some++) {
            size_t at = first + some;
            rows[some] = (struct argosy_blob){.offset = sealed[at].at,
                                              .content_at = bytes,
                                              .length = sealed[at].length,
                                              .uncompressed = sealed[at].compressed ? blobs->lengths[at] : 0};
            memcpy(rows[some].id, blobs->ids + at * ARGOSY_HASH_BYTES, ARGOSY_HASH_BYTES);
            bytes += blobs->lengths[at];
        }
        if (argosy_make_room(&session->content, bytes))
            argosy_open_group(session, out, rows, some, session->content.data, NULL, sound + first);
    }
}

/* Seals data blobs one after the other into `out`, and writes their entries of a pack's header (room for 41 bytes each).
 * `sizes`: the bytes written of both. `sound` has a 1 for each that was verified. Returns how many were done: all, unless
 * memory or room gave out or a nonce is all zero. */
ARGOSY_EXPORT size_t argosy_seal_many(struct argosy_session *session, const unsigned char *data,
                                      const struct manner *manner, const struct plain *blobs, unsigned char *out,
                                      size_t room, unsigned char *header, uint64_t *sizes, unsigned char *sound) {
    static const unsigned char zero[ARGOSY_IV_BYTES];
    unsigned char *entry = header;
    size_t at = 0, done = 0;
    if (!argosy_make_room(&session->rows, blobs->count * sizeof(struct sealed)))
        return 0;
    struct sealed *sealed = (struct sealed *)session->rows.data;
    for (; done < blobs->count; done++) {
        const unsigned char *nonce = blobs->nonces + done * ARGOSY_IV_BYTES;
        uint32_t length = blobs->lengths[done];
        sealed[done].at = at;
        if (!memcmp(nonce, zero, sizeof zero) || !seal_one(session, manner, data + blobs->offsets[done], length, nonce,
                                                           out + at, room - at, &sealed[done]))
            break;
        entry = argosy_write_entry(entry, 0, sealed[done].length, sealed[done].compressed ? length : 0,
                                   blobs->ids + done * ARGOSY_HASH_BYTES);
        at += sealed[done].length;
    }
    if (manner->verify)
        verify(session, out, blobs, sealed, done, sound);
    sizes[0] = at, sizes[1] = (size_t)(entry - header);
    return done;
}
