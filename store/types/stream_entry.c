/* stream_entry.c - entries of streams, and the lists of fields that a stream knows. */
#include "store/types/stream_entry.h"

struct list_head {
    uint16_t bytes, count;
};
enum {
    COUNT_BYTES = sizeof(uint16_t),
    OFFSET_BYTES = sizeof(uint16_t),
    HEAD_BYTES = sizeof(struct list_head)
};

bool stream_id_next(struct stream_id *id) {
    if (id->sequence == UINT64_MAX && id->ms == UINT64_MAX) return false;
    if (++id->sequence == 0) id->ms++;
    return true;
}

bool stream_id_previous(struct stream_id *id) {
    if (stream_id_is_zero(*id)) return false;
    if (id->sequence-- == 0) id->ms--;
    return true;
}

/* ---- Numbers -------------------------------------------------------------------------------------- */

static size_t number_len(uint64_t number) {
    size_t len = 1;
    for (; number >= 128; number >>= 7) len++;
    return len;
}

static char *put_number(char *at, uint64_t number) {
    for (; number >= 128; number >>= 7) *at++ = (char)(number | 128);
    *at++ = (char)number;
    return at;
}

/* Takes a number from the front. */
static uint64_t take_number(struct bytes *from) {
    uint64_t number = 0;
    unsigned shift = 0;
    size_t i = 0;
    assert(from->len > 0);
    for (; from->data[i] & (char)128; shift += 7) {
        number |= (uint64_t)(from->data[i++] & 127) << shift;
        assert(i < from->len && i < STREAM_LEN_MOST);
    }
    number |= (uint64_t)from->data[i++] << shift;
    from->data += i, from->len -= i;
    return number;
}

static struct bytes take_bytes(struct bytes *from, size_t len) {
    struct bytes taken = {from->data, len};
    assert(len <= from->len);
    from->data += len, from->len -= len;
    return taken;
}

static char *put_bytes(char *at, struct bytes bytes) {
    if (bytes.len) memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

/* ---- Lists of fields ------------------------------------------------------------------------------ */

/* The list with this number, behind its head. */
static struct bytes list_at(const struct block *names, unsigned number, struct list_head *head) {
    unsigned count = stream_names_count(names);
    uint16_t offset;
    assert(number > 0 && number <= count);
    memcpy(&offset, names->data + COUNT_BYTES + (size_t)OFFSET_BYTES * (number - 1), sizeof offset);
    const char *at = names->data + COUNT_BYTES + (size_t)OFFSET_BYTES * count + offset;
    memcpy(head, at, sizeof *head);
    assert(at + HEAD_BYTES + head->bytes <= names->data + names->len);
    return (struct bytes){at + HEAD_BYTES, head->bytes};
}

/* Bytes of the list that these fields would be, behind its head. */
static size_t list_len(const struct stream_pairs *pairs) {
    size_t len = 0;
    for (uint32_t i = 0; i < pairs->count; i++) {
        size_t field = pairs->list[2 * i].len;
        len += number_len(field) + field;
    }
    return len;
}

static bool list_is(const struct block *names, unsigned number, const struct stream_pairs *pairs,
                    size_t len) {
    struct list_head head;
    struct bytes list = list_at(names, number, &head);
    if (head.count != pairs->count || head.bytes != len) return false;
    for (uint32_t i = 0; i < pairs->count; i++) {
        size_t field = take_number(&list);
        if (field > list.len || !bytes_equal(take_bytes(&list, field), pairs->list[2 * i])) return false;
    }
    return true;
}

unsigned stream_names_find(const struct block *names, const struct stream_pairs *pairs, unsigned likely) {
    unsigned count = stream_names_count(names);
    if (count == 0 || pairs->count == 0) return 0;
    size_t len = list_len(pairs);
    if (likely > 0 && likely <= count && list_is(names, likely, pairs, len)) return likely;
    for (unsigned number = 1; number <= count; number++)
        if (list_is(names, number, pairs, len)) return number;
    return 0;
}

struct block *stream_names_add(const struct block *names, const struct stream_pairs *pairs) {
    unsigned count = stream_names_count(names);
    size_t heads = COUNT_BYTES + (size_t)OFFSET_BYTES * count, list = list_len(pairs);
    size_t old = names ? names->len - heads : 0;
    if (pairs->count == 0 || count == STREAM_NAMES_MOST || list > STREAM_NAMES_BYTES_MOST) return NULL;
    size_t len = heads + OFFSET_BYTES + old + HEAD_BYTES + list;
    if (len > STREAM_NAMES_BYTES_MOST) return NULL;
    struct block *block = block_new(len, len);
    if (block == NULL) return NULL;
    uint16_t now = (uint16_t)(count + 1), offset = (uint16_t)old;
    struct list_head head = {(uint16_t)list, (uint16_t)pairs->count};
    char *at = block->data;
    memcpy(at, &now, sizeof now);
    if (count) memcpy(at + COUNT_BYTES, names->data + COUNT_BYTES, (size_t)OFFSET_BYTES * count);
    memcpy(at + heads, &offset, sizeof offset);
    at = put_bytes(at + heads + OFFSET_BYTES, (struct bytes){names ? names->data + heads : NULL, old});
    memcpy(at, &head, sizeof head);
    at += HEAD_BYTES;
    for (uint32_t i = 0; i < pairs->count; i++) {
        at = put_number(at, pairs->list[2 * i].len);
        at = put_bytes(at, pairs->list[2 * i]);
    }
    assert(at == block->data + len);
    return block;
}

size_t stream_pairs_bytes(const struct stream_pairs *pairs) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < 2 * pairs->count; i++)
        if (__builtin_add_overflow(bytes, pairs->list[i].len, &bytes)) return SIZE_MAX;
    return bytes;
}

