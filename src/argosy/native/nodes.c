/* Reads a tree node by node. It takes only what is written as restic and Argosy write it (restic_format/node.py); at
 * anything else it stops, and Python reads the tree. */

#include "nodes.h"

enum key {
    NAME, TYPE, MODE, MTIME, ATIME, CTIME, UID, GID, USER, GROUP, INODE, DEVICE_ID, SIZE, LINKS,
    LINKTARGET, LINKTARGET_RAW, ATTRIBUTES, DEVICE, CONTENT, SUBTREE, KEYS
};

static const char *const key_names[KEYS] = {
    "name", "type", "mode", "mtime", "atime", "ctime", "uid", "gid", "user", "group", "inode", "device_id", "size", "links",
    "linktarget", "linktarget_raw", "extended_attributes", "device", "content", "subtree"};

static const struct {
    const char *text;
    enum argosy_node_type type;
} type_names[] = {{"file\"", ARGOSY_FILE},       {"dir\"", ARGOSY_DIRECTORY}, {"symlink\"", ARGOSY_OTHER},
                  {"dev\"", ARGOSY_OTHER},       {"chardev\"", ARGOSY_OTHER}, {"fifo\"", ARGOSY_OTHER},
                  {"socket\"", ARGOSY_SOCKET}};

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

