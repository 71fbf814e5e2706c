/* intset.c - sets of integers of one width, in order. */
#include "store/values/intset.h"

static size_t width_of(struct bytes set) {
    uint32_t count = intset_count(set);
    assert(count > 0);
    size_t width = (set.len - INTSET_HEAD) / count;
    assert(width == 2 || width == 4 || width == 8); /* 1 */
    return width;
}
static size_t width_for(int64_t number) {
    if (number >= INT16_MIN && number <= INT16_MAX) return 2;
    return number >= INT32_MIN && number <= INT32_MAX ? 4 : 8;
}

static int64_t load(const char *at, size_t width) {
    int16_t narrow;
    int32_t middle;
    int64_t wide;
    if (width == sizeof narrow) return memcpy(&narrow, at, sizeof narrow), narrow;
    if (width == sizeof middle) return memcpy(&middle, at, sizeof middle), middle;
    memcpy(&wide, at, sizeof wide);
    return wide;
}
static void store(char *at, size_t width, int64_t number) {
    int16_t narrow = (int16_t)number;
    int32_t middle = (int32_t)number;
    assert(width_for(number) <= width);
    memcpy(at, width == 2 ? (void *)&narrow : width == 4 ? (void *)&middle : (void *)&number, width);
}

uint32_t intset_count(struct bytes set) {
    return set.len ? load_u32(set.data) : 0;
}

int64_t intset_at(struct bytes set, uint32_t index) {
    assert(index < intset_count(set));
    size_t width = width_of(set);
    return load(set.data + INTSET_HEAD + index * width, width);
}

bool intset_find(struct bytes set, int64_t number, uint32_t *index) {
    uint32_t low = 0, high = intset_count(set);
    size_t width = high ? width_of(set) : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int64_t other = load(set.data + INTSET_HEAD + middle * width, width);
        if (other == number) return *index = middle, true;
        if (other < number)
            low = middle + 1;
        else
            high = middle;
    }
    return *index = low, false;
}

bool intset_valid(struct bytes set) {
    if (set.len == 0) return true;
    if (set.len < INTSET_HEAD) return false;
    uint32_t count = intset_count(set);
    size_t bytes = set.len - INTSET_HEAD;
    if (count == 0 || bytes % count) return false;
    size_t width = bytes / count;
    if (width != 2 && width != 4 && width != 8) return false;
    for (uint32_t i = 1; i < count; i++)
        if (intset_at(set, i) <= intset_at(set, i - 1)) return false; /* 2 */
    return true;
}

static void set_count(struct pack *set, uint32_t count) {
    memcpy(set->data, &count, sizeof count);
    assert(count > 0 && (set->len - INTSET_HEAD) % count == 0); /* 1 */
}

/* Widens all of them, from the last one on: none is overwritten before it was read. */
static void widen(struct pack *set, uint32_t count, size_t from, size_t to) {
    char *at = set->data + INTSET_HEAD;
    for (uint32_t i = count; from < to && i-- > 0;) store(at + i * to, to, load(at + i * from, from));
}

size_t intset_insert(struct pack *set, uint32_t index, int64_t number) {
    uint32_t count = intset_count(pack_bytes(set));
    size_t old = count ? width_of(pack_bytes(set)) : 0,
           width = width_for(number) > old ? width_for(number) : old;
    assert(index <= count);
    if (count == UINT32_MAX) return PACK_NEVER;
    size_t len = INTSET_HEAD + ((size_t)count + 1) * width;
    if (len > set->capacity) return len;
    widen(set, count, old, width);
    char *at = set->data + INTSET_HEAD + index * width;
    memmove(at + width, at, (count - index) * width);
    store(at, width, number);
    set->len = len;
    set_count(set, count + 1);
    assert(index == 0 || intset_at(pack_bytes(set), index - 1) < number);     /* 2 */
    assert(index == count || intset_at(pack_bytes(set), index + 1) > number); /* 2 */
    return len;
}

void intset_delete(struct pack *set, uint32_t index) {
    uint32_t count = intset_count(pack_bytes(set));
    assert(index < count);
    if (count == 1) {
        set->len = 0;
        return;
    }
    size_t width = width_of(pack_bytes(set));
    char *at = set->data + INTSET_HEAD + index * width;
    memmove(at, at + width, (count - index - 1) * width);
    set->len -= width;
    set_count(set, count - 1);
}
