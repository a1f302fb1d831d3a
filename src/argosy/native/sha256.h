/* What sha256.c has of the processor (sha256_blocks.c). */

#ifndef ARGOSY_SHA256_H
#define ARGOSY_SHA256_H

#include "native.h"

#define ARGOSY_SHA256_LANES 16

/* Whether the processor takes sixteen messages at a time, faster than two. */
int argosy_sha256_wide(void);

/* Whole blocks of one message, and of two messages; only if argosy_sha256_fast. */
void argosy_sha256_one(uint32_t *words, const unsigned char *data, size_t blocks);
void argosy_sha256_two(uint32_t *a_words, const unsigned char *a_data, uint32_t *b_words, const unsigned char *b_data,
                       size_t blocks);

/* The same of sixteen; only if argosy_sha256_wide. `words[i][lane]` is the word i of a lane's state. */
void argosy_sha256_sixteen(uint32_t (*words)[ARGOSY_SHA256_LANES], const unsigned char *const *data, size_t blocks);

#endif
