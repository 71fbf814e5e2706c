/* redis.conf's syntax: lines, words, quotes, include; and where in which file something is wrong. */
#include "server/config/config_file.h"

#include <errno.h>

#include "server/config/renames.h"
#include "tests/unit/config_fixture.h"

/* ---- Lines and words ------------------------------------------------------------------------------ */

static void lines_are_taken_without_the_blanks_around_them(void) {
    struct bytes rest = BYTES("  one\t \r\n\n\r\n\ttwo words # not a comment"), line;
    static const char *const lines[] = {"one", "", "", "two words # not a comment"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        CHECK(config_file_next_line(&rest, &line));
        CHECK_BYTES(line, bytes_of(lines[i]));
    }
    CHECK(!config_file_next_line(&rest, &line) && rest.len == 0);
    CHECK(config_file_is_comment(BYTES("")) && config_file_is_comment(BYTES("#x")));
    CHECK(!config_file_is_comment(BYTES("x#")));
}

/* The words of a line, joined by '|'; or what is wrong with it. */
static const char *split(struct bytes line) {
    static char joined[256];
    struct request_args words = {0};
    char *memory;
    const char *error = config_file_split(line, &memory, &words);
    size_t len = 0;
    for (uint32_t i = 0; !error && i < words.argc; i++)
        len += (size_t)snprintf(joined + len, sizeof joined - len, "%s%.*s", i ? "|" : "",
                                (int)words.argv[i].len, words.argv[i].data);
    joined[len] = '\0';
    request_args_free(&words);
    free(memory);
    return error ? error : joined;
}
#define CHECK_SPLIT(line, expected) CHECK_BYTES(bytes_of(split(BYTES(line))), bytes_of(expected))

static void words_are_split_with_redis_s_quotes(void) {
    CHECK_SPLIT("a  b\tc", "a|b|c");
    CHECK_SPLIT("\"a b\" 'c d'", "a b|c d");
    CHECK_SPLIT("\"\" x ''", "|x|");
    CHECK_SPLIT("\"\\x41\\n\\\"\"", "A\n\"");
    CHECK_SPLIT("'\\x41\\''", "\\x41'");
    CHECK_SPLIT("a\\b", "a\\b");
    CHECK_SPLIT("\"a", "unbalanced quotes");
    CHECK_SPLIT("'a", "unbalanced quotes");
    CHECK_SPLIT("\"a\"b", "unbalanced quotes");
    CHECK_SPLIT("\"a\\\"", "unbalanced quotes");
    CHECK_SPLIT("a\0b", "line holds a NUL byte");
}

