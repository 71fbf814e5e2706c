/* tiny.h - the tiniest type that has all that a type can have, for tests alone: a stack of numbers, in the place of lists.
 *
 * Up to PACKED_MAX numbers are a pack, eight bytes each, the top first. More are an object: nodes in a chain that versions
 * share, so that a fork is a new head and a reference more to the top. It is one file, and one row of a table that is given
 * to the keyspace: that a type needs no more is what the tests show.
 *
 * Its memory comes from memory_resize, which tests make fail. tiny_nodes counts what is not freed. */
#ifndef KEVY_TESTS_UNIT_STORE_TINY_H
#define KEVY_TESTS_UNIT_STORE_TINY_H

#include <stdlib.h>

#include "store/edit.h"
#include "store/memory/memory.h"
#include "store/rdb/writer.h"
#include "store/values/load.h"

enum { TINY_PACKED_MAX = 4, TINY_NUMBER_LEN = 8 };

struct tiny_node {
    struct tiny_node *below;
    int64_t number;
    uint32_t references; /* of heads and nodes above */
};

struct tiny {
    struct object head;
    struct tiny_node *top, *bottom; /* bottom: while it is loaded */
    uint64_t count;
};

static long tiny_nodes; /* and heads */

static inline void *tiny_alloc(size_t size) {
    void *memory = memory_resize(NULL, size);
    tiny_nodes += memory != NULL;
    return memory;
}
static inline void tiny_free(void *memory) {
    tiny_nodes--;
    free(memory);
}

static const struct type type_tiny;

static inline struct tiny *tiny_of(const struct object *object) {
    assert(object->type == &type_tiny);
    return (struct tiny *)(uintptr_t)object;
}