/* ---- Entries -------------------------------------------------------------------------------------- */

size_t stream_entry_len(const struct stream_pairs *pairs, unsigned number) {
    size_t len = 1 + (number ? 0 : number_len(pairs->count) + list_len(pairs));
    for (uint32_t i = 0; i < pairs->count; i++) {
        size_t value = pairs->list[2 * i + 1].len;
        len += value + (i + 1 < pairs->count ? number_len(value) : 0);
    }
    return len;
}

void stream_entry_write(char *at, const struct stream_pairs *pairs, unsigned number) {
    assert(number <= STREAM_NAMES_MOST);
    *at++ = (char)number;
    if (number == 0) at = put_number(at, pairs->count);
    for (uint32_t i = 0; i < pairs->count; i++) {
        struct bytes field = pairs->list[2 * i], value = pairs->list[2 * i + 1];
        if (number == 0) at = put_bytes(put_number(at, field.len), field);
        if (i + 1 < pairs->count) at = put_number(at, value.len);
        at = put_bytes(at, value);
    }
}

struct stream_fields stream_fields(struct bytes entry, const struct block *names) {
    struct stream_fields fields = {.values = entry};
    struct list_head head;
    fields.number = (unsigned char)*take_bytes(&fields.values, 1).data;
    if (fields.number == 0) {
        fields.left = take_number(&fields.values);
    } else {
        fields.names = list_at(names, fields.number, &head);
        fields.left = head.count;
    }
    return fields;
}

bool stream_fields_next(struct stream_fields *fields, struct bytes *field, struct bytes *value) {
    struct bytes *names = fields->number ? &fields->names : &fields->values;
    if (fields->left == 0) return false;
    *field = take_bytes(names, take_number(names));
    size_t len = --fields->left ? take_number(&fields->values) : fields->values.len;
    *value = take_bytes(&fields->values, len);
    return true;
}

struct stream_fields stream_names_list(const struct block *names, unsigned number) {
    struct list_head head;
    struct stream_fields fields = {.number = number};
    fields.names = list_at(names, number, &head);
    fields.left = head.count;
    return fields;
}

bool stream_names_next(struct stream_fields *fields, struct bytes *field) {
    if (fields->left == 0) return false;
    fields->left--;
    *field = take_bytes(&fields->names, take_number(&fields->names));
    return true;
}
