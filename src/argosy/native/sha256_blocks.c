/* The blocks of one, two or sixteen messages, by the processor's own instructions (Intel SHA extensions, AVX-512). */

#include "sha256.h"

#define BLOCK ARGOSY_SHA256_BLOCK

#if defined(__x86_64__)

#include <immintrin.h>

#define SHA_CODE __attribute__((target("sha,sse4.1,ssse3")))

int argosy_sha256_fast(void) {
    static int known = -1; /* written with the same value by whichever thread comes first */
    int fast = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (fast < 0) {
        unsigned a = 7, b = 0, c = 0, d;
        __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        fast = (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
        __atomic_store_n(&known, fast, __ATOMIC_RELAXED);
    }
    return fast;
}

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The instructions want the state as ABEF and CDGH, the highest word first. */
#define LOAD_STATE(s, words)                                                                                           \
    do {                                                                                                               \
        __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(words)), 0xb1);                              \
        __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)((words) + 4)), 0x1b);                       \
        s##_abef = _mm_alignr_epi8(low, high, 8);                                                                      \
        s##_cdgh = _mm_blend_epi16(high, low, 0xf0);                                                                   \
    } while (0)

#define STORE_STATE(s, words)                                                                                          \
    do {                                                                                                               \
        __m128i feba = _mm_shuffle_epi32(s##_abef, 0x1b), dchg = _mm_shuffle_epi32(s##_cdgh, 0xb1);                    \
        _mm_storeu_si128((__m128i *)(words), _mm_blend_epi16(feba, dchg, 0xf0));                                       \
        _mm_storeu_si128((__m128i *)((words) + 4), _mm_alignr_epi8(dchg, feba, 8));                                    \
    } while (0)

#define LOAD_BLOCK(s, data)                                                                                            \
    do {                                                                                                               \
        s##_w0 = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data)), swap);                                     \
        s##_w1 = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)((data) + 16)), swap);                              \
        s##_w2 = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)((data) + 32)), swap);                              \
        s##_w3 = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)((data) + 48)), swap);                              \
    } while (0)

/* Four rounds with the message words in w0; then w0 becomes the words that come four steps later. */
#define ROUNDS(s, k, w0)                                                                                               \
    do {                                                                                                               \
        __m128i m = _mm_add_epi32(s##_##w0, _mm_load_si128((const __m128i *)(K + 4 * (k))));                           \
        s##_cdgh = _mm_sha256rnds2_epu32(s##_cdgh, s##_abef, m);                                                       \
        s##_abef = _mm_sha256rnds2_epu32(s##_abef, s##_cdgh, _mm_shuffle_epi32(m, 0x0e));                              \
    } while (0)
#define SCHEDULE(s, w0, w1, w2, w3)                                                                                    \
    s##_##w0 = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(s##_##w0, s##_##w1),                            \
                                                  _mm_alignr_epi8(s##_##w3, s##_##w2, 4)),                             \
                                    s##_##w3)

/* STEP is given by each function: the same four rounds for one message, or for two. */
#define ALL_STEPS                                                                                                      \
    STEP(0, w0, w1, w2, w3) STEP(1, w1, w2, w3, w0) STEP(2, w2, w3, w0, w1) STEP(3, w3, w0, w1, w2)                    \
    STEP(4, w0, w1, w2, w3) STEP(5, w1, w2, w3, w0) STEP(6, w2, w3, w0, w1) STEP(7, w3, w0, w1, w2)                    \
    STEP(8, w0, w1, w2, w3) STEP(9, w1, w2, w3, w0) STEP(10, w2, w3, w0, w1) STEP(11, w3, w0, w1, w2)                  \
    LAST(12, w0) LAST(13, w1) LAST(14, w2) LAST(15, w3)

#define VARIABLES(s) __m128i s##_abef, s##_cdgh, s##_w0, s##_w1, s##_w2, s##_w3

SHA_CODE void argosy_sha256_one(uint32_t *words, const unsigned char *data, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    VARIABLES(a);
    LOAD_STATE(a, words);
    for (; blocks; blocks--, data += BLOCK) {
        __m128i abef = a_abef, cdgh = a_cdgh;
        LOAD_BLOCK(a, data);
#define STEP(k, w0, w1, w2, w3)                                                                                        \
    ROUNDS(a, k, w0);                                                                                                  \
    SCHEDULE(a, w0, w1, w2, w3);
#define LAST(k, w0) ROUNDS(a, k, w0);
        ALL_STEPS
#undef STEP
#undef LAST
        a_abef = _mm_add_epi32(a_abef, abef);
        a_cdgh = _mm_add_epi32(a_cdgh, cdgh);
    }
    STORE_STATE(a, words);
}

SHA_CODE void argosy_sha256_two(uint32_t *a_words, const unsigned char *a_data, uint32_t *b_words,
                                const unsigned char *b_data, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    VARIABLES(a);
    VARIABLES(b);
    LOAD_STATE(a, a_words);
    LOAD_STATE(b, b_words);
    for (; blocks; blocks--, a_data += BLOCK, b_data += BLOCK) {
        __m128i old_a_abef = a_abef, old_a_cdgh = a_cdgh, old_b_abef = b_abef, old_b_cdgh = b_cdgh;
        LOAD_BLOCK(a, a_data);
        LOAD_BLOCK(b, b_data);
#define STEP(k, w0, w1, w2, w3)                                                                                        \
    ROUNDS(a, k, w0);                                                                                                  \
    ROUNDS(b, k, w0);                                                                                                  \
    SCHEDULE(a, w0, w1, w2, w3);                                                                                       \
    SCHEDULE(b, w0, w1, w2, w3);
#define LAST(k, w0)                                                                                                    \
    ROUNDS(a, k, w0);                                                                                                  \
    ROUNDS(b, k, w0);
        ALL_STEPS
#undef STEP
#undef LAST
        a_abef = _mm_add_epi32(a_abef, old_a_abef);
        a_cdgh = _mm_add_epi32(a_cdgh, old_a_cdgh);
        b_abef = _mm_add_epi32(b_abef, old_b_abef);
        b_cdgh = _mm_add_epi32(b_cdgh, old_b_cdgh);
    }
    STORE_STATE(a, a_words);
    STORE_STATE(b, b_words);
}

#define WIDE_CODE __attribute__((target("avx512f,avx512bw")))

int argosy_sha256_wide(void) {
    return argosy_sha256_fast() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* The next block of each lane: words[i] gets the word i of all of them. */
WIDE_CODE static inline __attribute__((always_inline)) void load_sixteen(__m512i *words, const unsigned char *const *data,
                                                                        size_t at) {
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL));
    __m512i r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_loadu_si512(data[i] + at);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* The quarter p of r[4 * g + k] holds the word 4 * p + k of the lanes from 4 * g on. */
#pragma GCC unroll 16
    for (int k = 0; k < 4; k++) {
        __m512i a = _mm512_shuffle_i32x4(r[k], r[4 + k], 0x44), b = _mm512_shuffle_i32x4(r[k], r[4 + k], 0xee);
        __m512i c = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0x44), d = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0xee);
        words[k] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(a, c, 0x88), swap);
        words[4 + k] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(a, c, 0xdd), swap);
        words[8 + k] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(b, d, 0x88), swap);
        words[12 + k] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(b, d, 0xdd), swap);
    }
}

