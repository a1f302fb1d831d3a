/* Reads a tree and says what it names: its subtrees, and the blobs of its files. It answers for a tree alone in which
 * all is as it should be, by the rules of operations/check/tree_checks.py; any other is looked at there. */

#include "json.h"

#define NAME_MOST 4096
#define NODE_IDS_BYTES 32768 /* of a file with more blobs (0.5 GB and above) Python says where its node ends */

enum key {
    NAME, TYPE, MODE, MTIME, ATIME, CTIME, UID, GID, USER, GROUP, INODE, DEVICE_ID, SIZE, LINKS,
    LINKTARGET, LINKTARGET_RAW, ATTRIBUTES, DEVICE, CONTENT, SUBTREE, KEYS
};

static const char *const key_names[KEYS] = {
    "name", "type", "mode", "mtime", "atime", "ctime", "uid", "gid", "user", "group", "inode", "device_id", "size", "links",
    "linktarget", "linktarget_raw", "extended_attributes", "device", "content", "subtree"};

enum type { FILE_NODE, DIRECTORY_NODE, OTHER_NODE };

static const struct {
    const char *text;
    enum type type;
} type_names[] = {{"file\"", FILE_NODE},       {"dir\"", DIRECTORY_NODE}, {"symlink\"", OTHER_NODE}, {"dev\"", OTHER_NODE},
                  {"chardev\"", OTHER_NODE}, {"fifo\"", OTHER_NODE},    {"socket\"", OTHER_NODE}};

/* Ids are written from both ends of the room: contents from the front, subtrees from the back. */
struct reader {
    struct argosy_json json;
    unsigned char *contents, *subtrees;
    unsigned char names[2][NAME_MOST];
    size_t name_bytes[2];
    int current; /* which of the two names is this node's; the other is the one before */
};

