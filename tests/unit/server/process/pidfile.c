/* The pidfile is written where one is asked for, and goes with the process. */
#include "server/process/pidfile.h"

#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static char dir[] = "/tmp/kevy-pidfile-XXXXXX";

static void configure(const char *name) {
    char text[128];
    config_defaults();
    snprintf(text, sizeof text, "pidfile %s/%s\n", dir, name);
    options_set(text);
}

static void it_holds_the_process_number(void) {
    long long pid = 0;
    configure("pid");
    pidfile_write();
    FILE *file = fopen(config.pidfile, "r");
    CHECK(file && fscanf(file, "%lld", &pid) == 1 && fgetc(file) == '\n');
    fclose(file);
    CHECK_INT(pid, getpid());
    pidfile_remove();
    CHECK(access(config.pidfile, F_OK) < 0);
}

/* One that was not written here is another process's. */
static void only_what_was_written_is_removed(void) {
    configure("other");
    FILE *file = fopen(config.pidfile, "w");
    CHECK(file && fclose(file) == 0);
    pidfile_remove();
    CHECK_INT(unlink(config.pidfile), 0);
    pidfile_write();
    CHECK_INT(unlink(config.pidfile), 0);
    CHECK_INT(mkdir(config.pidfile, 0700), 0);
    pidfile_remove(); /* somebody made something else of it */
    pidfile_write();  /* cannot be written: no end of the start */
    pidfile_remove();
    CHECK_INT(rmdir(config.pidfile), 0);
    config_defaults();
    pidfile_write(); /* none was asked for */
    pidfile_remove();
}

int main(void) {
    CHECK(mkdtemp(dir));
    CHECK_INT(log_open("/dev/null"), 0);
    RUN(it_holds_the_process_number);
    RUN(only_what_was_written_is_removed);
    return rmdir(dir) != 0;
}
