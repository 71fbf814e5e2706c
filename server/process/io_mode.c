/* io_mode.c - the choice is made once, and unmade once at most: when a ring is refused that the probe had been granted. */
#include "server/process/io_mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/log.h"
#include "uring/probe.h"

static struct {
    bool epoll;
    char reason[1024]; /* why it is epoll, though nobody asked for that; empty: it is not so */
} mode;

bool io_mode_choose(char *text, size_t size) {
    struct probe probe;
    mode.epoll = config.io_mode == CONFIG_EPOLL;
    mode.reason[0] = '\0';
    if (mode.epoll) return true;
    probe_run(&probe);
    const char *refusal = probe_refusal(&probe, text, size);
    return !refusal || io_mode_fall_back(probe.error ? probe.error : probe.short_of, refusal);
}

bool io_mode_fall_back(int error, const char *reason) {
    assert(error <= 0 && reason[0]);
    if (mode.epoll || config.io_mode != CONFIG_AUTO || error == -EMFILE || error == -ENFILE) return false;
    mode.epoll = true;
    snprintf(mode.reason, sizeof mode.reason, "%s", reason);
    return true;
}

bool io_mode_is_epoll(void) {
    return mode.epoll;
}

void io_mode_log(void) {
    if (!mode.reason[0]) return;
    log_warning("Without io_uring kevy goes by epoll, where each receive and each send is a system call of "
                "its own: fewer requests a second. %s",
                mode.reason);
}
