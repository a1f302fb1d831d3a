/* What one thread works with: contexts under one key, and memory that is used again. */

#include "aes.h"

#include <stdlib.h>
#include <string.h>

/* libcrypto takes lengths as int; a piece of the format never has more (uint32), and rarely above 8 MiB. */
#define PART_BYTES ((size_t)1 << 30)

static void *new_cipher(const void *cipher, const unsigned char *key) {
    static const unsigned char no_iv[ARGOSY_IV_BYTES];
    void *context = argosy_lib.EVP_CIPHER_CTX_new();
    if (context && (argosy_lib.EVP_EncryptInit_ex2(context, cipher, key, no_iv, NULL) != 1 ||
                    argosy_lib.EVP_CIPHER_CTX_set_padding(context, 0) != 1)) {
        argosy_lib.EVP_CIPHER_CTX_free(context);
        return NULL;
    }
    return context;
}

/* Makes the round keys and has both ways encrypt the same, so that a processor or a compiler with a fault is not
 * relied on. */
static int try_wide(struct argosy_session *session, const unsigned char *key) {
    static const unsigned char iv[ARGOSY_IV_BYTES] = {1, [14] = 0xff, [15] = 0xfe};
    unsigned char plain[1000] = {0}, one[sizeof plain], other[sizeof plain];
    argosy_aes_expand(&session->aes, key);
    return argosy_aes_crypt(&session->aes, iv, plain, sizeof plain, one) &&
           argosy_crypt(session, iv, plain, sizeof plain, other) && !memcmp(one, other, sizeof plain);
}

ARGOSY_EXPORT void argosy_session_free(struct argosy_session *session) {
    if (!session)
        return;
    argosy_lib.EVP_CIPHER_CTX_free(session->ctr);
    argosy_lib.EVP_CIPHER_CTX_free(session->pad);
    argosy_lib.EVP_MAC_CTX_free(session->mac);
    argosy_lib.EVP_MD_CTX_free(session->sha256);
    argosy_lib.EVP_MD_CTX_free(session->stream.context);
    argosy_lib.ZSTD_freeDCtx(session->inflating);
    argosy_lib.ZSTD_freeCCtx(session->small.context);
    argosy_lib.ZSTD_freeCCtx(session->large.context);
    free(session->frame.data);
    free(session->content.data);
    free(session->rows.data);
    explicit_bzero(session, sizeof *session); /* it holds keys */
    free(session);
}

/* `key`: 64 bytes, the cipher's, then k and r of the MAC. NULL without memory. For one thread at a time. */
ARGOSY_EXPORT struct argosy_session *argosy_session_new(const unsigned char *key) {
    struct argosy_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->ctr = new_cipher(argosy_lib.aes_256_ctr, key);
    session->pad = new_cipher(argosy_lib.aes_128_ecb, key + 32);
    session->mac = argosy_lib.EVP_MAC_CTX_new(argosy_lib.poly1305);
    session->sha256 = argosy_lib.EVP_MD_CTX_new();
    session->stream.context = argosy_lib.EVP_MD_CTX_new();
    session->inflating = argosy_lib.ZSTD_createDCtx();
    memcpy(session->mac_r, key + 48, sizeof session->mac_r);
    if (session->ctr && session->pad && session->mac && session->sha256 && session->stream.context &&
        session->inflating) {
        session->is_wide = argosy_aes_wide() && try_wide(session, key);
        return session;
    }
    argosy_session_free(session);
    return NULL;
}

int argosy_make_room(struct argosy_buffer *buffer, size_t size) {
    if (size <= buffer->size)
        return 1;
    free(buffer->data);
    buffer->data = malloc(size);
    buffer->size = buffer->data ? size : 0;
    return buffer->data != NULL;
}

int argosy_crypt(struct argosy_session *session, const unsigned char *iv, const unsigned char *from, size_t length,
                 unsigned char *to) {
    if (session->is_wide && argosy_aes_crypt(&session->aes, iv, from, length, to))
        return 1;
    if (argosy_lib.EVP_EncryptInit_ex2(session->ctr, NULL, NULL, iv, NULL) != 1)
        return 0;
    while (length) {
        int done = 0;
        size_t part = length < PART_BYTES ? length : PART_BYTES;
        if (argosy_lib.EVP_EncryptUpdate(session->ctr, to, &done, from, (int)part) != 1 || (size_t)done != part)
            return 0;
        from += part, to += part, length -= part;
    }
    return 1;
}

int argosy_sign(struct argosy_session *session, const unsigned char *iv, const unsigned char *ciphertext,
                size_t length, unsigned char *mac) {
    unsigned char key[32];
    int done = 0;
    size_t size = 0;
    memcpy(key, session->mac_r, 16);
    return argosy_lib.EVP_EncryptUpdate(session->pad, key + 16, &done, iv, ARGOSY_IV_BYTES) == 1 && done == 16 &&
           argosy_lib.EVP_MAC_init(session->mac, key, sizeof key, NULL) == 1 &&
           argosy_lib.EVP_MAC_update(session->mac, ciphertext, length) == 1 &&
           argosy_lib.EVP_MAC_final(session->mac, mac, &size, ARGOSY_MAC_BYTES) == 1 && size == ARGOSY_MAC_BYTES;
}

static int all_zero(const unsigned char *bytes, size_t length) {
    unsigned char any = 0;
    for (size_t i = 0; i < length; i++)
        any |= bytes[i];
    return !any;
}

int argosy_is_genuine(struct argosy_session *session, const unsigned char *sealed, size_t length) {
    unsigned char mac[ARGOSY_MAC_BYTES], differing = 0;
    if (length < ARGOSY_OVERHEAD_BYTES || all_zero(sealed, ARGOSY_IV_BYTES) ||
        !argosy_sign(session, sealed, sealed + ARGOSY_IV_BYTES, length - ARGOSY_OVERHEAD_BYTES, mac))
        return 0;
    /* No early end: how long it takes tells nothing of the MAC. */
    for (size_t i = 0; i < ARGOSY_MAC_BYTES; i++)
        differing |= (unsigned char)(mac[i] ^ sealed[length - ARGOSY_MAC_BYTES + i]);
    return !differing;
}
