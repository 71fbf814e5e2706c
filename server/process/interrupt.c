/* interrupt.c - a thread that waits for two signals. */
#include "server/process/interrupt.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "server/journal/claim.h"
#include "server/log.h"
#include "server/loop/listener.h"
#include "server/process/pidfile.h"

static struct {
    enum interrupt_phase phase;
    pthread_t thread;
    bool running;
} watch;

void interrupt_tell(int signal) {
    log_warning("Received %s scheduling shutdown...", signal == SIGINT ? "SIGINT" : "SIGTERM");
}

static void exit_now(int status) {
    listeners_remove_file();
    pidfile_remove();
    _exit(status);
}

static void interrupted(int signal) {
    if (watch.phase == INTERRUPT_START) {
        log_warning("Received %s while starting, exiting now.", signal == SIGINT ? "SIGINT" : "SIGTERM");
        exit_now(0);
    }
    if (signal == SIGINT) {
        log_warning("You insist... exiting now.");
        (void)claim_tidy(); /* a file that is being saved */
        exit_now(1);
    }
    interrupt_tell(signal);
}

static sigset_t both(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* Nothing but calls that a signal's handler may make. Nobody reads what cannot be written. */
static void end_at_once(int signal) {
    static const char text[] = "kevy: interrupted while starting, exiting now\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(0);
}

void interrupt_obey(void) {
    const struct sigaction obey = {.sa_handler = end_at_once};
    sigaction(SIGINT, &obey, NULL);
    sigaction(SIGTERM, &obey, NULL);
}

void interrupt_hold(void) {
    sigset_t set = both();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* A signal from this process itself is interrupt_unwatch's. (That it was sent to a thread, which the kernel tells, is
 * hidden by glibc.) */
static void *wait_for_signals(void *unused) {
    (void)unused;
    sigset_t set = both();
    siginfo_t info;
    pthread_setname_np(pthread_self(), "interrupt");
    for (;;) {
        int signal = sigwaitinfo(&set, &info);
        if (signal < 0) continue;
        if (info.si_pid == getpid()) return NULL;
        interrupted(signal);
    }
}

void interrupt_watch(enum interrupt_phase phase) {
    watch.phase = phase;
    watch.running = pthread_create(&watch.thread, NULL, wait_for_signals, NULL) == 0;
}

void interrupt_unwatch(void) {
    if (!watch.running) return;
    pthread_kill(watch.thread, SIGTERM);
    pthread_join(watch.thread, NULL);
    watch.running = false;
}
