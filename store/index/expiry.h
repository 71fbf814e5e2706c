/* expiry.h - which entries of a database are due: a hierarchical timing wheel (Varghese and Lauck, 1987).
 *
 * Level L has 64 slots of 64^L milliseconds; eleven levels hold any int64. An entry lies on the level of the
 * highest base-64 digit in which its expiry differs from the wheel's time, in the slot of its own digit
 * there. When time reaches a slot of a level above 0, its entries move down, one step of the caller's budget
 * each: a cascade may stop in the middle and go on with the next call.
 *
 * Invariants, with `now` the wheel's time:
 *   1. An entry in a slot agrees with `now` in all digits above its level.
 *   2. It has the larger digit at its level; or the same one, at level 0 (due this very millisecond) or in a
 *      slot whose cascade is not finished.
 *   3. An entry that was added with an expiry before `now` is in the list `overdue`.
 *   4. A bit of `occupied` is set exactly when its slot is not empty.
 *
 * Lists are circular, through sentinels that lie in the same arena as the entries: to remove an entry, or to
 * append one list to another, nobody needs to know which list it is. So a clock that jumps back costs 11 * 64
 * splices at most, however many entries there are. */
#ifndef KEVY_STORE_INDEX_EXPIRY_H
#define KEVY_STORE_INDEX_EXPIRY_H

#include "store/index/entry.h"
#include "store/memory/slab.h"

enum { EXPIRY_DIGIT_BITS = 6, EXPIRY_SLOTS = 1 << EXPIRY_DIGIT_BITS, EXPIRY_LEVELS = 11 };

typedef unsigned __int128 expiry_sum __attribute__((aligned(8))); /* as what lies in the slab is */

struct expiry {
    int64_t now_ms;
    expiry_sum keys_ms; /* when the keys of its entries expire, all together; kept by whoever adds them */
    uint64_t occupied[EXPIRY_LEVELS]; /* a bit a slot */
    struct link slots[EXPIRY_LEVELS][EXPIRY_SLOTS];
    struct link overdue;
};
_Static_assert(EXPIRY_LEVELS *EXPIRY_DIGIT_BITS >= 63, "any int64 of milliseconds has a level");
_Static_assert(sizeof(struct expiry) <= SLAB_MAX, "a wheel is one slab object");
_Static_assert(sizeof(struct link) == 1 << ARENA_UNIT_SHIFT, "neighbouring links have neighbouring handles");

/* An empty wheel in memory of the slab; NULL without memory. */
struct expiry *expiry_new(struct slab *slab, int64_t now_ms);
void expiry_free(struct slab *slab, struct expiry *wheel);

/* Entries must have an expiry record; it must not change, and the entry must not move, while it is in the wheel. */
void expiry_add(const struct slab *slab, struct expiry *wheel, struct entry *e);
void expiry_remove(const struct slab *slab, struct expiry *wheel, struct entry *e);

/* The next entry whose expiry is <= now_ms, still in the wheel: the caller removes it. NULL if there is none, or
 * if *moves, the entries that may be moved between lists meanwhile, is used up (then expiry_next is <= now_ms). */
struct entry *expiry_due(const struct slab *slab, struct expiry *wheel, int64_t now_ms, unsigned *moves);
/* Nothing in the wheel is due before this; INT64_MAX: it is empty. A lower bound, exact within 64 ms of the time. */
int64_t expiry_next(const struct slab *slab, const struct expiry *wheel);

#endif
