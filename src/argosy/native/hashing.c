/* SHA-256 of many pieces in one call. */

#include "native.h"

#define HASH_BYTES 32

/* The hashes of `count` pieces that lie one after the other in `data`; 1, or 0 if libcrypto fails. */
ARGOSY_EXPORT int argosy_hash_many(const unsigned char *data, const uint64_t *lengths, size_t count,
                                   unsigned char *hashes) {
    void *context = argosy_lib.EVP_MD_CTX_new();
    int good = context != NULL;
    for (size_t i = 0; good && i < count; i++) {
        good = argosy_lib.EVP_DigestInit_ex2(context, argosy_lib.sha256, NULL) == 1 &&
               argosy_lib.EVP_DigestUpdate(context, data, lengths[i]) == 1 &&
               argosy_lib.EVP_DigestFinal_ex(context, hashes + i * HASH_BYTES, NULL) == 1;
        data += lengths[i];
    }
    argosy_lib.EVP_MD_CTX_free(context);
    return good;
}
