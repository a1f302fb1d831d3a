/* Opens sealed blobs: MAC, decryption, inflation, hash. It says only of which all holds. */

#include "native.h"

#include <string.h>

/* Blobs are opened in groups whose contents stay in the processor's cache until they are hashed, two at a time. Of
 * large ones a few are taken all the same, so that there are two. */
#define GROUP_BLOBS ARGOSY_GROUP_BLOBS
#define GROUP_LARGE_BLOBS 4
#define GROUP_BYTES ARGOSY_GROUP_BYTES

#define SIZE_UNKNOWN (0ULL - 1) /* ZSTD_CONTENTSIZE_UNKNOWN */

#define PLAIN_ENTRY_BYTES 37
#define COMPRESSED_ENTRY_BYTES 41

/* The content of one blob, not hashed yet. A frame that tells its content's size must tell the right one; restic's
 * frames of less than 256 bytes tell none. */
static int open_one(struct argosy_session *session, const unsigned char *sealed, const struct argosy_blob *blob,
                    unsigned char *content) {
    const struct argosy_libraries *lib = &argosy_lib;
    size_t length = blob->length - ARGOSY_OVERHEAD_BYTES;
    if (!argosy_is_genuine(session, sealed, blob->length))
        return 0;
    if (!blob->uncompressed)
        return argosy_crypt(session, sealed, sealed + ARGOSY_IV_BYTES, length, content);
    if (!argosy_make_room(&session->frame, length) ||
        !argosy_crypt(session, sealed, sealed + ARGOSY_IV_BYTES, length, session->frame.data))
        return 0;
    unsigned long long told = lib->ZSTD_getFrameContentSize(session->frame.data, length);
    if (told != blob->uncompressed && told != SIZE_UNKNOWN)
        return 0;
    return lib->ZSTD_decompressDCtx(session->inflating, content, blob->uncompressed, session->frame.data, length) ==
           blob->uncompressed;
}