/* One character of UTF-8 above 0x7f; its length, or 0. */
static size_t utf8(const unsigned char *at, size_t left) {
    unsigned char lead = at[0];
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || (lead == 0xf0 && at[1] < 0x90) ||
        (lead == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

/* What follows a backslash; the character goes to `*character`. No surrogates. */
static int escape(struct argosy_json *json, unsigned *character) {
    static const char simple[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (json->at == json->end)
        return 0;
    unsigned char kind = *json->at++;
    if (kind == 'u') {
        unsigned value = 0;
        if (json->end - json->at < 4)
            return 0;
        for (int i = 0; i < 4; i++) {
            unsigned char digit = *json->at++;
            unsigned bits = json_hex(digit >= 'A' && digit <= 'F' ? digit + 32 : digit);
            if (bits > 15)
                return 0;
            value = value << 4 | bits;
        }
        *character = value;
        return value < 0xd800 || value > 0xdfff;
    }
    for (size_t i = 0; i < sizeof simple - 1; i += 2)
        if ((unsigned char)simple[i] == kind) {
            *character = (unsigned char)simple[i + 1];
            return 1;
        }
    return 0;
}

/* A string after its first quote. With `text` (room for NAME_MOST) what it says goes there, and only ASCII may be
 * escaped; a backslash in it is not taken, since it starts an escape of Go's. */
static int read_string(struct argosy_json *json, unsigned char *text, size_t *text_bytes) {
    size_t written = 0;
    while (json->at < json->end) {
        unsigned char byte = *json->at;
        size_t length = byte < 0x80 ? 1 : utf8(json->at, (size_t)(json->end - json->at));
        unsigned char escaped;
        const unsigned char *from = json->at;
        if (byte == '"') {
            json->at++;
            if (text)
                *text_bytes = written;
            return 1;
        }
        if (byte < 0x20 || !length)
            return 0;
        json->at += length;
        if (byte == '\\') {
            unsigned character;
            if (!escape(json, &character) || (text && (character > 0x7f || character == '\\')))
                return 0;
            escaped = (unsigned char)character;
            from = &escaped;
        }
        if (text) {
            if (written + length > NAME_MOST)
                return 0;
            memcpy(text + written, from, length);
            written += length;
        }
    }
    return 0;
}

static int two_digits(const unsigned char *at, unsigned least, unsigned most) {
    unsigned tens = at[0] - '0', ones = at[1] - '0';
    return tens < 10 && ones < 10 && tens * 10 + ones >= least && tens * 10 + ones <= most;
}

static unsigned days_of(unsigned year, unsigned month) {
    if (month == 2)
        return year % 4 == 0 && (year % 100 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* A time as restic writes it (restic_format/times.py), after its first quote. */
static int read_time(struct argosy_json *json) {
    const unsigned char *at = json->at;
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (json->end - at < 24)
        return 0;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? at[i] < '0' || at[i] > '9' : at[i] != (unsigned char)shape[i])
            return 0;
    unsigned year = (at[0] - '0') * 1000u + (at[1] - '0') * 100u + (at[2] - '0') * 10u + (at[3] - '0');
    unsigned month = (at[5] - '0') * 10u + (at[6] - '0');
    if (!two_digits(at + 5, 1, 12) || !two_digits(at + 8, 1, days_of(year, month)) || !two_digits(at + 11, 0, 23) ||
        !two_digits(at + 14, 0, 59) || !two_digits(at + 17, 0, 59))
        return 0;
    json->at += 19;
    if (*json->at == '.') {
        const unsigned char *first = ++json->at;
        while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
            json->at++;
        if (json->at == first || json->at - first > 9)
            return 0;
    }
    if (JSON_TAKE(json, "Z\""))
        return 1;
    at = json->at;
    if (json->end - at < 7 || (at[0] != '+' && at[0] != '-') || !two_digits(at + 1, 0, 99) || at[3] != ':' ||
        !two_digits(at + 4, 0, 99) || at[6] != '"')
        return 0;
    json->at += 7;
    return 1;
}

/* Base64 with its padding, after its first quote. */
static int read_base64(struct argosy_json *json) {
    const unsigned char *first = json->at;
    while (json->at < json->end) {
        unsigned char byte = *json->at;
        if ((byte | 32) >= 'a' && (byte | 32) <= 'z')
            json->at++;
        else if ((byte >= '0' && byte <= '9') || byte == '+' || byte == '/')
            json->at++;
        else
            break;
    }
    size_t padding = (4 - (size_t)(json->at - first) % 4) % 4;
    if (padding == 3)
        return 0;
    return json_take(json, "==", padding) && JSON_TAKE(json, "\"");
}

static int read_attributes(struct argosy_json *json) {
    if (JSON_TAKE(json, "null") || JSON_TAKE(json, "[]"))
        return 1;
    if (!JSON_TAKE(json, "["))
        return 0;
    do {
        if (!JSON_TAKE(json, "{\"name\":\"") || !read_string(json, NULL, NULL) || !JSON_TAKE(json, ",\"value\":"))
            return 0;
        if (!JSON_TAKE(json, "null") && !(JSON_TAKE(json, "\"") && read_base64(json)))
            return 0;
        if (!JSON_TAKE(json, "}"))
            return 0;
    } while (JSON_TAKE(json, ","));
    return JSON_TAKE(json, "]");
}

static int read_type(struct argosy_json *json, enum type *type) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (json_take(json, type_names[i].text, strlen(type_names[i].text))) {
            *type = type_names[i].type;
            return 1;
        }
    return 0;
}

/* Ids go to the end of the contents. */
static int read_content(struct reader *reader, int *is_list) {
    struct argosy_json *json = &reader->json;
    *is_list = 0;
    if (JSON_TAKE(json, "null"))
        return 1;
    *is_list = 1;
    if (JSON_TAKE(json, "[]"))
        return 1;
    if (!JSON_TAKE(json, "["))
        return 0;
    do {
        if (reader->subtrees - reader->contents < 2 * ARGOSY_HASH_BYTES || !json_id(json, reader->contents))
            return 0;
        reader->contents += ARGOSY_HASH_BYTES;
    } while (JSON_TAKE(json, ","));
    return JSON_TAKE(json, "]");
}

static int read_name(struct reader *reader) {
    unsigned char *name = reader->names[reader->current];
    size_t *length = &reader->name_bytes[reader->current];
    if (!read_string(&reader->json, name, length) || !*length || memchr(name, '/', *length) || memchr(name, 0, *length))
        return 0;
    if (name[0] == '.' && (*length == 1 || (*length == 2 && name[1] == '.')))
        return 0;
    const unsigned char *before = reader->names[!reader->current];
    size_t before_bytes = reader->name_bytes[!reader->current];
    int order = memcmp(before, name, before_bytes < *length ? before_bytes : *length);
    return order < 0 || (!order && before_bytes < *length);
}

/* A key and its colon. Those that may follow the one before are tried first: mostly it is the next. */
static int read_key(struct argosy_json *json, int *key) {
    if (!JSON_TAKE(json, "\""))
        return 0;
    for (int tried = 0, next = *key + 1; tried < KEYS; tried++, next++) {
        const char *name = key_names[next % KEYS];
        size_t length = strlen(name);
        if ((size_t)(json->end - json->at) > length + 1 && !memcmp(json->at, name, length) && json->at[length] == '"' &&
            json->at[length + 1] == ':') {
            json->at += length + 2;
            *key = next % KEYS;
            return 1;
        }
    }
    return 0;
}

/* What was seen of a node. */
struct node {
    enum type type;
    int has_list;
    unsigned char subtree[ARGOSY_HASH_BYTES];
};

static int read_value(struct reader *reader, int key, struct node *node) {
    struct argosy_json *json = &reader->json;
    uint64_t number;
    switch (key) {
    case MODE: case UID: case GID: case INODE: case DEVICE_ID: case SIZE: case LINKS: case DEVICE:
        return json_number(json, &number);
    case CONTENT:
        return read_content(reader, &node->has_list);
    case SUBTREE:
        return json_id(json, node->subtree);
    case ATTRIBUTES:
        return read_attributes(json);
    default:
        break;
    }
    if (!JSON_TAKE(json, "\""))
        return 0;
    switch (key) {
    case NAME:
        return read_name(reader);
    case TYPE:
        return read_type(json, &node->type);
    case MTIME: case ATIME: case CTIME:
        return read_time(json);
    case LINKTARGET_RAW:
        return read_base64(json);
    default:
        return read_string(json, NULL, NULL);
    }
}

#define ALWAYS_THERE (1u << NAME | 1u << TYPE | 1u << MTIME | 1u << ATIME | 1u << CTIME)

static int read_node(struct reader *reader) {
    struct node node = {0};
    unsigned seen = 0;
    int key = KEYS - 1;
    unsigned char *contents = reader->contents;
    if (!JSON_TAKE(&reader->json, "{"))
        return 0;
    do {
        if (!read_key(&reader->json, &key) || seen >> key & 1 || !read_value(reader, key, &node))
            return 0;
        seen |= 1u << key;
    } while (JSON_TAKE(&reader->json, ","));
    if (!JSON_TAKE(&reader->json, "}") || (seen & ALWAYS_THERE) != ALWAYS_THERE)
        return 0;
    reader->current = !reader->current;
    if (node.type == FILE_NODE)
        return node.has_list;
    reader->contents = contents;
    if (node.type == DIRECTORY_NODE) {
        if (!(seen >> SUBTREE & 1) || reader->subtrees - reader->contents < 2 * ARGOSY_HASH_BYTES)
            return 0;
        reader->subtrees -= ARGOSY_HASH_BYTES;
        memcpy(reader->subtrees, node.subtree, ARGOSY_HASH_BYTES);
    }
    return 1;
}

size_t argosy_node_bytes(const unsigned char *text, size_t text_bytes) {
    unsigned char ids[NODE_IDS_BYTES];
    struct reader reader;
    reader.json = (struct argosy_json){text, text + text_bytes};
    reader.contents = ids;
    reader.subtrees = ids + sizeof ids;
    reader.name_bytes[0] = reader.name_bytes[1] = 0;
    reader.current = 0;
    return read_node(&reader) ? (size_t)(reader.json.at - text) : 0;
}

/* The ids that a tree names, into `ids`: first the `counts[0]` blobs of its files, in order; at the end of the room the
 * `counts[1]` subtrees, the last one first. Room for half of the tree's bytes is enough. Returns 1, or 0 if Python is to
 * look at it. */
ARGOSY_EXPORT int argosy_tree_names(const unsigned char *tree, size_t tree_bytes, unsigned char *ids, size_t room,
                                    uint64_t *counts) {
    struct reader reader;
    reader.json = (struct argosy_json){tree, tree + tree_bytes};
    reader.contents = ids;
    reader.subtrees = ids + room;
    reader.name_bytes[0] = reader.name_bytes[1] = 0;
    reader.current = 0;
    if (!JSON_TAKE(&reader.json, "{\"nodes\":["))
        return 0;
    if (!JSON_TAKE(&reader.json, "]")) {
        do {
            if (!read_node(&reader))
                return 0;
        } while (JSON_TAKE(&reader.json, ","));
        if (!JSON_TAKE(&reader.json, "]"))
            return 0;
    }
    if (!JSON_TAKE(&reader.json, "}") || !(JSON_TAKE(&reader.json, "\n") || 1) || reader.json.at != reader.json.end)
        return 0;
    counts[0] = (uint64_t)(reader.contents - ids) / ARGOSY_HASH_BYTES;
    counts[1] = (uint64_t)(ids + room - reader.subtrees) / ARGOSY_HASH_BYTES;
    return 1;
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
