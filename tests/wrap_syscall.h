/* wrap_syscall.h - a stand-in for libc's syscall() (-Wl,--wrap=syscall), for calls that libc has no function for. Whoever
 * includes this says which of them fail. */
#ifndef KEVY_TESTS_WRAP_SYSCALL_H
#define KEVY_TESTS_WRAP_SYSCALL_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>

/* True: it fails, with the errno that was set. */
static bool syscall_fails(long number);

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (unsigned i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
    va_end(arguments);
    return syscall_fails(number) ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
