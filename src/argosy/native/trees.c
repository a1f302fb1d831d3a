/* Reads a tree and says what it names: its subtrees, and the blobs of its files. It answers for a tree alone in which
 * all is as it should be, by the rules of operations/check/tree_checks.py; any other is looked at there. */

#include "nodes.h"

/* The ids that a tree names, into `ids`: first the `counts[0]` blobs of its files, in order; at the end of the room the
 * `counts[1]` subtrees, the last one first. Room for half of the tree's bytes is enough. Returns 1, or 0 if Python is to
 * look at it. */
ARGOSY_EXPORT int argosy_tree_names(const unsigned char *tree, size_t tree_bytes, unsigned char *ids, size_t room,
                                    uint64_t *counts) {
    struct argosy_nodes nodes;
    struct argosy_node node;
    int found;
    argosy_nodes_start(&nodes, tree, tree_bytes, ids, room);
    while ((found = argosy_next_node(&nodes, &node)) > 0)
        if (!node.name_bytes)
            return 0;
        else if (node.type == ARGOSY_FILE)
            nodes.ids += node.id_count * ARGOSY_HASH_BYTES;
        else if (node.type == ARGOSY_DIRECTORY) {
            if (nodes.ids_end - nodes.ids < 2 * ARGOSY_HASH_BYTES)
                return 0;
            nodes.ids_end -= ARGOSY_HASH_BYTES;
            memcpy(nodes.ids_end, node.subtree, ARGOSY_HASH_BYTES);
        }
    counts[0] = (uint64_t)(nodes.ids - ids) / ARGOSY_HASH_BYTES;
    counts[1] = (uint64_t)(ids + room - nodes.ids_end) / ARGOSY_HASH_BYTES;
    return !found;
}

/* Room for what is read of one tree: ids take less than half of the JSON's bytes. */
static size_t room_for(const struct argosy_blob *tree) {
    return argosy_content_bytes(tree) / 2 + 2 * ARGOSY_HASH_BYTES;
}

/* The trees from the first on that are opened together; 0 if the first one lies outside of the data, or is too large. */
static size_t group_of(struct argosy_blob *trees, size_t count, size_t data_bytes, size_t *contents_bytes) {
    size_t taken = 0, bytes = 0;
    while (taken < count && taken < ARGOSY_GROUP_BLOBS && bytes < ARGOSY_GROUP_BYTES) {
        struct argosy_blob *tree = &trees[taken];
        if (tree->length < ARGOSY_OVERHEAD_BYTES || tree->offset > data_bytes || tree->length > data_bytes - tree->offset ||
            argosy_content_bytes(tree) > ARGOSY_CONTENT_MOST)
            break;
        tree->content_at = bytes;
        bytes += argosy_content_bytes(tree);
        taken++;
    }
    *contents_bytes = bytes;
    return taken;
}

/* Where what trees name is written to. */
struct names {
    unsigned char *at;
    size_t left;
};

/* What an opened tree names, first the blobs of its files. 1, or 0 if Python is to look at it; below 0: no room. */
static int put_names(struct argosy_session *session, const struct argosy_blob *tree, struct names *names, uint64_t *counts) {
    size_t room = room_for(tree);
    if (!argosy_make_room(&session->rows, room) ||
        !argosy_tree_names(session->content.data + tree->content_at, argosy_content_bytes(tree), session->rows.data, room,
                           counts))
        return 0;
    size_t contents = (size_t)counts[0] * ARGOSY_HASH_BYTES, subtrees = (size_t)counts[1] * ARGOSY_HASH_BYTES;
    if (contents + subtrees > names->left)
        return -1;
    memcpy(names->at, session->rows.data, contents);
    memcpy(names->at + contents, session->rows.data + room - subtrees, subtrees);
    names->at += contents + subtrees;
    names->left -= contents + subtrees;
    return 1;
}

/* Opens sealed trees in `data` and says what they name: of each, 1 in `sound` if it and all in it is as it should be, how
 * many ids it has in `counts` (of contents, of subtrees), and these ids in `ids`. Returns for how many trees there was
 * room; the places that `trees` tells for contents are written over. */
ARGOSY_EXPORT size_t argosy_read_trees(struct argosy_session *session, const unsigned char *data, size_t data_bytes,
                                       struct argosy_blob *trees, size_t count, unsigned char *ids, size_t room,
                                       uint64_t *counts, unsigned char *sound) {
    struct names names = {ids, room};
    for (size_t done = 0; done < count;) {
        size_t contents_bytes, group = group_of(trees + done, count - done, data_bytes, &contents_bytes);
        if (!group || !argosy_make_room(&session->content, contents_bytes)) {
            sound[done++] = 0;
            continue;
        }
        argosy_open_group(session, data, trees + done, group, session->content.data, NULL, sound + done);
        for (size_t end = done + group; done < end; done++) {
            int put = sound[done] ? put_names(session, &trees[done], &names, counts + 2 * done) : 0;
            if (put < 0)
                return done;
            sound[done] = (unsigned char)put;
        }
    }
    return count;
}
