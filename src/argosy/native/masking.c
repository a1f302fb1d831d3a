/* Rows of the dedup lookup (repository/lookup_file.py), from packs' headers: keys, packs' numbers and covered places. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 32
#define PLACE_BYTES 12
#define DIGEST_BYTES (KEY_BYTES + PLACE_BYTES)

struct row {
    unsigned char key[KEY_BYTES], pack[8], place[PLACE_BYTES];
};

/* core.h: an OSSL_PARAM, and two of its types. */
struct parameter {
    const char *key;
    unsigned type;
    void *data;
    size_t size, returned;
};
enum { UNSIGNED_INTEGER = 2, OCTET_STRING = 5 };

/* A keyed BLAKE2b for each type of blob: data, trees. */
struct mask {
    void *types[2];
};

ARGOSY_EXPORT void argosy_mask_free(struct mask *self) {
    if (!self)
        return;
    for (int i = 0; i < 2; i++)
        argosy_lib.EVP_MAC_CTX_free(self->types[i]);
    free(self);
}

static void *keyed(void *algorithm, const unsigned char *secret, const char *person) {
    size_t size = DIGEST_BYTES;
    struct parameter parameters[] = {{"size", UNSIGNED_INTEGER, &size, sizeof size, 0},
                                     {"custom", OCTET_STRING, (void *)person, strlen(person), 0},
                                     {NULL, 0, NULL, 0, 0}};
    void *context = argosy_lib.EVP_MAC_CTX_new(algorithm);
    if (context && argosy_lib.EVP_MAC_init(context, secret, 32, parameters) != 1) {
        argosy_lib.EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}

/* `secret`: 32 bytes. NULL where libcrypto has no BLAKE2b, or without memory. For one thread at a time. */
ARGOSY_EXPORT struct mask *argosy_mask_new(const unsigned char *secret, const char *data, const char *tree) {
    void *algorithm = argosy_lib.EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
    struct mask *self = algorithm ? calloc(1, sizeof *self) : NULL;
    if (!self)
        return NULL;
    self->types[0] = keyed(algorithm, secret, data);
    self->types[1] = keyed(algorithm, secret, tree);
    if (self->types[0] && self->types[1])
        return self;
    argosy_mask_free(self);
    return NULL;
}

/* The key, and the pad that covers the place. */
static int digest(void *context, const unsigned char *id, struct row *row) {
    unsigned char digest[DIGEST_BYTES];
    size_t size = 0;
    int good = argosy_lib.EVP_MAC_init(context, NULL, 0, NULL) == 1 &&
               argosy_lib.EVP_MAC_update(context, id, ARGOSY_HASH_BYTES) == 1 &&
               argosy_lib.EVP_MAC_final(context, digest, &size, DIGEST_BYTES) == 1 && size == DIGEST_BYTES;
    memcpy(row->key, digest, KEY_BYTES);
    memcpy(row->place, digest + KEY_BYTES, PLACE_BYTES);
    return good;
}

static void cover(unsigned char *at, uint64_t number) {
    for (int i = 0; i < 4; i++)
        at[i] ^= (unsigned char)(number >> 8 * i);
}

/* A row for each blob that the header of the pack with this number lists. Returns how many they are, or 0 if the header is
 * malformed or libcrypto fails. */
ARGOSY_EXPORT size_t argosy_mask_header(struct mask *self, const unsigned char *header, size_t header_bytes,
                                        uint64_t pack, struct row *rows) {
    size_t count = 0;
    uint64_t offset = 0;
    for (size_t size; header_bytes; header += size, header_bytes -= size, count++) {
        struct argosy_blob blob;
        struct row *row = rows + count;
        size = argosy_read_entry(header, header_bytes, &blob);
        if (!size || !digest(self->types[header[0] & 1], blob.id, row))
            return 0;
        for (int i = 0; i < 8; i++)
            row->pack[i] = (unsigned char)(pack >> 8 * i);
        cover(row->place, offset);
        cover(row->place + 4, blob.length);
        cover(row->place + 8, blob.uncompressed);
        offset += blob.length;
    }
    return count;
}

static int by_key(const void *one, const void *other) {
    return memcmp(((const struct row *)one)->key, ((const struct row *)other)->key, KEY_BYTES);
}

/* Sorts rows by their keys. */
ARGOSY_EXPORT void argosy_sort_rows(struct row *rows, size_t count) {
    qsort(rows, count, sizeof *rows, by_key);
}

/* The ids of the blobs that the header lists, one after the other. Returns their number, or 0 if it is malformed. */
ARGOSY_EXPORT size_t argosy_header_ids(const unsigned char *header, size_t header_bytes, unsigned char *ids) {
    size_t count = 0;
    for (size_t size; header_bytes; header += size, header_bytes -= size, count++) {
        struct argosy_blob blob;
        size = argosy_read_entry(header, header_bytes, &blob);
        if (!size)
            return 0;
        memcpy(ids + count * ARGOSY_HASH_BYTES, blob.id, ARGOSY_HASH_BYTES);
    }
    return count;
}
