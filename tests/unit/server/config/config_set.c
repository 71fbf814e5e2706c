/* CONFIG GET and SET: formats, patterns, errors, all or nothing. */
#include "server/config/config.h"

#include <pthread.h>

#include "tests/unit/config_fixture.h"

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

static void get_shows_redis_formats(void) {
    check_load("proto-max-bulk-len 1gb\nunixsocketperm 700\n");
    CHECK_GET("proto-max-bulk-len", "proto-max-bulk-len=1073741824\n");
    CHECK_GET("unixsocketperm", "unixsocketperm=700\n");
    CHECK_GET("bind", "bind=127.0.0.1 -::1\n");
    CHECK_GET("save", "save=3600 1 300 100 60 10000\n");
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

static void get_shows_what_redis_7_0_lacks_only_by_its_whole_name(void) {
    config_defaults();
    CHECK_GET("locale-c*", "");
    CHECK_GET("locale-collate", "locale-collate=\n");
    CHECK_GET("primarya*", "");
    CHECK_GET("primaryauth", "primaryauth=\n");
    CHECK_GET("lua-*", "lua-time-limit=5000\n");
}

static void set_of_what_has_no_effect_is_taken_and_logged(void) {
    config_defaults();
    CHECK_INT(log_open(in_dir("log")), 0);
    log_set_level(LOG_LEVEL_NOTICE);
    CHECK_SET("", "hz", "100", "masterauth", "s3cret", "timeout", "1");
    CHECK_GET("hz masterauth", "masterauth=s3cret\nhz=100\n");
    const char *log = file_text(in_dir("log"));
    CHECK(strstr(log, "* hz 100: no effect: kevy does its upkeep at every turn, not at a frequency\n"));
    CHECK(strstr(log, "* masterauth ...: no effect: kevy does not replicate yet\n"));
    CHECK(!strstr(log, "s3cret") && !strstr(log, "timeout"));
    CHECK_SET("", "hz", "10");
    CHECK(!strstr(file_text(in_dir("log")), "hz 10:"));
    log_set_level(LOG_LEVEL_WARNING);
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
    CHECK_SET(FAILED("activedefrag", "kevy does not defragment; only 'no' is accepted"), "activedefrag",
              "yes");
    CHECK_SET("", "activedefrag", "no");
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

static bool refuse(void *context, char error[CONFIG_ERROR_MAX]) {
    CHECK(config.timeout == 9 && config_has_password() && config_saves());
    snprintf(error, CONFIG_ERROR_MAX, "ERR %s", (const char *)context);
    return false;
}

static void what_cannot_be_followed_is_undone(void) {
    static const struct bytes pairs[] = {BYTES_INIT("timeout"), BYTES_INIT("9"),    BYTES_INIT("requirepass"),
                                         BYTES_INIT("x"),       BYTES_INIT("save"), BYTES_INIT("60 1")};
    static char why[] = "no";
    struct config_follower follower = {refuse, why};
    char error[CONFIG_ERROR_MAX];
    config_defaults();
    CHECK_SET("", "timeout", "5", "save", "");
    option_find(BYTES("timeout"))->set = false;
    CHECK(!config_set(pairs, 3, follower, error));
    CHECK_BYTES(bytes_of(error), BYTES("ERR no"));
    CHECK(config.timeout == 5 && !config_has_password() && !config_saves());
    CHECK(!option_find(BYTES("timeout"))->set && option_find(BYTES("save"))->set);
}

static void set_of_more_pairs_than_options_is_refused(void) {
    config_defaults();
    uint32_t count = 2 * option_count();
    struct bytes *pairs = calloc(2 * count, sizeof *pairs);
    char error[CONFIG_ERROR_MAX];
    CHECK(pairs);
    for (uint32_t i = 0; i < 2 * count; i += 2) pairs[i] = BYTES("timeout"), pairs[i + 1] = BYTES("1");
    CHECK(!config_set(pairs, count, (struct config_follower){0}, error));
    CHECK(strstr(error, "duplicate parameter"));
    free(pairs);
}

static void ignore_count(void *context, uint32_t matches) {
    (void)context;
    CHECK(matches > 100);
}

static void ignore_pair(void *context, struct bytes name, struct bytes value) {
    (void)context, (void)value;
    CHECK(name.len > 0);
}

static void *set_and_get(void *password) {
    for (int i = 0; i < 300; i++) {
        struct bytes pairs[] = {BYTES("requirepass"), bytes_of(password), BYTES("timeout"), BYTES("7")},
                     all = BYTES("*");
        char error[CONFIG_ERROR_MAX];
        CHECK(config_set(pairs, 2, (struct config_follower){0}, error));
        CHECK(!config_password_is(BYTES("neither")));
        CHECK(config_get(&all, 1, ignore_count, ignore_pair, NULL));
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

int main(void) {
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(get_shows_redis_formats);
    RUN(get_takes_several_patterns_once_each_in_any_case);
    RUN(get_shows_what_redis_7_0_lacks_only_by_its_whole_name);
    RUN(set_of_what_has_no_effect_is_taken_and_logged);
    RUN(set_gives_redis_errors);
    RUN(set_changes_all_or_nothing);
    RUN(what_cannot_be_followed_is_undone);
    RUN(set_of_more_pairs_than_options_is_refused);
    RUN(threads_may_set_and_get_at_the_same_time);
    return dir_remove();
}
