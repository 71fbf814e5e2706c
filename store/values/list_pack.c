/* list_pack.c - walking and changing small lists, from both ends. */
#include "store/values/list_pack.h"

static unsigned u16_at(const char *at) {
    return (unsigned)(unsigned char)at[0] | (unsigned)(unsigned char)at[1] << 8;
}
static void put_u16(char *at, size_t number) {
    assert(number <= UINT16_MAX);
    at[0] = (char)number;
    at[1] = (char)(number >> 8);
}

/* What an element takes in the pack: its bytes, two length bytes, and a long one its length once more. */
static size_t record_of(uint8_t code, size_t stored) {
    return 2 + stored + (code == ELEMENT_LONG ? 2 : 0);
}
static size_t record_at(const char *at) {
    uint8_t code = (uint8_t)at[0];
    return record_of(code, element_stored_at(code, at + 1));
}
/* The same of the one that ends here. */
static size_t record_before(const char *end) {
    uint8_t code = (uint8_t)end[-1];
    if (code != ELEMENT_LONG) return record_of(code, element_stored_at(code, NULL));
    return record_of(code, 2 + u16_at(end - 3));
}

static void put_record(char *at, const struct element *element) {
    size_t len = element->bytes.len;
    char code = (char)element_code(len);
    *at++ = code;
    element_put(at, element);
    at += element_stored(len);
    if ((uint8_t)code == ELEMENT_LONG) {
        put_u16(at, len);
        at += 2;
    }
    *at = code;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

size_t list_pack_first(struct bytes pack) {
    if (pack.len == 0) return 0;
    size_t head = u16_at(pack.data + 2);
    assert(head >= LIST_PACK_HEAD && head < pack.len); /* 2 */
    return head;
}

size_t list_pack_next(struct bytes pack, size_t place) {
    assert(place < pack.len);
    size_t next = place + record_at(pack.data + place);
    assert(next <= pack.len); /* 2 */
    return next;
}

size_t list_pack_before(struct bytes pack, size_t place) {
    size_t first = list_pack_first(pack);
    assert(place <= pack.len && place >= first);
    if (place == first) return LIST_PACK_NONE;
    size_t record = record_before(pack.data + place);
    assert(record <= place - first && record_at(pack.data + place - record) == record); /* 2 */
    return place - record;
}

size_t list_pack_seek(struct bytes pack, uint32_t index) {
    uint32_t count = list_pack_count(pack);
    size_t place;
    assert(index <= count);
    if (index <= count / 2) {
        place = list_pack_first(pack);
        for (uint32_t i = 0; i < index; i++) place = list_pack_next(pack, place);
    } else {
        place = pack.len;
        for (uint32_t i = count; i > index; i--) place = list_pack_before(pack, place);
    }
    return place;
}

struct element list_pack_at(struct bytes pack, size_t place) {
    assert(place >= LIST_PACK_HEAD && place < pack.len);
    return element_at((uint8_t)pack.data[place], pack.data + place + 1);
}

/* Is a whole element here that says the same at both ends? */
static bool record_valid(const char *at, size_t left) {
    uint8_t code = (uint8_t)at[0];
    if (!element_valid(code, at + 1, left - 1) || record_at(at) > left) return false;
    const char *end = at + record_at(at);
    return (uint8_t)end[-1] == code && record_before(end) == record_at(at);
}

bool list_pack_valid(struct bytes pack) {
    if (pack.len == 0) return true;
    if (pack.len < LIST_PACK_HEAD || pack.len > LIST_PACK_LEN_MAX) return false;
    size_t place = u16_at(pack.data + 2);
    uint32_t count = list_pack_count(pack), seen = 0;
    if (count == 0 || place < LIST_PACK_HEAD) return false;
    for (; place < pack.len; seen++) {
        if (!record_valid(pack.data + place, pack.len - place)) return false;
        place += record_at(pack.data + place);
    }
    return place == pack.len && seen == count;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

static void set_head(struct pack *pack, uint32_t count, size_t head) {
    assert(count > 0 && count <= PACK_COUNT_MAX);       /* 1 */
    assert(head >= LIST_PACK_HEAD && head < pack->len); /* 2 */
    put_u16(pack->data, count);
    put_u16(pack->data + 2, head);
}

/* Opens a gap of `record` bytes before a place, from the front if there is room; returns where it is. */
static size_t open_gap(struct pack *pack, size_t first, size_t place, size_t record, size_t len) {
    if (len == pack->len) { /* what is before moves into the gap at the front */
        memmove(pack->data + first - record, pack->data + first, place - first);
        return place - record;
    }
    size_t spare = place == first && place < pack->len ? pack->capacity - len : 0;
    if (spare > LIST_PACK_LEN_MAX - len) spare = LIST_PACK_LEN_MAX - len;
    memmove(pack->data + place + spare + record, pack->data + place, pack->len - place);
    pack->len = len + spare;
    return place + spare;
}

size_t list_pack_insert(struct pack *pack, size_t place, const struct element *element) {
    uint32_t count = list_pack_count(pack_bytes(pack));
    if (count == 0) place = LIST_PACK_HEAD;
    size_t first = count ? list_pack_first(pack_bytes(pack)) : LIST_PACK_HEAD,
           before = count ? pack->len : first;
    size_t record = record_of(element_code(element->bytes.len), element_stored(element->bytes.len));
    assert(place >= first && place <= before);
    bool fits = first - LIST_PACK_HEAD >= record && place - first <= before - place;
    size_t len = fits ? before : before + record;
    if (count == PACK_COUNT_MAX || len > LIST_PACK_LEN_MAX) return PACK_NEVER;
    if (len > pack->capacity) return len;
    if (count == 0) pack->len = LIST_PACK_HEAD;
    size_t gap = open_gap(pack, first, place, record, len);
    put_record(pack->data + gap, element);
    set_head(pack, count + 1, place == first ? gap : fits ? first - record : first);
    debug_assert(list_pack_seek(pack_bytes(pack), count + 1) == pack->len);
    return pack->len;
}

size_t list_pack_replace(struct pack *pack, size_t place, const struct element *element) {
    size_t old = record_at(pack->data + place);
    size_t new = record_of(element_code(element->bytes.len), element_stored(element->bytes.len));
    size_t len = pack->len - old + new;
    assert(place + old <= pack->len);
    if (len > LIST_PACK_LEN_MAX) return PACK_NEVER;
    if (len > pack->capacity) return len;
    memmove(pack->data + place + new, pack->data + place + old, pack->len - place - old);
    put_record(pack->data + place, element);
    return pack->len = len;
}

/* A gap that became large against what is left is closed. */
static void close_gap(struct pack *pack) {
    size_t head = list_pack_first(pack_bytes(pack)), gap = head - LIST_PACK_HEAD, left = pack->len - head;
    if (gap <= LIST_PACK_GAP + left / 4) return; /* 3 */
    memmove(pack->data + LIST_PACK_HEAD, pack->data + head, left);
    pack->len -= gap;
    set_head(pack, list_pack_count(pack_bytes(pack)), LIST_PACK_HEAD);
}

void list_pack_delete(struct pack *pack, size_t place, uint32_t count) {
    uint32_t before = list_pack_count(pack_bytes(pack));
    size_t first = list_pack_first(pack_bytes(pack)), end = place;
    assert(count > 0 && count <= before);
    if (count == before) {
        pack->len = 0;
        return;
    }
    for (uint32_t i = 0; i < count; i++) end = list_pack_next(pack_bytes(pack), end);
    if (place - first < pack->len - end) {
        memmove(pack->data + first + (end - place), pack->data + first, place - first);
        first += end - place;
    } else {
        memmove(pack->data + place, pack->data + end, pack->len - end);
        pack->len -= end - place;
    }
    set_head(pack, before - count, first);
    close_gap(pack);
}
