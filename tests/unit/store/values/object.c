/* References to objects, and the burial of the dead in bounded parts. */
#include "store/values/object.h"

#include "store/values/type.h"
#include "tests/check.h"

/* An object of so many parts, which are only counted. */
struct parts {
    struct object head;
    unsigned left;
    bool gone;
};

static bool bury(struct object *object, unsigned *budget) {
    struct parts *parts = (struct parts *)object;
    CHECK(*budget > 0 && !parts->gone);
    while (*budget > 0 && parts->left > 0) --*budget, parts->left--;
    if (*budget == 0) return false;
    --*budget;
    return parts->gone = true;
}
static const struct type type_parts = {.name = "parts", .bury = bury};

static struct parts parts_of(unsigned count) {
    return (struct parts){.head = {.type = &type_parts, .references = 1}, .left = count};
}

static void the_last_reference_kills(void) {
    struct dead dead = {0};
    unsigned budget = 100;
    struct parts parts = parts_of(5);
    CHECK(!object_shared(&parts.head));
    CHECK(object_retain(&parts.head) == &parts.head && object_shared(&parts.head));
    object_release(&parts.head, &dead);
    CHECK(!object_shared(&parts.head) && dead.count == 0 && !dead_bury(&dead, &budget) && budget == 100);
    object_release(&parts.head, &dead);
    CHECK(dead.count == 1 && parts.left == 5 && !parts.gone);
    CHECK(!dead_bury(&dead, &budget) && parts.gone);
    CHECK_INT(budget, 100 - 6);
    CHECK_INT(dead.count, 0);
}

static void a_budget_bounds_what_goes_at_once(void) {
    enum { OBJECTS = 20 };
    struct parts parts[OBJECTS];
    struct dead dead = {0};
    unsigned total = 0, calls = 0, left = 1;
    for (unsigned i = 0; i < OBJECTS; i++) {
        parts[i] = parts_of(i * 7);
        total += i * 7 + 1;
        object_release(&parts[i].head, &dead);
    }
    CHECK_INT(dead.count, OBJECTS);
    while (left) {
        unsigned budget = 10;
        left = dead_bury(&dead, &budget);
        CHECK(left == (dead.count > 0) && (budget == 0 || !left));
        calls++;
    }
    CHECK_INT(calls, (total + 9) / 10);
    for (unsigned i = 0; i < OBJECTS; i++) CHECK(parts[i].gone && parts[i].left == 0);
}

/* What one list has begun to bury the other goes on with. */
static void lists_of_the_dead_are_joined(void) {
    enum { OBJECTS = 6, PARTS = 10 };
    struct parts parts[OBJECTS];
    struct dead dead = {0}, from = {0};
    unsigned budget = 4;
    dead_join(&dead, &from);
    CHECK(dead.count == 0 && !dead.first);
    for (unsigned i = 0; i < OBJECTS; i++) {
        parts[i] = parts_of(PARTS);
        object_release(&parts[i].head, i % 2 ? &dead : &from);
    }
    CHECK(dead_bury(&from, &budget) && budget == 0);
    dead_join(&dead, &from);
    CHECK(dead.count == OBJECTS && from.count == 0 && !from.first);
    budget = OBJECTS * (PARTS + 1) - 4;
    CHECK(!dead_bury(&from, &budget) && budget == OBJECTS * (PARTS + 1) - 4);
    CHECK(!dead_bury(&dead, &budget) && budget == 0);
    for (unsigned i = 0; i < OBJECTS; i++) CHECK(parts[i].gone && parts[i].left == 0);
}

int main(void) {
    RUN(the_last_reference_kills);
    RUN(a_budget_bounds_what_goes_at_once);
    RUN(lists_of_the_dead_are_joined);
    return 0;
}
