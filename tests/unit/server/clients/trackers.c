/* The register of those who track: who is found, redirection to who leaves, prefixes, and memory that runs out. */
#include "server/clients/trackers.h"

#include "tests/check.h"
#include "tests/unit/failing_memory.h"

static struct client clients[40];

static struct client *client_of(unsigned i) {
    clients[i].id = i + 1;
    clients[i].resp = 3;
    return &clients[i];
}

static bool begin(unsigned i, uint32_t flags, struct client *target) {
    struct tracking_mode mode = {.flags = flags, .target = target};
    return trackers_begin(client_of(i), &mode);
}

static bool begin_with(unsigned i, const struct bytes *prefixes, uint32_t count) {
    struct tracking_mode mode = {.flags = CLIENT_BCAST, .prefixes = prefixes, .prefix_count = count};
    return trackers_begin(client_of(i), &mode);
}

static void count_one(void *context, struct tracker *tracker) {
    CHECK(tracker->tracks);
    ++*(unsigned *)context;
}

static unsigned counted(void) {
    unsigned count = 0;
    trackers_each(count_one, &count);
    return count;
}

static void who_tracks_is_found_by_half_of_his_id(void) {
    for (unsigned i = 0; i < 40; i++) CHECK(begin(i, 0, NULL));
    CHECK_INT(trackers_count(), 40);
    CHECK_INT(counted(), 40);
    for (unsigned i = 0; i < 40; i++) CHECK(trackers_find(i + 1)->client == &clients[i]);
    CHECK(!trackers_find(41) && !trackers_of(UINT64_C(1) << 32 | 1));
    CHECK(begin(3, CLIENT_NOLOOP, NULL));
    CHECK_INT(trackers_count(), 40);
    CHECK(trackers_find(4)->flags == CLIENT_NOLOOP);
    for (unsigned i = 0; i < 20; i++) trackers_end(&clients[i]);
    trackers_end(&clients[0]);
    for (unsigned i = 20; i < 40; i++) trackers_leave(&clients[i]);
    trackers_leave(&clients[0]);
    CHECK(!trackers_count() && !trackers_find(1) && !counted());
}

static void a_target_stays_known_as_long_as_it_is_one(void) {
    CHECK(begin(0, 0, client_of(2)) && begin(1, 0, client_of(2)));
    CHECK_INT(trackers_count(), 2);
    CHECK(!trackers_find(3) && trackers_of(3)->redirected == 2);
    trackers_leave(&clients[2]);
    CHECK(trackers_find(1)->target && !trackers_find(1)->target->client);
    CHECK(begin(0, 0, NULL) && !trackers_find(1)->target && trackers_of(3)->redirected == 1);
    trackers_end(&clients[1]);
    CHECK(!trackers_of(3));
    CHECK(begin(0, 0, client_of(0)) && trackers_find(1)->target == trackers_find(1)); /* to itself */
    trackers_leave(&clients[0]);
    CHECK(!trackers_of(1) && !trackers_count());
}

static void prefixes_are_shared_and_in_order(void) {
    const struct bytes some[] = {BYTES("b"), BYTES("a"), BYTES("c")};
    CHECK(begin_with(0, some, 2) && begin_with(0, some + 2, 1) && begin_with(1, some, 1));
    CHECK_INT(trackers_prefix_count(), 3);
    const struct membership *member = trackers_find(1)->prefixes;
    CHECK_BYTES(member->prefix->name, BYTES("a"));
    CHECK_BYTES(member->next_of_tracker->prefix->name, BYTES("b"));
    CHECK_BYTES(member->next_of_tracker->next_of_tracker->prefix->name, BYTES("c"));
    CHECK(begin_with(2, NULL, 0) && begin_with(2, NULL, 0));
    CHECK_BYTES(trackers_find(3)->prefixes->prefix->name, BYTES(""));
    CHECK_INT(trackers_prefix_count(), 4);
    trackers_end(&clients[0]);
    CHECK_INT(trackers_prefix_count(), 2);
    trackers_end(&clients[1]);
    trackers_end(&clients[2]);
    CHECK(!trackers_prefix_count() && !trackers_prefixes());
}

static void without_memory_nothing_changes(void) {
    const struct bytes some[] = {BYTES("x"), BYTES("y")};
    bool done = false;
    for (unsigned left = 0; !done; left++) {
        CHECK(begin_with(1, some, 1));
        struct tracking_mode mode = {
            .flags = CLIENT_BCAST, .target = client_of(2), .prefixes = some, .prefix_count = 2};
        memory_left = left;
        done = trackers_begin(client_of(0), &mode);
        memory_left = UINT_MAX;
        CHECK_INT(trackers_count(), done ? 2 : 1);
        CHECK_INT(trackers_prefix_count(), done ? 2 : 1);
        CHECK(!trackers_of(1) == !done && !trackers_of(3) == !done);
        trackers_end(&clients[0]);
        trackers_end(&clients[1]);
        CHECK(!trackers_of(3) && !trackers_prefix_count());
    }
}

int main(void) {
    RUN(who_tracks_is_found_by_half_of_his_id);
    RUN(a_target_stays_known_as_long_as_it_is_one);
    RUN(prefixes_are_shared_and_in_order);
    RUN(without_memory_nothing_changes);
    return 0;
}
