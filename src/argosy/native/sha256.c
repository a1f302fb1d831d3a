/* SHA-256 of several messages at a time: which of them share the processor.
 *
 * One message leaves a processor idle half of the time, since each step waits for the one before. Two side by side, by the
 * SHA instructions, take 60 to 75 % of the time of one after the other; sixteen, by AVX-512, take 40 to 50 %. Without these
 * instructions libcrypto hashes, one message after the other. */

#include "sha256.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK ARGOSY_SHA256_BLOCK

/* With fewer lanes in use two pairs after the other are as fast as sixteen at a time. */
#define LEAST_LANES 12

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void argosy_sha256_start(struct argosy_sha256 *state) {
    memcpy(state->words, initial, sizeof initial);
    state->bytes = 0;
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
            argosy_sha256_one(lane->words, state->kept, 1);
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

/* What is still to be hashed: jobs in order, and then messages that are on their way already. */
struct queue {
    const struct argosy_hash_job *next, *end;
    struct lane *begun[ARGOSY_SHA256_LANES];
    size_t begun_count;
};

/* A lane with blocks to hash: `lane` (or NULL), while it has any; else the next job, put on `room`, or a message that was
 * begun; NULL if nothing is left. */
static struct lane *seat(struct lane *lane, struct lane *room, struct queue *queue) {
    while (!lane || !next_run(lane)) {
        if (queue->next < queue->end)
            board(lane = room, queue->next++);
        else if (queue->begun_count)
            lane = queue->begun[--queue->begun_count];
        else
            return NULL;
    }
    return lane;
}

static struct run *run_of(struct lane *lane) {
    return &lane->runs[lane->run];
}

static void hash_pairs(struct queue *queue) {
    struct lane rooms[2], *a = NULL, *b = NULL;
    for (;;) {
        a = seat(a, &rooms[0], queue), b = seat(b, &rooms[1], queue);
        if (!a && !b)
            return;
        if (a && b) {
            struct run *first = run_of(a), *second = run_of(b);
            size_t blocks = first->blocks < second->blocks ? first->blocks : second->blocks;
            argosy_sha256_two(a->words, first->data, b->words, second->data, blocks);
            advance(first, blocks);
            advance(second, blocks);
        } else {
            struct lane *only = a ? a : b;
            struct run *run = run_of(only);
            argosy_sha256_one(only->words, run->data, run->blocks);
            advance(run, run->blocks);
        }
    }
}

/* The states of sixteen lanes, as argosy_sha256_sixteen takes them. */
struct columns {
    uint32_t words[8][ARGOSY_SHA256_LANES] __attribute__((aligned(64)));
};

static void put_column(struct columns *columns, size_t at, const uint32_t *words) {
    for (int i = 0; i < 8; i++)
        columns->words[i][at] = words[i];
}

static void take_column(const struct columns *columns, size_t at, uint32_t *words) {
    for (int i = 0; i < 8; i++)
        words[i] = columns->words[i][at];
}

/* Has each lane at a run with blocks. Returns how many lanes there are, and how many blocks all of them have. */
static size_t seat_all(struct lane **lanes, struct lane *rooms, struct columns *columns, struct queue *queue,
                       size_t *blocks) {
    size_t busy = 0;
    *blocks = SIZE_MAX;
    for (size_t i = 0; i < ARGOSY_SHA256_LANES; i++) {
        if (!lanes[i] || !run_of(lanes[i])->blocks) {
            if (lanes[i])
                take_column(columns, i, lanes[i]->words);
            lanes[i] = seat(lanes[i], &rooms[i], queue);
            if (!lanes[i])
                continue;
            put_column(columns, i, lanes[i]->words);
        }
        busy++;
        if (run_of(lanes[i])->blocks < *blocks)
            *blocks = run_of(lanes[i])->blocks;
    }
    return busy;
}

/* Hashes as long as enough lanes have work; what is on its way then, in `rooms`, is left in the queue. */
static void hash_sixteen(struct queue *queue, struct lane *rooms) {
    struct lane *lanes[ARGOSY_SHA256_LANES] = {NULL};
    struct columns columns = {{{0}}};
    size_t blocks;
    while (seat_all(lanes, rooms, &columns, queue, &blocks) >= LEAST_LANES) {
        const unsigned char *data[ARGOSY_SHA256_LANES], *any = NULL;
        for (size_t i = 0; i < ARGOSY_SHA256_LANES; i++)
            if (lanes[i])
                any = run_of(lanes[i])->data;
        for (size_t i = 0; i < ARGOSY_SHA256_LANES; i++)
            data[i] = lanes[i] ? run_of(lanes[i])->data : any; /* nobody takes what an empty lane computes */
        argosy_sha256_sixteen(columns.words, data, blocks);
        for (size_t i = 0; i < ARGOSY_SHA256_LANES; i++)
            if (lanes[i])
                advance(run_of(lanes[i]), blocks);
    }
    for (size_t i = 0; i < ARGOSY_SHA256_LANES; i++)
        if (lanes[i]) {
            take_column(&columns, i, lanes[i]->words);
            queue->begun[queue->begun_count++] = lanes[i];
        }
}

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

/* How many of the jobs, sorted, are each too long to share sixteen lanes with the rest: those would wait for it. */
static size_t count_too_long(const struct argosy_hash_job *jobs, size_t count) {
    size_t left = 0, apart = 0;
    for (size_t i = 0; i < count; i++)
        left += jobs[i].length;
    while (apart < count && jobs[apart].length * LEAST_LANES > left)
        left -= jobs[apart++].length;
    return apart;
}

int argosy_hash_jobs(struct argosy_hash_job *jobs, size_t count, void *context) {
    if (!argosy_sha256_fast())
        return hash_by_libcrypto(jobs, count, context);
    qsort(jobs, count, sizeof *jobs, longest_first);
    struct lane rooms[ARGOSY_SHA256_LANES];
    size_t apart = argosy_sha256_wide() ? count_too_long(jobs, count) : count;
    struct queue queue = {jobs + apart, jobs + count, {NULL}, 0};
    if (count - apart >= LEAST_LANES) { /* then all of them will be taken */
        hash_sixteen(&queue, rooms);
        queue.end = jobs + apart;
    }
    queue.next = jobs;
    hash_pairs(&queue);
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
