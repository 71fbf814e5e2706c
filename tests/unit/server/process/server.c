/* The process: starting, signals, and ending with the code that was asked for. Each test is a process
 * of its own, for a server starts once. */
#include "server/process/server.h"

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
#include "server/process/cpus.h"
#include "server/process/io_mode.h"
#include "server/process/prepare.h"
#include "tests/check.h"
#include "tests/unit/options.h"
#include "tests/unit/ring_calls.h"

/* The system calls of io_uring, so that the n-th ring can be refused. */
static unsigned setups, refused; /* 0: none is */
static int refusal;

int ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    return ++setups == refused ? -refusal : ring_setup_granted(entries, params);
}

static char dir[] = "/tmp/kevy-server-XXXXXX";
static char socket_path[64], log_path[64], old_log_path[64];

/* A server that listens on a Unix socket alone, with these options besides. */
static bool start(const char *options) {
    struct config_errors errors = {0};
    char text[2048];
    CHECK(command_table_open() == NULL);
    config_defaults();
    config_usable_cpus(cpus_usable());
    snprintf(text, sizeof text, "port 0\nbind\nio-sqpoll no\nshards-in-use all\nunixsocket %s\nlogfile %s\n",
             socket_path, log_path);
    options_set(text);
    options_set(options);
    unsigned nth = refused;
    refused = 0; /* of the shards' rings one is refused, and none of the probe's */
    CHECK(io_mode_choose(text, sizeof text));
    refused = nth;
    setups = 0;
    CHECK(prepare_process(&errors));
    return server_start();
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static int connect_here(void) {
    return connect_to(socket_path);
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
        alarm(250);
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
    server_stop(42, false);
    CHECK_INT(server_run(), 42);
    char byte;
    for (int i = 0; i < 6; i++) CHECK(recv(fds[i], &byte, 1, 0) <= 0);
    CHECK(shards == NULL && logged(log_path, "bye bye"));
}

static void a_server_serves_until_it_is_stopped_and_returns_the_code(void) {
    in_child(serve_and_stop);
}

/* They serve, and one shard wakes another. */
static void serve_over(const char *name) {
    int fds[6];
    for (int i = 0; i < 6; i++) ask(fds[i] = connect_here(), "ping\r\n", "+PONG\r\n");
    for (unsigned i = 0; i < shard_count; i++) {
        CHECK(strcmp(io_name(&shards[i].io), name) == 0);
        CHECK_INT(client_get(shards[i].connections), 2);
    }
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
    for (int i = 0; i < 6; i++) close(fds[i]);
}

static void serve_over_epoll(void) {
    CHECK(start("shards 3\nio-mode epoll\n"));
    CHECK_INT(setups, 0);
    serve_over("epoll");
    CHECK(!logged(log_path, "Without io_uring"));
}

static void refuse_a_ring(void) {
    CHECK(start("shards 3\n"));
    CHECK_INT(setups, refused); /* no more are asked for */
    serve_over("epoll");
    CHECK(logged(log_path, "Without io_uring kevy goes by epoll") && logged(log_path, strerror(refusal)));
}

static void refuse_a_ring_that_must_be(void) {
    char words[64];
    CHECK(!start("shards 3\nio-mode uring\n"));
    snprintf(words, sizeof words, "refused io_uring ring %u of 3", refused);
    CHECK(shards == NULL && logged(log_path, words));
}

static void whichever_ring_is_refused_all_shards_go_the_same_way(void) {
    in_child(serve_over_epoll);
    refusal = ENOMEM;
    for (refused = 1; refused <= 3; refused++) {
        in_child(refuse_a_ring);
        in_child(refuse_a_ring_that_must_be);
    }
    refused = 0;
}

static void stop_by_command(void) {
    CHECK(start("shards 2\n"));
    int fd = connect_here();
    ask(fd, "set k v\r\n", "+OK\r\n");
    CHECK(send(fd, "shutdown nosave\r\n", 17, MSG_NOSIGNAL) == 17);
    CHECK_INT(server_run(), 0);
    CHECK(logged(log_path, "User requested shutdown...") && access("dump.rdb", F_OK) < 0);
}

/* What was saved is there at the next start, in the same directory. */
static void save_and_stop(void) {
    CHECK(start("shards 3\n"));
    int fd = connect_here();
    ask(fd, "set k v\r\nselect 5\r\nset k w\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    CHECK(send(fd, "shutdown save\r\n", 15, MSG_NOSIGNAL) == 15);
    CHECK_INT(server_run(), 0);
    CHECK(logged(log_path, "DB saved on disk: 2 keys"));
}
static void find_what_was_saved(void) {
    CHECK(start("shards 2\n"));
    int fd = connect_here();
    ask(fd, "get k\r\nselect 5\r\nget k\r\n", "$1\r\nv\r\n+OK\r\n$1\r\nw\r\n");
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
    CHECK(logged(log_path, "Done loading RDB, keys loaded: 2, keys expired: 0."));
}

/* A change that came behind the save is saved by the end. */
static void change_behind_the_save(void) {
    CHECK(start("shards 1\n"));
    int fd = connect_here();
    ask(fd, "save\r\nset late 1\r\n", "+OK\r\n+OK\r\n");
    server_stop(0, true);
    CHECK_INT(server_run(), 0);
    CHECK(logged(log_path, "DB saved on disk: 3 keys"));
}
static void fail_behind_the_save(void) {
    CHECK(start("shards 1\ndbfilename other.rdb\n"));
    int fd = connect_here();
    ask(fd, "save\r\nset late 1\r\n", "+OK\r\n+OK\r\n");
    CHECK(unlink("other.rdb") == 0 && mkdir("other.rdb", 0700) == 0); /* no file can take its place */
    server_stop(0, true);
    CHECK_INT(server_run(), 1);
    CHECK(logged(log_path, "What was changed while shutting down is not saved"));
    CHECK_INT(rmdir("other.rdb"), 0);
}

/* A file that cannot be loaded ends the start, and stays. */
static void refuse_a_file(void) {
    FILE *file = fopen("dump.rdb", "w");
    CHECK(file && fputs("REDIS0010 and no more", file) >= 0 && fclose(file) == 0);
    CHECK(!start("shards 2\n"));
    CHECK(shards == NULL && logged(log_path, "Cannot load dump.rdb: offset 9: "));
    CHECK(unlink("dump.rdb") == 0);
}

static void what_was_saved_is_loaded(void) {
    in_child(save_and_stop);
    in_child(find_what_was_saved);
    in_child(change_behind_the_save);
    in_child(fail_behind_the_save);
    CHECK(unlink("dump.rdb") == 0);
    in_child(refuse_a_file);
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
    server_stop(0, false);
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

static void forget_others(void) {
    int ends[2];
    siginfo_t info;
    CHECK_INT(pipe(ends), 0);
    pid_t before = fork();
    if (before == 0) _exit(0);
    pid_t later = fork();
    if (later == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    CHECK(before > 0 && later > 0);
    CHECK_INT(waitid(P_PID, (id_t)before, &info, WEXITED | WNOWAIT), 0);
    CHECK(start("shards 1\n"));
    CHECK(kill(before, 0) < 0 && errno == ESRCH);
    CHECK_INT(kill(later, 0), 0);
    close(ends[1]);
    while (kill(later, 0) == 0) usleep(1000);
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
}

static void children_of_others_leave_nothing_behind(void) {
    in_child(forget_others);
}

/* Every shard runs where cpus.c says; which that is has a test of its own. */
static void place_shards(void) {
    CHECK(start("shards 2\n"));
    for (unsigned i = 0; i < 2; i++) CHECK_INT(shards[i].cpu, cpus_place(i).cpu);
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
}

static void place_where_told(void) {
    cpu_set_t mine;
    char options[64];
    int first = 0;
    CHECK_INT(sched_getaffinity(0, sizeof mine, &mine), 0);
    while (!CPU_ISSET((unsigned)first, &mine)) first++;
    snprintf(options, sizeof options, "shards 2\nshard-cpus %d\n", first);
    CHECK(start(options));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(shards[i].cpu == first);
        CHECK(pthread_getaffinity_np(shards[i].thread, sizeof mine, &mine) == 0);
        CHECK(CPU_COUNT(&mine) == 1 && CPU_ISSET((unsigned)first, &mine));
    }
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
}

static void shards_run_on_the_cpus_that_they_were_given(void) {
    in_child(place_shards);
    in_child(place_where_told);
}

/* What the configuration says is not opened besides. */
static void serve_a_passed_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char pid[16];
    snprintf(address.sun_path, sizeof address.sun_path, "%s.passed", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0);
    CHECK(dup2(fd, 3) == 3); /* where a manager puts it */
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    CHECK(start("shards 1\n"));
    CHECK(access(socket_path, F_OK) < 0);
    ask(connect_to(address.sun_path), "ping\r\n", "+PONG\r\n");
    server_stop(0, false);
    CHECK_INT(server_run(), 0);
    CHECK_INT(unlink(address.sun_path), 0); /* it is the manager's, and stays */
}

static void sockets_that_the_manager_passed_stand_for_the_configuration(void) {
    in_child(serve_a_passed_socket);
}

int main(void) {
    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    snprintf(old_log_path, sizeof old_log_path, "%s/log.1", dir);
    RUN(a_server_serves_until_it_is_stopped_and_returns_the_code);
    RUN(whichever_ring_is_refused_all_shards_go_the_same_way);
    RUN(shutdown_ends_it_with_0);
    RUN(what_was_saved_is_loaded);
    RUN(a_hangup_begins_a_new_log);
    RUN(an_interrupt_ends_it_and_a_broken_pipe_does_not);
    RUN(what_cannot_listen_does_not_start);
    RUN(children_of_others_leave_nothing_behind);
    RUN(shards_run_on_the_cpus_that_they_were_given);
    RUN(sockets_that_the_manager_passed_stand_for_the_configuration);
    return rmdir(dir) != 0;
}
