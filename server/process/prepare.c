/* prepare.c - working directory, log, open files, memory, title. */
#include "server/process/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/log.h"

static void apply_dir(struct config_errors *errors) {
    const struct config_place place = {.file = "dir", .text = bytes_of(config.dir)};
    char *absolute = chdir(config.dir) == 0 ? getcwd(NULL, 0) : NULL;
    if (absolute) {
        free(config.dir);
        config.dir = absolute;
    } else {
        config_error(errors, &place, "%s", strerror(errno));
    }
}

static void apply_logfile(struct config_errors *errors) {
    const struct config_place place = {.file = "logfile", .text = bytes_of(config.logfile)};
    int result = log_open(config.logfile);
    if (result < 0) config_error(errors, &place, "%s", strerror(-result));
}

static void apply_maxclients(struct config_errors *errors) {
    static const struct config_place place = {.file = "maxclients"};
    int64_t wanted = config.maxclients, allowed = config_clients_allowed(wanted);
    if (allowed >= wanted) return;
    if (allowed < 1) {
        config_error(errors, &place, "the limit on open files leaves room for no client");
        return;
    }
    log_warning(
        "maxclients lowered from %lld to %lld: the limit on open files allows no more (see ulimit -n)",
        (long long)wanted, (long long)allowed);
    config.maxclients = allowed;
}

static void log_line(void *unused, const char *line) {
    (void)unused;
    log_notice("%s", line);
}

/* Does the kernel give large pages to whoever does not ask for them? */
static bool thp_unasked(void) {
    char modes[64] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, modes, sizeof modes - 1);
    close(fd);
    return got > 0 && strstr(modes, "[always]");
}

/* Large values ask for large pages, if they are written at once; for all else they take memory that nobody uses. Before
 * Linux 6.18 a process can only do without them altogether, which is asked for only where they would come unasked. */
static void apply_disable_thp(void) {
    enum { EXCEPT_ADVISED = 1 << 1 }; /* PR_THP_DISABLE_EXCEPT_ADVISED */
    if (!config.disable_thp || prctl(PR_SET_THP_DISABLE, 1, EXCEPT_ADVISED, 0, 0) == 0) return;
    if (thp_unasked() && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
        log_warning("disable-thp: %s", strerror(errno));
}

bool prepare_process(struct config_errors *errors) {
    unsigned before = errors->count;
    apply_dir(errors);
    if (errors->count == before) apply_logfile(errors); /* its path is relative to dir */
    if (errors->count > before) return false;
    apply_maxclients(errors);
    apply_disable_thp();
    config_title_show();
    config_without_effect(log_line, NULL);
    return errors->count == before;
}
