/* What ends by a fault says so in the log, and ends by that. */
#include "server/process/crash.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/unit/options.h"

static char path[64];

static const char *log_text(void) {
    static char text[4096];
    FILE *in = fopen(path, "r");
    CHECK(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return text;
}

/* What the log has of a process that ends by the signal. */
static const char *log_of(int signal) {
    pid_t child = fork();
    int status;
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(log_open(path) == 0);
        CHECK(crash_watch());
        raise(signal);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signal);
    return log_text();
}

static void the_signal_is_told(void) {
    CHECK(strstr(log_of(SIGSEGV), "crashed by signal: 11, si_code: "));
    CHECK(strstr(log_of(SIGABRT), "crashed by signal: 6, si_code: "));
    unlink(path);
}

static void but_for_one_who_does_not_want_it(void) {
    options_set("crash-log-enabled no\n");
    CHECK(!strstr(log_of(SIGBUS), "crashed"));
    unlink(path);
}

int main(void) {
    config_defaults();
    snprintf(path, sizeof path, "crash-%d.log", (int)getpid());
    if (!crash_watch()) return 0;
    RUN(the_signal_is_told);
    RUN(but_for_one_who_does_not_want_it);
    return 0;
}
