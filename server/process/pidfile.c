/* pidfile.c - written when the server starts, removed however it ends. */
#include "server/process/pidfile.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/log.h"

static atomic_bool written;

void pidfile_write(void) {
    if (!config.pidfile[0]) return;
    FILE *file = fopen(config.pidfile, "we");
    if (!file) {
        log_warning("Cannot write pidfile %s: %s", config.pidfile, strerror(errno));
        return;
    }
    written = true;
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

void pidfile_remove(void) {
    if (atomic_exchange(&written, false)) unlink(config.pidfile);
}
