/* Accepting: it starts, spreads, pauses and goes on, whatever state the rings are in. */
#include "server/listener.h"

#include <errno.h>
#include <stdio.h>
#include <sys/un.h>

#include "server/op.h"
#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

enum { SHARDS = 2 };

static char directory[] = "/tmp/kevy-listener-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* Pauses are counted, not slept through (see tests/CMakeLists.txt). */
static unsigned pauses;

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
    (void)time, (void)left;
    pauses++;
    return 0;
}

/* Two shards with rings, and one Unix socket that listens. */
static void begin(void) {
    struct buffer errors = {0};
    char text[256], error[256];
    fixture_open(SHARDS);
    CHECK(snprintf(text, sizeof text, "port 0\nunixsocket %s\nlogfile /dev/null\n", address.sun_path) > 0);
    CHECK(config_load_text("test", bytes_of(text), &errors) && config_apply(&errors));
    CHECK(listeners_open(error, sizeof error));
    for (unsigned i = 0; i < SHARDS; i++) open_ring(&shards[i].ring, small_ring);
}

static void end(void) {
    listeners_close();
    for (unsigned i = 0; i < SHARDS; i++) ring_close(&shards[i].ring);
    fixture_close();
}

static int connect_one(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* The next completion is a connection that was accepted. */
static int accepted(void) {
    struct completion completion = next_completion(&shards[0].ring);
    CHECK_INT(op_of(completion.user_data), OP_ACCEPT);
    CHECK(completion.res >= 0 && completion.flags & IORING_CQE_F_MORE);
    return completion.res;
}

static void a_listener_is_armed_once(void) {
    begin();
    for (unsigned turn = 0; turn < 3; turn++) listeners_arm(&shards[0]);
    CHECK_INT(ring_sqe_room(&shards[0].ring), small_ring.sq_entries - 1);
    int client = connect_one();
    close(accepted());
    close(client);
    CHECK(!shards[0].worked);
    end();
}

/* A full queue from which the kernel takes nothing: nobody else may ever wake the shard, so it must not sleep for long. */
static void accepting_starts_when_the_queue_has_room_again(void) {
    begin();
    struct ring *ring = &shards[0].ring, sound = *ring;
    ring->enter_fd = -1, ring->enter_flags = 0; /* every enter fails */
    while (ring_sqe_room(ring)) prep_nop(must_sqe(ring), op_pack(OP_NONE, 0, 0));
    for (unsigned tick = 0; tick < 3; tick++) {
        shards[0].worked = false; /* as the tick does, which this promises once more */
        listeners_arm(&shards[0]);
        CHECK(shards[0].worked);
    }
    ring->enter_fd = sound.enter_fd, ring->enter_flags = sound.enter_flags;
    shards[0].worked = false;
    listeners_arm(&shards[0]); /* makes room by itself */
    CHECK(!shards[0].worked);
    for (unsigned i = 0; i < ring->sq_entries; i++)
        CHECK_INT(op_of(next_completion(ring).user_data), OP_NONE);
    int client = connect_one();
    close(accepted());
    close(client);
    end();
}

static void accepting_pauses_when_descriptors_run_out_and_goes_on(void) {
    begin();
    listeners_arm(&shards[0]);
    listener_accepted(&shards[0], 0, -EMFILE, 0);
    unsigned room = ring_sqe_room(&shards[0].ring);
    listeners_arm(&shards[0]);
    CHECK_INT(ring_sqe_room(&shards[0].ring), room); /* not before the pause is over */
    struct completion over = next_completion(&shards[0].ring);
    CHECK(op_of(over.user_data) == OP_TIMER && over.res == -ETIME);
    listener_pause_over(&shards[0], op_slot(over.user_data));
    CHECK_INT(ring_sqe_room(&shards[0].ring), small_ring.sq_entries - 1);
    end();
}

/* The shard with the fewest connections gets the next; one that stays needs no message. */
static void connections_go_where_the_fewest_are(void) {
    begin();
    listeners_arm(&shards[0]);
    int client = connect_one(), fd = accepted();
    shards[0].connections = 1;
    listener_accepted(&shards[0], 0, fd, IORING_CQE_F_MORE);
    CHECK(shards[0].connections == 1 && shards[1].connections == 1);
    CHECK_INT(op_of(next_completion(&shards[0].ring).user_data), OP_ADOPT_SENT);
    struct completion adopted = next_completion(&shards[1].ring);
    CHECK(op_of(adopted.user_data) == OP_ADOPT && adopted.res == fd && op_slot(adopted.user_data) == 1);
    close(fd);
    close(client);
    end();
}

/* The kernel may still hold the socket of a server that has just died, so it is asked for a while. */
static void a_socket_that_answers_is_asked_again_and_then_left_alone(void) {
    char error[256];
    begin();
    int client = connect_one();
    close(client);
    pauses = 0;
    CHECK(!listeners_open(error, sizeof error) && strstr(error, "another server answers there"));
    CHECK_INT(pauses, 20);
    end();
}

int main(void) {
    alarm(60);
    CHECK(mkdtemp(directory));
    CHECK((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory) <
          sizeof address.sun_path);
    RUN(a_listener_is_armed_once);
    RUN(accepting_starts_when_the_queue_has_room_again);
    RUN(accepting_pauses_when_descriptors_run_out_and_goes_on);
    RUN(connections_go_where_the_fewest_are);
    RUN(a_socket_that_answers_is_asked_again_and_then_left_alone);
    rmdir(directory);
    return 0;
}
