/* Nodes of a tree, read where they are written as restic and Argosy write them. */

#ifndef ARGOSY_NODES_H
#define ARGOSY_NODES_H

#include <time.h>

#include "json.h"

#define ARGOSY_NAME_MOST 4096
/* Room for the blobs of one file. One with more (0.5 GB and above) is not taken. */
#define ARGOSY_NODE_IDS_BYTES 32768

enum argosy_node_type { ARGOSY_FILE, ARGOSY_DIRECTORY, ARGOSY_SOCKET, ARGOSY_OTHER };

/* Numbers that are left out are zero. `name` is good until the next node but one is read, without an end of its own; of
 * one that is empty, or that Go escapes, `name_bytes` is 0: Python reads it. */
struct argosy_node {
    const unsigned char *start, *name, *ids;
    size_t bytes, name_bytes, id_count;
    enum argosy_node_type type;
    int has_list, has_attributes;
    unsigned char subtree[ARGOSY_HASH_BYTES];
    uint64_t mode, uid, gid, size;
    struct timespec mtime, atime, ctime;
};

/* A place in a tree. The next node's ids are written to `ids`: who keeps them moves it on. */
struct argosy_nodes {
    struct argosy_json json;
    unsigned char *ids, *ids_end;
    unsigned char names[2][ARGOSY_NAME_MOST];
    size_t name_bytes[2];
    int current; /* which of the two names is the next node's; the other is the one before */
    int is_begun;
};

void argosy_nodes_start(struct argosy_nodes *nodes, const unsigned char *text, size_t text_bytes, unsigned char *ids,
                        size_t ids_bytes);

/* The next node of a tree: 1; 0 behind the last one; below 0 where Python is to look at the tree: something is written
 * in another way, or not as it should be (operations/check/tree_checks.py). */
int argosy_next_node(struct argosy_nodes *nodes, struct argosy_node *node);

/* The length of the node with which a text begins; 0 unless all of it is as restic and Argosy write it, and its name
 * is read here. */
size_t argosy_node_bytes(const unsigned char *text, size_t text_bytes);

#endif
