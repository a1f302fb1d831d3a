/* Reads JSON as restic and Argosy write it: no blanks, known keys. Whatever is written otherwise is not taken, and read
 * in Python. A reader stands at a place in the text; each function moves it on, and returns 0 where it cannot. */

#ifndef ARGOSY_JSON_H
#define ARGOSY_JSON_H

#include "native.h"

#include <string.h>

struct argosy_json {
    const unsigned char *at, *end;
};

static inline int json_take(struct argosy_json *json, const char *text, size_t length) {
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, text, length))
        return 0;
    json->at += length;
    return 1;
}

/* For literals. */
#define JSON_TAKE(json, text) json_take((json), (text), sizeof(text) - 1)

/* A hexadecimal digit's value and one, digits from the lower case; 0 for anything else. */
static const unsigned char json_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

/* Its value; above 15 for anything else. */
static inline unsigned json_hex(unsigned char digit) {
    return json_digits[digit] - 1u;
}

/* An id in quotes. One of zeros is no id of anything. */
static inline int json_id(struct argosy_json *json, unsigned char *id) {
    unsigned wrong = 0, any = 0;
    if (json->end - json->at < 2 + 2 * ARGOSY_HASH_BYTES || json->at[0] != '"' ||
        json->at[1 + 2 * ARGOSY_HASH_BYTES] != '"')
        return 0;
    const unsigned char *digits = json->at + 1;
    for (size_t i = 0; i < ARGOSY_HASH_BYTES; i++) {
        unsigned high = json_hex(digits[2 * i]), low = json_hex(digits[2 * i + 1]);
        wrong |= high | low;
        any |= high << 4 | low;
        id[i] = (unsigned char)(high << 4 | low);
    }
    json->at += 2 + 2 * ARGOSY_HASH_BYTES;
    return wrong < 16 && any;
}

/* A whole number of up to 18 digits, without sign, fraction or exponent. */
static inline int json_number(struct argosy_json *json, uint64_t *number) {
    const unsigned char *start = json->at;
    uint64_t value = 0;
    while (json->at < json->end && json->at - start < 19 && *json->at >= '0' && *json->at <= '9')
        value = value * 10 + (*json->at++ - '0');
    *number = value;
    size_t digits = (size_t)(json->at - start);
    return digits && digits < 19 && (digits == 1 || *start != '0') && json->at < json->end &&
           (*json->at == ',' || *json->at == '}');
}

#endif
