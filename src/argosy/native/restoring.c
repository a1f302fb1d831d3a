/* Restores small new files: from a tree's nodes to files with their content, mode and times, without a Python object for
 * each.
 *
 * It takes only files of one blob that need no more than that, in directories that the process has just made. All else
 * that a tree names it leaves to Python: entries of other kinds, what is unusual, and whatever went wrong, of which
 * nothing is left behind. restorer/file_jobs.py is the definition, and has the words for what fails. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metadata.h"
#include "nodes.h"

#define FILE_FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define PRIVATE_MODE 0600
#define PLAIN_MODES 0777

/* Contents in memory at a time, unless one has more; and of large ones a few, so that two are hashed side by side. */
#define GROUP_LARGE_BLOBS 4
#define GROUP_MOST_BYTES ((size_t)16 * 1024 * 1024)

/* What is to become of a node, or did. */
enum { LEFT, WANTED, DONE };

/* Read by Python (restoring.py). All but the first fields are those of files that are not left. */
struct file {
    uint32_t state, part, node_at, node_bytes; /* where in its part's tree */
    uint32_t name_at, name_bytes;              /* in `names`, where it ends with NUL */
    uint64_t size;                             /* as the node has it */
    unsigned char id[ARGOSY_HASH_BYTES];
    struct timespec times[2];
    uint32_t mode, uid, gid;
    struct argosy_place place;
    uint32_t unused;
};
_Static_assert(sizeof(struct file) == 128, "restoring.py knows this size");

/* A directory of the target, as Python writes it; whose new files are is known once one was made. */
struct directory {
    int32_t fd, is_owner_known; /* fd below 0: Python makes its files */
    uint32_t uid, gid;
};

/* A file in the order in which contents lie in packs. */
struct turn {
    uint64_t place;
    uint32_t file;
};

/* One batch at a time, for one thread. */
struct restoring {
    struct file *files;
    char *names;
    struct turn *turns;
    size_t file_room, name_room, turn_room, count, name_bytes;
};

ARGOSY_EXPORT struct restoring *argosy_restoring_new(void) { return calloc(1, sizeof(struct restoring)); }

ARGOSY_EXPORT void argosy_restoring_free(struct restoring *self) {
    if (!self)
        return;
    free(self->files);
    free(self->names);
    free(self->turns);
    free(self);
}

ARGOSY_EXPORT void argosy_restoring_clear(struct restoring *self) { self->count = self->name_bytes = 0; }

/* All that it holds, and how many. */
ARGOSY_EXPORT const struct file *argosy_restoring_files(const struct restoring *self, uint64_t *count) {
    *count = self->count;
    return self->files;
}

ARGOSY_EXPORT const char *argosy_restoring_names(const struct restoring *self) { return self->names; }

static int is_wanted(const struct argosy_node *node) {
    return node->type == ARGOSY_FILE && node->name_bytes && node->id_count == 1 && !node->has_attributes &&
           node->mode <= PLAIN_MODES && node->mode & S_IWUSR && node->uid <= UINT32_MAX && node->gid <= UINT32_MAX;
}

static int add(struct restoring *self, uint32_t part, const unsigned char *tree, const struct argosy_node *node) {
    if (!argosy_grow((void **)&self->files, &self->file_room, self->count + 1, sizeof *self->files) ||
        !argosy_grow((void **)&self->names, &self->name_room, self->name_bytes + node->name_bytes + 1, 1))
        return 0;
    struct file *file = &self->files[self->count++];
    *file = (struct file){.state = LEFT, .part = part, .size = node->size};
    file->node_at = (uint32_t)(node->start - tree);
    file->node_bytes = (uint32_t)node->bytes;
    if (!is_wanted(node))
        return 1;
    file->state = WANTED;
    memcpy(file->id, node->ids, ARGOSY_HASH_BYTES);
    file->times[0] = node->atime, file->times[1] = node->mtime;
    file->mode = (uint32_t)node->mode, file->uid = (uint32_t)node->uid, file->gid = (uint32_t)node->gid;
    file->name_at = (uint32_t)self->name_bytes, file->name_bytes = (uint32_t)node->name_bytes;
    memcpy(self->names + self->name_bytes, node->name, node->name_bytes);
    self->name_bytes += node->name_bytes;
    self->names[self->name_bytes++] = 0;
    return 1;
}

/* Adds the entries of a tree, but for directories, which are made on their own, and sockets, which cannot be. 1, or 0
 * and none of them: Python is to read the tree. */
