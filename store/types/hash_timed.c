/* hash_timed.c - packs with expiries, drafted and made. */
#include "store/types/hash_timed.h"

enum { EXPIRY_BYTES = 6 };
_Static_assert(TIMES_MAX < (int64_t)1 << 8 * EXPIRY_BYTES, "an expiry fits");
_Static_assert(sizeof(struct hash_timed) + COLLECTION_PACK_BYTES <= HEAP_NODE_MAX, "it is one node");

int64_t hash_timed_expiry(const struct element *element) {
    uint64_t expiry = 0;
    assert(element->bytes.len == 0 || element->bytes.len == EXPIRY_BYTES);
    for (size_t i = 0; i < element->bytes.len; i++)
        expiry |= (uint64_t)(unsigned char)element->bytes.data[i] << 8 * i;
    return (int64_t)expiry;
}

/* Written into `at`, EXPIRY_BYTES. */
static struct element element_of_expiry(int64_t expiry_ms, char *at) {
    assert(expiry_ms >= 0 && expiry_ms <= TIMES_MAX);
    for (unsigned i = 0; i < EXPIRY_BYTES; i++) at[i] = (char)(expiry_ms >> 8 * i);
    return element_of((struct bytes){at, expiry_ms ? EXPIRY_BYTES : 0});
}

uint32_t hash_timed_find(struct bytes pack, struct bytes field) {
    struct pack_walk walk = pack_from(pack, 0);
    uint32_t at = 0;
    for (struct element element; pack_next(&walk, &element); at++)
        if (at % TIMED_PARTS == TIMED_FIELD && bytes_equal(element.bytes, field)) return at;
    return at;
}

/* ---- Drafts --------------------------------------------------------------------------------------- */

static bool fits(const struct hash_draft *draft, size_t len, uint32_t elements) {
    return len <= sizeof draft->bytes && elements <= TIMED_ELEMENTS;
}

static bool append(struct hash_draft *draft, const struct element parts[TIMED_PARTS]) {
    uint32_t count = pack_count(pack_bytes(&draft->pack));
    if (!fits(draft, 0, count + TIMED_PARTS)) return false;
    return pack_insert(&draft->pack, count, parts, TIMED_PARTS) <= sizeof draft->bytes;
}

bool hash_draft(struct hash_draft *draft, const struct value *value) {
    bool done = true;
    draft->pack = (struct pack){.data = draft->bytes, .capacity = sizeof draft->bytes};
    if (value->kind == VALUE_OBJECT) {
        struct bytes pack = hash_timed_pack(value->object);
        memcpy(draft->bytes, pack.data, pack.len);
        draft->pack.len = pack.len;
        return true;
    }
    struct pack_walk walk = pack_from(value_bytes(value), 0);
    struct element parts[TIMED_PARTS] = {{.block = NULL}};
    parts[TIMED_EXPIRY] = element_of(BYTES(""));
    while (done && pack_next(&walk, &parts[TIMED_FIELD]) && pack_next(&walk, &parts[TIMED_VALUE]))
        done = append(draft, parts);
    return done;
}

bool hash_draft_set(struct hash_draft *draft, uint32_t index, struct bytes field, struct bytes value,
                    int64_t expiry_ms) {
    char bytes[EXPIRY_BYTES];
    struct element parts[TIMED_PARTS];
    struct bytes pack = pack_bytes(&draft->pack);
    if (field.len > ELEMENT_INLINE_MAX || value.len > ELEMENT_INLINE_MAX) return false;
    parts[TIMED_FIELD] = element_of(field);
    parts[TIMED_VALUE] = element_of(value);
    parts[TIMED_EXPIRY] = element_of_expiry(expiry_ms, bytes);
    if (index == pack_count(pack)) return append(draft, parts);
    size_t len = pack.len;
    for (unsigned i = TIMED_VALUE; i < TIMED_PARTS; i++)
        len += element_stored(parts[i].bytes.len) - element_stored(pack_at(pack, index + i).bytes.len);
    if (!fits(draft, len, 0)) return false;
    /* What shrinks goes first, so that there is room for what grows. */
    bool late = element_stored(parts[TIMED_VALUE].bytes.len) >
                element_stored(pack_at(pack, index + TIMED_VALUE).bytes.len);
    unsigned first = late ? TIMED_EXPIRY : TIMED_VALUE, second = TIMED_VALUE + TIMED_EXPIRY - first;
    pack_replace(&draft->pack, index + first, &parts[first]);
    size_t used = pack_replace(&draft->pack, index + second, &parts[second]);
    assert(used == len && draft->pack.len == len);
    return true;
}

void hash_draft_delete(struct hash_draft *draft, uint32_t index) {
    assert(index % TIMED_PARTS == TIMED_FIELD);
    pack_delete(&draft->pack, index, TIMED_PARTS);
}

/* The least expiry; INT64_MAX: there is none. */
static int64_t first_of(struct bytes pack) {
    struct pack_walk walk = pack_from(pack, 0);
    int64_t first = INT64_MAX;
    struct element element;
    for (uint32_t at = 0; pack_next(&walk, &element); at++) {
        int64_t expiry_ms = at % TIMED_PARTS == TIMED_EXPIRY ? hash_timed_expiry(&element) : 0;
        if (expiry_ms > 0 && expiry_ms < first) first = expiry_ms;
    }
    return first;
}

static void drop_expiries(struct pack *pack) {
    for (uint32_t at = pack_count(pack_bytes(pack)); at > 0; at -= TIMED_PARTS)
        pack_delete(pack, at - TIMED_PARTS + TIMED_EXPIRY, 1);
}

bool hash_draft_done(struct hash_draft *draft, struct heap *heap, struct value *value) {
    int64_t due_ms = first_of(pack_bytes(&draft->pack));
    if (due_ms == INT64_MAX) {
        drop_expiries(&draft->pack);
        value->kind = VALUE_INLINE;
        value->bytes = pack_bytes(&draft->pack);
        return true;
    }
    struct hash_timed *timed = node_alloc(heap, sizeof *timed + draft->pack.len);
    if (timed == NULL) return false;
    *timed = (struct hash_timed){.head = {.type = &type_hash, .references = 1, .form = HASH_FORM_TIMED},
                                 .due_ms = due_ms,
                                 .len = draft->pack.len};
    memcpy(timed->pack, draft->pack.data, draft->pack.len);
    value->kind = VALUE_OBJECT;
    value->object = &timed->head;
    return true;
}
