/* slab.c - size classes, and a model test of allocation. */
#include "store/memory/slab.h"

#include "tests/check.h"

static unsigned long long seed;

static void classes_are_tight_and_in_order(void) {
    for (size_t size = 1; size <= SLAB_MAX; size++) {
        unsigned class = slab_class(size);
        CHECK(class < SLAB_CLASSES);
        CHECK(slab_class_size(class) >= size);
        CHECK(class == 0 || slab_class_size(class - 1) < size);
        CHECK(slab_class_size(class) - size <= (size <= SLAB_FINE_MAX      ? 7
                                                : size <= SLAB_EIGHTHS_MAX ? size / 8
                                                                           : size / 16));
    }
    CHECK_INT(slab_class_size(slab_class(40)), 40);
    CHECK_INT(slab_class(SLAB_MAX), SLAB_CLASSES - 1);
}

static void objects_of_a_power_of_two_are_aligned_to_it(void) {
    struct slab slab;
    CHECK(slab_init(&slab, 0));
    for (size_t size = 8; size <= 4096; size *= 2)
        for (int i = 0; i < 100; i++)
            CHECK((uintptr_t)arena_at(&slab.arena, slab_alloc(&slab, size)) % size == 0);
    slab_destroy(&slab);
}

/* Objects of a few sizes come and go; each is filled with a mark of its own that must be there when it goes. */
enum { OBJECTS = 4000, STEPS = 200000 };
struct object {
    uint32_t handle;
    size_t size;
    unsigned char mark;
};

static void check_mark(const struct slab *slab, const struct object *object) {
    const unsigned char *bytes = arena_at(&slab->arena, object->handle);
    for (size_t i = 0; i < object->size; i += 7) CHECK(bytes[i] == object->mark);
    CHECK(bytes[object->size - 1] == object->mark);
}

static void objects_do_not_overlap(void) {
    static struct object objects[OBJECTS];
    static const size_t sizes[] = {1, 8, 24, 40, 41, 64, 256, 257, 1000, 4097, 8192};
    struct slab slab;
    uint64_t bytes = 0;
    CHECK(slab_init(&slab, 0));
    for (int step = 0; step < STEPS; step++) {
        struct object *object = &objects[check_random(&seed) % OBJECTS];
        if (object->handle) {
            check_mark(&slab, object);
            slab_free(&slab, object->handle);
            bytes -= slab_class_size(slab_class(object->size));
            object->handle = 0;
        } else if (check_random(&seed) % 3) {
            object->size = sizes[check_random(&seed) % (sizeof sizes / sizeof *sizes)];
            object->mark = (unsigned char)check_random(&seed);
            CHECK((object->handle = slab_alloc(&slab, object->size)) != 0);
            memset(arena_at(&slab.arena, object->handle), object->mark, object->size);
            bytes += slab_class_size(slab_class(object->size));
        }
        CHECK(slab.used_bytes == bytes);
    }
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].handle) check_mark(&slab, &objects[i]), slab_free(&slab, objects[i].handle);
    CHECK(slab.used_bytes == 0);
    CHECK_INT(slab.arena.in_use, 0);
    slab_destroy(&slab);
}

static void an_emptied_chunk_serves_any_class_next(void) {
    struct slab slab;
    CHECK(slab_init(&slab, 0));
    uint32_t handle = slab_alloc(&slab, 64), chunk = handle / ARENA_CHUNK_UNITS;
    for (size_t size = 8; size <= SLAB_MAX; size += 72) {
        slab_free(&slab, handle);
        CHECK_INT(slab.arena.in_use, 0);
        handle = slab_alloc(&slab, size);
        CHECK_INT(handle / ARENA_CHUNK_UNITS, chunk);
    }
    slab_destroy(&slab);
}

static void without_memory_there_is_none_until_something_is_freed(void) {
    struct slab slab;
    CHECK(slab_init(&slab, 0));
    slab.arena.limit = 1;
    uint32_t last = 0, count = 0;
    for (uint32_t handle; (handle = slab_alloc(&slab, 8192)); count++) last = handle;
    CHECK_INT(count, ARENA_CHUNK_BYTES / 8192);
    CHECK_INT(slab_alloc(&slab, 8), 0);
    slab_free(&slab, last);
    CHECK_INT(slab_alloc(&slab, 8192), last);
    CHECK_INT(slab_alloc(&slab, 8192), 0);
    slab_destroy(&slab);
}

int main(void) {
    seed = check_seed();
    RUN(classes_are_tight_and_in_order);
    RUN(objects_of_a_power_of_two_are_aligned_to_it);
    RUN(objects_do_not_overlap);
    RUN(an_emptied_chunk_serves_any_class_next);
    RUN(without_memory_there_is_none_until_something_is_freed);
    return 0;
}
