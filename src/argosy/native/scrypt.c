/* scrypt's ROMix (RFC 7914): what nearly all of a key's derivation consists of. The two PBKDF2 around it are Python's.
 *
 * A block of Salsa20 is kept as four vectors, one for each diagonal of its matrix: then a column round works on whole
 * vectors, and so does a row round once three of them are turned by 1, 2 and 3 words. The order of the words only
 * matters to what reads the result. */

#define _GNU_SOURCE
#include "native.h"

#include <string.h>
#include <sys/mman.h>

typedef uint32_t words __attribute__((vector_size(16)));

#define BLOCK_WORDS 16
#define BLOCK_VECTORS 4

#if defined(__x86_64__)
/* One instruction to rotate a vector, instead of three. */
#define ROTATING __attribute__((target("avx512f,avx512vl")))
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define TURN(v, i, j, k, l) __builtin_shufflevector(v, v, i, j, k, l)
#else
#define TURN(v, i, j, k, l) __builtin_shuffle(v, (words){i, j, k, l})
#endif

INLINE words rotate(words of, int by) { return of << by | of >> (32 - by); }

INLINE void salsa20_8(words *block) {
    words a = block[0], b = block[1], c = block[2], d = block[3];
    for (int round = 0; round < 8; round++) {
        b ^= rotate(a + d, 7);
        c ^= rotate(b + a, 9);
        d ^= rotate(c + b, 13);
        a ^= rotate(d + c, 18);
        /* From columns to rows, or back: the vectors above and below the main diagonal change places. */
        words turned = TURN(b, 3, 0, 1, 2);
        c = TURN(c, 2, 3, 0, 1);
        b = TURN(d, 1, 2, 3, 0);
        d = turned;
    }
    block[0] += a, block[1] += b, block[2] += c, block[3] += d;
}

/* The blocks of `in`, xored with those of `also` where that is given, mixed into `out`: even ones first. */
INLINE void mix_blocks(const words *in, const words *also, words *out, size_t r) {
    size_t blocks = 2 * r;
    words x[BLOCK_VECTORS];
    const words *last = in + (blocks - 1) * BLOCK_VECTORS;
    for (int k = 0; k < BLOCK_VECTORS; k++)
        x[k] = also ? last[k] ^ also[(blocks - 1) * BLOCK_VECTORS + k] : last[k];
    for (size_t i = 0; i < blocks; i++) {
        for (int k = 0; k < BLOCK_VECTORS; k++)
            x[k] ^= also ? in[i * BLOCK_VECTORS + k] ^ also[i * BLOCK_VECTORS + k] : in[i * BLOCK_VECTORS + k];
        salsa20_8(x);
        memcpy(out + ((i & 1) * r + i / 2) * BLOCK_VECTORS, x, sizeof x);
    }
}

/* `kept` has room for n pieces of 2r blocks, `x` and `y` for one each; x is the piece, and the result. */
INLINE void mix_piece(words *kept, words *x, words *y, size_t r, size_t n) {
    size_t vectors = 2 * r * BLOCK_VECTORS;
    for (size_t i = 0; i < n; i += 2) {
        memcpy(kept + i * vectors, x, vectors * sizeof *x);
        mix_blocks(x, NULL, y, r);
        memcpy(kept + (i + 1) * vectors, y, vectors * sizeof *y);
        mix_blocks(y, NULL, x, r);
    }
    for (size_t i = 0; i < n; i += 2) {
        mix_blocks(x, kept + (x[(2 * r - 1) * BLOCK_VECTORS][0] & (n - 1)) * vectors, y, r);
        mix_blocks(y, kept + (y[(2 * r - 1) * BLOCK_VECTORS][0] & (n - 1)) * vectors, x, r);
    }
}

static void mix_plainly(words *kept, words *x, words *y, size_t r, size_t n) { mix_piece(kept, x, y, r, n); }

#if defined(ROTATING)
ROTATING static void mix_rotating(words *kept, words *x, words *y, size_t r, size_t n) { mix_piece(kept, x, y, r, n); }

static int has_rotation(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"); }
#else
#define mix_rotating mix_plainly

static int has_rotation(void) { return 0; }
#endif

/* Where word i of the format stands in a block: its row and column as in the matrix, the diagonals as vectors. */
static size_t place_of(size_t word) {
    size_t row = word / 4, column = word % 4;
    return (row + 4 - column) % 4 * 4 + column;
}

static uint32_t load(const unsigned char *from) {
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void store(unsigned char *to, uint32_t word) {
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(word >> 8 * i);
}

/* Mixes p pieces of 128 r bytes, each with 128 r n bytes of memory; n is a power of 2 above 1. 1, or 0 without memory. */
ARGOSY_EXPORT int argosy_scrypt_mix(unsigned char *pieces, uint64_t n, uint64_t r, uint64_t p) {
    size_t words_each = 2 * r * BLOCK_WORDS, size = (n + 2) * words_each * sizeof(uint32_t);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    words *kept = memory, *x = kept + n * words_each / 4, *y = x + words_each / 4;
    for (; p; p--, pieces += words_each * sizeof(uint32_t)) {
        uint32_t *piece = (uint32_t *)x;
        for (size_t i = 0; i < words_each; i++)
            piece[i / BLOCK_WORDS * BLOCK_WORDS + place_of(i % BLOCK_WORDS)] = load(pieces + 4 * i);
        (has_rotation() ? mix_rotating : mix_plainly)(kept, x, y, r, n);
        for (size_t i = 0; i < words_each; i++)
            store(pieces + 4 * i, piece[i / BLOCK_WORDS * BLOCK_WORDS + place_of(i % BLOCK_WORDS)]);
    }
    munmap(memory, size);
    return 1;
}