ARGOSY_EXPORT int argosy_restoring_plan(struct restoring *self, const unsigned char *tree, size_t tree_bytes,
                                        uint32_t part) {
    unsigned char ids[ARGOSY_NODE_IDS_BYTES];
    struct argosy_nodes nodes;
    struct argosy_node node;
    size_t count = self->count, name_bytes = self->name_bytes;
    int found = -1;
    argosy_nodes_start(&nodes, tree, tree_bytes, ids, sizeof ids);
    if (tree_bytes + name_bytes < UINT32_MAX)
        while ((found = argosy_next_node(&nodes, &node)) > 0)
            if (node.type != ARGOSY_DIRECTORY && node.type != ARGOSY_SOCKET && !add(self, part, tree, &node)) {
                found = -1;
                break;
            }
    if (found)
        self->count = count, self->name_bytes = name_bytes;
    return !found;
}

/* A blob that is what its node says, and small. */
static int is_usable(const struct argosy_place *place, uint64_t size) {
    if (place->length <= ARGOSY_OVERHEAD_BYTES)
        return 0;
    size_t content = place->uncompressed ? place->uncompressed : place->length - ARGOSY_OVERHEAD_BYTES;
    return content == size && content <= ARGOSY_CONTENT_MOST;
}

/* Finds the places of the wanted files from number `from` on. Stops at one whose blob is not in the table: its number,
 * and the id in `id`; below 0 at the end. */
ARGOSY_EXPORT int64_t argosy_restoring_place(struct restoring *self, const struct argosy_table *table, size_t from,
                                             unsigned char *id) {
    for (; from < self->count; from++) {
        struct file *file = &self->files[from];
        if (file->state != WANTED)
            continue;
        if (!argosy_table_place(table, file->id, &file->place)) {
            memcpy(id, file->id, ARGOSY_HASH_BYTES);
            return (int64_t)from;
        }
        if (!is_usable(&file->place, file->size))
            file->state = LEFT;
    }
    return -1;
}

ARGOSY_EXPORT void argosy_restoring_leave(struct restoring *self, size_t number) { self->files[number].state = LEFT; }

static int turn_order(const void *left, const void *right) {
    const struct turn *one = left, *other = right;
    if (one->place != other->place)
        return one->place < other->place ? -1 : 1;
    return one->file < other->file ? -1 : one->file > other->file;
}

/* Puts the wanted files in the order of their contents; how many there are (none without memory: all are left). */
ARGOSY_EXPORT size_t argosy_restoring_sort(struct restoring *self) {
    int has_room = argosy_grow((void **)&self->turns, &self->turn_room, self->count, sizeof *self->turns);
    size_t wanted = 0;
    for (size_t i = 0; i < self->count; i++) {
        struct file *file = &self->files[i];
        if (!has_room)
            file->state = LEFT;
        else if (file->state == WANTED)
            self->turns[wanted++] = (struct turn){(uint64_t)file->place.pack << 32 | file->place.offset, (uint32_t)i};
    }
    if (wanted)
        qsort(self->turns, wanted, sizeof *self->turns, turn_order);
    return wanted;
}

static struct file *file_at(const struct restoring *self, size_t turn) { return &self->files[self->turns[turn].file]; }

/* What to read for the files from turn `from` on, of `count`: the pack, offset and length go to `range`; the turn behind
 * the last one that is in it. */
ARGOSY_EXPORT size_t argosy_restoring_range(const struct restoring *self, size_t from, size_t count, uint64_t gap,
                                            uint64_t most, uint64_t *range) {
    const struct argosy_place *first = &file_at(self, from)->place;
    uint64_t end = (uint64_t)first->offset + first->length;
    size_t turn = from + 1;
    for (; turn < count; turn++) {
        const struct argosy_place *place = &file_at(self, turn)->place;
        uint64_t place_end = (uint64_t)place->offset + place->length;
        if (place->pack != first->pack || place->offset > end + gap || place_end > first->offset + most)
            break;
        end = place_end > end ? place_end : end;
    }
    range[0] = first->pack, range[1] = first->offset, range[2] = end - first->offset;
    return turn;
}

