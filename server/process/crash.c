/* crash.c - a handler that calls nothing but what a signal's handler may call. */
#include "server/process/crash.h"

#include <signal.h>
#include <unistd.h>

#include "protocol/number.h"
#include "protocol/text.h"
#include "server/config/config.h"
#include "server/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CRASH_LEFT_TO_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CRASH_LEFT_TO_SANITIZER 1
#endif

enum { CRASH_LINE_MAX = 160 };

static void add_number(struct text *text, int number) {
    char digits[NUMBER_I64_MAX_LEN];
    text_add(text, (struct bytes){digits, number_format_i64(digits, number)});
}

/* The disposition is the default one by then: so the signal, raised again, ends the process as this returns. */
static void crashed(int signal, siginfo_t *info, void *unused) {
    char memory[CRASH_LINE_MAX];
    struct text line = text_fixed(memory, sizeof memory);
    (void)unused;
    add_number(&line, (int)getpid());
    text_string(&line, ":M # kevy " KEVY_VERSION " crashed by signal: ");
    add_number(&line, signal);
    text_string(&line, ", si_code: ");
    add_number(&line, info->si_code);
    text_string(&line, "\n");
    if (config.crash_log_enabled) log_last(text_bytes(&line));
    raise(signal);
}

bool crash_watch(void) {
#ifndef CRASH_LEFT_TO_SANITIZER
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction watched = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &watched, NULL);
    return true;
#else
    (void)crashed;
    return false;
#endif
}
