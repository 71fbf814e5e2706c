/* Drafts of small hashes against a model, made into values and drafted again. */
#include "store/types/hash_timed.h"

#include "tests/unit/store/types/collection_fixture.h"

enum { FIELDS = 150, STEPS = 10000 };

static struct {
    bool there;
    uint32_t value;
    int64_t expiry_ms;
} model[FIELDS];

static uint32_t find(const struct hash_draft *draft, unsigned field) {
    char text[TEXT_MAX];
    return hash_timed_find(pack_bytes(&draft->pack), text_of(field, text));
}

static void check_draft(const struct hash_draft *draft) {
    struct bytes pack = pack_bytes(&draft->pack);
    char text[TEXT_MAX];
    uint32_t count = 0;
    CHECK(pack_valid(pack, TIMED_PARTS));
    for (unsigned i = 0; i < FIELDS; i++) {
        uint32_t at = find(draft, i);
        CHECK((at < pack_count(pack)) == model[i].there);
        if (!model[i].there) continue;
        struct element expiry = pack_at(pack, at + TIMED_EXPIRY);
        CHECK_BYTES(pack_at(pack, at + TIMED_VALUE).bytes, text_of(model[i].value, text));
        CHECK_INT(hash_timed_expiry(&expiry), model[i].expiry_ms);
        count++;
    }
    CHECK_INT(pack_count(pack), count * TIMED_PARTS);
}

static int64_t first_expiry(void) {
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < FIELDS; i++)
        if (model[i].there && model[i].expiry_ms && model[i].expiry_ms < first) first = model[i].expiry_ms;
    return first;
}

/* Made into a value and drafted anew it is the same. */
static void make(struct hash_draft *draft) {
    struct value value = {.type = TYPE_HASH};
    struct hash_draft again;
    fail_at = random_below(3) ? -1 : 0;
    bool made = hash_draft_done(draft, &heap, &value), failed = fail_at != 0 && !made;
    fail_at = -1;
    if (failed) return;
    CHECK(made);
    CHECK((value.kind == VALUE_OBJECT) == (first_expiry() != INT64_MAX));
    CHECK(hash_draft(&again, &value));
    check_draft(&again);
    if (value.kind == VALUE_OBJECT) {
        CHECK_INT(hash_timed(value.object)->due_ms, first_expiry());
        CHECK(value.object->references == 1 && hash_timed_memory(value.object) > again.pack.len);
        node_free(value.object);
    } else {
        CHECK(pack_valid(value.bytes, 2));
    }
    memcpy(draft->bytes, again.bytes, again.pack.len);
    draft->pack.len = again.pack.len;
}

static void drafts_are_their_model(void) {
    struct hash_draft draft;
    char texts[2][TEXT_MAX];
    unsigned refused = 0;
    struct value empty = {.type = TYPE_HASH, .bytes = BYTES("")};
    CHECK(hash_draft(&draft, &empty));
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned field = random_below(FIELDS), value = random_below(400);
        int64_t expiry_ms = random_below(2) ? 0 : 1 + random_below(1000);
        if (random_below(20) == 0) expiry_ms = TIMES_MAX;
        uint32_t at = find(&draft, field);
        if (model[field].there && random_below(4) == 0) {
            hash_draft_delete(&draft, at);
            model[field].there = false;
        } else if (hash_draft_set(&draft, at, text_of(field, texts[0]), text_of(value, texts[1]),
                                  expiry_ms)) {
            model[field].there = true;
            model[field].value = value;
            model[field].expiry_ms = expiry_ms;
        } else {
            refused++;
        }
        if (i % 20 == 0) make(&draft);
        check_draft(&draft);
    }
    CHECK(refused > 10 && refused < STEPS / 2);
    CHECK_INT(nodes_live, 0);
}

/* As many fields as a plain pack may have, and no more. */
static void as_many_fields_as_in_a_plain_pack(void) {
    struct hash_draft draft;
    struct value empty = {.type = TYPE_HASH, .bytes = BYTES("")};
    char name[8];
    CHECK(hash_draft(&draft, &empty));
    for (uint32_t i = 0; i <= COLLECTION_PACK_ELEMENTS / 2; i++) {
        int len = snprintf(name, sizeof name, "%u", i);
        bool fits = hash_draft_set(&draft, i * TIMED_PARTS, (struct bytes){name, (size_t)len}, BYTES("v"), i);
        CHECK(fits == (i < COLLECTION_PACK_ELEMENTS / 2));
    }
}

/* A plain pack may be too large with expiries. */
static void a_full_pack_is_no_draft(void) {
    static char bytes[COLLECTION_PACK_BYTES], text[1000];
    struct pack pack = {.data = bytes, .capacity = sizeof bytes};
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 4; i++) {
        char name[2] = {(char)('a' + i), 0};
        struct element both[2] = {element_of(bytes_of(name)), element_of((struct bytes){text, sizeof text})};
        CHECK(pack_insert(&pack, i * 2, both, 2) <= sizeof bytes);
    }
    struct hash_draft draft;
    struct value value = {.type = TYPE_HASH, .bytes = pack_bytes(&pack)};
    size_t left = sizeof bytes - pack.len;
    CHECK(left > 8 && hash_draft(&draft, &value));
    struct element last[2] = {element_of(BYTES("z")), element_of((struct bytes){text, left - 3})};
    CHECK(pack_insert(&pack, 8, last, 2) == sizeof bytes);
    value.bytes = pack_bytes(&pack);
    CHECK(!hash_draft(&draft, &value));
}

int main(void) {
    seed = check_seed();
    RUN(drafts_are_their_model);
    RUN(as_many_fields_as_in_a_plain_pack);
    RUN(a_full_pack_is_no_draft);
    return 0;
}
