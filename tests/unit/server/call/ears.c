/* Ears: what each of them hears. */
#include "server/call/effect.h"

#include "server/config/config.h"
#include "tests/unit/effect_fixture.h"

/* Does who watches "k" in database 0 feel it? */
static bool felt(const struct effect *e) {
    struct watch *watch = watch_acquire(stripe, 0, key_of("k"));
    CHECK(watch);
    uint64_t version = watch_version(watch);
    effect(&x, stripe, e);
    bool touched = watch_version(watch) != version;
    watch_release(stripe, watch);
    return touched;
}

static void watchers_feel_what_is_other_than_it_was(void) {
    static const struct {
        enum effect_kind kind;
        bool felt;
    } kinds[] = {{EFFECT_CHANGED, true},  {EFFECT_DELETED, true}, {EFFECT_MOVED, true},
                 {EFFECT_EXPIRED, false}, {EFFECT_EVENT, false},  {EFFECT_MISSED, false},
                 {EFFECT_CREATED, false}, {EFFECT_FLUSHED, true}, {EFFECT_SWAPPED, true}};
    begin();
    put(0, "k", EXPIRY_NONE);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct effect e = {.kind = kinds[i].kind, .key = key_of("k"), .other_db = 1};
        CHECK_INT(felt(&e), kinds[i].felt);
        e.db = 1; /* the watched key is in the other one, and may come with a swap */
        e.other_db = e.kind == EFFECT_SWAPPED ? 0 : 1;
        CHECK_INT(felt(&e), e.kind == EFFECT_SWAPPED);
    }
    stripes_close();
}

static void a_journal_gets_what_has_expired_and_counts_the_rest(void) {
    begin();
    CHECK(journal_open(1));
    x.journal = journal_queue(0);
    journal_listen();
    effect(&x, stripe, &(struct effect){.kind = EFFECT_CHANGED, .key = key_of("k"), .count = 3});
    CHECK_INT(x.recorded, 3);
    effects_end(&x); /* nothing is there to be sealed */
    CHECK(!queue_first(x.journal));
    struct expired gone = {.kind = EXPIRED_KEY, .db = 1, .entry = put(1, "gone", NOW_MS)};
    effect_expired(&x, stripe, &gone);
    CHECK_INT(x.recorded, 3);
    CHECK(!queue_first(x.journal));
    effects_end(&x);
    struct record *record = queue_first(x.journal);
    CHECK(record && record->db == 1 && record->ticket == 1);
    CHECK_BYTES(((struct bytes){record_text(record), record->len}),
                BYTES("*2\r\n$3\r\nDEL\r\n$4\r\ngone\r\n"));
    journal_ignore();
    effect(&x, stripe, &(struct effect){.kind = EFFECT_CHANGED, .key = key_of("k"), .count = 1});
    CHECK_INT(x.recorded, 3);
    CHECK_INT(x.changes, 4);
    journal_close();
    stripes_close();
}

/* They are told of nothing where nobody could hear of it. */
static void events_have_an_ear_where_they_are_asked_for(void) {
    static const struct {
        int64_t asked;
        bool heard;
    } options[] = {{NOTIFY_KEYSPACE | NOTIFY_NEW, true},
                   {0, false},
                   {NOTIFY_KEYEVENT | NOTIFY_ALL, true},
                   {NOTIFY_ALL, false}};
    begin();
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        stripe->ears |= EAR_WAITERS;
        config.notify_keyspace_events = options[i].asked;
        effects_publish();
        CHECK_INT(stripe->ears, options[i].heard ? EAR_WAITERS | EAR_EVENTS : EAR_WAITERS);
    }
    stripe->ears = 0;
    stripes_close();
}

int main(void) {
    RUN(watchers_feel_what_is_other_than_it_was);
    RUN(events_have_an_ear_where_they_are_asked_for);
    RUN(a_journal_gets_what_has_expired_and_counts_the_rest);
    return 0;
}
