/* Finds libcrypto and libzstd when the library is loaded. */

#include "native.h"

#include <dlfcn.h>
#include <stdio.h>

#define ZSTD_LEAST_VERSION 10400u /* 1.4.0: ZSTD_compress2 became stable */

#define OPENSSL_VERSION_STRING 6 /* crypto.h: the bare version, 3.0.19 */

struct argosy_libraries argosy_lib;

static int missing(char *reason, size_t size, const char *what) {
    snprintf(reason, size, "%s", what);
    return 0;
}

static void *open_library(const char *name, char *reason, size_t size) {
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        missing(reason, size, dlerror());
    return handle;
}

/* Finds everything; 1, or 0 and in `reason` what is missing. Called once, by one thread. */
ARGOSY_EXPORT int argosy_load(const char *crypto_name, const char *zstd_name, char *reason, size_t size) {
    struct argosy_libraries found, *lib = &found; /* all or nothing */
    void *crypto = open_library(crypto_name, reason, size);
    void *zstd = crypto ? open_library(zstd_name, reason, size) : NULL;
    if (!zstd)
        return 0;
/* POSIX has dlsym give functions as void *; this is its own way to store one. */
#define FIND(handle, name)                                                                                             \
    *(void **)&lib->name = dlsym(handle, #name);                                                                       \
    if (!lib->name)                                                                                                    \
        return missing(reason, size, #name " is missing in the library");
#define FIND_CRYPTO(result, name, arguments) FIND(crypto, name)
#define FIND_ZSTD(result, name, arguments) FIND(zstd, name)
    ARGOSY_CRYPTO_FUNCTIONS(FIND_CRYPTO)
    ARGOSY_ZSTD_FUNCTIONS(FIND_ZSTD)
    if (lib->ZSTD_versionNumber() < ZSTD_LEAST_VERSION)
        return missing(reason, size, "libzstd is older than 1.4.0");
    lib->sha256 = lib->EVP_MD_fetch(NULL, "SHA256", NULL);
    lib->aes_256_ctr = lib->EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    lib->aes_128_ecb = lib->EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    lib->poly1305 = lib->EVP_MAC_fetch(NULL, "POLY1305", NULL);
    if (!lib->sha256 || !lib->aes_256_ctr || !lib->aes_128_ecb || !lib->poly1305)
        return missing(reason, size, "libcrypto does not provide SHA-256, AES and Poly1305 (a FIPS configuration?)");
    argosy_lib = found;
    return 1;
}

/* libcrypto's version, such as "3.0.19". */
ARGOSY_EXPORT const char *argosy_crypto_version(void) {
    return argosy_lib.OpenSSL_version(OPENSSL_VERSION_STRING);
}

/* libzstd's version: major * 10000 + minor * 100 + release. */
ARGOSY_EXPORT unsigned argosy_zstd_version(void) {
    return argosy_lib.ZSTD_versionNumber();
}
