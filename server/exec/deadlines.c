/* deadlines.c - heap[i] is never later than heap[2 * i] and heap[2 * i + 1], and each knows its place. */
#include "server/exec/deadlines.h"

#include <stdlib.h>

#include "protocol/assert.h"

enum { DEADLINES_MIN = 16 };

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline) {
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

/* Moves it towards the first place until nobody before it is later. */
static void rise(struct deadlines *deadlines, size_t place, struct deadline *deadline) {
    for (; place > 1 && deadlines->heap[place / 2]->at_us > deadline->at_us; place /= 2)
        put(deadlines, place, deadlines->heap[place / 2]);
    put(deadlines, place, deadline);
}

/* Moves it the other way until nobody behind it is earlier. */
static void sink(struct deadlines *deadlines, size_t place, struct deadline *deadline) {
    for (size_t next; (next = place * 2) <= deadlines->count; place = next) {
        if (next < deadlines->count && deadlines->heap[next + 1]->at_us < deadlines->heap[next]->at_us)
            next++;
        if (deadlines->heap[next]->at_us >= deadline->at_us) break;
        put(deadlines, place, deadlines->heap[next]);
    }
    put(deadlines, place, deadline);
}

bool deadlines_add(struct deadlines *deadlines, struct deadline *deadline) {
    assert(deadline->place == 0);
    if (deadlines->count == deadlines->capacity) {
        size_t capacity = deadlines->capacity ? deadlines->capacity * 2 : DEADLINES_MIN;
        struct deadline **heap = realloc(deadlines->heap, (capacity + 1) * sizeof(struct deadline *));
        if (!heap) return false;
        deadlines->heap = heap;
        deadlines->capacity = capacity;
    }
    rise(deadlines, ++deadlines->count, deadline);
    return true;
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline) {
    size_t place = deadline->place;
    if (place == 0) return;
    assert(place <= deadlines->count && deadlines->heap[place] == deadline);
    struct deadline *last = deadlines->heap[deadlines->count--];
    deadline->place = 0;
    if (last == deadline) return;
    if (place > 1 && deadlines->heap[place / 2]->at_us > last->at_us)
        rise(deadlines, place, last);
    else
        sink(deadlines, place, last);
}

void deadlines_close(struct deadlines *deadlines) {
    assert(deadlines->count == 0);
    free(deadlines->heap);
    *deadlines = (struct deadlines){0};
}