static void words_are_joined_by_single_spaces(void) {
    struct bytes words[] = {BYTES("a b"), BYTES(""), BYTES("c")};
    struct buffer text = {0};
    CHECK(config_file_join(words, 0, &text) && text.len == 0);
    CHECK(config_file_join(words, 3, &text));
    CHECK_BYTES(buffer_bytes(&text), BYTES("a b  c"));
    buffer_free(&text);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void a_file_is_read_whole_up_to_its_maximum(void) {
    struct buffer text = {0};
    char *large = malloc(CONFIG_FILE_MAX + 1);
    CHECK(large);
    memset(large, '#', CONFIG_FILE_MAX + 1);
    CHECK_INT(config_file_slurp(file_write("fits", (struct bytes){large, CONFIG_FILE_MAX - 1}), &text), 0);
    CHECK_INT(text.len, CONFIG_FILE_MAX - 1);
    buffer_free(&text);
    CHECK_INT(config_file_slurp(file_write("large", (struct bytes){large, CONFIG_FILE_MAX + 1}), &text),
              -EFBIG);
    buffer_free(&text);
    CHECK_INT(config_file_slurp(in_dir("gone"), &text), -ENOENT);
    free(large);
}

static void each_option_takes_as_many_words_as_it_has_room_for(void) {
    check_refused("timeout\n", "test.conf:1: 'timeout': wrong number of arguments\n");
    check_refused("timeout 1 2\n", "test.conf:1: 'timeout 1 2': wrong number of arguments\n");
    check_refused("client-output-buffer-limit\n",
                  "test.conf:1: 'client-output-buffer-limit': wrong number of arguments\n");
    check_refused("include\n", "test.conf:1: 'include': wrong number of arguments\n");
    check_refused("include a b\n", "test.conf:1: 'include a b': wrong number of arguments\n");
    check_load("bind\n");
    check_refused("include \"\"\n", "test.conf:1: 'include \"\"': not a path\n");
}

/* A file may be read twice, one after the other; only itself within itself it may not. */
static void a_file_may_be_included_twice_but_not_within_itself(void) {
    char text[512], expected[512];
    file_write("twice.part", BYTES("timeout 3\n"));
    snprintf(text, sizeof text, "include %s/twice.part\ninclude %s/twice.part\n", dir, dir);
    check_load(text);
    CHECK_INT(config.timeout, 3);
    snprintf(text, sizeof text, "timeout 1\ninclude %s/b.loop\n", dir);
    file_write("a.loop", bytes_of(text));
    snprintf(text, sizeof text, "\n\ninclude %s/a.loop\n", dir);
    file_write("b.loop", bytes_of(text));
    snprintf(text, sizeof text, "include %s/a.loop\n", dir);
    snprintf(expected, sizeof expected, "%s/b.loop:3: 'include %s/a.loop': the file includes itself\n", dir,
             dir);
    check_refused(text, expected);
}

/* ---- Whole texts ---------------------------------------------------------------------------------- */

static void later_lines_comments_blanks_and_line_ends(void) {
    check_load(
        "# maxclients 1\n\n  \t maxclients 2 \t\r\n\r\nMAXCLIENTS 3\r\n   # maxclients 4\ntimeout '5'");
    CHECK_INT(config.maxclients, 3);
    CHECK_INT(config.timeout, 5);
    check_load("bind\n");
    CHECK_INT(config.bind_count, 0);
    check_load("bind \"10.0.0.1 10.0.0.2\"\nslave-read-only yes\n");
    CHECK_INT(config.bind_count, 2);
}

static void all_errors_are_told_at_once(void) {
    check_refused("port x\nmaxclients 5\ntimeout y\n",
                  "test.conf:1: 'port x': argument couldn't be parsed into an integer\n"
                  "test.conf:3: 'timeout y': argument couldn't be parsed into an integer\n");
    CHECK_INT(config.maxclients, 5);
}

static void errors_repeat_no_password_and_no_control_bytes(void) {
    check_refused("requirepass secret word", "test.conf:1: 'requirepass...': wrong number of arguments\n");
    check_refused("na\x1bme x", "test.conf:1: 'na?me...': unknown directive\n");
    CHECK(!load_bytes("t", (struct bytes){"port\0 5", 7}));
    CHECK(strstr(errors_text(), "line holds a NUL byte"));
}

static void a_line_too_long_is_refused(void) {
    size_t len = 70000;
    char *line = malloc(len + 1);
    CHECK(line);
    memset(line, 'x', len);
    line[len] = '\0';
    CHECK(!load(line));
    CHECK(strstr(errors_text(), "xxx...': line is too long"));
    free(line);
}

static void files_that_cannot_be_read_are_refused(void) {
    CHECK(!START_WITH((char *)in_dir("missing.conf")));
    CHECK(strstr(errors_text(), "missing.conf': can't read: No such file or directory"));
    CHECK(!START_WITH(dir));
    CHECK(strstr(errors_text(), "': can't read: Is a directory"));
    CHECK(!START_WITH("/dev/zero"));
    CHECK(strstr(errors_text(), "': can't read: File too large"));
}

static void include_reads_files_in_their_place(void) {
    char text[512];
    file_write("a.inc", BYTES("timeout 1\nmaxclients 10\n"));
    file_write("b.inc", BYTES("timeout 2\n"));
    snprintf(text, sizeof text, "maxclients 9\ninclude %s/*.inc\ninclude %s/none*.inc\ntcp-keepalive 3\n",
             dir, dir);
    check_load(text);
    CHECK_INT(config.timeout, 2);
    CHECK_INT(config.maxclients, 10);
    CHECK_INT(config.tcp_keepalive, 3);
}

static void errors_in_an_included_file_name_it(void) {
    char text[256], expected[256];
    file_write("bad.conf", BYTES("\n\nport x\n"));
    snprintf(text, sizeof text, "include %s/bad.conf\n", dir);
    snprintf(expected, sizeof expected,
             "%s/bad.conf:3: 'port x': argument couldn't be parsed into an integer\n", dir);
    check_refused(text, expected);
    snprintf(text, sizeof text, "include %s/gone.conf\n", dir);
    CHECK(!load(text));
    CHECK(strstr(errors_text(), "test.conf:1: 'include ") &&
          strstr(errors_text(), "No such file or directory"));
}

static void include_loops_and_floods_end(void) {
    char text[256], name[32];
    snprintf(text, sizeof text, "include %s/loop.conf\n", dir);
    file_write("loop.conf", bytes_of(text));
    CHECK(!load(text));
    CHECK(strstr(errors_text(), "the file includes itself"));

    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "deep%d.conf", i);
        snprintf(text, sizeof text, "include %s/deep%d.conf\n", dir, i + 1);
        file_write(name, bytes_of(text));
    }
    snprintf(text, sizeof text, "include %s/deep0.conf\n", dir);
    CHECK(!load(text));
    CHECK(strstr(errors_text(), "too deeply"));

    for (int i = 0; i < 12; i++) { /* each includes the next twice: 4,096 files in the end */
        snprintf(name, sizeof name, "wide%d.conf", i);
        snprintf(text, sizeof text, "include %s/wide%d.conf\ninclude %s/wide%d.conf\n", dir, i + 1, dir,
                 i + 1);
        file_write(name, i < 11 ? bytes_of(text) : BYTES("timeout 1\n"));
    }
    snprintf(text, sizeof text, "include %s/wide0.conf\n", dir);
    CHECK(!load(text));
    CHECK(strstr(errors_text(), "too many files are included"));
}

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

