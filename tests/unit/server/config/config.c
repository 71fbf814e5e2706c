/* options: from texts and command lines to fields, CONFIG GET and SET, and kevy.conf.
 * What a file is stands in server_config_file.c, REWRITE in server_config_rewrite.c, a value's kinds in
 * server_option.c.
 *
 *     test_server_config_config --print-conf > kevy.conf      writes the file that kevy_conf_is_what_the_table_says
 * compares */
#include "server/config/config.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/config/title.h"
#include "server/limits.h"
#include "tests/unit/config_fixture.h"

/* A file of the tree: what __FILE__ is a part of. */
static char *in_tree(const char *name) {
    static char path[4096];
    int root = (int)(strlen(__FILE__) - strlen("tests/unit/server/config/config.c"));
    CHECK(root >= 0);
    snprintf(path, sizeof path, "%.*s%s", root, __FILE__, name);
    return path;
}

/* ---- The table ------------------------------------------------------------------------------------ */

static void names_are_distinct_and_found_in_any_case(void) {
    CHECK(option_count() > 150);
    for (unsigned i = 0; i < option_count(); i++) {
        struct option *option = option_at(i);
        CHECK(option_find(bytes_of(option->name)) == option);
        if (option->alias) CHECK(option_find(bytes_of(option->alias)) == option);
        for (const char *c = option->name; *c; c++) CHECK((*c >= 'a' && *c <= 'z') || strchr("-_", *c));
        CHECK((option->kind == OPTION_ONLY) == (option->why != NULL));
        CHECK(option->kind == OPTION_ONLY || option->help[strlen(option->help) - 1] == '.');
    }
    CHECK(option_find(BYTES("MaxClients")) == option_find(BYTES("maxclients")));
    CHECK(!option_find(BYTES("maxclient")) && !option_find(BYTES("")));
}

static void every_default_reads_back_as_itself(void) {
    config_defaults();
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        if (!option->standard) continue;
        struct option_value before, after;
        struct buffer text = {0};
        char error[OPTION_ERROR_MAX];
        CHECK(option_current(option, &before) && option_current(option, &after));
        CHECK(option_format(option, &before, &text));
        CHECK(option_parse(option, buffer_bytes(&text), &after, error));
        CHECK(option_value_equal(option, &before, &after));
        option_value_free(&before);
        option_value_free(&after);
        buffer_free(&text);
    }
}