static inline int64_t tiny_load(const char *at) {
    int64_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

/* ---- The row -------------------------------------------------------------------------------------- */

static inline const char *tiny_encoding(const struct value *value) {
    return value->kind == VALUE_OBJECT ? "chain" : "pack";
}

static inline uint64_t tiny_count(const struct value *value) {
    if (value->kind == VALUE_OBJECT) return tiny_of(value->object)->count;
    return value_bytes(value).len / TINY_NUMBER_LEN;
}

/* The place behind a number in a walk from the top: in a pack the next index, in a chain the next node. */
static inline bool tiny_next(const struct value *value, uint64_t *place, int64_t *number) {
    if (value->kind == VALUE_OBJECT) {
        const struct tiny_node *node = *place ? (void *)(uintptr_t)*place : tiny_of(value->object)->top;
        *number = node->number;
        *place = (uintptr_t)node->below;
        return *place;
    }
    struct bytes bytes = value_bytes(value);
    *number = tiny_load(bytes.data + *place * TINY_NUMBER_LEN);
    return ++*place < bytes.len / TINY_NUMBER_LEN;
}

static inline void tiny_digest(const struct value *value, struct digest *digest) {
    uint64_t place = 0;
    int64_t number;
    for (bool more = true; more;) {
        char text[NUMBER_I64_MAX_LEN];
        more = tiny_next(value, &place, &number);
        digest_mix(digest, (struct bytes){text, number_format_i64(text, number)});
    }
}

/* As lists are dumped: numbers in text, from the top down. */
struct tiny_source {
    struct rdb_source rdb;
    const struct value *value;
    char text[NUMBER_I64_MAX_LEN];
};

static inline void tiny_next_element(struct rdb_source *rdb, uint64_t *place, struct rdb_element *element) {
    struct tiny_source *source = (struct tiny_source *)(void *)rdb;
    int64_t number;
    tiny_next(source->value, place, &number);
    element->name = (struct bytes){source->text, number_format_i64(source->text, number)};
}

static inline enum dumped tiny_dump(const struct value *value, struct cursor *cursor, struct sink *sink,
                                    size_t budget) {
    struct tiny_source source = {{.kind = RDB_LIST, .count = tiny_count(value), .next = tiny_next_element},
                                 .value = value};
    return rdb_write(&source.rdb, RDB_FORM_PLAIN, cursor, (struct rdb_target){sink, NULL}, budget);
}

static inline enum rdb_type tiny_form(const struct value *value) {
    (void)value;
    return RDB_TYPE_LIST;
}

static inline struct tiny *tiny_new(struct tiny_node *top, uint64_t count) {
    struct tiny *tiny = tiny_alloc(sizeof *tiny);
    if (tiny)
        *tiny = (struct tiny){.head = {.type = &type_tiny, .references = 1}, .top = top, .count = count};
    return tiny;
}

static inline struct tiny_node *tiny_node_new(int64_t number, struct tiny_node *below) {
    struct tiny_node *node = tiny_alloc(sizeof *node);
    if (node) *node = (struct tiny_node){.below = below, .number = number, .references = 1};
    return node;
}

/* One more at the bottom of what is being loaded. */
static inline bool tiny_load_number(struct tiny *tiny, int64_t number) {
    struct tiny_node *node = tiny_node_new(number, NULL);
    if (!node) return false;
    if (tiny->bottom) tiny->bottom->below = node;
    if (!tiny->top) tiny->top = node;
    tiny->bottom = node;
    tiny->count++;
    return true;
}

/* The pack that is being loaded becomes a chain. What was made where memory ran out is in `value`. */
static inline bool tiny_load_chain(struct loading *loading) {
    struct value *value = &loading->value;
    struct tiny *tiny = tiny_new(NULL, 0);
    bool done = tiny;
    for (size_t at = 0; done && at < value->bytes.len; at += TINY_NUMBER_LEN)
        done = tiny_load_number(tiny, tiny_load(loading->bytes + at));
    if (tiny) *value = (struct value){.type = TYPE_LIST, .kind = VALUE_OBJECT, .object = &tiny->head};
    return done;
}

static inline enum rdb_answer tiny_load_element(struct loading *loading, const struct rdb_element *element) {
    struct value *value = &loading->value;
    int64_t number;
    if (!number_parse_i64(element->name, &number)) return RDB_REFUSED;
    if (value->kind != VALUE_OBJECT && value->bytes.len < TINY_PACKED_MAX * TINY_NUMBER_LEN) {
        memcpy(loading->bytes + value->bytes.len, &number, sizeof number);
        value->bytes.len += TINY_NUMBER_LEN;
        return RDB_TAKEN;
    }
    if (value->kind != VALUE_OBJECT && !tiny_load_chain(loading)) return RDB_NO_ROOM;
    return tiny_load_number(tiny_of(value->object), number) ? RDB_TAKEN : RDB_NO_ROOM;
}

static inline size_t tiny_memory(const struct object *object) {
    return sizeof(struct tiny) + tiny_of(object)->count * sizeof(struct tiny_node);
}

static inline struct object *tiny_fork(const struct object *object, struct heap *heap) {
    (void)heap;
    struct tiny *tiny = tiny_new(tiny_of(object)->top, tiny_of(object)->count);
    if (!tiny) return NULL;
    __atomic_fetch_add(&tiny->top->references, 1, __ATOMIC_RELAXED);
    return &tiny->head;
}

static inline bool tiny_bury(struct object *object, unsigned *budget) {
    struct tiny *tiny = tiny_of(object);
    for (; *budget > 0; --*budget) {
        struct tiny_node *node = tiny->top;
        if (node && __atomic_fetch_sub(&node->references, 1, __ATOMIC_ACQ_REL) == 1) {
            tiny->top = node->below;
            tiny_free(node);
        } else if (node) {
            tiny->top = NULL; /* the rest is somebody else's */
        } else {
            tiny_free(tiny);
            --*budget;
            return true;
        }
    }
    return false;
}

static const struct type type_tiny = {.name = "tiny",
                                      .number = TYPE_LIST,
                                      .encoding = tiny_encoding,
                                      .count = tiny_count,
                                      .digest = tiny_digest,
                                      .dump = tiny_dump,
                                      .form = tiny_form,
                                      .load = tiny_load_element,
                                      .memory = tiny_memory,
                                      .fork = tiny_fork,
                                      .bury = tiny_bury};

static const struct type *const tiny_rows[TYPES] = {[TYPE_STRING] = &type_string, [TYPE_LIST] = &type_tiny};

/* ---- Its commands --------------------------------------------------------------------------------- */

/* Puts a number on an opened stack. False, and nothing done, without memory. */
static inline bool tiny_push_chain(struct edit *edit, int64_t number) {
    struct object *object = edit_object(edit);
    struct tiny_node *node = object ? tiny_node_new(number, tiny_of(object)->top) : NULL;
    if (!node) return false;
    tiny_of(object)->top = node; /* which has the head's reference to the node below */
    tiny_of(object)->count++;
    return true;
}

/* What was a pack becomes a chain. */
static inline bool tiny_unpack(struct edit *edit) {
    struct value pack = entry_value(edit->entry);
    struct tiny *tiny = tiny_new(NULL, 0);
    struct dead dead = {0};
    unsigned budget = 100;
    bool done = tiny;
    uint64_t place = 0;
    int64_t number;
    for (bool more = done; more && done;) {
        more = tiny_next(&pack, &place, &number);
        done = tiny_load_number(tiny, number);
    }
    if (done)
        done = edit_become(edit,
                           &(struct value){.type = TYPE_LIST, .kind = VALUE_OBJECT, .object = &tiny->head});
    if (tiny) object_release(&tiny->head, &dead);
    assert(!dead_bury(&dead, &budget));
    return done;
}

static inline bool tiny_push(struct edit *edit, int64_t number) {
    struct value value = entry_value(edit->entry);
    size_t len = tiny_count(&value) * TINY_NUMBER_LEN;
    if (value.kind == VALUE_OBJECT) return tiny_push_chain(edit, number);
    if (len == TINY_PACKED_MAX * TINY_NUMBER_LEN) return tiny_unpack(edit) && tiny_push_chain(edit, number);
    char *data = edit_room(edit, len + TINY_NUMBER_LEN);
    if (!data) return false;
    memmove(data + TINY_NUMBER_LEN, data, len);
    memcpy(data, &number, sizeof number);
    return true;
}

/* Takes the top off a chain that nobody else sees the head of. */
static inline void tiny_pop_chain(struct tiny *tiny, int64_t *number) {
    struct tiny_node *top = tiny->top;
    *number = top->number;
    tiny->top = top->below;
    tiny->count--;
    if (tiny->top) __atomic_fetch_add(&tiny->top->references, 1, __ATOMIC_RELAXED);
    if (__atomic_fetch_sub(&top->references, 1, __ATOMIC_ACQ_REL) > 1) return;
    if (tiny->top) __atomic_fetch_sub(&tiny->top->references, 1, __ATOMIC_RELAXED);
    tiny_free(top);
}

/* Takes the top off a stack that is not empty. */
static inline bool tiny_pop(struct edit *edit, int64_t *number) {
    edit->lost = true;
    struct value value = entry_value(edit->entry);
    if (value.kind == VALUE_OBJECT) {
        struct object *object = edit_object(edit);
        if (object) tiny_pop_chain(tiny_of(object), number);
        return object;
    }
    char rest[TINY_PACKED_MAX * TINY_NUMBER_LEN];
    struct bytes bytes = value_bytes(&value);
    size_t len = bytes.len - TINY_NUMBER_LEN;
    *number = tiny_load(bytes.data);
    memcpy(rest, bytes.data + TINY_NUMBER_LEN, len);
    char *data = edit_room(edit, len);
    if (data) memcpy(data, rest, len);
    return data;
}

#endif
