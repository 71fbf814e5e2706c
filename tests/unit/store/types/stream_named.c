/* Lists of what has a name against a model: thousands of names that come and go in any order, versions that share chunks,
 * slots that are taken and freed, no memory at random; and how little a burial does at once. */
#include "store/types/stream_named.h"

#include "tests/unit/store/types/collection_fixture.h"

enum { NAMES = 3000, VERSIONS = 3, STEPS = 20000 };

struct version {
    struct stream_named *owner; /* a node that refers to the directories */
    struct stream_named_list list;
    struct stream_slots slots;
    bool there[NAMES];
};
static struct version versions[VERSIONS];
static struct graves graves;

static struct bytes name_of(unsigned number) {
    static char text[16];
    return (struct bytes){text, (size_t)snprintf(text, sizeof text, "%u", number * 2654435761u)};
}

static void check_version(const struct version *version) {
    const struct stream_named *item, *before = NULL;
    uint32_t count = 0;
    for (uint64_t place = 0; (item = stream_named_next(&version->list, &place)); before = item, count++) {
        CHECK(!before || bytes_compare(stream_name_of(before), stream_name_of(item)) < 0);
        CHECK(stream_slot(&version->slots, item->number) == item);
    }
    CHECK_INT(count, version->list.count);
    for (unsigned i = 0; i < NAMES; i++) {
        struct stream_spot spot;
        bool found = stream_named_seek(&version->list, name_of(i), &spot);
        CHECK(found == version->there[i]);
        if (found) CHECK_BYTES(stream_name_of(stream_named_at(&version->list, spot)), name_of(i));
    }
}

static void add(struct version *version, unsigned number) {
    struct stream_spot spot;
    CHECK(!stream_named_seek(&version->list, name_of(number), &spot));
    if (!stream_slot_room(version->owner, &version->slots, &heap)) return;
    struct stream_named *item = stream_named_new(&heap, sizeof *item, name_of(number), NULL);
    if (item == NULL) return;
    if (!stream_named_put(version->owner, &version->list, &heap, spot, item)) {
        stream_named_free(item);
        return;
    }
    item->number = stream_slot_take(&version->slots, item);
    version->there[number] = true;
}

static void take(struct version *version, unsigned number) {
    struct stream_spot spot;
    CHECK(stream_named_seek(&version->list, name_of(number), &spot));
    uint32_t slot = stream_named_at(&version->list, spot)->number;
    if (!stream_named_own(&version->list, &heap, spot) || !stream_slot_own(&version->slots, &heap, slot))
        return;
    struct stream_named *item = stream_named_take(&version->list, spot);
    stream_slot_free(&version->slots, slot);
    if (stream_named_release(item)) stream_named_free(item);
    version->there[number] = false;
}

static bool bury_item(struct stream_named *item, struct graves *to, unsigned *budget) {
    CHECK(to == &graves);
    --*budget;
    if (stream_named_release(item)) stream_named_free(item);
    return true;
}

static unsigned bury(struct version *version, unsigned at_once) {
    unsigned steps = 0;
    for (bool done = false; !done; steps++) {
        unsigned budget = at_once;
        done = stream_named_bury(version->owner, &version->list, bury_item, &graves, &budget) &&
               stream_slots_bury(version->owner, &version->slots, &budget);
        CHECK(budget <= at_once);
    }
    stream_named_free(version->owner);
    *version = (struct version){.owner = NULL};
    return steps;
}

static void begin_version(struct version *version) {
    while (!(version->owner = stream_named_new(&heap, sizeof *version->owner, BYTES("owner"), NULL))) {
    }
}

static void fork_version(unsigned from, unsigned to) {
    if (from == to) return;
    bury(&versions[to], 1 + random_below(50));
    begin_version(&versions[to]);
    bool shared = stream_named_share(versions[to].owner, &versions[to].list, &versions[from].list) &&
                  stream_slots_share(versions[to].owner, &versions[to].slots, &versions[from].slots);
    if (shared) {
        memcpy(versions[to].there, versions[from].there, sizeof versions[to].there);
        return;
    }
    bury(&versions[to], 1000);
    begin_version(&versions[to]);
}

static void random_changes(unsigned failing) {
    for (unsigned i = 0; i < VERSIONS; i++) begin_version(&versions[i]);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned number = random_below(NAMES), which = random_below(VERSIONS);
        bool shrinks = step / (STEPS / 4) % 2;
        fail_every = step / 1000 % 2 ? failing : 0;
        if (step % 2000 == 1999) fork_version(which, random_below(VERSIONS));
        if (!versions[which].there[number])
            add(&versions[which], number);
        else if (shrinks || random_below(4) == 0)
            take(&versions[which], number);
        if (step % 500 == 0) check_version(&versions[which]);
    }
    fail_every = 0;
    for (unsigned i = 0; i < VERSIONS; i++) check_version(&versions[i]);
    for (unsigned i = 0; i < VERSIONS; i++) bury(&versions[i], 100);
    CHECK_INT(nodes_live, 0);
    CHECK_INT(bytes_referred_to, 0);
}

static void lists_are_their_model(void) {
    random_changes(0);
}
static void lists_without_memory_are_as_before(void) {
    random_changes(5);
}

/* As a model shows, not a measurement: a directory has few chunks, and each is at least half full where names come. */
static void names_in_any_order_fill_chunks(void) {
    struct version *version = &versions[0];
    begin_version(version);
    for (unsigned i = 0; i < NAMES; i++) add(version, i);
    CHECK(version->list.chunks.count <= 2 * NAMES / STREAM_CHUNK_MOST + 2);
    CHECK(stream_chunks_memory(&version->list.chunks) < 32 * NAMES);
    for (unsigned i = 0; i < NAMES; i += 1 + (i % 8 != 0)) take(version, i);
    check_version(version);
    CHECK(bury(version, 10) > 100);
    CHECK_INT(nodes_live, 0);
}

int main(void) {
    seed = check_seed();
    RUN(lists_are_their_model);
    RUN(lists_without_memory_are_as_before);
    RUN(names_in_any_order_fill_chunks);
    return 0;
}
