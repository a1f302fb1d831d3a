/* SHA-256 of several messages, two at a time.
 *
 * The processor's SHA instructions (Intel SHA extensions) have a long latency: one message leaves them idle half of the
 * time. Two messages side by side take 60 % of the time of one after the other. Without these instructions libcrypto
 * hashes, one message after the other. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK ARGOSY_SHA256_BLOCK

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void argosy_sha256_start(struct argosy_sha256 *state) {
    memcpy(state->words, initial, sizeof initial);
    state->bytes = 0;
}

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

SHA_CODE static void one(uint32_t *words, const unsigned char *data, size_t blocks) {
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

SHA_CODE static void two(uint32_t *a_words, const unsigned char *a_data, uint32_t *b_words, const unsigned char *b_data,
                         size_t blocks) {
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

/* A message on its way: up to three runs of blocks (what was left over and completed, the bulk, the end). */
struct lane {
    uint32_t *words;
    struct run {
        const unsigned char *data;
        size_t blocks;
    } runs[3];
    unsigned run;
    unsigned char *digest;
    unsigned char ending[2 * BLOCK];
    struct argosy_sha256 own; /* of a message that comes as a whole */
};

static void write_length(unsigned char *at, uint64_t bytes) {
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(bytes * 8 >> (56 - 8 * i));
}

/* Puts a job on a lane. The state keeps what does not fill a block, unless the message ends with this job. */
static void board(struct lane *lane, const struct argosy_hash_job *job) {
    struct argosy_sha256 *state = job->state ? job->state : &lane->own;
    const unsigned char *data = job->data;
    if (!job->state)
        argosy_sha256_start(state);
    size_t length = job->length, kept = state->bytes % BLOCK;
    memset(lane->runs, 0, sizeof lane->runs);
    lane->words = state->words;
    lane->digest = job->digest;
    lane->run = 0;
    state->bytes += length;
    if (kept && length) {
        size_t taken = length < BLOCK - kept ? length : BLOCK - kept;
        memcpy(state->kept + kept, data, taken);
        data += taken, length -= taken, kept += taken;
        if (kept == BLOCK) {
            lane->runs[0] = (struct run){state->kept, 1};
            kept = 0;
        }
    }
    lane->runs[1] = (struct run){data, length / BLOCK};
    size_t rest = length % BLOCK;
    const unsigned char *last = data + length - rest;
    if (!job->digest) {
        /* With something kept there was nothing left over; else the first run may still need the buffer. */
        if (rest && lane->runs[0].blocks) {
            one(lane->words, state->kept, 1);
            lane->runs[0].blocks = 0;
        }
        if (rest)
            memcpy(state->kept, last, rest);
        return;
    }
    size_t end = kept ? kept : rest;
    size_t blocks = end + 9 > BLOCK ? 2 : 1;
    if (end)
        memcpy(lane->ending, kept ? state->kept : last, end);
    memset(lane->ending + end, 0, blocks * BLOCK - end);
    lane->ending[end] = 0x80;
    write_length(lane->ending + blocks * BLOCK - 8, state->bytes);
    lane->runs[2] = (struct run){lane->ending, blocks};
}

static void write_digest(unsigned char *digest, const uint32_t *words) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++)
            digest[4 * i + j] = (unsigned char)(words[i] >> (24 - 8 * j));
}

/* The lane's next run with blocks, or NULL: its message is done, and the digest written. */
static struct run *next_run(struct lane *lane) {
    while (lane->run < 3 && !lane->runs[lane->run].blocks)
        lane->run++;
    if (lane->run < 3)
        return &lane->runs[lane->run];
    if (lane->digest)
        write_digest(lane->digest, lane->words);
    return NULL;
}

static void advance(struct run *run, size_t blocks) {
    run->data += blocks * BLOCK;
    run->blocks -= blocks;
}

/* The run that a lane works on, taking jobs while there are any; NULL: nothing left for this lane. */
static struct run *work_of(struct lane *lane, int *busy, const struct argosy_hash_job **jobs,
                           const struct argosy_hash_job *end) {
    for (;;) {
        struct run *run = *busy ? next_run(lane) : NULL;
        if (run)
            return run;
        *busy = *jobs < end;
        if (!*busy)
            return NULL;
        board(lane, (*jobs)++);
    }
}