/* FIPS 180-4, 4.1.2 and 6.2.2, on sixteen words at a time. */
#define ADD _mm512_add_epi32
#define TURN _mm512_ror_epi32
#define XOR(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)
#define CHOOSE(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xca)
#define MAJORITY(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xe8)
#define WIDE_ROUND(a, b, c, d, e, f, g, h, t)                                                                          \
    do {                                                                                                               \
        __m512i first = ADD(ADD(ADD(h, w[(t) % 16]), _mm512_set1_epi32((int)K[from + (t)])),                           \
                            ADD(XOR(TURN(e, 6), TURN(e, 11), TURN(e, 25)), CHOOSE(e, f, g)));                          \
        __m512i second = ADD(XOR(TURN(a, 2), TURN(a, 13), TURN(a, 22)), MAJORITY(a, b, c));                            \
        d = ADD(d, first);                                                                                             \
        h = ADD(first, second);                                                                                        \
    } while (0)
#define WIDE_ROUNDS(t)                                                                                                 \
    do {                                                                                                               \
        WIDE_ROUND(a, b, c, d, e, f, g, h, t);                                                                         \
        WIDE_ROUND(h, a, b, c, d, e, f, g, (t) + 1);                                                                   \
        WIDE_ROUND(g, h, a, b, c, d, e, f, (t) + 2);                                                                   \
        WIDE_ROUND(f, g, h, a, b, c, d, e, (t) + 3);                                                                   \
        WIDE_ROUND(e, f, g, h, a, b, c, d, (t) + 4);                                                                   \
        WIDE_ROUND(d, e, f, g, h, a, b, c, (t) + 5);                                                                   \
        WIDE_ROUND(c, d, e, f, g, h, a, b, (t) + 6);                                                                   \
        WIDE_ROUND(b, c, d, e, f, g, h, a, (t) + 7);                                                                   \
    } while (0)

