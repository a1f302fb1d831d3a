/* What session.c has of the processor for AES-256 in counter mode (aes.c). */

#ifndef ARGOSY_AES_H
#define ARGOSY_AES_H

#include "native.h"

/* Whether the processor takes four blocks at a time. */
int argosy_aes_wide(void);

/* The keys of the rounds, from a key of 32 bytes; only if argosy_aes_wide. */
void argosy_aes_expand(struct argosy_aes *aes, const unsigned char *key);

/* Encrypts and decrypts alike. 1, or 0 if the counter's lower half would run over: then nothing is written. */
int argosy_aes_crypt(const struct argosy_aes *aes, const unsigned char *iv, const unsigned char *from, size_t length,
                     unsigned char *to);

#endif
