/* The process: starting, CPUs, signals, and ending with the code that was asked for. Each test is a process
 * of its own, for a server starts once. */
#include "server/process/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/call/command.h"
#include "server/config/config.h"
#include "server/log.h"
#include "server/loop/shard.h"
#include "server/process/prepare.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static char dir[] = "/tmp/kevy-server-XXXXXX";
static char socket_path[64], log_path[64], old_log_path[64];

/* A server that listens on a Unix socket alone, with these options besides. */
static bool start(const char *options) {
    struct config_errors errors = {0};
    char text[256];
    CHECK(command_table_open() == NULL);
    config_defaults();
    snprintf(text, sizeof text, "port 0\nbind\nio-sqpoll no\nunixsocket %s\nlogfile %s\n", socket_path,
             log_path);
    options_set(text);
    options_set(options);
    CHECK(prepare_process(&errors));
    return server_start();
}

static int connect_here(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void ask(int fd, const char *line, const char *reply) {
    char text[256];
    CHECK_INT(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
    for (size_t have = 0; have < strlen(reply);) {
        ssize_t n = recv(fd, text + have, strlen(reply) - have, 0);
        CHECK(n > 0);
        have += (size_t)n;
        CHECK(memcmp(text, reply, have) == 0);
    }
}

static bool logged(const char *path, const char *words) {
    static char text[1 << 16];
    FILE *in = fopen(path, "r");
    if (!in) return false;
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return strstr(text, words) != NULL;
}

/* In a child, which must come to its end. */
static void in_child(void (*run)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unlink(log_path);
    unlink(old_log_path);
    CHECK(access(socket_path, F_OK) < 0); /* whatever happened, nothing is left */
}

static void serve_and_stop(void) {
    CHECK(start("shards 3\n"));
    CHECK(shard_count == 3 && server_started_ms > 1700000000000);
    int fds[6];
    for (int i = 0; i < 6; i++) ask(fds[i] = connect_here(), "ping\r\n", "+PONG\r\n");
    for (unsigned i = 0; i < shard_count; i++)
        CHECK_INT(client_get(shards[i].connections), 2); /* spread evenly */
    server_stop(42);
    CHECK_INT(server_run(), 42);
    char byte;
    for (int i = 0; i < 6; i++) CHECK(recv(fds[i], &byte, 1, 0) <= 0);
    CHECK(shards == NULL && logged(log_path, "bye bye"));
}

static void a_server_serves_until_it_is_stopped_and_returns_the_code(void) {
    in_child(serve_and_stop);
}

static void stop_by_command(void) {
    CHECK(start("shards 2\n"));
    int fd = connect_here();
    ask(fd, "shutdown save\r\n", "-ERR Errors trying to SHUTDOWN.");
    CHECK(send(fd, "shutdown nosave\r\n", 17, MSG_NOSIGNAL) == 17);
    CHECK_INT(server_run(), 0);
    CHECK(logged(log_path, "User requested shutdown..."));
}

static void shutdown_ends_it_with_0(void) {
    in_child(stop_by_command);
}

/* Log rotation: the file was moved away, and SIGHUP begins a new one. */
static void rotate(void) {
    CHECK(start("shards 1\n"));
    log_warning("before");
    CHECK_INT(rename(log_path, old_log_path), 0);
    raise(SIGHUP); /* both are pending when server_run looks, and the lower number comes first */
    server_stop(0);
    CHECK_INT(server_run(), 0);
    CHECK(logged(old_log_path, "before") && !logged(old_log_path, "bye bye"));
    CHECK(logged(log_path, "bye bye") && !logged(log_path, "before"));
}

static void a_hangup_begins_a_new_log(void) {
    in_child(rotate);
}

static void sigint(void) {
    CHECK(start("shards 1\n"));
    raise(SIGPIPE); /* ignored */
    kill(getpid(), SIGINT);
    CHECK_INT(server_run(), 0);
}

static void an_interrupt_ends_it_and_a_broken_pipe_does_not(void) {
    in_child(sigint);
}

static void fail(void) {
    CHECK(!start("port 1\nbind 192.0.2.1\n"));
    CHECK(shards == NULL && logged(log_path, "cannot listen on 192.0.2.1 port 1"));
}

static void what_cannot_listen_does_not_start(void) {
    in_child(fail);
}

static unsigned cpus_of(cpu_set_t *set) {
    CPU_ZERO(set);
    CHECK_INT(sched_getaffinity(0, sizeof *set, set), 0);
    return (unsigned)CPU_COUNT(set);
}

/* One CPU for each shard where there are enough; else the scheduler knows better. */
static void place_shards(void) {
    cpu_set_t mine;
    unsigned count = cpus_of(&mine);
    CHECK(start("shards 2\n"));
    CHECK_INT(server_spare_cpus(), count > shard_count + 1 ? count - shard_count - 1 : 0);
    for (unsigned i = 0; i < 2; i++) {
        if (count < 2)
            CHECK_INT(shards[i].cpu, -1);
        else
            CHECK(shards[i].cpu >= 0 && CPU_ISSET((unsigned)shards[i].cpu, &mine));
    }
    if (count >= 2) CHECK(shards[0].cpu != shards[1].cpu);
    server_stop(0);
    CHECK_INT(server_run(), 0);
}

static void place_more_shards_than_cpus(void) {
    cpu_set_t mine;
    char options[64];
    unsigned count = cpus_of(&mine);
    if (count >= MAX_SHARDS) return;
    snprintf(options, sizeof options, "shards %u\n", count + 1);
    CHECK(start(options));
    for (unsigned i = 0; i < shard_count; i++) CHECK_INT(shards[i].cpu, -1);
    server_stop(0);
    CHECK_INT(server_run(), 0);
}

static void place_where_told(void) {
    cpu_set_t mine;
    char options[64];
    int first = 0;
    (void)cpus_of(&mine);
    while (!CPU_ISSET((unsigned)first, &mine)) first++;
    snprintf(options, sizeof options, "shards 2\nshard-cpus %d\n", first);
    CHECK(start(options));
    CHECK(shards[0].cpu == first && shards[1].cpu == first);
    server_stop(0);
    CHECK_INT(server_run(), 0);
}

static void shards_have_a_cpu_each_or_none_or_those_they_were_given(void) {
    in_child(place_shards);
    in_child(place_more_shards_than_cpus);
    in_child(place_where_told);
}

static void poll_threads(void) {
    cpu_set_t mine;
    unsigned count = cpus_of(&mine), spare = count > 5 ? count - 5 : 1;
    CHECK(start("shards 4\n"));
    if (spare > 4) spare = 4;
    for (unsigned i = 0; i < 4; i++) CHECK_INT(server_poll_leader(i), i % spare);
    for (unsigned i = 0; i < 4; i++) CHECK((server_poll_cpu(i) >= 0) == (4 + i < count));
    config.io_sqpoll_threads = 3;
    static const unsigned leaders[] = {0, 1, 2, 0};
    for (unsigned i = 0; i < 4; i++) CHECK_INT(server_poll_leader(i), leaders[i]);
    config.io_sqpoll_threads = 5; /* more than there are rings to make them */
    for (unsigned i = 0; i < 4; i++) CHECK(server_poll_leader(i) <= i);
    free(config.io_sqpoll_cpus);
    config.io_sqpoll_cpus = strdup("7,5");
    CHECK(server_poll_cpu(0) == 7 && server_poll_cpu(1) == 5 && server_poll_cpu(2) == 7);
    server_stop(0);
    CHECK_INT(server_run(), 0);
}

/* A ring can only share the poll thread of one that was opened before it. */
static void rings_share_poll_threads_with_rings_before_them(void) {
    in_child(poll_threads);
}

int main(void) {
    CHECK(mkdtemp(dir));
    snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    snprintf(old_log_path, sizeof old_log_path, "%s/log.1", dir);
    RUN(a_server_serves_until_it_is_stopped_and_returns_the_code);
    RUN(shutdown_ends_it_with_0);
    RUN(a_hangup_begins_a_new_log);
    RUN(an_interrupt_ends_it_and_a_broken_pipe_does_not);
    RUN(what_cannot_listen_does_not_start);
    RUN(shards_have_a_cpu_each_or_none_or_those_they_were_given);
    RUN(rings_share_poll_threads_with_rings_before_them);
    return rmdir(dir) != 0;
}
