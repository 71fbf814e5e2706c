/* entry.c - the layout of entries and what their accessors say. */
#include "store/index/entry.h"

#include "tests/check.h"

/* An entry in memory of its own, of exactly its size: the address sanitizer sees a byte too many. */
static struct entry *make(bool expires, struct bytes key, enum value_kind kind, const void *value,
                          size_t value_len) {
    struct entry *e = malloc(entry_size_of(expires, key.len, value_len));
    CHECK(e);
    *e = (struct entry){
        .kind = kind, .expires = expires, .key_len = (uint16_t)key.len, .value_len = (uint16_t)value_len};
    if (expires) *entry_expiry_record(e) = (struct entry_expiry_record){.expiry_ms = 1000};
    if (key.len) memcpy(entry_key_at(e), key.data, key.len);
    if (value_len) memcpy(entry_value_at(e), value, value_len);
    return e;
}

static void a_small_pair_takes_40_bytes_and_56_with_an_expiry(void) {
    CHECK_INT(entry_size_of(false, 16, 16), 40);
    CHECK_INT(entry_size_of(true, 16, 16), 56);
    CHECK_INT(offsetof(struct entry, payload), 8);
}

static void bytes_come_back_beside_each_other(void) {
    for (int expires = 0; expires < 2; expires++) {
        char scratch[NUMBER_I64_MAX_LEN];
        int64_t number = 7;
        struct entry *e = make(expires, BYTES("a\0key"), VALUE_INLINE, "some\0value", 10);
        CHECK_BYTES(entry_key(e), BYTES("a\0key"));
        CHECK_BYTES(entry_string(e, scratch), BYTES("some\0value"));
        CHECK_INT(entry_string_len(e), 10);
        CHECK(!entry_int(e, &number) && number == 7);
        CHECK(entry_block(e) == NULL);
        CHECK_INT(entry_expiry(e), expires ? 1000 : 0);
        CHECK(!entry_expired(e, 999));
        CHECK(entry_expired(e, 1000) == (expires == 1));
        free(e);
    }
}

static void access_has_24_bits_and_harms_nothing_beside_it(void) {
    struct entry *e = make(true, BYTES("k"), VALUE_INLINE, "v", 1);
    e->type = TYPE_STREAM;
    entry_set_access(e, 0xffabcdef);
    CHECK_INT(entry_access(e), 0xabcdef);
    CHECK(entry_type(e) == TYPE_STREAM && e->expires && !e->edited && e->kind == VALUE_INLINE);
    free(e);
}

static void integers_stand_in_eight_bytes(void) {
    static const int64_t numbers[] = {0, 1, -1, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char scratch[NUMBER_I64_MAX_LEN], text[32];
        int64_t number;
        int len = snprintf(text, sizeof text, "%lld", (long long)numbers[i]);
        struct entry *e = make(false, BYTES("odd"), VALUE_INT, &numbers[0], sizeof numbers[0]);
        entry_set_int(e, numbers[i]);
        CHECK(entry_int(e, &number) && number == numbers[i]);
        CHECK_BYTES(entry_string(e, scratch), ((struct bytes){text, (size_t)len}));
        CHECK_INT(entry_string_len(e), len);
        free(e);
    }
}

static void keys_compare_whole_at_every_length(void) {
    for (size_t len = 0; len <= 40; len++) {
        char key[40], other[40];
        memset(key, 'k', sizeof key);
        struct entry *e = make(len % 2, (struct bytes){key, len}, VALUE_INLINE, "v", 1);
        CHECK(entry_has_key(e, (struct bytes){key, len}));
        CHECK(entry_has_short_key(e, (struct bytes){key, len}) == (len >= 4 && len <= 16));
        if (len) CHECK(!entry_has_key(e, (struct bytes){key, len - 1}));
        if (len < 40) CHECK(!entry_has_key(e, (struct bytes){key, len + 1}));
        if (len < 40) CHECK(!entry_has_short_key(e, (struct bytes){key, len + 1}));
        for (size_t i = 0; i < len; i++) {
            memcpy(other, key, len);
            other[i] ^= 1;
            CHECK(!entry_has_key(e, (struct bytes){other, len}));
            CHECK(!entry_has_short_key(e, (struct bytes){other, len}));
        }
        free(e);
    }
}

static void blocks_hold_what_is_long(void) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct block *key = block_of(BYTES("the key")), *value = block_of(BYTES("the value"));
    struct entry *e =
        make(true, (struct bytes){(const char *)&key, sizeof key}, VALUE_BLOCK, &value, sizeof value);
    e->key_in_block = true;
    CHECK_BYTES(entry_key(e), BYTES("the key"));
    CHECK(entry_has_key(e, BYTES("the key")) && !entry_has_key(e, BYTES("the kex")));
    CHECK(!entry_has_short_key(e, BYTES("the key")));
    CHECK(!entry_has_short_key(e, (struct bytes){(const char *)&key, sizeof key}));
    CHECK_BYTES(entry_string(e, scratch), BYTES("the value"));
    CHECK(entry_block(e) == value);
    block_release(key);
    block_release(value);
    free(e);
}

int main(void) {
    RUN(a_small_pair_takes_40_bytes_and_56_with_an_expiry);
    RUN(bytes_come_back_beside_each_other);
    RUN(access_has_24_bits_and_harms_nothing_beside_it);
    RUN(integers_stand_in_eight_bytes);
    RUN(keys_compare_whole_at_every_length);
    RUN(blocks_hold_what_is_long);
    return 0;
}
