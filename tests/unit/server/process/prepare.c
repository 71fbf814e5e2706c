/* What the process becomes. */
#include "server/process/prepare.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/config_fixture.h"

/* Runs what changes the process for good in a child; its checks end it with 1. */
static void in_child(void (*run)(void)) {
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

static void apply_and_look(void) {
    char text[256], here[256];
    snprintf(text, sizeof text, "dir %s\nlogfile kevy.log\nmaxclients 60000\nhz 100\n", dir);
    struct rlimit low = {700, 700};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    if (geteuid() == 0) CHECK_INT(setresuid(65534, 65534, 65534), 0); /* so that it cannot be raised again */
    check_load(text);
    CHECK(prepare_process(&errors));
    CHECK(getcwd(here, sizeof here) && strcmp(here, config.dir) == 0 && strcmp(here, dir) == 0);
    CHECK_INT(config.maxclients, 700 - 32 - 16);
    CHECK(strstr(file_text("kevy.log"), "# maxclients lowered from 60000 to 652"));
    CHECK(strstr(file_text("kevy.log"), "* hz 100: no effect: kevy does its upkeep at every turn"));
}

static void apply_enters_dir_opens_the_log_and_fits_maxclients_to_the_limit(void) {
    CHECK_INT(chmod(dir, 0777), 0);
    in_child(apply_and_look);
}

/* Those who ask get large pages, unless the kernel gives them unasked and can only be kept from it altogether. */
static void look_at_large_pages(void) {
    check_load("disable-thp yes\n");
    CHECK(prepare_process(&errors));
    bool always = strstr(file_text("/sys/kernel/mm/transparent_hugepage/enabled"), "[always]");
    int disabled = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    CHECK(disabled == 3 || disabled == always);
}

static void leave_large_pages(void) {
    check_load("disable-thp no\n");
    CHECK(prepare_process(&errors));
    CHECK_INT(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
}

static void large_pages_come_to_who_asks(void) {
    in_child(look_at_large_pages);
    in_child(leave_large_pages);
}

int main(void) {
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(apply_enters_dir_opens_the_log_and_fits_maxclients_to_the_limit);
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0) RUN(large_pages_come_to_who_asks);
    return dir_remove();
}