int argosy_open_group(struct argosy_session *session, const unsigned char *data, const struct argosy_blob *blobs, size_t count,
                      unsigned char *contents, const struct argosy_hash_job *also, unsigned char *sound) {
    struct argosy_hash_job jobs[GROUP_BLOBS + 1];
    unsigned char hashes[GROUP_BLOBS][ARGOSY_HASH_BYTES];
    size_t hashing = 0;
    if (also)
        jobs[hashing++] = *also;
    for (size_t i = 0; i < count; i++) {
        unsigned char *content = contents + blobs[i].content_at;
        sound[i] = (unsigned char)open_one(session, data + blobs[i].offset, &blobs[i], content);
        if (sound[i])
            jobs[hashing++] = (struct argosy_hash_job){content, argosy_content_bytes(&blobs[i]), NULL, hashes[i]};
    }
    if (!argosy_hash_jobs(jobs, hashing, session->sha256)) {
        memset(sound, 0, count);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        sound[i] = sound[i] && !memcmp(hashes[i], blobs[i].id, ARGOSY_HASH_BYTES);
    return 1;
}

/* How many of the blobs make up the next group. */
static size_t group_of(const struct argosy_blob *blobs, size_t count) {
    size_t taken = 0, bytes = 0;
    while (taken < count && taken < GROUP_BLOBS && (bytes < GROUP_BYTES || taken < GROUP_LARGE_BLOBS))
        bytes += argosy_content_bytes(&blobs[taken++]);
    return taken;
}

/* Opens the blobs of a table, each into its place in `contents`, and writes 1 for each that is sound. What a place
 * holds whose blob is not sound means nothing. */
ARGOSY_EXPORT void argosy_open_many(struct argosy_session *session, const unsigned char *data, size_t data_bytes,
                                    const struct argosy_blob *blobs, size_t count, unsigned char *contents,
                                    size_t contents_bytes, unsigned char *sound) {
    memset(sound, 0, count);
    while (count) {
        size_t group = 0;
        for (size_t most = group_of(blobs, count); group < most; group++) {
            const struct argosy_blob *blob = &blobs[group];
            if (blob->length < ARGOSY_OVERHEAD_BYTES || blob->offset > data_bytes ||
                blob->length > data_bytes - blob->offset || blob->content_at > contents_bytes ||
                argosy_content_bytes(blob) > contents_bytes - blob->content_at)
                break;
        }
        if (group)
            argosy_open_group(session, data, blobs, group, contents, NULL, sound);
        else
            group = 1; /* it lies outside: left as not sound */
        blobs += group, sound += group, count -= group;
    }
}

static uint32_t read_uint32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

size_t argosy_read_entry(const unsigned char *entry, size_t left, struct argosy_blob *blob) {
    size_t size = left && entry[0] >= 2 ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES;
    if (left < size || entry[0] > 3)
        return 0;
    blob->length = read_uint32(entry + 1);
    blob->uncompressed = entry[0] >= 2 ? read_uint32(entry + 5) : 0;
    memcpy(blob->id, entry + size - ARGOSY_HASH_BYTES, ARGOSY_HASH_BYTES);
    return blob->length < ARGOSY_OVERHEAD_BYTES ? 0 : size;
}

static unsigned char *write_uint32(unsigned char *at, uint32_t number) {
    for (int i = 0; i < 4; i++)
        *at++ = (unsigned char)(number >> 8 * i);
    return at;
}

unsigned char *argosy_write_entry(unsigned char *at, int is_tree, uint32_t length, uint32_t uncompressed,
                                  const unsigned char *id) {
    *at++ = (unsigned char)((is_tree ? 1 : 0) + (uncompressed ? 2 : 0));
    at = write_uint32(at, length);
    if (uncompressed)
        at = write_uint32(at, uncompressed);
    memcpy(at, id, ARGOSY_HASH_BYTES);
    return at + ARGOSY_HASH_BYTES;
}

/* A piece of a pack, as argosy_cut_pack tells it: where it begins and ends, in the header and in the pack. */
struct piece {
    uint64_t header_at, header_end, offset, end;
};

/* Cuts a pack, by its header, into pieces of whole blobs and of at most `most` bytes (or one blob). Returns their
 * number, or 0 if the header is malformed or has more pieces than there is room for. */
ARGOSY_EXPORT size_t argosy_cut_pack(const unsigned char *header, size_t header_bytes, size_t most,
                                     struct piece *pieces, size_t room) {
    struct argosy_blob blob;
    size_t count = 0, size;
    uint64_t offset = 0;
    for (size_t at = 0; at < header_bytes; at += size, offset += blob.length) {
        size = argosy_read_entry(header + at, header_bytes - at, &blob);
        if (!size)
            return 0;
        if (!count || offset + blob.length - pieces[count - 1].offset > most) {
            if (count == room)
                return 0;
            pieces[count++] = (struct piece){at, at, offset, offset};
        }
        pieces[count - 1].header_end = at + size;
        pieces[count - 1].end = offset + blob.length;
    }
    return count;
}

/* Begins to read a pack: what follows is hashed as one. */
ARGOSY_EXPORT void argosy_pack_start(struct argosy_session *session) {
    argosy_sha256_start(&session->stream);
}

/* The next group of a piece: its blobs, from the entries of the header; the number, or 0 if an entry is none or its blob
 * is not within the piece. `*header` moves on. */
static size_t read_group(const unsigned char **header, const unsigned char *header_end, uint64_t offset,
                         size_t data_bytes, struct argosy_blob *blobs, size_t *contents_bytes) {
    size_t count = 0;
    *contents_bytes = 0;
    while (count < GROUP_BLOBS && *contents_bytes < GROUP_BYTES && *header < header_end) {
        struct argosy_blob *blob = &blobs[count++];
        size_t size = argosy_read_entry(*header, (size_t)(header_end - *header), blob);
        if (!size || blob->length > data_bytes - offset || argosy_content_bytes(blob) > ARGOSY_CONTENT_MOST)
            return 0;
        blob->offset = offset;
        blob->content_at = *contents_bytes;
        *contents_bytes += argosy_content_bytes(blob);
        offset += blob->length;
        *header += size;
    }
    return count;
}

/* Takes the next piece of a pack with the entries of the header that list its blobs: 1 if all of them are sound and
 * fill it. It is hashed as a part of the pack in any case. */
ARGOSY_EXPORT int argosy_pack_piece(struct argosy_session *session, const unsigned char *data, size_t data_bytes,
                                    const unsigned char *header, size_t header_bytes) {
    const unsigned char *header_end = header + header_bytes;
    uint64_t done = 0;
    int sound = 1;
    while (sound && header < header_end) {
        struct argosy_blob blobs[GROUP_BLOBS];
        unsigned char each[GROUP_BLOBS];
        size_t contents_bytes, count = read_group(&header, header_end, done, data_bytes, blobs, &contents_bytes);
        sound = count && argosy_make_room(&session->content, contents_bytes);
        if (!sound)
            break;
        uint64_t end = blobs[count - 1].offset + blobs[count - 1].length;
        struct argosy_hash_job pack = {data + done, end - done, &session->stream, NULL};
        sound = argosy_open_group(session, data, blobs, count, session->content.data, &pack, each) && !memchr(each, 0, count);
        done = end;
    }
    struct argosy_hash_job rest = {data + done, data_bytes - done, &session->stream, NULL};
    sound = sound && done == data_bytes;
    return argosy_hash_jobs(&rest, 1, session->sha256) && sound;
}

/* Takes what follows the last blob: the sealed header and its length. 1 if the sealed header opens and is `header`, and
 * if the whole pack has the hash `id`. */
ARGOSY_EXPORT int argosy_pack_end(struct argosy_session *session, const unsigned char *trailer, size_t trailer_bytes,
                                  const unsigned char *header, size_t header_bytes, const unsigned char *id) {
    unsigned char hash[ARGOSY_HASH_BYTES];
    struct argosy_hash_job pack = {trailer, trailer_bytes, &session->stream, hash};
    if (!argosy_hash_jobs(&pack, 1, session->sha256) || memcmp(hash, id, sizeof hash))
        return 0;
    size_t sealed = header_bytes + ARGOSY_OVERHEAD_BYTES;
    if (trailer_bytes != sealed + 4 || read_uint32(trailer + sealed) != sealed ||
        !argosy_is_genuine(session, trailer, sealed) || !argosy_make_room(&session->frame, header_bytes) ||
        !argosy_crypt(session, trailer, trailer + ARGOSY_IV_BYTES, header_bytes, session->frame.data))
        return 0;
    return !memcmp(session->frame.data, header, header_bytes);
}
