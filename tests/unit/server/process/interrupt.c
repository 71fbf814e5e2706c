/* Signals while the main thread is busy: what they do in each phase, and who gets those that come afterwards. */
#include "server/process/interrupt.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/log.h"
#include "server/loop/listener.h"
#include "server/process/pidfile.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static char dir[] = "/tmp/kevy-interrupt-XXXXXX";
static char log_path[64], socket_path[64], pid_path[64];

static sigset_t both(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static bool logged(const char *words) {
    static char text[1 << 12];
    FILE *in = fopen(log_path, "r");
    CHECK(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return strstr(text, words) != NULL;
}

/* A process that is in this phase and hangs, with a socket and a pidfile. It is ready when *ready is closed. */
static pid_t hang(enum interrupt_phase phase, int *ready) {
    int pair[2];
    CHECK_INT(pipe(pair), 0);
    CHECK_INT(truncate(log_path, 0), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char text[256], error[256];
        alarm(250);
        close(pair[0]);
        snprintf(text, sizeof text, "bind\nport 0\nunixsocket %s\npidfile %s\n", socket_path, pid_path);
        config_defaults();
        options_set(text);
        interrupt_hold();
        CHECK(listeners_open(error, sizeof error));
        pidfile_write();
        interrupt_watch(phase);
        close(pair[1]);
        for (;;) pause();
    }
    close(pair[1]);
    *ready = pair[0];
    return child;
}

static void wait_ready(int ready) {
    char byte;
    CHECK_INT(read(ready, &byte, 1), 0);
    close(ready);
    CHECK(access(socket_path, F_OK) == 0 && access(pid_path, F_OK) == 0);
}

static void check_end(pid_t child, int status) {
    int ended;
    CHECK(waitpid(child, &ended, 0) == child);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == status);
    CHECK(access(socket_path, F_OK) < 0 && access(pid_path, F_OK) < 0);
}

/* What it knows of itself is nothing yet, so there is nothing to remove; and what stood in the way of signals does so no
 * longer than interrupt_hold. */
static void who_obeys_ends_at_once(void) {
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 4; i++) {
        int status, fds[2];
        CHECK_INT(pipe(fds), 0);
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(250);
            dup2(fds[1], STDERR_FILENO);
            interrupt_obey();
            if (i >= 2) interrupt_hold();
            raise(signals[i % 2]);
            _exit(3);
        }
        close(fds[1]);
        char text[128];
        ssize_t n = read(fds[0], text, sizeof text);
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), i < 2 ? 0 : 3);
        CHECK(i < 2 ? n > 0 && memmem(text, (size_t)n, "exiting now\n", 12) : n == 0);
        close(fds[0]);
    }
}

static void a_start_ends_at_once(void) {
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        int ready;
        pid_t child = hang(INTERRUPT_START, &ready);
        wait_ready(ready);
        CHECK_INT(kill(child, signals[i]), 0);
        check_end(child, 0);
        CHECK(logged(i ? "Received SIGTERM while starting, exiting now." : "Received SIGINT while starting"));
    }
}

static void who_insists_ends_the_end(void) {
    int ready;
    pid_t child = hang(INTERRUPT_END, &ready);
    wait_ready(ready);
    CHECK_INT(kill(child, SIGTERM), 0);
    while (!logged("Received SIGTERM scheduling shutdown...")) usleep(1000);
    CHECK_INT(waitpid(child, NULL, WNOHANG), 0); /* as redis-server: only SIGINT insists */
    CHECK_INT(kill(child, SIGINT), 0);
    check_end(child, 1);
    CHECK(logged("You insist... exiting now."));
}

static void afterwards_signals_wait_for_the_caller(void) {
    sigset_t set = both(), pending;
    interrupt_hold();
    for (int i = 0; i < 100; i++) {
        interrupt_watch(i % 2 ? INTERRUPT_END : INTERRUPT_START);
        interrupt_unwatch();
        interrupt_unwatch(); /* harmless */
        CHECK_INT(sigpending(&pending), 0);
        CHECK(!sigismember(&pending, SIGTERM) && !sigismember(&pending, SIGINT));
    }
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    CHECK_INT(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGTERM));
    CHECK_INT(sigwaitinfo(&set, NULL), SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int main(void) {
    CHECK(mkdtemp(dir));
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
    snprintf(pid_path, sizeof pid_path, "%s/pid", dir);
    CHECK_INT(log_open(log_path), 0);
    RUN(who_obeys_ends_at_once);
    RUN(a_start_ends_at_once);
    RUN(who_insists_ends_the_end);
    RUN(afterwards_signals_wait_for_the_caller);
    CHECK_INT(unlink(log_path), 0);
    return rmdir(dir) != 0;
}
