/* The door: what opens, what is created in vain, and what goes when it is empty. */
#include "store/edit.h"

#include "tests/check.h"
#include "tests/unit/store/tiny.h"

static const struct hash_seed hash_seed = {{21, 22, 23, 24}};

static bool no_memory;
void *memory_resize(void *old, size_t size) {
    return no_memory ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return no_memory ? NULL : calloc(1, size);
}

static struct keyspace *ks;

static void begin(void) {
    ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 1, .types = tiny_rows});
    CHECK(ks);
}
static void end(void) {
    keyspace_free(ks);
    CHECK_INT(tiny_nodes, 0);
}

static struct edit edit_of(const char *name, enum entry_type type) {
    struct key key = {bytes_of(name), hash_bytes(&hash_seed, bytes_of(name))};
    return (struct edit){.keyspace = ks, .key = key, .entry = keyspace_find(ks, 0, key), .type = type};
}
static uint64_t count(void) {
    return keyspace_count(ks, 0);
}

static void what_is_absent_is_created_if_it_shall_be(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, false) == EDIT_ABSENT && count() == 0);
    CHECK(edit_open(&edit, true) == EDIT_OPENED && edit.created && count() == 1);
    CHECK(entry_type(edit.entry) == TYPE_LIST && entry_value(edit.entry).bytes.len == 0);
    CHECK(tiny_push(&edit, 5) && !edit_close(&edit) && count() == 1);
    struct edit again = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&again, true) == EDIT_OPENED && !again.created && again.entry == edit.entry);
    CHECK(!edit_close(&again) && count() == 1);
    end();
}

/* A value that nothing was put into is nobody's loss. */
static void what_is_created_in_vain_goes_again(void) {
    static const enum entry_type types[] = {TYPE_STRING, TYPE_LIST};
    begin();
    for (int i = 0; i < 2; i++) {
        struct edit edit = edit_of("k", types[i]);
        CHECK(edit_open(&edit, true) == EDIT_OPENED && count() == 1);
        CHECK(!edit_close(&edit) && count() == 0 && !edit.entry);
    }
    end();
}

static void another_type_is_wrong_and_stays(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, true) == EDIT_OPENED && tiny_push(&edit, 1) && !edit_close(&edit));
    struct edit wrong = edit_of("k", TYPE_STRING);
    CHECK(edit_open(&wrong, true) == EDIT_WRONG_TYPE && edit_open(&wrong, false) == EDIT_WRONG_TYPE);
    CHECK(count() == 1 && entry_type(keyspace_find(ks, 0, edit.key)) == TYPE_LIST);
    end();
}

static void the_last_element_takes_the_key_with_it(void) {
    begin();
    for (int deep = 1; deep < 12; deep++) { /* packs and chains */
        int64_t number;
        struct edit edit = edit_of("k", TYPE_LIST);
        CHECK(edit_open(&edit, true) == EDIT_OPENED);
        for (int i = 0; i < deep; i++) CHECK(tiny_push(&edit, i));
        CHECK(!edit_close(&edit));
        edit = edit_of("k", TYPE_LIST);
        CHECK(edit_open(&edit, false) == EDIT_OPENED);
        for (int i = deep; i > 0; i--) CHECK(tiny_pop(&edit, &number) && number == i - 1);
        CHECK(edit_close(&edit) && !edit.entry && count() == 0);
        edit = edit_of("k", TYPE_LIST); /* made and emptied at once: it never was */
        CHECK(edit_open(&edit, true) == EDIT_OPENED && tiny_push(&edit, 1) && tiny_pop(&edit, &number));
        CHECK(!edit_close(&edit) && count() == 0);
    }
    end();
}

static void an_empty_string_stays(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_STRING);
    CHECK(edit_open(&edit, true) == EDIT_OPENED && edit_room(&edit, 0) && !edit_close(&edit));
    CHECK(count() == 1 && entry_string_len(edit.entry) == 0 && edit.entry->edited);
    end();
}

/* A type says itself what it marks: only strings are marked by being edited. */
static void marks_of_other_types_are_their_own(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, true) == EDIT_OPENED && tiny_push(&edit, 1) && !edit.entry->edited);
    char bytes[TINY_NUMBER_LEN] = {0};
    struct value marked = {.type = TYPE_LIST, .edited = true, .bytes = {bytes, sizeof bytes}};
    CHECK(edit_become(&edit, &marked) && edit.entry->edited);
    CHECK(tiny_push(&edit, 1) && edit.entry->edited && !edit_close(&edit));
    end();
}

/* An expiry stays where a value is replaced by one of another kind. */
static void a_value_that_becomes_another_keeps_its_expiry(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, true) == EDIT_OPENED && tiny_push(&edit, 0));
    CHECK((edit.entry = keyspace_set_expiry(ks, 0, edit.entry, 12345)) != NULL);
    entry_set_access(edit.entry, 77);
    for (int i = 1; i < 10; i++) CHECK(tiny_push(&edit, i));
    CHECK(entry_object(edit.entry) && entry_expiry(edit.entry) == 12345 && entry_access(edit.entry) == 77);
    CHECK(keyspace_next_expiry(ks) == 12345 && keyspace_count_expiring(ks, 0) == 1);
    CHECK(!edit_close(&edit));
    end();
}

static void without_memory_it_is_as_it_was(void) {
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    no_memory = true;
    CHECK(edit_open(&edit, true) == EDIT_NO_MEMORY && count() == 0); /* no first table */
    no_memory = false;
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (int i = 0; i < TINY_PACKED_MAX; i++) CHECK(tiny_push(&edit, i));
    no_memory = true;
    CHECK(!tiny_push(&edit, 9));
    no_memory = false;
    struct value value = entry_value(edit.entry);
    CHECK(!edit_close(&edit) && tiny_count(&value) == TINY_PACKED_MAX && value.kind != VALUE_OBJECT);
    end();
}

int main(void) {
    RUN(what_is_absent_is_created_if_it_shall_be);
    RUN(what_is_created_in_vain_goes_again);
    RUN(another_type_is_wrong_and_stays);
    RUN(the_last_element_takes_the_key_with_it);
    RUN(an_empty_string_stays);
    RUN(marks_of_other_types_are_their_own);
    RUN(a_value_that_becomes_another_keeps_its_expiry);
    RUN(without_memory_it_is_as_it_was);
    return 0;
}
