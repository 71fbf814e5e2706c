/* expiry.c - the wheel's lists and its cascade. */
#include "store/index/expiry.h"

#include "store/memory/memory.h"

static struct link *link_at(const struct slab *slab, uint32_t handle) {
    return arena_at(&slab->arena, handle);
}
static uint32_t handle_of(const struct slab *slab, const struct link *link) {
    return arena_handle(&slab->arena, link);
}
static struct entry *entry_of(const struct link *link) {
    size_t offset = offsetof(struct entry, payload) + offsetof(struct entry_expiry_record, link);
    return (struct entry *)((uintptr_t)link - offset);
}

static void list_init(const struct slab *slab, struct link *sentinel) {
    sentinel->prev = sentinel->next = handle_of(slab, sentinel);
}
static bool list_empty(const struct slab *slab, const struct link *sentinel) {
    return sentinel->next == handle_of(slab, sentinel);
}
static void list_append(const struct slab *slab, struct link *sentinel, struct link *link) {
    uint32_t handle = handle_of(slab, link);
    debug_assert(link_at(slab, sentinel->prev)->next == handle_of(slab, sentinel));
    *link = (struct link){.prev = sentinel->prev, .next = handle_of(slab, sentinel)};
    link_at(slab, sentinel->prev)->next = handle;
    sentinel->prev = handle;
}
/* All of `from`, which is not empty, to the end of `to`. */
static void list_splice(const struct slab *slab, struct link *to, struct link *from) {
    assert(to != from && !list_empty(slab, from));
    link_at(slab, to->prev)->next = from->next;
    link_at(slab, from->next)->prev = to->prev;
    link_at(slab, from->prev)->next = handle_of(slab, to);
    to->prev = from->prev;
    list_init(slab, from);
}

struct expiry *expiry_new(struct slab *slab, int64_t now_ms) {
    uint32_t handle = slab_alloc(slab, sizeof(struct expiry));
    if (handle == 0) return NULL;
    struct expiry *wheel = arena_at(&slab->arena, handle);
    wheel->now_ms = now_ms;
    wheel->keys_ms = 0;
    for (unsigned level = 0; level < EXPIRY_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < EXPIRY_SLOTS; slot++) list_init(slab, &wheel->slots[level][slot]);
    }
    list_init(slab, &wheel->overdue);
    return wheel;
}

void expiry_free(struct slab *slab, struct expiry *wheel) {
    if (wheel) slab_free(slab, arena_handle(&slab->arena, wheel));
}

static unsigned digit(int64_t time_ms, unsigned level) {
    return (unsigned)((uint64_t)time_ms >> (level * EXPIRY_DIGIT_BITS)) % EXPIRY_SLOTS;
}
/* The highest level whose digits differ; 0 if none does. */
static unsigned level_between(int64_t a, int64_t b) {
    uint64_t difference = (uint64_t)a ^ (uint64_t)b;
    return difference ? (63 - (unsigned)__builtin_clzll(difference)) / EXPIRY_DIGIT_BITS : 0;
}

/* Where an entry belongs, by invariants 1 and 2: for debug_assert. */
static bool belongs(const struct expiry *wheel, int64_t expiry_ms, unsigned level, unsigned slot) {
    unsigned above = (level + 1) * EXPIRY_DIGIT_BITS;
    return (above > 63 || expiry_ms >> above == wheel->now_ms >> above) &&
           slot >= digit(wheel->now_ms, level);
}

void expiry_add(const struct slab *slab, struct expiry *wheel, struct entry *e) {
    struct entry_expiry_record *record = entry_expiry_record(e);
    assert(e->expires && record->expiry_ms > 0);
    if (record->expiry_ms < wheel->now_ms) {
        list_append(slab, &wheel->overdue, &record->link);
        return;
    }
    unsigned level = level_between(record->expiry_ms, wheel->now_ms), slot = digit(record->expiry_ms, level);
    debug_assert(belongs(wheel, record->expiry_ms, level, slot));
    list_append(slab, &wheel->slots[level][slot], &record->link);
    wheel->occupied[level] |= 1ull << slot;
}

void expiry_remove(const struct slab *slab, struct expiry *wheel, struct entry *e) {
    struct link link = entry_expiry_record(e)->link;
    assert(e->expires && link_at(slab, link.prev)->next == handle_of(slab, &entry_expiry_record(e)->link));
    assert(link_at(slab, link.next)->prev == link_at(slab, link.prev)->next);
    link_at(slab, link.prev)->next = link.next;
    link_at(slab, link.next)->prev = link.prev;
    if (link.prev != link.next) return;
    /* Both neighbours are one: the sentinel of a list that is empty now. */
    uint32_t index = link.prev - handle_of(slab, &wheel->slots[0][0]);
    if (index < EXPIRY_LEVELS * EXPIRY_SLOTS)
        wheel->occupied[index / EXPIRY_SLOTS] &= ~(1ull << index % EXPIRY_SLOTS);
}

