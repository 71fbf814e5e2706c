/* Effects: counted always, told where somebody listens: tests/unit/server/call/ears.c. */
#include "server/call/effect.h"

#include "tests/unit/effect_fixture.h"

static void every_change_is_counted(void) {
    begin();
    effect(&x, stripe, &(struct effect){.kind = EFFECT_CHANGED, .key = key_of("k"), .count = 1});
    effect(&x, stripe, &(struct effect){.kind = EFFECT_EVENT, .key = key_of("k")});
    effect(&x, stripe, &(struct effect){.kind = EFFECT_FLUSHED, .count = 7});
    CHECK_INT(x.changes, 8);
    CHECK_INT(stripe->changes, 8);
    stripes_close();
}

static void expiry_is_counted_by_itself(void) {
    begin();
    struct entry *e = put(0, "k", NOW_MS);
    struct watch *watch = watch_acquire(stripe, 0, key_of("k"));
    uint64_t version = watch_version(watch);
    struct expired gone = {.kind = EXPIRED_KEY, .db = 0, .entry = e};
    effect_expired(&x, stripe, &gone);
    CHECK(watch_version(watch) == version); /* who watches it finds out by itself */
    watch_release(stripe, watch);
    gone.db = 1;
    effect_expired(&x, stripe, &gone); /* nobody listens */
    CHECK_INT(metrics.expired_keys, 2);
    CHECK_INT(x.changes, 0); /* as in Redis: it is no command's change */
    CHECK_INT(stripe->changes, 0);
    stripes_close();
}

static void every_event_has_a_class_and_a_name_of_its_own(void) {
    static const struct {
        char class;
        const char *name;
    } events[] = {
#define EVENT(id, class, name) {class, name},
#include "server/call/events.def"
#undef EVENT
    };
    size_t count = sizeof events / sizeof *events;
    for (size_t i = 0; i < count; i++) {
        CHECK(strchr("g$lshzxtnm", events[i].class));
        for (size_t j = 0; j < i; j++) CHECK(strcmp(events[i].name, events[j].name) != 0);
    }
    CHECK_INT(EVENT_KEYMISS, count); /* the last one: 0 is EVENT_NONE */
}

int main(void) {
    RUN(every_change_is_counted);
    RUN(expiry_is_counted_by_itself);
    RUN(every_event_has_a_class_and_a_name_of_its_own);
    return 0;
}