/* A string after its first quote. With `text` (room for ARGOSY_NAME_MOST) what it says goes there. It says nothing, no
 * bytes, if it has a backslash, which starts an escape of Go's, or escapes more than ASCII. */
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
            if (!escape(json, &character))
                return 0;
            if (text && (character > 0x7f || character == '\\'))
                text = NULL, *text_bytes = 0;
            escaped = (unsigned char)character;
            from = &escaped;
        }
        if (text) {
            if (written + length > ARGOSY_NAME_MOST)
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

/* Days from 1970-01-01 to a date (restic_format/times.py). */
static int64_t days_before(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static unsigned number_of(const unsigned char *digits) {
    return (digits[0] - '0') * 10u + (digits[1] - '0');
}

/* Digits behind the point of a second. */
static int read_fraction(struct argosy_json *json, long *ns) {
    const unsigned char *first = json->at;
    for (*ns = 0; json->at < json->end && *json->at >= '0' && *json->at <= '9' && json->at - first < 9; json->at++)
        *ns = *ns * 10 + (*json->at - '0');
    for (ptrdiff_t digits = json->at - first; digits < 9; digits++)
        *ns *= 10;
    return json->at > first;
}

/* A time as restic writes it, after its first quote. */
static int read_time(struct argosy_json *json, struct timespec *time) {
    const unsigned char *at = json->at;
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (json->end - at < 24)
        return 0;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? at[i] < '0' || at[i] > '9' : at[i] != (unsigned char)shape[i])
            return 0;
    unsigned year = number_of(at) * 100 + number_of(at + 2), month = number_of(at + 5), day = number_of(at + 8);
    if (!two_digits(at + 5, 1, 12) || !two_digits(at + 8, 1, days_of(year, month)) || !two_digits(at + 11, 0, 23) ||
        !two_digits(at + 14, 0, 59) || !two_digits(at + 17, 0, 59))
        return 0;
    time->tv_sec = days_before(year, month, day) * 86400 + number_of(at + 11) * 3600 + number_of(at + 14) * 60 +
                   number_of(at + 17);
    time->tv_nsec = 0;
    json->at += sizeof shape - 1;
    if (JSON_TAKE(json, ".") && !read_fraction(json, &time->tv_nsec))
        return 0;
    if (JSON_TAKE(json, "Z\""))
        return 1;
    at = json->at;
    if (json->end - at < 7 || (at[0] != '+' && at[0] != '-') || !two_digits(at + 1, 0, 99) || at[3] != ':' ||
        !two_digits(at + 4, 0, 99) || at[6] != '"')
        return 0;
    int64_t offset = number_of(at + 1) * 3600 + number_of(at + 4) * 60;
    time->tv_sec += at[0] == '-' ? offset : -offset;
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

static int read_attributes(struct argosy_json *json, int *has_any) {
    if (JSON_TAKE(json, "null") || JSON_TAKE(json, "[]"))
        return 1;
    if (!JSON_TAKE(json, "["))
        return 0;
    *has_any = 1;
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

static int read_type(struct argosy_json *json, enum argosy_node_type *type) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (json_take(json, type_names[i].text, strlen(type_names[i].text))) {
            *type = type_names[i].type;
            return 1;
        }
    return 0;
}

static int read_content(struct argosy_nodes *nodes, struct argosy_node *node) {
    struct argosy_json *json = &nodes->json;
    unsigned char *at = nodes->ids;
    node->ids = at;
    if (JSON_TAKE(json, "null"))
        return 1;
    node->has_list = 1;
    if (JSON_TAKE(json, "[]"))
        return 1;
    if (!JSON_TAKE(json, "["))
        return 0;
    do {
        if (nodes->ids_end - at < 2 * ARGOSY_HASH_BYTES || !json_id(json, at))
            return 0;
        at += ARGOSY_HASH_BYTES;
        node->id_count++;
    } while (JSON_TAKE(json, ","));
    return JSON_TAKE(json, "]");
}

/* One that an entry may have, and that stands in order behind the one before; or one that says nothing here. */
static int read_name(struct argosy_nodes *nodes) {
    unsigned char *name = nodes->names[nodes->current];
    size_t *length = &nodes->name_bytes[nodes->current];
    if (!read_string(&nodes->json, name, length))
        return 0;
    if (!*length)
        return 1;
    if (memchr(name, '/', *length) || memchr(name, 0, *length))
        return 0;
    if (name[0] == '.' && (*length == 1 || (*length == 2 && name[1] == '.')))
        return 0;
    const unsigned char *before = nodes->names[!nodes->current];
    size_t before_bytes = nodes->name_bytes[!nodes->current];
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

static int read_value(struct argosy_nodes *nodes, int key, struct argosy_node *node) {
    struct argosy_json *json = &nodes->json;
    uint64_t number;
    switch (key) {
    case MODE:
        return json_number(json, &node->mode);
    case UID:
        return json_number(json, &node->uid);
    case GID:
        return json_number(json, &node->gid);
    case SIZE:
        return json_number(json, &node->size);
    case INODE: case DEVICE_ID: case LINKS: case DEVICE:
        return json_number(json, &number);
    case CONTENT:
        return read_content(nodes, node);
    case SUBTREE:
        return json_id(json, node->subtree);
    case ATTRIBUTES:
        return read_attributes(json, &node->has_attributes);
    default:
        break;
    }
    if (!JSON_TAKE(json, "\""))
        return 0;
    switch (key) {
    case NAME:
        return read_name(nodes);
    case TYPE:
        return read_type(json, &node->type);
    case MTIME:
        return read_time(json, &node->mtime);
    case ATIME:
        return read_time(json, &node->atime);
    case CTIME:
        return read_time(json, &node->ctime);
    case LINKTARGET_RAW:
        return read_base64(json);
    default:
        return read_string(json, NULL, NULL);
    }
}

#define ALWAYS_THERE (1u << NAME | 1u << TYPE | 1u << MTIME | 1u << ATIME | 1u << CTIME)

static int read_node(struct argosy_nodes *nodes, struct argosy_node *node) {
    unsigned seen = 0;
    int key = KEYS - 1;
    *node = (struct argosy_node){.start = nodes->json.at};
    if (!JSON_TAKE(&nodes->json, "{"))
        return 0;
    do {
        if (!read_key(&nodes->json, &key) || seen >> key & 1 || !read_value(nodes, key, node))
            return 0;
        seen |= 1u << key;
    } while (JSON_TAKE(&nodes->json, ","));
    if (!JSON_TAKE(&nodes->json, "}") || (seen & ALWAYS_THERE) != ALWAYS_THERE)
        return 0;
    node->name = nodes->names[nodes->current];
    node->name_bytes = nodes->name_bytes[nodes->current];
    if (node->name_bytes)
        nodes->current = !nodes->current;
    node->bytes = (size_t)(nodes->json.at - node->start);
    if (node->type == ARGOSY_DIRECTORY)
        return seen >> SUBTREE & 1;
    return node->type != ARGOSY_FILE || node->has_list;
}

void argosy_nodes_start(struct argosy_nodes *nodes, const unsigned char *text, size_t text_bytes, unsigned char *ids,
                        size_t ids_bytes) {
    nodes->json = (struct argosy_json){text, text + text_bytes};
    nodes->ids = ids;
    nodes->ids_end = ids + ids_bytes;
    nodes->name_bytes[0] = nodes->name_bytes[1] = 0;
    nodes->current = nodes->is_begun = 0;
}

int argosy_next_node(struct argosy_nodes *nodes, struct argosy_node *node) {
    struct argosy_json *json = &nodes->json;
    int is_more = nodes->is_begun ? JSON_TAKE(json, ",")
                                  : JSON_TAKE(json, "{\"nodes\":[") && json->at < json->end && *json->at != ']';
    nodes->is_begun = 1;
    if (is_more)
        return read_node(nodes, node) ? 1 : -1;
    if (!JSON_TAKE(json, "]}"))
        return -1;
    JSON_TAKE(json, "\n");
    return json->at == json->end ? 0 : -1;
}

size_t argosy_node_bytes(const unsigned char *text, size_t text_bytes) {
    unsigned char ids[ARGOSY_NODE_IDS_BYTES];
    struct argosy_nodes nodes;
    struct argosy_node node;
    argosy_nodes_start(&nodes, text, text_bytes, ids, sizeof ids);
    return read_node(&nodes, &node) && node.name_bytes ? node.bytes : 0;
}