static void kevy_conf_is_what_the_table_says(void) {
    char *printed;
    size_t len;
    FILE *out = open_memstream(&printed, &len);
    CHECK(out);
    config_print(out);
    fclose(out);
    if (strcmp(printed, file_text(in_tree("kevy.conf"))) != 0) {
        fprintf(stderr,
                "kevy.conf differs from options.def: test_server_config_config --print-conf > kevy.conf\n");
        exit(1);
    }
    free(printed);
    char *before = strdup(get("*"));
    CHECK(START_WITH(in_tree("kevy.conf")));
    CHECK_GET("*", before);
    free(before);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void values_of_every_kind(void) {
    check_load(
        "maxclients 77\nprotected-mode NO\nproto-max-bulk-len 64Mb\nclient-query-buffer-limit 2m\n"
        "unixsocketperm 0770\nloglevel Warning\nlogfile \"a b\"\nio-sqpoll yes\nbind 10.0.0.1 -::1 *\n"
        "client-output-buffer-limit replica 1mb 2k 3\nslowlog-log-slower-than -1\nrequirepass s3cret\n");
    CHECK_INT(config.maxclients, 77);
    CHECK_INT(config.protected_mode, CONFIG_NO);
    CHECK_INT(config.proto_max_bulk_len, 64 << 20);
    CHECK_INT(config.client_query_buffer_limit, 2000000);
    CHECK_INT(config.unixsocketperm, 0770);
    CHECK_INT(config.loglevel, LOG_LEVEL_WARNING);
    CHECK_BYTES(bytes_of(config.logfile), BYTES("a b"));
    CHECK_INT(config.io_sqpoll, CONFIG_YES);
    CHECK_INT(config.bind_count, 3);
    CHECK_BYTES(bytes_of(config.bind[1]), BYTES("-::1"));
    CHECK_INT(config.client_output_buffer_limit[OUTPUT_LIMIT_REPLICA].hard, 1 << 20);
    CHECK_INT(config.client_output_buffer_limit[OUTPUT_LIMIT_REPLICA].soft, 2000);
    CHECK_INT(config.client_output_buffer_limit[OUTPUT_LIMIT_REPLICA].soft_seconds, 3);
    CHECK_INT(config.client_output_buffer_limit[OUTPUT_LIMIT_PUBSUB].hard,
              32 << 20); /* not named, not changed */
    CHECK_INT(config.slowlog_log_slower_than, -1);
}

static void errors_name_line_text_and_reason(void) {
    check_refused("\nmaxclients abc\n",
                  "test.conf:2: 'maxclients abc': argument couldn't be parsed into an integer\n");
    check_refused("maxclients 0\n",
                  "test.conf:1: 'maxclients 0': argument must be between 1 and 4294967295 inclusive\n");
    check_refused("port\n", "test.conf:1: 'port': wrong number of arguments\n");
    check_refused("port 1 2\n", "test.conf:1: 'port 1 2': wrong number of arguments\n");
    check_refused("logfile \"abc\n", "test.conf:1: 'logfile \"abc': unbalanced quotes\n");
    check_refused("daemonize maybe", "test.conf:1: 'daemonize maybe': argument must be 'yes' or 'no'\n");
    check_refused("loglevel x", "test.conf:1: 'loglevel x': argument(s) must be one of the following: debug, "
                                "verbose, notice, warning\n");
    check_refused(
        "supervised upstart",
        "test.conf:1: 'supervised upstart': argument(s) must be one of the following: systemd, auto, no\n");
    check_refused("unixsocketperm 9",
                  "test.conf:1: 'unixsocketperm 9': argument couldn't be parsed as an octal number\n");
    check_refused("unixsocketperm 1000",
                  "test.conf:1: 'unixsocketperm 1000': argument must be between 0 and 777 inclusive\n");
    check_refused("proto-max-bulk-len 1.5gb",
                  "test.conf:1: 'proto-max-bulk-len 1.5gb': argument must be a memory value\n");
    check_refused("client-output-buffer-limit foo 0 0 0",
                  "test.conf:1: 'client-output-buffer-limit foo 0 0 0': Invalid "
                  "client class specified in buffer limit configuration.\n");
    check_refused("shard-cpus 3-1",
                  "test.conf:1: 'shard-cpus 3-1': argument must be a list of CPUs such as 0-3,6\n");
}

static void an_unknown_name_is_refused_with_the_nearest(void) {
    check_refused("maxclient 5",
                  "test.conf:1: 'maxclient 5': unknown directive; did you mean 'maxclients'?\n");
    check_refused("qqqqqq 5", "test.conf:1: 'qqqqqq 5': unknown directive\n");
    check_refused("\"\" x", "test.conf:1: '\"\" x': unknown directive\n");
}

static void what_does_not_exist_yet_is_accepted_only_off(void) {
    check_load("save \"\"\nappendonly no\nmaxmemory 0mb\nreplicaof no one\nauto-aof-rewrite-min-size 64mb\n"
               "oom-score-adj-values 0 200 800\nlazyfree-lazy-user-del yes\n");
    CHECK_GET("lazyfree-lazy-user-del auto-aof-rewrite-min-size replicaof",
              "auto-aof-rewrite-min-size=67108864\nlazyfree-lazy-user-del=yes\nreplicaof=no one\n");
    check_refused("save 3600 1",
                  "test.conf:1: 'save 3600 1': kevy saves no snapshots yet; only '' is accepted\n");
    check_refused(
        "appendonly yes",
        "test.conf:1: 'appendonly yes': kevy keeps no append-only file yet; only 'no' is accepted\n");
    check_refused("rename-command CONFIG \"\"",
                  "test.conf:1: 'rename-command CONFIG \"\"': kevy does not rename commands\n");
    CHECK_GET("rename-command", "");
}

/* ---- The command line ----------------------------------------------------------------------------- */

static void command_line_options_override_the_file(void) {
    char *file = (char *)file_write("cl.conf", BYTES("port 1\ntimeout 1\n"));
    CHECK(START_WITH(file, "--port", "7000", "--bind", "a", "b", "--save", "--requirepass", "x y"));
    CHECK_INT(config.port, 7000);
    CHECK_INT(config.timeout, 1);
    CHECK_INT(config.bind_count, 2);
    CHECK_BYTES(bytes_of(config.bind[1]), BYTES("b"));
    CHECK(config_password_is(BYTES("x y")));
    CHECK(strcmp(config_file_path(), file) == 0);
}

static void command_line_errors_name_the_option(void) {
    CHECK(!START_WITH("--port", "abc"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '--port abc': argument couldn't be parsed into an integer\n"));
    CHECK(!START_WITH("--prot", "1"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '--prot 1': unknown directive; did you mean 'port'?\n"));
    CHECK(!START_WITH("--port"));
    CHECK(!START_WITH("--port", "1", "--requirepass"));
    char *file = (char *)file_write("cl.conf", BYTES("port 1\n"));
    CHECK(!START_WITH(file, "another"));
    CHECK(strstr(errors_text(), "command line: 'another'"));
}

static void modes_are_recognised(void) {
#define MODE(...)                                                                                            \
    config_mode((int)(sizeof((char *[]){"kevy", __VA_ARGS__}) / sizeof(char *)),                             \
                (char *[]){"kevy", __VA_ARGS__})
    CHECK_INT(MODE("--check-config", "x.conf"), CONFIG_MODE_CHECK);
    CHECK_INT(MODE("x.conf", "--check-config", "--port", "1"), CONFIG_MODE_CHECK);
    CHECK_INT(MODE("--help"), CONFIG_MODE_HELP);
    CHECK_INT(MODE("-h"), CONFIG_MODE_HELP);
    CHECK_INT(MODE("-v"), CONFIG_MODE_VERSION);
    CHECK_INT(MODE("--version"), CONFIG_MODE_VERSION);
    CHECK_INT(MODE("--probe"), CONFIG_MODE_PROBE);
    CHECK_INT(MODE("x.conf", "--requirepass", "-h"), CONFIG_MODE_SERVE);
    CHECK(START_WITH("--check-config", "--port", "5", "--probe"));
    CHECK_INT(config.port, 5);
}

static void standard_input_is_a_file_too(void) {
    int saved = dup(0), fd = open(file_write("in.conf", BYTES("maxclients 8\nport x\n")), O_RDONLY);
    CHECK(saved >= 0 && fd >= 0 && dup2(fd, 0) == 0);
    CHECK(!START_WITH("-", "--timeout", "3"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("standard input:2: 'port x': argument couldn't be parsed into an integer\n"));
    CHECK_INT(config.maxclients, 8);
    CHECK_INT(config.timeout, 3);
    CHECK_BYTES(bytes_of(config_file_path()), BYTES(""));
    CHECK(dup2(saved, 0) == 0);
    close(saved);
    close(fd);
}

static void debians_redis_conf_is_understood(void) {
    if (access("/etc/redis/redis.conf", R_OK) != 0) {
        printf("   (no /etc/redis/redis.conf here)\n");
        return;
    }
    if (START_WITH("/etc/redis/redis.conf", "--supervised", "systemd", "--daemonize", "no")) return;
    fprintf(stderr, "%s", errors_text());
    exit(1);
}

/* ---- Relations ------------------------------------------------------------------------------------ */

static bool checks(const char *text) {
    check_load(text);
    errors.len = 0;
    return config_check(&errors);
}

static void options_that_contradict_each_other_are_refused(void) {
    cpu_set_t mine;
    CHECK_INT(sched_getaffinity(0, sizeof mine, &mine), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &mine)) cpu++;
    char text[128];

    CHECK(checks(""));
    CHECK_INT(config_shards(), CPU_COUNT(&mine));
    snprintf(text, sizeof text, "shard-cpus %d\n", cpu);
    CHECK(checks(text));
    CHECK_INT(config_shards(), 1);
    snprintf(text, sizeof text, "shards 2\nshard-cpus %d\n", cpu);
    CHECK(!checks(text));
    CHECK_BYTES(bytes_of(errors_text()), BYTES("shard-cpus: 1 CPUs for 2 shards\n"));
    CHECK(!checks("io-sqpoll no\nio-sqpoll-threads 1\n"));
    CHECK(!checks("shards 1\nio-sqpoll-threads 2\n"));
    CHECK(!checks("shard-cpus 1023\n"));
    CHECK(strstr(errors_text(), "may not run on CPU 1023"));
    CHECK(!checks("dir /no/such/place\n"));
    CHECK(strstr(errors_text(), "dir: '/no/such/place': No such file or directory"));
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

/* ---- What the process becomes --------------------------------------------------------------------- */

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

static void apply_and_look(void) {
    char text[256], here[256];
    snprintf(text, sizeof text, "dir %s\nlogfile kevy.log\nmaxclients 60000\nloglevel warning\n", dir);
    struct rlimit low = {700, 700};
    cpu_set_t mine;
    CHECK_INT(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (int cpu = 0, kept = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine) && kept++) CPU_CLR(cpu, &mine);
    CHECK_INT(sched_setaffinity(0, sizeof mine, &mine), 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    if (geteuid() == 0) CHECK_INT(setresuid(65534, 65534, 65534), 0); /* so that it cannot be raised again */
    check_load(text);
    CHECK(config_apply(&errors));
    CHECK(getcwd(here, sizeof here) && strcmp(here, config.dir) == 0 && strcmp(here, dir) == 0);
    CHECK_INT(config.maxclients, 700 - 32 - 16);
    CHECK(strstr(file_text("kevy.log"), "# maxclients lowered from 60000 to 652"));
}

static void apply_enters_dir_opens_the_log_and_fits_maxclients_to_the_limit(void) {
    CHECK_INT(chmod(dir, 0777), 0);
    in_child(apply_and_look);
}

static void show_title_and_look(void) {
    char shown[512] = "";
    title_keep(main_argc, main_argv);
    check_load("bind -::1\nport 77\nproc-title-template \"{title}|{listen-addr}|{server-mode}|{port}|\"\n");
    char *expected;
    CHECK(asprintf(&expected, "%s|[::1]:77||77|", main_argv[0]) > 0);
    title_show();
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
    free(expected);
}

static void the_title_is_shown_and_follows_its_template(void) {
    in_child(show_title_and_look);
}

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

static void get_shows_redis_formats(void) {
    check_load("proto-max-bulk-len 1gb\nunixsocketperm 700\n");
    CHECK_GET("proto-max-bulk-len", "proto-max-bulk-len=1073741824\n");
    CHECK_GET("unixsocketperm", "unixsocketperm=700\n");
    CHECK_GET("bind", "bind=127.0.0.1 -::1\n");
    CHECK_GET("save", "save=\n");
    CHECK_GET(
        "client-output-buffer-limit",
        "client-output-buffer-limit=normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60\n");
}

static void get_takes_several_patterns_once_each_in_any_case(void) {
    config_defaults();
    CHECK_GET("MAXC* m?xclients maxclients", "maxclients=10000\n");
    CHECK_GET("MaxClients", "MaxClients=10000\n");
    CHECK_GET("slave-prio* replica-prio*", "replica-priority=100\nslave-priority=100\n");
    CHECK_GET("nothing", "");
    CHECK_GET("user loadmodule", "");
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

static void set_gives_redis_errors(void) {
    config_defaults();
#define FAILED(name, why) "ERR CONFIG SET failed (possibly related to argument '" name "') - " why
    CHECK_SET("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'", "nosuch", "1");
    CHECK_SET("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'", "maxclients", "x",
              "nosuch", "1");
    CHECK_SET(FAILED("maxclients", "duplicate parameter"), "maxclients", "1", "maxclients", "2");
    CHECK_SET(FAILED("databases", "can't set immutable config"), "databases", "3", "nosuch", "1");
    CHECK_SET(FAILED("dir", "can't set protected config"), "dir", "/tmp");
    CHECK_SET(FAILED("timeout", "argument must be between 0 and 2147483647 inclusive"), "timeout", "-1");
    CHECK_SET(FAILED("timeout", "argument couldn't be parsed into an integer"), "timeout", "05");
    CHECK_SET(
        FAILED("client-output-buffer-limit", "Wrong number of arguments in buffer limit configuration."),
        "client-output-buffer-limit", "normal 1 1");
    CHECK_SET(FAILED("client-output-buffer-limit",
                     "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
              "client-output-buffer-limit", "normal 1 1 -1");
    CHECK_SET(FAILED("proc-title-template", "template format is invalid or contains unknown variables"),
              "proc-title-template", "{foo}");
    CHECK_SET(FAILED("appendonly", "kevy keeps no append-only file yet; only 'no' is accepted"), "appendonly",
              "yes");
    CHECK_SET("", "appendonly", "no");
    CHECK_SET("", "save", "");
    CHECK_SET("", "client-output-buffer-limit", "slave 1mb 1 1 pubsub 0 0 0");
    CHECK_GET("client-output-buffer-limit",
              "client-output-buffer-limit=normal 0 0 0 slave 1048576 1 1 pubsub 0 0 0\n");
}

static void set_changes_all_or_nothing(void) {
    config_defaults();
    CHECK_SET(FAILED("maxclients", "argument couldn't be parsed into an integer"), "timeout", "5",
              "requirepass", "x", "maxclients", "abc");
    CHECK_INT(config.timeout, 0);
    CHECK(!config_has_password());
    CHECK_SET("", "TIMEOUT", "5", "requirepass", "x", "maxclients", "12");
    CHECK(config.timeout == 5 && config.maxclients == 12 && config_has_password());
}

static void set_of_more_pairs_than_options_is_refused(void) {
    config_defaults();
    uint32_t count = 2 * option_count();
    struct bytes *pairs = calloc(2 * count, sizeof *pairs);
    char error[CONFIG_ERROR_MAX];
    CHECK(pairs);
    for (uint32_t i = 0; i < 2 * count; i += 2) pairs[i] = BYTES("timeout"), pairs[i + 1] = BYTES("1");
    CHECK(!config_set(pairs, count, error));
    CHECK(strstr(error, "duplicate parameter"));
    free(pairs);
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
    CHECK_SET("", "requirepass", "");
    CHECK(!config_has_password());
}

static void *set_and_get(void *password) {
    for (int i = 0; i < 300; i++) {
        struct bytes pairs[] = {BYTES("requirepass"), bytes_of(password), BYTES("timeout"), BYTES("7")},
                     all = BYTES("*");
        char error[CONFIG_ERROR_MAX];
        CHECK(config_set(pairs, 2, error));
        CHECK(!config_password_is(BYTES("neither")));
        config_get(&all, 1, NULL, NULL);
    }
    return NULL;
}

static void threads_may_set_and_get_at_the_same_time(void) {
    config_defaults();
    pthread_t threads[3];
    char *passwords[] = {"one", "another one", "a third"};
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, set_and_get, passwords[i]), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK(config_password_is(BYTES("one")) || config_password_is(BYTES("another one")) ||
          config_password_is(BYTES("a third")));
}

/* ---- Random bytes --------------------------------------------------------------------------------- */

static void random_texts_never_break_anything(void) {
    static const char *const pieces[] = {"maxclients",
                                         "bind",
                                         "client-output-buffer-limit",
                                         "normal",
                                         "requirepass",
                                         "\"",
                                         "'",
                                         "\\x",
                                         " ",
                                         "\n",
                                         "\t",
                                         "64mb",
                                         "-1",
                                         "save",
                                         "port",
                                         "99999999999999999999",
                                         "#",
                                         "proc-title-template",
                                         "{port}",
                                         "{",
                                         "yes"};
    unsigned long long seed = check_seed();
    for (int round = 0; round < 3000; round++) {
        struct buffer text = {0};
        for (unsigned n = check_random(&seed) % 30; n; n--) {
            unsigned long long r = check_random(&seed);
            char byte = (char)(r >> 32);
            const char *piece = pieces[(r >> 8) % (sizeof pieces / sizeof pieces[0])];
            CHECK(buffer_append(&text, r % 4 ? bytes_of(piece) : (struct bytes){&byte, 1}, SIZE_MAX));
        }
        errors.len = 0;
        config_defaults();
        bool ok = config_load_text("random", buffer_bytes(&text), &errors);
        CHECK(ok == (errors.len == 0)); /* never refused without a reason */
        CHECK(config.maxclients >= 1 && config.bind_count <= CONFIG_BIND_MAX && config.port <= 65535);
        buffer_free(&text);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print-conf") == 0) {
        config_print(stdout);
        return 0;
    }
    main_argc = argc;
    main_argv = argv;
    CHECK(mkdtemp(dir));
    config.loglevel = LOG_LEVEL_WARNING;
    RUN(names_are_distinct_and_found_in_any_case);
    RUN(every_default_reads_back_as_itself);
    RUN(kevy_conf_is_what_the_table_says);
    RUN(values_of_every_kind);
    RUN(errors_name_line_text_and_reason);
    RUN(an_unknown_name_is_refused_with_the_nearest);
    RUN(what_does_not_exist_yet_is_accepted_only_off);
    RUN(command_line_options_override_the_file);
    RUN(command_line_errors_name_the_option);
    RUN(modes_are_recognised);
    RUN(standard_input_is_a_file_too);
    RUN(debians_redis_conf_is_understood);
    RUN(options_that_contradict_each_other_are_refused);
    RUN(cpu_lists);
    RUN(apply_enters_dir_opens_the_log_and_fits_maxclients_to_the_limit);
    RUN(the_title_is_shown_and_follows_its_template);
    RUN(get_shows_redis_formats);
    RUN(get_takes_several_patterns_once_each_in_any_case);
    RUN(set_gives_redis_errors);
    RUN(set_changes_all_or_nothing);
    RUN(set_of_more_pairs_than_options_is_refused);
    RUN(more_clients_than_files_are_refused_at_run_time);
    RUN(passwords_are_compared_whole);
    RUN(threads_may_set_and_get_at_the_same_time);
    RUN(random_texts_never_break_anything);
    return dir_remove();
}
