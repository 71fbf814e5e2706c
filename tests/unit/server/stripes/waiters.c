/* Who waits for keys: order of arrival, ready keys, and the stripes that serving may take. */
#include "server/stripes/waiters.h"

#include "tests/check.h"

enum { SHARDS = 4 };

static struct waiter_link links[6];
static struct waiter waiters[6];
static struct ready ready;

static struct key key_of(const char *name) {
    return (struct key){bytes_of(name), hash_bytes(&stripes.seed, bytes_of(name))};
}
static struct stripe *stripe_named(const char *name) {
    return stripe_of(key_of(name).hash);
}

static void begin(void) {
    CHECK_INT(stripes_open(SHARDS, 4), 0);
    ready = (struct ready){0};
    for (unsigned i = 0; i < 6; i++) {
        waiters[i] = (struct waiter){.target = STRIPE_NONE};
        links[i] = (struct waiter_link){.waiter = &waiters[i]};
    }
}

static void end(void) {
    CHECK(!waiters_take(&ready));
    for (unsigned i = 0; i < stripes.count; i++) {
        CHECK(!stripes.all[i].waiters);
        CHECK_INT(stripes.all[i].ears, 0);
        (void)keyspace_take_news(stripes.all[i].keyspace, INT64_MAX);
    }
    stripes_close();
}

static void link_to(unsigned i, unsigned db, const char *name) {
    CHECK(waiters_link(stripe_named(name), db, key_of(name), &links[i]));
}

static void who_came_first_stands_first(void) {
    begin();
    for (unsigned i = 0; i < 3; i++) link_to(i, 0, "k");
    CHECK(stripe_named("k")->ears & EAR_WAITERS);
    waiters_ready(stripe_named("k"), &ready, 0, key_of("k"));
    struct waiting_key *waiting = waiters_take(&ready);
    CHECK(waiting && waiters_first(waiting) == &links[0] && links[0].next == &links[1]);
    CHECK_BYTES(waiters_key(waiting).name, BYTES("k"));
    CHECK_INT(waiters_db(waiting), 0);
    waiters_unlink(&links[0]);
    CHECK(waiters_first(waiting) == &links[1] && !links[0].key);
    link_to(0, 0, "k"); /* anew: behind the others */
    CHECK(links[2].next == &links[0] && !links[0].next);
    waiters_unlink(&links[2]); /* from the middle */
    CHECK(links[1].next == &links[0] && links[0].prev == &links[1]);
    waiters_taken(waiting);
    waiters_unlink(&links[1]);
    waiters_unlink(&links[0]);
    end();
}

static void a_key_that_stands_twice_in_a_request_counts_once(void) {
    begin();
    links[1].waiter = &waiters[0];
    link_to(0, 0, "k");
    link_to(1, 0, "k");
    CHECK(links[0].key && !links[1].key);
    waiters_unlink(&links[0]);
    end();
}

static void only_what_somebody_waits_for_becomes_ready(void) {
    begin();
    link_to(0, 0, "k");
    waiters_ready(stripe_named("k"), &ready, 1, key_of("k")); /* another database */
    waiters_ready(stripe_named("other"), &ready, 0, key_of("other"));
    CHECK(!waiters_take(&ready) && !keyspace_news(stripe_named("k")->keyspace));
    waiters_ready(stripe_named("k"), &ready, 0, key_of("k"));
    waiters_ready(stripe_named("k"), &ready, 0, key_of("k")); /* it is already */
    CHECK(keyspace_news(stripe_named("k")->keyspace));
    waiters_unlink(&links[0]); /* nobody waits any more, but its record stays until it is taken */
    struct waiting_key *waiting = waiters_take(&ready);
    CHECK(waiting && !waiters_first(waiting) && !waiters_take(&ready));
    waiters_taken(waiting);
    end();
}