static void hash_fast(const struct argosy_hash_job *jobs, size_t count) {
    const struct argosy_hash_job *end = jobs + count;
    struct lane a, b;
    int a_busy = 0, b_busy = 0;
    for (;;) {
        struct run *first = work_of(&a, &a_busy, &jobs, end), *second = work_of(&b, &b_busy, &jobs, end);
        if (!first && !second)
            return;
        if (first && second) {
            size_t blocks = first->blocks < second->blocks ? first->blocks : second->blocks;
            two(a.words, first->data, b.words, second->data, blocks);
            advance(first, blocks);
            advance(second, blocks);
        } else {
            struct run *run = first ? first : second;
            one(first ? a.words : b.words, run->data, run->blocks);
            advance(run, run->blocks);
        }
    }
}

#else

int argosy_sha256_fast(void) {
    return 0;
}

static void hash_fast(const struct argosy_hash_job *jobs, size_t count) {
    (void)jobs, (void)count;
}

#endif

static int hash_by_libcrypto(const struct argosy_hash_job *jobs, size_t count, void *context) {
    const struct argosy_libraries *lib = &argosy_lib;
    for (; count; jobs++, count--) {
        void *used = jobs->state ? jobs->state->context : context;
        int is_first = !jobs->state || !jobs->state->bytes;
        if ((is_first && lib->EVP_DigestInit_ex2(used, lib->sha256, NULL) != 1) ||
            lib->EVP_DigestUpdate(used, jobs->data, jobs->length) != 1 ||
            (jobs->digest && lib->EVP_DigestFinal_ex(used, jobs->digest, NULL) != 1))
            return 0;
        if (jobs->state)
            jobs->state->bytes += jobs->length;
    }
    return 1;
}

/* The last ones are short then: one lane does not go on for long when the other has nothing left. */
static int longest_first(const void *one, const void *other) {
    size_t a = ((const struct argosy_hash_job *)one)->length, b = ((const struct argosy_hash_job *)other)->length;
    return (a < b) - (a > b);
}

int argosy_hash_jobs(struct argosy_hash_job *jobs, size_t count, void *context) {
    if (!argosy_sha256_fast())
        return hash_by_libcrypto(jobs, count, context);
    qsort(jobs, count, sizeof *jobs, longest_first);
    hash_fast(jobs, count);
    return 1;
}

/* The hashes of `count` pieces that lie one after the other in `data`. Beside them, if there is a stream, it takes `more`.
 * 1, or 0 without memory. */
ARGOSY_EXPORT int argosy_hash_many(const unsigned char *data, const uint64_t *lengths, size_t count,
                                   unsigned char *hashes, struct argosy_sha256 *stream, const unsigned char *more,
                                   size_t more_bytes) {
    struct argosy_hash_job jobs[65];
    void *context = argosy_lib.EVP_MD_CTX_new();
    int good = context != NULL;
    while (good && (count || stream)) {
        size_t some = count < 64 ? count : 64, all = 0;
        if (stream)
            jobs[all++] = (struct argosy_hash_job){more, more_bytes, stream, NULL};
        stream = NULL;
        for (size_t i = 0; i < some; i++) {
            jobs[all++] = (struct argosy_hash_job){data, lengths[i], NULL, hashes};
            data += lengths[i];
            hashes += ARGOSY_HASH_BYTES;
        }
        good = argosy_hash_jobs(jobs, all, context);
        lengths += some, count -= some;
    }
    argosy_lib.EVP_MD_CTX_free(context);
    return good;
}

ARGOSY_EXPORT void argosy_stream_free(struct argosy_sha256 *stream) {
    if (stream)
        argosy_lib.EVP_MD_CTX_free(stream->context);
    free(stream);
}

/* A hash that is fed by argosy_hash_many; NULL without memory. */
ARGOSY_EXPORT struct argosy_sha256 *argosy_stream_new(void) {
    struct argosy_sha256 *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    argosy_sha256_start(stream);
    stream->context = argosy_lib.EVP_MD_CTX_new();
    if (stream->context)
        return stream;
    argosy_stream_free(stream);
    return NULL;
}

/* The hash of all that the stream took and of these last bytes; 1, or 0 if libcrypto fails. */
ARGOSY_EXPORT int argosy_stream_end(struct argosy_sha256 *stream, const unsigned char *data, size_t bytes,
                                    unsigned char *hash) {
    struct argosy_hash_job last = {data, bytes, stream, hash};
    return argosy_hash_jobs(&last, 1, NULL);
}
