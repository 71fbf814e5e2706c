/* model_fixture.h - what tests that change values at random beside a model share: keys that are copied onto each other,
 * versions of their values that somebody holds while they change on, as a snapshot does, and the run of all steps. */
#ifndef KEVY_TESTS_UNIT_STORE_TYPES_MODEL_FIXTURE_H
#define KEVY_TESTS_UNIT_STORE_TYPES_MODEL_FIXTURE_H

#include "tests/unit/store/types/collection_fixture.h"

/* The keys of a test in database 0, and the models of their values: structs of `size` bytes in a row, one for each name.
 * `check` is told of a value and of what it should be. */
struct modelled {
    const char *const *names;
    void *models;
    size_t size;
    void (*check)(const struct value *value, const void *model);
};

enum { HELD = 4 };
static struct held {
    struct value value; /* VALUE_OBJECT: one is held, and a copy of its model */
    void *model;
} held[HELD];

static inline void *model_of(const struct modelled *all, unsigned i) {
    return (char *)all->models + i * all->size;
}

/* One key becomes a copy of another. Without memory nothing happens. */
static inline void copy_key(const struct modelled *all, unsigned from, unsigned to) {
    struct key source = key_of(all->names[from]);
    if (from == to || !keyspace_find(ks, 0, source)) return;
    if (keyspace_copy(&(struct keyspace_place){ks, 0, source},
                      &(struct keyspace_place){ks, 0, key_of(all->names[to])}))
        memcpy(model_of(all, to), model_of(all, from), all->size);
}

/* A version that was held is as it was then. */
static inline void release(const struct modelled *all, unsigned i) {
    if (held[i].value.kind != VALUE_OBJECT) return;
    all->check(&held[i].value, held[i].model);
    value_release(&held[i].value, &ks->dead);
    keyspace_note_garbage(ks);
    held[i].value.kind = VALUE_INLINE;
    free(held[i].model);
}

static inline void hold(const struct modelled *all, unsigned i, unsigned key) {
    struct entry *e = keyspace_find(ks, 0, key_of(all->names[key]));
    release(all, i);
    if (e == NULL || e->kind != VALUE_OBJECT) return;
    held[i].value = entry_value(e);
    CHECK((held[i].model = malloc(all->size)) != NULL);
    memcpy(held[i].model, model_of(all, key), all->size);
    value_retain(&held[i].value);
}

/* Steps until the end of the keyspace that was begun; in every other thousand of them one in `failing` allocations fails,
 * if that is not 0. */
static inline void run_steps(const struct modelled *all, unsigned steps, unsigned failing,
                             void (*step)(void)) {
    for (unsigned i = 0; i < steps; i++) {
        fail_every = i / 1000 % 2 ? failing : 0;
        step();
    }
    for (unsigned i = 0; i < HELD; i++) release(all, i);
    end();
}

#endif
