/* What is in force: CPUs, open files, the title, the password. */
#include "server/config/config.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/config/title.h"
#include "tests/unit/config_fixture.h"

static int main_argc;
static char **main_argv;

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

static void cpu_lists(void) {
    int cpus[4];
    CHECK_INT(config_cpu_list("", cpus, 4), 0);
    CHECK_INT(config_cpu_list("5,0-2", cpus, 4), 4);
    CHECK(cpus[0] == 5 && cpus[1] == 0 && cpus[3] == 2);
    const char *bad[] = {"x",   "1,",  ",1",   "1-",  "-1",   "3-1",
                         "1,1", "0-4", "1024", "1 2", "1--2", "99999999999999999999"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) CHECK_INT(config_cpu_list(bad[i], cpus, 4), -1);
}

static void show_title_and_look(void) {
    char shown[512] = "";
    title_keep(main_argc, main_argv);
    check_load("bind -::1\nport 77\nproc-title-template \"{title}|{listen-addr}|{server-mode}|{port}|\"\n");
    char *expected;
    CHECK(asprintf(&expected, "%s|[::1]:77||77|", main_argv[0]) > 0);
    config_title_show();
    FILE *in = fopen("/proc/self/cmdline", "r");
    CHECK(in && fread(shown, 1, sizeof shown - 1, in) > 0);
    fclose(in);
    CHECK_BYTES(bytes_of(shown), bytes_of(expected));
    CHECK(getenv("PATH")); /* the environment moved away and is whole */
    CHECK_SET("", "proc-title-template", "changed");
    in = fopen("/proc/self/cmdline", "r");
    CHECK(in && fread(shown, 1, sizeof shown - 1, in) > 0);
    fclose(in);
    CHECK_BYTES(bytes_of(shown), BYTES("changed"));
    config.set_proc_title = false;
    CHECK_SET("", "proc-title-template", "not wanted");
    in = fopen("/proc/self/cmdline", "r");
    CHECK(in && fread(shown, 1, sizeof shown - 1, in) > 0);
    fclose(in);
    CHECK_BYTES(bytes_of(shown), BYTES("changed"));
    free(expected);
}

static void the_title_is_shown_and_follows_its_template(void) {
    in_child(show_title_and_look);
}

static void more_clients_than_files_are_refused_at_run_time(void) {
    config_defaults();
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(strstr(set("maxclients", "4000000000", NULL),
                 "The operating system is not able to handle the specified number of clients, try with "));
    CHECK_INT(config.maxclients, 10000);
}

static void passwords_are_compared_whole(void) {
    config_defaults();
    CHECK(!config_has_password());
    CHECK_SET("", "requirepass", "abcabc");
    CHECK(config_has_password() && config_password_is(BYTES("abcabc")));
    const char *wrong[] = {"", "abc", "abcabcabc", "abcabd", "xbcabc", "abcabcabcabc"};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK(!config_password_is(bytes_of(wrong[i])));
    CHECK(!config_password_is((struct bytes){"abcabc\0", 7}));
    CHECK(load("requirepass \"\\x00a\\x01\\x02\\x00\"\n")); /* any bytes */
    CHECK(config_has_password() && config_password_is((struct bytes){"\0a\1\2\0", 5}));
    CHECK(!config_password_is(BYTES("")));
    CHECK(!config_password_is((struct bytes){"\0a\1\2", 4}));
    CHECK(!config_password_is((struct bytes){"\0a\1\2\0\0", 6}));
    CHECK(!config_password_is((struct bytes){"\1\2a\1\1\2\1\2", 8}));
    CHECK_SET("", "requirepass", "");
    CHECK(!config_has_password());
}

int main(int argc, char **argv) {
    main_argc = argc;
    main_argv = argv;
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(cpu_lists);
    RUN(the_title_is_shown_and_follows_its_template);
    RUN(more_clients_than_files_are_refused_at_run_time);
    RUN(passwords_are_compared_whole);
    return dir_remove();
}