static int fill(int fd, const struct file *file, struct directory *directory, const unsigned char *content) {
    ssize_t written = write(fd, content, file->size);
    if (written < 0 || (uint64_t)written != file->size)
        return 0;
    if (!directory->is_owner_known) {
        struct stat made;
        if (fstat(fd, &made))
            return 0;
        directory->uid = made.st_uid, directory->gid = made.st_gid, directory->is_owner_known = 1;
        if (made.st_uid != file->uid || made.st_gid != file->gid || fchmod(fd, (mode_t)file->mode))
            return 0;
    }
    return !futimens(fd, file->times);
}

/* 1 if the file stands there whole; else nothing is left of it. A directory's first file is made with a private mode: its
 * own is not to take effect before it has its owner. */
static int make_file(const struct file *file, const char *name, struct directory *directory,
                     const unsigned char *content) {
    mode_t mode = directory->is_owner_known ? (mode_t)file->mode : PRIVATE_MODE;
    if (directory->fd < 0 ||
        (directory->is_owner_known && (directory->uid != file->uid || directory->gid != file->gid)))
        return 0;
    int fd = openat(directory->fd, name, FILE_FLAGS, mode);
    if (fd < 0)
        return 0;
    int done = fill(fd, file, directory, content);
    if (close(fd)) /* network file systems tell of a full disk only now */
        done = 0;
    if (!done)
        unlinkat(directory->fd, name, 0);
    return done;
}

static int is_same_blob(const struct file *one, const struct file *other) {
    return one->place.offset == other->place.offset && !memcmp(one->id, other->id, ARGOSY_HASH_BYTES);
}

/* Files whose contents are opened together, and written while they are in the processor's cache. */
struct group {
    struct argosy_blob blobs[ARGOSY_GROUP_BLOBS];
    unsigned char sound[ARGOSY_GROUP_BLOBS];
    size_t count, contents_bytes, end; /* `end`: the turn behind its last file */
};

/* The group that begins with turn `from`. `start` is where in the pack the data begin. Empty if the first blob lies
 * outside of them. */
static void gather(const struct restoring *self, size_t from, size_t to, uint64_t start, size_t data_bytes,
                   struct group *group) {
    group->count = group->contents_bytes = 0;
    for (group->end = from; group->end < to; group->end++) {
        const struct file *file = file_at(self, group->end);
        const struct argosy_place *place = &file->place;
        if (group->count && is_same_blob(file, file_at(self, group->end - 1)))
            continue;
        uint64_t offset = place->offset - start;
        int is_full = group->count == ARGOSY_GROUP_BLOBS ||
                      (group->contents_bytes >= ARGOSY_GROUP_BYTES && group->count >= GROUP_LARGE_BLOBS) ||
                      group->contents_bytes + file->size > GROUP_MOST_BYTES;
        if (offset > data_bytes || place->length > data_bytes - offset || (group->count && is_full))
            return;
        struct argosy_blob *blob = &group->blobs[group->count++];
        *blob = (struct argosy_blob){offset, group->contents_bytes, place->length, place->uncompressed, {0}};
        memcpy(blob->id, file->id, ARGOSY_HASH_BYTES);
        group->contents_bytes += file->size;
    }
}

/* Makes the files of the turns from `from` to `to`, whose contents lie in `data`, the bytes of a pack from `start` on.
 * `directories`: one for each part. Adds to `counts` how many were made, and their bytes. */
ARGOSY_EXPORT void argosy_restoring_make(struct restoring *self, struct argosy_session *session,
                                         const unsigned char *data, size_t data_bytes, uint64_t start, size_t from,
                                         size_t to, struct directory *directories, uint64_t *counts) {
    struct group group;
    while (from < to) {
        gather(self, from, to, start, data_bytes, &group);
        if (!group.count) {
            file_at(self, from++)->state = LEFT;
            continue;
        }
        if (!argosy_make_room(&session->content, group.contents_bytes))
            memset(group.sound, 0, group.count);
        else
            argosy_open_group(session, data, group.blobs, group.count, session->content.data, NULL, group.sound);
        for (size_t blob = 0; from < group.end; from++) {
            struct file *file = file_at(self, from);
            blob += memcmp(group.blobs[blob].id, file->id, ARGOSY_HASH_BYTES) != 0 ||
                    group.blobs[blob].offset != file->place.offset - start;
            int done = group.sound[blob] && make_file(file, self->names + file->name_at, &directories[file->part],
                                                      session->content.data + group.blobs[blob].content_at);
            file->state = done ? DONE : LEFT;
            counts[0] += (uint64_t)done;
            counts[1] += done ? file->size : 0;
        }
    }
}