static void lines_of_save_add_to_each_other(void) {
    check_load("port 1\n");
    CHECK_GET("save", "save=3600 1 300 100 60 10000\n");
    check_load("save 900 1\nsave 60 10 30 100\n");
    CHECK_GET("save", "save=900 1 60 10 30 100\n");
    check_load("save 900 1\nsave \"\"\nsave 60 10\n");
    CHECK_GET("save", "save=60 10\n");
    check_load("save \"\"\n");
    CHECK_GET("save", "save=\n");
    struct config_save_point points[CONFIG_SAVE_POINTS_MAX];
    CHECK(!config_saves() && config_save_points(points) == 0);
    check_load("save 900 1\nsave 60 10\n");
    CHECK(config_saves() && config_save_points(points) == 2);
    CHECK(points[0].seconds == 900 && points[0].changes == 1 && points[1].seconds == 60 &&
          points[1].changes == 10);
    check_refused("save 60", "test.conf:1: 'save 60': Invalid save parameters\n");
}

static void an_unknown_name_is_refused_with_the_nearest(void) {
    check_refused("maxclient 5",
                  "test.conf:1: 'maxclient...': unknown directive; did you mean 'maxclients'?\n");
    check_refused("qqqqqq 5", "test.conf:1: 'qqqqqq...': unknown directive\n");
    check_refused("\"\" x", "test.conf:1: '\"\" x': unknown directive\n");
}

static void what_does_not_exist_yet_is_accepted_only_off(void) {
    check_load("save \"\"\naof-use-rdb-preamble yes\nmaxmemory 0mb\nreplicaof no "
               "one\nauto-aof-rewrite-min-size 64mb\n"
               "oom-score-adj-values 0 200 800\nlazyfree-lazy-user-del yes\n");
    CHECK_GET("lazyfree-lazy-user-del auto-aof-rewrite-min-size replicaof",
              "auto-aof-rewrite-min-size=67108864\nlazyfree-lazy-user-del=yes\nreplicaof=no one\n");
    check_refused("activedefrag yes",
                  "test.conf:1: 'activedefrag yes': kevy does not defragment; only 'no' is accepted\n");
    CHECK_GET("user loadmodule sentinel", "");
}

