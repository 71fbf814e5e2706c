/* main: what a command line makes the process do, and its exit status. The program runs itself anew, as kevy. */
int kevy_main(int argc, char **argv);
#define main kevy_main
#include "server/main.c"
#undef main

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/child.h"

static char dir[] = "/tmp/kevy-main-XXXXXX";
static char told[1 << 16]; /* by the last process that was run to its end */

enum { DEADLINE_S = 250 };

static const char *in_dir(const char *name) {
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

/* Starts kevy with these words; what it says on both streams goes to the pipe. */
static pid_t start_kevy(char **words, int *out) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        child_speaks(ends);
        setenv("KEVY_TEST_AS_MAIN", "1", 1);
        execv("/proc/self/exe", words);
        _exit(99);
    }
    close(ends[1]);
    *out = ends[0];
    return child;
}

static int ended(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Its exit status; `told` holds what it said. */
static int kevy(char **words) {
    int out;
    pid_t child = start_kevy(words, &out);
    child_heard(out, told, sizeof told);
    return ended(child);
}
#define KEVY(...) kevy((char *[]){"kevy", __VA_ARGS__, NULL})

static void file_write(const char *name, const char *text) {
    FILE *out = fopen(in_dir(name), "w");
    CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0);
}

/* Tries until it can connect. */
static int connect_to(const char *path) {
    static const struct timespec moment = {.tv_nsec = 2000000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    time_t begun = time(NULL);
    for (;; nanosleep(&moment, NULL)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
        close(fd);
        CHECK(time(NULL) - begun < DEADLINE_S);
    }
}

static pid_t pid_in(const char *path) {
    long pid = 0;
    FILE *in = fopen(path, "r");
    CHECK(in && fscanf(in, "%ld\n", &pid) == 1 && fclose(in) == 0);
    return (pid_t)pid;
}

static void ping_over(int fd) {
    char reply[7];
    CHECK(send(fd, "ping\r\n", 6, MSG_NOSIGNAL) == 6);
    CHECK(recv(fd, reply, 7, MSG_WAITALL) == 7 && memcmp(reply, "+PONG\r\n", 7) == 0);
}

static void questions_are_answered_on_standard_output(void) {
    CHECK_INT(KEVY("--version"), 0);
    CHECK_BYTES(bytes_of(told), BYTES("kevy " KEVY_VERSION "\n"));
    CHECK_INT(KEVY("-v"), 0);
    CHECK_INT(KEVY("--help"), 0);
    CHECK(strncmp(told, "Usage: kevy [file]", 18) == 0 && strstr(told, "--maxclients"));
    CHECK_INT(KEVY("--probe"), 0);
    CHECK(strlen(told) > 100);
    CHECK_INT(KEVY("--ping", "/nonexistent/socket"), 1);
    CHECK_BYTES(bytes_of(told), BYTES("kevy: /nonexistent/socket: No such file or directory\n"));
    CHECK_INT(KEVY("--ping", "a", "b"), 1);
    CHECK_BYTES(bytes_of(told), BYTES("kevy: --ping takes one address\n"));
}

static void a_configuration_is_checked_without_starting_anything(void) {
    file_write("good.conf", "port 1\ntimeout 5\n");
    file_write("bad.conf", "prot 1\ntimeout x\n");
    char *good = strdup(in_dir("good.conf")), *bad = strdup(in_dir("bad.conf")), expected[256];
    CHECK_INT(KEVY("--check-config", good), 0);
    CHECK_BYTES(bytes_of(told), BYTES(""));
    CHECK_INT(KEVY("--check-config", bad), 1);
    snprintf(expected, sizeof expected,
             "%s:1: 'prot...': unknown directive; did you mean 'port'?\n"
             "%s:2: 'timeout x': argument couldn't be parsed into an integer\n",
             bad, bad);
    CHECK_BYTES(bytes_of(told), bytes_of(expected));
    CHECK_INT(KEVY("--check-config", good, "--hz", "100", "--masterauth", "s3cret"), 0);
    CHECK_BYTES(bytes_of(told),
                BYTES("masterauth ...: no effect: kevy does not replicate yet\n"
                      "hz 100: no effect: kevy does its upkeep at every turn, not at a frequency\n"));
    CHECK_INT(KEVY("--check-config", bad, "--hz", "100"), 1);
    CHECK(strstr(told, "hz 100: no effect: ") && strstr(told, "'timeout x'"));
    CHECK_INT(KEVY("--check-config", good, "--dir", "/nonexistent"), 1);
    CHECK(strstr(told, "dir: '/nonexistent': No such file or directory"));
    unlink(good), unlink(bad);
    free(good), free(bad);
}

static void what_is_wrong_is_told_and_nothing_starts(void) {
    CHECK_INT(KEVY("--port", "x"), 1);
    CHECK(strstr(told, "'--port x': argument couldn't be parsed into an integer"));
    CHECK_INT(KEVY("/nonexistent.conf"), 1);
    CHECK(strstr(told, "/nonexistent.conf': can't read: No such file or directory"));
    CHECK_INT(KEVY("--dir", "/nonexistent"), 1);
    char *pidfile = strdup(in_dir("pid"));
    CHECK_INT(KEVY("--port", "1", "--bind", "192.0.2.1", "--pidfile", pidfile, "--logfile", ""), 1);
    CHECK(strstr(told, "cannot listen on 192.0.2.1 port 1"));
    CHECK(access(pidfile, F_OK) < 0); /* nor does its pid stay behind */
    free(pidfile);
}

static void it_serves_until_it_is_told_to_end(void) {
    int out;
    char *path = strdup(in_dir("socket")), *pidfile = strdup(in_dir("pid"));
    pid_t child = start_kevy((char *[]){"kevy", "--port", "0", "--unixsocket", path, "--pidfile", pidfile,
                                        "--shards", "2", "--logfile", "/dev/null", "--save", "", NULL},
                             &out);
    int fd = connect_to(path);
    ping_over(fd);
    CHECK_INT(pid_in(pidfile), child);
    CHECK_INT(KEVY("--ping", path), 0);
    CHECK_BYTES(bytes_of(told), BYTES("PONG\n"));
    CHECK_INT(kill(child, SIGTERM), 0);
    CHECK_INT(ended(child), 0);
    CHECK(access(path, F_OK) < 0 && access(pidfile, F_OK) < 0);
    close(fd), close(out);
    free(path), free(pidfile);
}

/* The parent is gone at once, the child goes on without it, on no terminal. */
static void it_goes_into_the_background_when_asked(void) {
    char *path = strdup(in_dir("socket")), *pidfile = strdup(in_dir("pid"));
    CHECK_INT(KEVY("--daemonize", "yes", "--port", "0", "--unixsocket", path, "--pidfile", pidfile,
                   "--shards", "1", "--logfile", "/dev/null", "--save", ""),
              0);
    int fd = connect_to(path);
    ping_over(fd);
    pid_t pid = pid_in(pidfile);
    CHECK(pid > 1 && pid != getpid());
    pid_t session = getsid(pid);
    CHECK_INT(kill(pid, SIGTERM), 0); /* first of all, so that a check that fails leaves no daemon behind */
    CHECK_INT(session, pid);
    char byte;
    CHECK(recv(fd, &byte, 1, 0) <= 0);
    static const struct timespec moment = {.tv_nsec = 2000000};
    for (time_t begun = time(NULL); access(pidfile, F_OK) == 0; nanosleep(&moment, NULL))
        CHECK(time(NULL) - begun < DEADLINE_S);
    CHECK(access(path, F_OK) < 0);
    close(fd);
    free(path), free(pidfile);
}

int main(int argc, char **argv) {
    if (getenv("KEVY_TEST_AS_MAIN")) return kevy_main(argc, argv);
    CHECK(mkdtemp(dir));
    RUN(questions_are_answered_on_standard_output);
    RUN(a_configuration_is_checked_without_starting_anything);
    RUN(what_is_wrong_is_told_and_nothing_starts);
    RUN(it_serves_until_it_is_told_to_end);
    RUN(it_goes_into_the_background_when_asked);
    return rmdir(dir) != 0;
}
