/* Seals blobs: compression where it helps, encryption, MAC, and on request all of it back again. */

#include "native.h"

#include <string.h>

/* zstd.h: ZSTD_c_compressionLevel, _minMatch, _targetLength, _literalCompressionMode (experimental, since 1.3.8). Frames
 * carry the content's size by default. */
enum { LEVEL = 100, LEAST_MATCH = 105, ACCELERATION = 106, LITERAL_COMPRESSION = 1002 };

/* How to seal, as bindings.py writes it. */
struct manner {
    int32_t compresses; /* where a frame is shorter; else all is stored as it is */
    struct argosy_effort small, large;
    uint32_t small_bytes; /* up to here the small effort counts */
    int32_t verify;
};

/* A blob to be sealed, and what became of it. */
struct plain {
    uint64_t offset;     /* of the content, in the data */
    uint64_t sealed_at;  /* where the sealed bytes begin, in the output */
    uint32_t length;     /* of the content */
    uint32_t sealed;     /* length of the sealed bytes; 0: not done, nothing of it counts */
    uint32_t compressed; /* whether a frame was sealed */
    uint32_t sound;      /* whether it was verified */
    unsigned char nonce[ARGOSY_IV_BYTES];
    unsigned char id[ARGOSY_HASH_BYTES];
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
    if (!manner->compresses || !length)
        return 0;
    int small = length <= manner->small_bytes;
    void *context = small ? compressor(&session->small, &manner->small) : compressor(&session->large, &manner->large);
    size_t bound = argosy_lib.ZSTD_compressBound(length);
    *failed = !context || !argosy_make_room(&session->frame, bound);
    if (*failed)
        return 0;
    size_t frame = argosy_lib.ZSTD_compress2(context, session->frame.data, bound, content, length);
    *failed = argosy_lib.ZSTD_isError(frame) != 0;
    return *failed || frame >= length ? 0 : frame;
}

/* Seals one blob at `out`; returns the bytes written, or 0. */
static size_t seal_one(struct argosy_session *session, const struct manner *manner, const unsigned char *content,
                       struct plain *blob, unsigned char *out, size_t room) {
    int failed = 0;
    size_t frame = compress(session, manner, content, blob->length, &failed);
    size_t length = frame ? frame : blob->length;
    if (failed || room < ARGOSY_OVERHEAD_BYTES || length > room - ARGOSY_OVERHEAD_BYTES)
        return 0;
    memcpy(out, blob->nonce, ARGOSY_IV_BYTES);
    if (!argosy_crypt(session, blob->nonce, frame ? session->frame.data : content, length, out + ARGOSY_IV_BYTES) ||
        !argosy_sign(session, blob->nonce, out + ARGOSY_IV_BYTES, length, out + ARGOSY_IV_BYTES + length))
        return 0;
    blob->compressed = frame != 0;
    blob->sealed = (uint32_t)(length + ARGOSY_OVERHEAD_BYTES);
    return blob->sealed;
}

/* Opens what was sealed, as a reader will: MAC, decryption, inflation, hash. */
static void verify(struct argosy_session *session, const unsigned char *out, struct plain *blobs, size_t count) {
    while (count) {
        struct argosy_blob rows[ARGOSY_GROUP_BLOBS];
        unsigned char sound[ARGOSY_GROUP_BLOBS];
        size_t some = 0, bytes = 0;
        for (; some < count && some < ARGOSY_GROUP_BLOBS; some++) {
            const struct plain *blob = &blobs[some];
            rows[some] = (struct argosy_blob){.offset = blob->sealed_at,
                                              .content_at = bytes,
                                              .length = blob->sealed,
                                              .uncompressed = blob->compressed ? blob->length : 0};
            memcpy(rows[some].id, blob->id, ARGOSY_HASH_BYTES);
            bytes += blob->length;
        }
        if (argosy_make_room(&session->content, bytes)) {
            argosy_open_group(session, out, rows, some, session->content.data, NULL, sound);
            for (size_t i = 0; i < some; i++)
                blobs[i].sound = sound[i];
        }
        blobs += some, count -= some;
    }
}

/* Seals blobs one after the other into `out`. Returns how many were done: all, unless memory or room gave out or a
 * nonce is all zero. */
ARGOSY_EXPORT size_t argosy_seal_many(struct argosy_session *session, const unsigned char *data,
                                      const struct manner *manner, struct plain *blobs, size_t count,
                                      unsigned char *out, size_t room) {
    static const unsigned char zero[ARGOSY_IV_BYTES];
    size_t at = 0, done = 0;
    for (; done < count; done++) {
        struct plain *blob = &blobs[done];
        blob->sealed_at = at;
        size_t written = memcmp(blob->nonce, zero, sizeof zero)
                             ? seal_one(session, manner, data + blob->offset, blob, out + at, room - at)
                             : 0;
        if (!written)
            break;
        at += written;
    }
    if (manner->verify)
        verify(session, out, blobs, done);
    return done;
}