/* Commands are renamed when all of it was read. */
static void renames_are_kept_for_later(void) {
    config_renames_forget();
    check_load("rename-command GET \"a b\"\nRename-Command set ''\n");
    CHECK_BYTES(config_rename_at(0)->from, BYTES("GET"));
    CHECK_BYTES(config_rename_at(0)->to, BYTES("a b"));
    CHECK_INT(config_rename_at(0)->place.line, 1);
    CHECK(config_rename_at(1)->to.len == 0 && config_rename_at(1)->place.line == 2 && !config_rename_at(2));
    check_refused("rename-command GET", "test.conf:1: 'rename-command GET': wrong number of arguments\n");
    check_refused("rename-command GET secret more",
                  "test.conf:1: 'rename-command GET...': wrong number of arguments\n");
    check_refused("rename-command", "test.conf:1: 'rename-command': wrong number of arguments\n");
    CHECK(!config_rename_at(2));
    config_renames_forget();
}

/* ---- Files of other servers ----------------------------------------------------------------------- */

static void every_directive_of_every_version_is_known(void) {
    char *names = strdup(file_text(IN_TREE("tests/unit/server/config/directives.txt"))), *rest = names;
    unsigned count = 0;
    for (char *name; (name = strsep(&rest, "\n"));) {
        if (!*name || *name == '#') continue;
        load(name); /* without a value: wrong, but not unknown */
        if (strstr(errors_text(), "unknown")) fprintf(stderr, "%s", errors_text());
        CHECK(!strstr(errors_text(), "unknown"));
        count++;
    }
    CHECK(count > 270);
    free(names);
}

static char effects[4096];

static void note_effect(void *unused, const char *line) {
    (void)unused;
    size_t len = strlen(effects);
    snprintf(effects + len, sizeof effects - len, "%s\n", line);
}

/* What stands in the files of Redis 2.8 to 8 and Valkey 7.2 to 9, and in those of widely used roles and charts: accepted
 * as it is (""), accepted without effect ("~" and why), or refused (why). */
static const struct {
    const char *line, *outcome;
} met[] = {
    {"aclfile /etc/redis/users.acl", "kevy has no access control lists yet; only '' is accepted"},
    {"activedefrag yes", "kevy does not defragment; only 'no' is accepted"},
    {"always-show-logo yes", "~kevy has no logo to show"},
    {"aof-use-rdb-preamble no", ""},
    {"cluster-node-timeout 5000", "~kevy is a cluster of one node at most"},
    {"crash-memcheck-enabled yes", "~kevy leaves crashes to the kernel's core dumps"},
    {"dual-channel-replication-enabled no", ""},
    {"hide-user-data-from-log yes", ""},
    {"hide-user-data-from-log no", ""},
    {"hz 100", "~kevy does its upkeep at every turn, not at a frequency"},
    {"import-mode yes",
     "kevy imports from no other server, and expires keys as they fall due; only 'no' is accepted"},
    {"io-threads 4", "~kevy divides its work by shards: see shards"},
    {"io-threads 0", "argument must be between 1 and 128 inclusive"},
    {"list-max-ziplist-entries 512", ""},
    {"list-max-ziplist-value 64", ""},
    {"list-max-ziplist-size -1", "~kevy keeps lists in nodes of its own sizes"},
    {"loadmodule /x.so", "kevy has no modules"},
    {"locale-collate \"\"", ""},
    {"locale-collate en_US.UTF-8",
     "kevy compares bytes, in no locale; only '' or 'C' or 'POSIX' is accepted"},
    {"log-format json", "kevy writes its log as Redis does; only 'legacy' is accepted"},
    {"masterauth s3cret", "~kevy does not replicate yet"},
    {"maxmemory 2gb", "kevy does not limit its memory yet; only '0' is accepted"},
    {"maxmemory-policy allkeys-lru", "~kevy does not limit its memory yet"},
    {"maxmemory-policy volatile-lru", "~kevy does not limit its memory yet"},
    {"min-replicas-max-lag 5", "~kevy does not replicate yet"},
    {"min-replicas-to-write 1", "kevy does not replicate yet; only '0' is accepted"},
    {"min-slaves-to-write 1", "kevy does not replicate yet; only '0' is accepted"},
    {"rdb-del-sync-files yes", "~kevy does not replicate yet"},
    {"repl-diskless-sync no", "~kevy does not replicate yet"},
    {"replica-lazy-flush yes", "~kevy does not replicate yet"},
    {"replicaof 10.0.0.1 6379", "kevy does not replicate yet; only '' or 'no one' is accepted"},
    {"save 900 1", ""},
    {"save 3600 1 300 100 60 10000", ""},
    {"sentinel monitor m 127.0.0.1 6379 2", "kevy is no Sentinel"},
    {"server_cpulist 0-3", "kevy pins its threads by shard-cpus; only '' is accepted"},
    {"set-max-listpack-entries 128", ""},
    {"set-max-listpack-value 64", ""},
    {"shutdown-on-sigterm nosave now", ""},
    {"shutdown-on-sigterm force save", ""},
    {"shutdown-on-sigterm save nosave", "argument(s) must be one of the following: default, save, nosave"},
    {"slave-announce-ip 10.0.0.1", "~kevy does not replicate yet"},
    {"slave-announce-port 6379", "~kevy does not replicate yet"},
    {"slaveof 10.0.0.1 6379", "kevy does not replicate yet; only '' or 'no one' is accepted"},
    {"syslog-enabled yes", "kevy logs to a file or to its standard output; only 'no' is accepted"},
    {"syslog-ident kevy", "~kevy logs to a file or to its standard output"},
    {"tls-cert-file /x.crt", "~kevy does not speak TLS yet"},
    {"tls-port 6380", "kevy does not speak TLS yet; only '0' is accepted"},
    {"user alice on +@all ~* >x", "kevy knows no users besides the default one yet"},
};

