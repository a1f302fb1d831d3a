/* AES-256 in counter mode, by instructions that take four blocks at a time (VAES, AVX-512): twice as fast as libcrypto,
 * which takes one. */

#include "aes.h"

#include <string.h>

#define BLOCK 16

#if defined(__x86_64__)

#include <immintrin.h>

#define WIDE_CODE __attribute__((target("aes,vaes,avx512f,avx512bw")))
#define INLINE static inline __attribute__((always_inline))

#define ROUNDS 14
#define LANES 4 /* blocks in a register */
#define ROWS 8  /* registers on their way together: an instruction's result takes that long */

int argosy_aes_wide(void) {
    unsigned a = 7, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c >> 9 & 1) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* FIPS 197, 5.2: each key is the one before the last, its words summed up, and a word of the last that went through
 * the S-box. */
WIDE_CODE INLINE __m128i next_key(__m128i before, __m128i word) {
    for (int i = 0; i < 3; i++)
        before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
    return _mm_xor_si128(before, word);
}

WIDE_CODE void argosy_aes_expand(struct argosy_aes *aes, const unsigned char *key) {
    __m128i even = _mm_loadu_si128((const __m128i *)key), odd = _mm_loadu_si128((const __m128i *)(key + BLOCK));
    __m128i *keys = (__m128i *)aes->keys;
#define PAIR(i, constant)                                                                                              \
    _mm_storeu_si128(keys + (i), even);                                                                                \
    _mm_storeu_si128(keys + (i) + 1, odd);                                                                             \
    even = next_key(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, constant), 0xff));                          \
    odd = next_key(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa));
    PAIR(0, 0x01)
    PAIR(2, 0x02)
    PAIR(4, 0x04)
    PAIR(6, 0x08)
    PAIR(8, 0x10)
    PAIR(10, 0x20)
    PAIR(12, 0x40)
#undef PAIR
    _mm_storeu_si128(keys + ROUNDS, even);
}

static uint64_t read_big_endian(const unsigned char *bytes) {
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap64(number);
}

/* The key stream of as many registers as there are, from the counters in `stream`. */
#define ENCIPHER(count)                                                                                                \
    do {                                                                                                               \
        for (int i = 0; i < (count); i++)                                                                              \
            stream[i] = _mm512_xor_si512(_mm512_shuffle_epi8(stream[i], swap), keys[0]);                               \
        for (int round = 1; round < ROUNDS; round++)                                                                   \
            for (int i = 0; i < (count); i++)                                                                          \
                stream[i] = _mm512_aesenc_epi128(stream[i], keys[round]);                                              \
        for (int i = 0; i < (count); i++)                                                                              \
            stream[i] = _mm512_aesenclast_epi128(stream[i], keys[ROUNDS]);                                             \
    } while (0)

WIDE_CODE __attribute__((optimize("unroll-loops"))) int argosy_aes_crypt(const struct argosy_aes *aes,
                                                                         const unsigned char *iv,
                                                                         const unsigned char *from, size_t length,
                                                                         unsigned char *to) {
    const size_t register_bytes = LANES * BLOCK;
    uint64_t high = read_big_endian(iv), low = read_big_endian(iv + 8);
    if (low > UINT64_MAX - (length / BLOCK + ROWS * LANES))
        return 0;
    /* A counter is kept as two numbers, the lower first; turned round it is the block. */
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL));
    const __m512i step = _mm512_set_epi64(0, LANES, 0, LANES, 0, LANES, 0, LANES);
    __m512i counter = _mm512_add_epi64(_mm512_broadcast_i32x4(_mm_set_epi64x((long long)high, (long long)low)),
                                       _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    __m512i keys[ROUNDS + 1], stream[ROWS];
    for (int i = 0; i <= ROUNDS; i++)
        keys[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)aes->keys + i));
    for (; length >= ROWS * register_bytes; length -= ROWS * register_bytes) {
        for (int i = 0; i < ROWS; i++, counter = _mm512_add_epi64(counter, step))
            stream[i] = counter;
        ENCIPHER(ROWS);
        for (int i = 0; i < ROWS; i++, from += register_bytes, to += register_bytes)
            _mm512_storeu_si512(to, _mm512_xor_si512(stream[i], _mm512_loadu_si512(from)));
    }
    if (!length)
        return 1;
    for (int i = 0; i < ROWS; i++, counter = _mm512_add_epi64(counter, step))
        stream[i] = counter;
    ENCIPHER(ROWS);
    for (int i = 0; length; i++, from += register_bytes, to += register_bytes) {
        size_t part = length < register_bytes ? length : register_bytes;
        __mmask64 mask = UINT64_MAX >> (register_bytes - part);
        _mm512_mask_storeu_epi8(to, mask, _mm512_xor_si512(stream[i], _mm512_maskz_loadu_epi8(mask, from)));
        length -= part;
    }
    return 1;
}

#else

int argosy_aes_wide(void) {
    return 0;
}

void argosy_aes_expand(struct argosy_aes *aes, const unsigned char *key) {
    (void)aes, (void)key;
}

int argosy_aes_crypt(const struct argosy_aes *aes, const unsigned char *iv, const unsigned char *from, size_t length,
                     unsigned char *to) {
    (void)aes, (void)iv, (void)from, (void)length, (void)to;
    return 0;
}

#endif