static void keys_are_served_in_the_order_in_which_they_became_ready(void) {
    static const char *const names[] = {"c", "a", "b"};
    begin();
    for (unsigned i = 0; i < 3; i++) link_to(i, 0, names[i]);
    for (unsigned i = 0; i < 3; i++) waiters_ready(stripe_named(names[i]), &ready, 0, key_of(names[i]));
    struct waiting_key *first = waiters_take(&ready);
    CHECK_BYTES(waiters_key(first).name, BYTES("c"));
    waiters_ready(stripe_named("c"), &ready, 0,
                  key_of("c")); /* again, while it is served: behind the others */
    waiters_taken(first);
    for (unsigned i = 1; i <= 3; i++) {
        struct waiting_key *waiting = waiters_take(&ready);
        CHECK_BYTES(waiters_key(waiting).name, bytes_of(names[i % 3]));
        waiters_taken(waiting);
        waiters_unlink(&links[i % 3]);
    }
    end();
}

static void a_swap_makes_the_keys_of_both_databases_ready(void) {
    begin();
    for (unsigned db = 0; db < 3; db++) link_to(db, db, "k");
    waiters_ready_all(stripe_named("k"), &ready, 0, 2);
    unsigned seen = 0;
    for (struct waiting_key *waiting; (waiting = waiters_take(&ready)); waiters_taken(waiting))
        seen |= 1u << waiters_db(waiting);
    CHECK_INT(seen, 1 << 0 | 1 << 2);
    for (unsigned db = 0; db < 3; db++) waiters_unlink(&links[db]);
    end();
}

static void many_keys_are_found(void) {
    static struct waiter_link many[500];
    char name[16];
    begin();
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "key:%u", i);
        many[i] = (struct waiter_link){.waiter = &waiters[0]};
        CHECK(waiters_link(stripe_named(name), 0, key_of(name), &many[i]));
    }
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "key:%u", i);
        waiters_ready(stripe_named(name), &ready, 0, key_of(name));
        struct waiting_key *waiting = waiters_take(&ready);
        CHECK(waiting && waiters_first(waiting) == &many[i]);
        waiters_taken(waiting);
        waiters_unlink(&many[i]);
    }
    end();
}

static void the_reach_of_a_stripe_is_where_its_waiters_push(void) {
    begin();
    struct stripe *stripe = stripe_named("k");
    unsigned own = (unsigned)(stripe - stripes.all), one = (own + 1) % stripes.count,
             two = (own + 2) % stripes.count;
    struct stripe_set set = {{0}}, more = {{0}};
    stripe_set_add(&set, own);
    waiters[0].target = one, waiters[1].target = one, waiters[2].target = two;
    waiters[3].target = own; /* within the stripe: nothing more is needed */
    link_to(3, 0, "k");
    CHECK(!(stripe->ears & EAR_MOVERS));
    for (unsigned i = 0; i < 3; i++) link_to(i, 0, "k");
    CHECK(stripe->ears & EAR_MOVERS);
    waiters_reach(&set, &more);
    CHECK(stripe_set_has(&more, one) && stripe_set_has(&more, two) && !stripe_set_has(&more, own));
    waiters_unlink(&links[0]);
    waiters_unlink(&links[2]);
    more = (struct stripe_set){{0}};
    waiters_reach(&set, &more);
    CHECK(stripe_set_has(&more, one) && !stripe_set_has(&more, two));
    waiters_unlink(&links[1]);
    CHECK(!(stripe->ears & EAR_MOVERS) && stripe->ears & EAR_WAITERS);
    waiters_unlink(&links[3]);
    end();
}

int main(void) {
    RUN(who_came_first_stands_first);
    RUN(a_key_that_stands_twice_in_a_request_counts_once);
    RUN(only_what_somebody_waits_for_becomes_ready);
    RUN(keys_are_served_in_the_order_in_which_they_became_ready);
    RUN(a_swap_makes_the_keys_of_both_databases_ready);
    RUN(many_keys_are_found);
    RUN(the_reach_of_a_stripe_is_where_its_waiters_push);
    return 0;
}
