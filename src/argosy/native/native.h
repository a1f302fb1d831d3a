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
    X(size_t, ZSTD_compress2, (void *, void *, size_t, const void *, size_t))                                          \
    X(size_t, ZSTD_compressBound, (size_t))                                                                            \
    X(void *, ZSTD_createDCtx, (void))                                                                                 \
    X(size_t, ZSTD_freeDCtx, (void *))                                                                                 \
    X(size_t, ZSTD_decompressDCtx, (void *, void *, size_t, const void *, size_t))                                     \
    X(unsigned long long, ZSTD_getFrameContentSize, (const void *, size_t))                                            \
    X(unsigned, ZSTD_isError, (size_t))                                                                                \
    X(unsigned, ZSTD_versionNumber, (void))

#define ARGOSY_MEMBER(result, name, arguments) result(*name) arguments;

struct argosy_libraries {
    ARGOSY_CRYPTO_FUNCTIONS(ARGOSY_MEMBER)
    ARGOSY_ZSTD_FUNCTIONS(ARGOSY_MEMBER)
    /* Fetched once: OpenSSL 3 looks an algorithm up by name for 1 µs and more. */
    void *sha256, *aes_256_ctr, *aes_128_ecb, *poly1305;
};

/* Written by argosy_load alone, before anything else is called. */
extern struct argosy_libraries argosy_lib;

#endif
