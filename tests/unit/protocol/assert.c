/* What assert.h promises: a false assertion ends the program, a dear one where such are checked. */
#include "protocol/assert.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static int evaluated;
static int is(int truth) {
    evaluated++;
    return truth;
}

static void assert_false(void) {
    assert(is(0));
}
static void debug_assert_false(void) {
    debug_assert(is(0));
}

/* The signal that ends a process which calls this, or 0. */
static int signal_of(void (*function)(void)) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (freopen("/dev/null", "w", stderr)) function();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_false_assertion_ends_the_program_in_every_build(void) {
    CHECK_INT(signal_of(assert_false), SIGABRT);
}

static void a_dear_one_does_where_dear_ones_are_checked(void) {
#ifdef KEVY_DEBUG_ASSERTS
    enum { CHECKED = 1 };
#else
    enum { CHECKED = 0 };
#endif
    CHECK_INT(signal_of(debug_assert_false), CHECKED ? SIGABRT : 0);
    evaluated = 0;
    debug_assert(is(1));
    CHECK_INT(evaluated, CHECKED);
}

int main(void) {
    RUN(a_false_assertion_ends_the_program_in_every_build);
    RUN(a_dear_one_does_where_dear_ones_are_checked);
    return 0;
}