/* Each message word becomes the one that comes sixteen steps later. */
WIDE_CODE static inline __attribute__((always_inline)) void schedule_sixteen(__m512i *w) {
#pragma GCC unroll 16
    for (int t = 0; t < 16; t++) {
        __m512i early = w[(t + 1) % 16], late = w[(t + 14) % 16];
        w[t] = ADD(ADD(w[t], w[(t + 9) % 16]), ADD(XOR(TURN(early, 7), TURN(early, 18), _mm512_srli_epi32(early, 3)),
                                                   XOR(TURN(late, 17), TURN(late, 19), _mm512_srli_epi32(late, 10))));
    }
}

WIDE_CODE void argosy_sha256_sixteen(uint32_t (*words)[ARGOSY_SHA256_LANES], const unsigned char *const *data,
                                     size_t blocks) {
    __m512i w[16], state[8];
    for (int i = 0; i < 8; i++)
        state[i] = _mm512_loadu_si512(words[i]);
    for (size_t block = 0; block < blocks; block++) {
        __m512i a = state[0], b = state[1], c = state[2], d = state[3];
        __m512i e = state[4], f = state[5], g = state[6], h = state[7];
        load_sixteen(w, data, block * BLOCK);
        for (int from = 0;; from += 16) {
            WIDE_ROUNDS(0);
            WIDE_ROUNDS(8);
            if (from == 48)
                break;
            schedule_sixteen(w);
        }
        state[0] = ADD(state[0], a), state[1] = ADD(state[1], b), state[2] = ADD(state[2], c), state[3] = ADD(state[3], d);
        state[4] = ADD(state[4], e), state[5] = ADD(state[5], f), state[6] = ADD(state[6], g), state[7] = ADD(state[7], h);
    }
    for (int i = 0; i < 8; i++)
        _mm512_storeu_si512(words[i], state[i]);
}

#else

int argosy_sha256_fast(void) {
    return 0;
}

int argosy_sha256_wide(void) {
    return 0;
}

void argosy_sha256_one(uint32_t *words, const unsigned char *data, size_t blocks) {
    (void)words, (void)data, (void)blocks;
}

void argosy_sha256_two(uint32_t *a_words, const unsigned char *a_data, uint32_t *b_words, const unsigned char *b_data,
                       size_t blocks) {
    (void)a_words, (void)a_data, (void)b_words, (void)b_data, (void)blocks;
}

void argosy_sha256_sixteen(uint32_t (*words)[ARGOSY_SHA256_LANES], const unsigned char *const *data, size_t blocks) {
    (void)words, (void)data, (void)blocks;
}

#endif