static void lines_of_other_versions_are_taken_or_refused_with_a_reason(void) {
    for (size_t i = 0; i < sizeof met / sizeof *met; i++) {
        const char *outcome = met[i].outcome;
        bool accepted = load(met[i].line);
        effects[0] = '\0';
        config_without_effect(note_effect, NULL);
        bool right = *outcome == '~' ? accepted && strstr(effects, outcome + 1)
                     : *outcome      ? !accepted && strstr(errors_text(), outcome) && !*effects
                                     : accepted && !*effects;
        if (!right) fprintf(stderr, "%s: '%s' '%s'\n", met[i].line, accepted ? "" : errors_text(), effects);
        CHECK(right);
        CHECK(!strstr(effects, "s3cret"));
    }
    config_defaults();
    effects[0] = '\0';
    config_without_effect(note_effect, NULL);
    CHECK(!*effects);
}

static void a_byte_order_mark_is_skipped_at_the_head_alone(void) {
    check_load("\xef\xbb\xbfmaxclients 5\n");
    CHECK_INT(config.maxclients, 5);
    check_load("\xef\xbb\xbf# maxclients 5\n");
    CHECK(!load("maxclients 5\n\xef\xbb\xbfmaxclients 6\n"));
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
        config_defaults();
        load_bytes("random", buffer_bytes(&text));
        CHECK(config.maxclients >= 1 && config.bind_count <= CONFIG_BIND_MAX && config.port <= 65535);
        buffer_free(&text);
    }
}

int main(void) {
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    RUN(lines_are_taken_without_the_blanks_around_them);
    RUN(words_are_split_with_redis_s_quotes);
    RUN(words_are_joined_by_single_spaces);
    RUN(a_file_is_read_whole_up_to_its_maximum);
    RUN(each_option_takes_as_many_words_as_it_has_room_for);
    RUN(a_file_may_be_included_twice_but_not_within_itself);
    RUN(later_lines_comments_blanks_and_line_ends);
    RUN(all_errors_are_told_at_once);
    RUN(errors_repeat_no_password_and_no_control_bytes);
    RUN(a_line_too_long_is_refused);
    RUN(files_that_cannot_be_read_are_refused);
    RUN(include_reads_files_in_their_place);
    RUN(errors_in_an_included_file_name_it);
    RUN(include_loops_and_floods_end);
    RUN(values_of_every_kind);
    RUN(errors_name_line_text_and_reason);
    RUN(lines_of_save_add_to_each_other);
    RUN(an_unknown_name_is_refused_with_the_nearest);
    RUN(what_does_not_exist_yet_is_accepted_only_off);
    RUN(renames_are_kept_for_later);
    RUN(every_directive_of_every_version_is_known);
    RUN(lines_of_other_versions_are_taken_or_refused_with_a_reason);
    RUN(a_byte_order_mark_is_skipped_at_the_head_alone);
    RUN(random_texts_never_break_anything);
    return dir_remove();
}
