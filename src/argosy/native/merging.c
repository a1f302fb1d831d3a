/* Puts new nodes into a tree, each in the place of the one that has its name: archiver/merging.py is the definition.
 *
 * A tree's names are in order (the scan has seen that), so places are found by halving. Of an old node this says where it
 * ends only if all of it is as it should be; whatever is unusual, and names that JSON escapes, are left to Python. */

#define _GNU_SOURCE
#include "nodes.h"

static const char head[] = "{\"nodes\":[", tail[] = "]}\n", begin[] = "{\"name\":\"", between[] = "},{\"name\":\"",
                  type[] = "\",\"type\":\"";

enum { HEAD = sizeof head - 1, TAIL = sizeof tail - 1, BEGIN = sizeof begin - 1, TYPE = sizeof type - 1 };

/* So much of a tree is read through, rather than halved once more. */
enum { FEW_NODES_BYTES = 1024 };

struct text {
    const unsigned char *at;
    size_t bytes;
};

/* New nodes, one after the other in the order of their names, each with its end. */
struct new_nodes {
    const unsigned char *text;
    const uint64_t *ends;
    size_t count;
};

/* Where an old node begins and ends; read by the second call. */
struct place {
    uint64_t start, end;
};

static struct text node_at(const struct new_nodes *nodes, size_t number) {
    uint64_t start = number ? nodes->ends[number - 1] : 0;
    return (struct text){nodes->text + start, nodes->ends[number] - start};
}

/* The name of a node that begins `left` bytes before an end, 1; 0 if there is none, or not a plain one. */
static int plain_name(const unsigned char *node, size_t left, struct text *name) {
    if (left < BEGIN || memcmp(node, begin, BEGIN))
        return 0;
    const unsigned char *first = node + BEGIN, *quote = memchr(first, '"', left - BEGIN);
    if (!quote || memchr(first, '\\', (size_t)(quote - first)))
        return 0;
    *name = (struct text){first, (size_t)(quote - first)};
    left -= (size_t)(quote - node);
    return left >= TYPE && !memcmp(quote, type, TYPE);
}

static int name_order(struct text left, struct text right) {
    int order = memcmp(left.at, right.at, left.bytes < right.bytes ? left.bytes : right.bytes);
    return order ? order : left.bytes < right.bytes ? -1 : left.bytes > right.bytes;
}

/* The first node with a plain name that begins behind an offset (extended attributes, which have names too, have no type):
 * its start and name; the tree's length if there is none. */
static size_t next_node(struct text tree, size_t from, struct text *name) {
    while (from < tree.bytes) {
        const unsigned char *found = memmem(tree.at + from, tree.bytes - from, between, sizeof between - 1);
        if (!found)
            break;
        size_t start = (size_t)(found - tree.at) + 2;
        if (plain_name(tree.at + start, tree.bytes - start, name))
            return start;
        from = start;
    }
    return tree.bytes;
}

/* Where the node of a name begins; the tree's length if it is not found. */
static size_t find_node(struct text tree, struct text new_node, struct text name) {
    size_t low = HEAD, high = tree.bytes - TAIL;
    while (high - low > FEW_NODES_BYTES) {
        struct text there;
        size_t middle = low + (high - low) / 2, start = next_node(tree, middle, &there);
        if (start >= high)
            high = middle + 2; /* what begins behind it would have been found */
        else if (name_order(there, name) <= 0)
            low = start;
        else
            high = start;
    }
    size_t key = BEGIN + name.bytes + TYPE, end = high + key < tree.bytes ? high + key : tree.bytes;
    const unsigned char *found = memmem(tree.at + low, end - low, new_node.at, key);
    return found ? (size_t)(found - tree.at) : tree.bytes;
}

/* Finds the places of old nodes. Returns how long the new tree will be, or 0 if Python is to make it. */
ARGOSY_EXPORT size_t argosy_find_replaced(const unsigned char *base, size_t base_bytes, const unsigned char *text,
                                          const uint64_t *ends, size_t count, struct place *places) {
    struct text tree = {base, base_bytes};
    struct new_nodes nodes = {text, ends, count};
    if (!count || base_bytes < HEAD + TAIL || memcmp(base, head, HEAD) || memcmp(base + base_bytes - TAIL, tail, TAIL))
        return 0;
    size_t bytes = base_bytes, passed = 0;
    for (size_t i = 0; i < count; i++) {
        struct text node = node_at(&nodes, i), name;
        if (!plain_name(node.at, node.bytes, &name))
            return 0;
        size_t start = find_node(tree, node, name);
        size_t length = start < base_bytes ? argosy_node_bytes(base + start, base_bytes - start) : 0;
        size_t end = start + length;
        int is_bounded = start == HEAD || memcmp(base + start - 2, between, 2) == 0;
        if (!length || !is_bounded || start < passed || (base[end] != ',' && end != base_bytes - TAIL))
            return 0;
        places[i] = (struct place){start, end};
        bytes = bytes - length + node.bytes;
        passed = end;
    }
    return bytes;
}

/* Writes the new tree, whose length and places are known. */
ARGOSY_EXPORT void argosy_write_replaced(const unsigned char *base, size_t base_bytes, const unsigned char *text,
                                         const uint64_t *ends, size_t count, const struct place *places, unsigned char *into) {
    struct new_nodes nodes = {text, ends, count};
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        struct text node = node_at(&nodes, i);
        memcpy(into, base + from, places[i].start - from);
        into += places[i].start - from;
        memcpy(into, node.at, node.bytes);
        into += node.bytes;
        from = places[i].end;
    }
    memcpy(into, base + from, base_bytes - from);
}