/* The clock went back: what lay below the level where old and new time differ agreed with the old time there. */
static void set_back(const struct slab *slab, struct expiry *wheel, int64_t now_ms) {
    unsigned top = level_between(wheel->now_ms, now_ms), slot = digit(wheel->now_ms, top);
    assert(now_ms < wheel->now_ms && digit(now_ms, top) < slot);
    struct link *to = &wheel->slots[top][slot];
    for (unsigned level = 0; level < top; level++) {
        for (uint64_t bits = wheel->occupied[level]; bits; bits &= bits - 1)
            list_splice(slab, to, &wheel->slots[level][__builtin_ctzll(bits)]);
        wheel->occupied[level] = 0;
    }
    if (!list_empty(slab, to)) wheel->occupied[top] |= 1ull << slot;
    wheel->now_ms = now_ms;
}

/* The slot to look at first and the time at which it begins; false if all are empty. An unfinished cascade
 * comes before everything, then the lowest level (invariants 1 and 2). */
static bool first_slot(const struct expiry *wheel, unsigned *level, unsigned *slot, int64_t *begins_ms) {
    bool found = false;
    for (unsigned l = EXPIRY_LEVELS; l-- > 0;) {
        if (wheel->occupied[l] == 0) continue;
        *level = l;
        *slot = (unsigned)__builtin_ctzll(wheel->occupied[l]);
        found = true;
        if (l > 0 && *slot == digit(wheel->now_ms, l)) break;
    }
    if (!found) return false;
    unsigned shift = *level * EXPIRY_DIGIT_BITS;
    uint64_t time = (uint64_t)wheel->now_ms >>
                    shift; /* digits below the level become 0, the level's becomes slot */
    *begins_ms = (int64_t)((time - time % EXPIRY_SLOTS + *slot) << shift);
    return true;
}

/* Asks for the second one meanwhile: it is the first of the next call. */
static struct entry *first_entry(const struct slab *slab, const struct link *sentinel) {
    const struct link *first = link_at(slab, sentinel->next);
    assert(!list_empty(slab, sentinel)); /* 4 */
    memory_prefetch(link_at(slab, first->next));
    return entry_of(first);
}

/* Files an entry anew, by the wheel's time as it is now. */
static void refile(const struct slab *slab, struct expiry *wheel, struct entry *e) {
    expiry_remove(slab, wheel, e);
    expiry_add(slab, wheel, e);
}

/* Overdue entries that the clock has left behind, by jumping back, are filed anew. */
static struct entry *first_overdue(const struct slab *slab, struct expiry *wheel, int64_t now_ms,
                                   unsigned *moves) {
    while (!list_empty(slab, &wheel->overdue)) {
        struct entry *e = first_entry(slab, &wheel->overdue);
        if (entry_is_due(e, now_ms)) return e;
        if (*moves == 0) return NULL;
        --*moves;
        refile(slab, wheel, e);
    }
    return NULL;
}

struct entry *expiry_due(const struct slab *slab, struct expiry *wheel, int64_t now_ms, unsigned *moves) {
    unsigned level, slot;
    int64_t begins_ms;
    if (now_ms < wheel->now_ms) set_back(slab, wheel, now_ms);
    struct entry *e = first_overdue(slab, wheel, now_ms, moves);
    if (e || !list_empty(slab, &wheel->overdue)) return e;
    while (first_slot(wheel, &level, &slot, &begins_ms) && begins_ms <= now_ms) {
        if (begins_ms > wheel->now_ms) wheel->now_ms = begins_ms;
        e = first_entry(slab, &wheel->slots[level][slot]);
        debug_assert(belongs(wheel, entry_expiry_record(e)->expiry_ms, level, slot));
        if (level == 0) return e;
        if (*moves == 0) return NULL;
        --*moves;
        refile(slab, wheel, e);
    }
    wheel->now_ms = now_ms;
    return NULL;
}

int64_t expiry_next(const struct slab *slab, const struct expiry *wheel) {
    unsigned level, slot;
    int64_t begins_ms;
    if (!list_empty(slab, &wheel->overdue)) return 0;
    return first_slot(wheel, &level, &slot, &begins_ms) ? begins_ms : INT64_MAX;
}
