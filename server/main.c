/* main.c - from the command line to a running server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/call/command.h"
#include "server/config/command_line.h"
#include "server/config/config.h"
#include "server/config/relations.h"
#include "server/config/title.h"
#include "server/log.h"
#include "server/loop/shard.h"
#include "server/process/check_data.h"
#include "server/process/cpus.h"
#include "server/process/interrupt.h"
#include "server/process/io_mode.h"
#include "server/process/ping.h"
#include "server/process/prepare.h"
#include "server/process/rename.h"
#include "server/process/server.h"
#include "server/process/streams.h"
#include "server/process/systemd.h"
#include "server/process/usage.h"
#include "server/report/info.h"
#include "uring/probe.h"

static int fail(struct config_errors *errors) {
    fwrite(errors->lines.data, 1, errors->lines.len, stderr);
    config_errors_free(errors);
    return 1;
}

static int print_probe(void) {
    struct probe probe;
    char text[8192];
    probe_run(&probe);
    const char *refusal = probe_refusal(&probe, text, sizeof text);
    if (refusal) fprintf(stderr, "%s\n", refusal);
    fwrite(text, 1, probe_describe(&probe, text, sizeof text), stdout);
    return refusal && !probe.epoll ? 1 : 0; /* one of the two will do */
}

/* Is io_uring to be had, where that is asked for? Asked before anything is opened, so that the answer is the first line. */
static bool kernel_will_do(void) {
    char text[2048];
    bool chosen = io_mode_choose(text, sizeof text);
    if (!chosen) fprintf(stderr, "kevy: %s\n", text);
    return chosen;
}

/* Of a container: all others end with it, and the kernel throws away signals that it has not asked for. */
static bool is_first_process(void) {
    return getpid() == 1;
}

/* Whoever watches this process would take it for ended. */
static bool may_daemonize(void) {
    return !systemd_supervised() && !is_first_process();
}

/* The parent goes when the child has begun, as redis-server's does. */
static bool daemonize(void) {
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "kevy: cannot daemonize: %s\n", strerror(errno));
        return false;
    }
    if (child > 0) _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return true;
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    if (null > 2) close(null);
    return true;
}

static int serve(void) {
    usage_starting();
    if (!server_start()) return 1;
    if (server_stopping()) return server_run(); /* somebody asked for that while data were loaded */
    log_notice("kevy %s is ready: pid %d, %u %s, %s", KEVY_VERSION, (int)getpid(), shard_count,
               shard_count == 1 ? "shard" : "shards", io_name(&shards[0].io));
    log_notice("Ready to accept connections"); /* as Redis says it: scripts and containers wait for this line */
    usage_started();
    systemd_ready();
    systemd_status("Serving with %u %s", shard_count, shard_count == 1 ? "shard" : "shards");
    return server_run();
}

/* `kevy --ping [address]` */
static int ask_server(int argc, char **argv) {
    if (argc <= 3) return ping(argv[2], PING_PATIENCE_MS);
    fprintf(stderr, "kevy: --ping takes one address\n");
    return 1;
}

/* `kevy --check-data PATH [--repair]` */
static int look_at_data(int argc, char **argv) {
    bool repairs = argc == 4 && strcmp(argv[3], "--repair") == 0;
    if (argc == 3 || repairs) return check_data(argv[2], repairs);
    fprintf(stderr, "kevy: --check-data takes one directory or file, and --repair behind it\n");
    return 1;
}

static void print_line(void *out, const char *line) {
    fprintf(out, "%s\n", line);
}

/* What is wrong goes to standard error, what has no effect to standard output. Relations are looked at where
 * all lines are right. */
static int check(bool loaded, struct config_errors *errors) {
    config_without_effect(print_line, stdout);
    return loaded && relations_check(errors) ? 0 : fail(errors);
}

static int start(struct config_errors *errors) {
    if (is_first_process()) interrupt_hold();
    if (!relations_check(errors)) return fail(errors);
    if (!kernel_will_do()) return 1;
    if (may_daemonize() && config.daemonize && !daemonize()) return 1;
    if (!prepare_process(errors)) return fail(errors);
    if (is_first_process() && config.daemonize)
        log_notice("daemonize yes: no effect: a container ends with its first process");
    return serve();
}

int main(int argc, char **argv) {
    struct config_errors errors = {0};
    if (!streams_hold()) return 1; /* and nobody to tell */
    if (is_first_process()) interrupt_obey();
    title_keep(argc, argv);
    const char *bad_row = command_table_open();
    if (!bad_row) bad_row = info_open();
    if (bad_row) {
        fprintf(stderr, "kevy: %s\n", bad_row);
        return 1;
    }
    config_defaults();
    enum command_line_mode mode = command_line_mode(argc, argv);
    switch (mode) {
    case COMMAND_LINE_HELP: config_help(stdout); return 0;
    case COMMAND_LINE_VERSION: printf("kevy %s\n", KEVY_VERSION); return 0;
    case COMMAND_LINE_PROBE: return print_probe();
    case COMMAND_LINE_PING: return ask_server(argc, argv);
    case COMMAND_LINE_CHECK_DATA: return look_at_data(argc, argv);
    case COMMAND_LINE_CHECK:
    case COMMAND_LINE_SERVE: break;
    }
    config_usable_cpus(cpus_usable());
    bool loaded = command_line_load(argc, argv, &errors);
    loaded = rename_commands(&errors) && loaded;
    if (mode == COMMAND_LINE_CHECK) return check(loaded, &errors);
    if (!loaded) return fail(&errors);
    return start(&errors);
}
