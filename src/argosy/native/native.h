/* What the C files of this folder share. Each *.c here is compiled into one library (build.py); what Python calls is
 * marked ARGOSY_EXPORT and declared in bindings.py. Nothing here includes a header of libcrypto or libzstd: the few
 * prototypes stand below, so that a compiler and the libraries themselves are enough to build and to run. */

#ifndef ARGOSY_NATIVE_H
#define ARGOSY_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define ARGOSY_EXPORT __attribute__((visibility("default")))

/* libcrypto 3 (OpenSSL's man pages EVP_EncryptInit, EVP_DigestInit, EVP_MAC) and libzstd 1.4 or newer (zstd.h, its
 * stable part), found by argosy_load. A row: what it returns, its name, its arguments. */
#define ARGOSY_CRYPTO_FUNCTIONS(X)                                                                                     \
    X(const char *, OpenSSL_version, (int))                                                                            \
    X(void *, EVP_MD_fetch, (void *, const char *, const char *))                                                      \
    X(void *, EVP_MD_CTX_new, (void))                                                                                  \
    X(void, EVP_MD_CTX_free, (void *))                                                                                 \
    X(int, EVP_DigestInit_ex2, (void *, const void *, const void *))                                                   \
    X(int, EVP_DigestUpdate, (void *, const void *, size_t))                                                           \
    X(int, EVP_DigestFinal_ex, (void *, unsigned char *, unsigned int *))                                              \
    X(void *, EVP_CIPHER_fetch, (void *, const char *, const char *))                                                  \
    X(void *, EVP_CIPHER_CTX_new, (void))                                                                              \
    X(void, EVP_CIPHER_CTX_free, (void *))                                                                             \
    X(int, EVP_CIPHER_CTX_set_padding, (void *, int))                                                                  \
    X(int, EVP_EncryptInit_ex2, (void *, const void *, const unsigned char *, const unsigned char *, const void *))    \
    X(int, EVP_EncryptUpdate, (void *, unsigned char *, int *, const unsigned char *, int))                            \
    X(void *, EVP_MAC_fetch, (void *, const char *, const char *))                                                     \
    X(void *, EVP_MAC_CTX_new, (void *))                                                                               \
    X(void, EVP_MAC_CTX_free, (void *))                                                                                \
    X(int, EVP_MAC_init, (void *, const unsigned char *, size_t, const void *))                                        \
    X(int, EVP_MAC_update, (void *, const unsigned char *, size_t))                                                    \
    X(int, EVP_MAC_final, (void *, unsigned char *, size_t *, size_t))

#define ARGOSY_ZSTD_FUNCTIONS(X)                                                                                       \
    X(void *, ZSTD_createCCtx, (void))                                                                                 \
    X(size_t, ZSTD_freeCCtx, (void *))                                                                                 \
    X(size_t, ZSTD_CCtx_setParameter, (void *, int, int))                                                              \
    X(size_t, ZSTD_CCtx_reset, (void *, int))                                                                          \
    X(size_t, ZSTD_compress2, (void *, void *, size_t, const void *, size_t))                                          \
    X(size_t, ZSTD_compressBound, (size_t))                                                                            \
    X(void *, ZSTD_createDCtx, (void))                                                                                 \
    X(size_t, ZSTD_freeDCtx, (void *))                                                                                 \
    X(size_t, ZSTD_decompressDCtx, (void *, void *, size_t, const void *, size_t))                                     \
    X(size_t, ZSTD_decompressStream, (void *, struct argosy_zstd_output *, struct argosy_zstd_input *))                \
    X(unsigned long long, ZSTD_getFrameContentSize, (const void *, size_t))                                            \
    X(unsigned, ZSTD_isError, (size_t))                                                                                \
    X(unsigned, ZSTD_versionNumber, (void))

/* ZSTD_inBuffer and ZSTD_outBuffer. */
struct argosy_zstd_input {
    const void *data;
    size_t size, at;
};
struct argosy_zstd_output {
    void *data;
    size_t size, at;
};

#define ARGOSY_MEMBER(result, name, arguments) result(*name) arguments;

struct argosy_libraries {
    ARGOSY_CRYPTO_FUNCTIONS(ARGOSY_MEMBER)
    ARGOSY_ZSTD_FUNCTIONS(ARGOSY_MEMBER)
    /* Fetched once: OpenSSL 3 looks an algorithm up by name for 1 µs and more. */
    void *sha256, *aes_256_ctr, *aes_128_ecb, *poly1305;
};

/* Written by argosy_load alone, before anything else is called. */
extern struct argosy_libraries argosy_lib;

/* -- sha256.c ----------------------------------------------------------------------------------------------------- */

#define ARGOSY_HASH_BYTES 32
#define ARGOSY_SHA256_BLOCK 64

/* A hash that is fed piece by piece. `context` (EVP_MD_CTX) is its owner's; used where the processor has no fast way. */
struct argosy_sha256 {
    uint32_t words[8];
    uint64_t bytes;
    unsigned char kept[ARGOSY_SHA256_BLOCK];
    void *context;
};

void argosy_sha256_start(struct argosy_sha256 *state);

/* A piece to hash. Without `state` it is a whole message. With `digest` the message ends here. */
struct argosy_hash_job {
    const unsigned char *data;
    size_t length;
    struct argosy_sha256 *state;
    unsigned char *digest;
};

/* Hashes all, in another order than they have; no two jobs may have the same state. `context` (EVP_MD_CTX) is for whole messages. 1, or 0 if libcrypto
 * fails. */
int argosy_hash_jobs(struct argosy_hash_job *jobs, size_t count, void *context);

/* Whether the processor hashes by itself, two messages at a time. */
int argosy_sha256_fast(void);

/* -- session.c ---------------------------------------------------------------------------------------------------- */

#define ARGOSY_IV_BYTES 16
#define ARGOSY_MAC_BYTES 16
#define ARGOSY_OVERHEAD_BYTES (ARGOSY_IV_BYTES + ARGOSY_MAC_BYTES)

/* Memory that is kept for the next call. */
struct argosy_buffer {
    unsigned char *data;
    size_t size;
};

/* How hard zstd tries: its level, and the length of the least match that counts and an acceleration, or 0 for the
 * level's own. */
struct argosy_effort {
    int32_t level, least_match, acceleration;
};

/* The keys of AES-256's rounds (aes.c). */
struct argosy_aes {
    unsigned char keys[15][16];
};

/* What one thread works with under one key: contexts that are set back for each blob, and memory. */
struct argosy_session {
    void *ctr, *pad, *mac, *sha256, *inflating;
    int is_wide; /* `aes` is used, and ctr only where it cannot be */
    struct argosy_aes aes;
    unsigned char mac_r[16];
    struct argosy_sha256 stream; /* the hash of the pack that is being read */
    struct argosy_buffer frame, content, rows;
    struct argosy_compressor {
        void *context;
        struct argosy_effort effort;
    } small, large;
};

/* Room for `size` bytes; what was there is lost. 1, or 0 without memory. */
int argosy_make_room(struct argosy_buffer *buffer, size_t size);

/* Decrypts and encrypts alike (counter mode), from one place to another. 1, or 0 if libcrypto fails. */
int argosy_crypt(struct argosy_session *session, const unsigned char *iv, const unsigned char *from, size_t length,
                 unsigned char *to);

/* The MAC of a ciphertext. 1, or 0 if libcrypto fails. */
int argosy_sign(struct argosy_session *session, const unsigned char *iv, const unsigned char *ciphertext,
                size_t length, unsigned char *mac);

/* Whether a sealed piece has a MAC that holds and a nonce that is not all zero. */
int argosy_is_genuine(struct argosy_session *session, const unsigned char *sealed, size_t length);

/* -- opening.c ---------------------------------------------------------------------------------------------------- */

/* A sealed blob, as bindings.py writes a table of them. */
struct argosy_blob {
    uint64_t offset;       /* of the sealed bytes */
    uint64_t content_at;   /* where the content is to be written */
    uint32_t length;       /* of the sealed bytes */
    uint32_t uncompressed; /* length of the content, or 0: stored as it is */
    unsigned char id[ARGOSY_HASH_BYTES];
};

/* One entry of a pack's header (restic_format/pack.py), all but the offset; its size, or 0 if it is none. */
size_t argosy_read_entry(const unsigned char *entry, size_t left, struct argosy_blob *blob);

/* Writes such an entry, with the blob's length, uncompressed length and id; returns its end. */
unsigned char *argosy_write_entry(unsigned char *at, int is_tree, uint32_t length, uint32_t uncompressed,
                                  const unsigned char *id);

static inline size_t argosy_content_bytes(const struct argosy_blob *blob) {
    return blob->uncompressed ? blob->uncompressed : blob->length - ARGOSY_OVERHEAD_BYTES;
}

/* Nothing in the format has more content but some trees; whoever wrote a larger one is heard in Python. */
#define ARGOSY_CONTENT_MOST ((size_t)64 * 1024 * 1024)

#define ARGOSY_GROUP_BLOBS 128
#define ARGOSY_GROUP_BYTES ((size_t)1536 * 1024)

/* Opens up to ARGOSY_GROUP_BLOBS blobs, hashes their contents, and `also` beside them; `sound` gets a 1 for each that
 * holds. Returns 0 if libcrypto cannot hash. */
int argosy_open_group(struct argosy_session *session, const unsigned char *data, const struct argosy_blob *blobs,
                      size_t count, unsigned char *contents, const struct argosy_hash_job *also, unsigned char *sound);

/* -- tables.c ----------------------------------------------------------------------------------------------------- */

struct argosy_table;

/* Where a blob is: the pack's number, and as in argosy_blob. */
struct argosy_place {
    uint32_t pack, offset, length, uncompressed;
};

/* The first place of an id in a table of places; 1, or 0 if it is not there. */
int argosy_table_place(const struct argosy_table *table, const unsigned char *id, struct argosy_place *place);

#endif
