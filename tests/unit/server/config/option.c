/* One option: what its text means, what is refused and why, and its way into the field and back. */
#include "server/config/option.h"

#include "server/limits.h"
#include "server/log.h"
#include "tests/check.h"

static struct option *option(const char *name) {
    struct option *found = option_find(bytes_of(name));
    CHECK(found);
    return found;
}

/* The value as CONFIG GET would show it, or "!" and the error. */
static const char *parsed(const char *name, const char *text) {
    static char shown[512];
    char error[OPTION_ERROR_MAX] = "no error was told";
    struct buffer out = {0};
    struct option_value value;
    const struct option *o = option(name);
    CHECK(option_current(o, &value));
    if (option_parse(o, bytes_of(text), &value, error)) {
        CHECK(option_format(o, &value, &out));
        snprintf(shown, sizeof shown, "%.*s", (int)out.len, out.data ? out.data : "");
    } else {
        snprintf(shown, sizeof shown, "!%s", error);
    }
    buffer_free(&out);
    option_value_free(&value);
    return shown;
}
#define CHECK_PARSED(name, text, expected) CHECK_BYTES(bytes_of(parsed(name, text)), bytes_of(expected))

static void booleans_are_yes_or_no(void) {
    CHECK_PARSED("daemonize", "yes", "yes");
    CHECK_PARSED("daemonize", "NO", "no");
    CHECK_PARSED("daemonize", "", "!argument must be 'yes' or 'no'");
    CHECK_PARSED("daemonize", "1", "!argument must be 'yes' or 'no'");
    CHECK_PARSED("daemonize", "yes ", "!argument must be 'yes' or 'no'");
}

static void numbers_keep_within_their_bounds(void) {
    CHECK_PARSED("port", "0", "0");
    CHECK_PARSED("port", "65535", "65535");
    CHECK_PARSED("port", "65536", "!argument must be between 0 and 65535 inclusive");
    CHECK_PARSED("port", "-1", "!argument must be between 0 and 65535 inclusive");
    CHECK_PARSED("port", "1k", "!argument couldn't be parsed into an integer");
    CHECK_PARSED("port", "", "!argument couldn't be parsed into an integer");
    CHECK_PARSED("port", "9223372036854775808", "!argument couldn't be parsed into an integer");
    CHECK_PARSED("slowlog-log-slower-than", "-1", "-1");
}

#define TOO_LARGE_OR_SMALL "!argument must be between 1048576 and 9223372036854775807 inclusive"
static void sizes_have_units_of_1000_and_1024(void) {
    static const struct {
        const char *text, *bytes;
    } cases[] = {{"1048576", "1048576"},
                 {"2000k", "2000000"},
                 {"1024kb", "1048576"},
                 {"3m", "3000000"},
                 {"3mb", "3145728"},
                 {"2g", "2000000000"},
                 {"2GB", "2147483648"},
                 {"1048576b", "1048576"},
                 {"9223372036854775807", "9223372036854775807"},
                 {"1048575", TOO_LARGE_OR_SMALL},
                 {"9223372036854775808", TOO_LARGE_OR_SMALL},
                 {"18446744073709551616", TOO_LARGE_OR_SMALL},
                 {"17179869184gb", TOO_LARGE_OR_SMALL},
                 {"-1", "!argument must be a memory value"},
                 {"1.5mb", "!argument must be a memory value"},
                 {"5 mb", "!argument must be a memory value"},
                 {"mb", "!argument must be a memory value"},
                 {"5mbx", "!argument must be a memory value"},
                 {"", "!argument must be a memory value"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_PARSED("proto-max-bulk-len", cases[i].text, cases[i].bytes);
}

static void modes_are_octal(void) {
    CHECK_PARSED("unixsocketperm", "0", "0");
    CHECK_PARSED("unixsocketperm", "0755", "755");
    CHECK_PARSED("unixsocketperm", "777", "777");
    CHECK_PARSED("unixsocketperm", "1777", "!argument must be between 0 and 777 inclusive");
    CHECK_PARSED("unixsocketperm", "8", "!argument couldn't be parsed as an octal number");
    CHECK_PARSED("unixsocketperm", "-1", "!argument couldn't be parsed as an octal number");
    CHECK_PARSED("unixsocketperm", "", "!argument couldn't be parsed as an octal number");
    CHECK_PARSED("unixsocketperm", "00000000", "!argument couldn't be parsed as an octal number");
}

static void choices_are_named_in_any_case_and_all_told(void) {
    CHECK_PARSED("loglevel", "VERBOSE", "verbose");
    CHECK_PARSED("loglevel", "loud",
                 "!argument(s) must be one of the following: debug, verbose, notice, warning");
    CHECK_PARSED("io-sqpoll", "", "!argument(s) must be one of the following: auto, yes, no");
}

static void lists_are_brought_to_single_spaces(void) {
    CHECK_PARSED("bind", "  10.0.0.1   ::1 ", "10.0.0.1 ::1");
    CHECK_PARSED("bind", "   ", "");
    CHECK_PARSED("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
    CHECK_PARSED("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "!Too many bind addresses specified.");
}

static void limits_change_the_classes_they_name(void) {
    CHECK_PARSED("client-output-buffer-limit", "pubsub 1kb 2k 3",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 1024 2000 3");
    CHECK_PARSED("client-output-buffer-limit", "replica 1 2 3 normal 4 5 6 slave 7 8 9",
                 "normal 4 5 6 slave 7 8 9 pubsub 33554432 8388608 60");
    CHECK_PARSED("client-output-buffer-limit", "",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
#define BAD_COUNT "!Wrong number of arguments in buffer limit configuration."
#define BAD_LIMIT "!Error in hard, soft or soft_seconds setting in buffer limit configuration."
    CHECK_PARSED("client-output-buffer-limit", "normal 1 2", BAD_COUNT);
    CHECK_PARSED("client-output-buffer-limit", "normal 1 2 3 pubsub", BAD_COUNT);
    CHECK_PARSED("client-output-buffer-limit", "master 1 2 3",
                 "!Invalid client class specified in buffer limit configuration.");
    CHECK_PARSED("client-output-buffer-limit", "normal x 2 3", BAD_LIMIT);
    CHECK_PARSED("client-output-buffer-limit", "normal 1 2 -3", BAD_LIMIT);
    CHECK_PARSED("client-output-buffer-limit", "normal 1 2 2147483648", BAD_LIMIT);
    CHECK_PARSED("client-output-buffer-limit", "normal 1 2 2147483647",
                 "normal 1 2 2147483647 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
}

static void names_are_no_paths(void) {
    CHECK_PARSED("dbfilename", "a/b", "!dbfilename can't be a path, just a filename");
    CHECK_PARSED("dbfilename", "a\\b", "!dbfilename can't be a path, just a filename");
    CHECK_PARSED("dbfilename", "a b.rdb", "a b.rdb");
    CHECK_PARSED("appendfilename", "a/b", "!appendfilename can't be a path, just a filename");
    CHECK_PARSED("appendfilename", "a\\b", "!appendfilename can't be a path, just a filename");
    CHECK_PARSED("appendfilename", "", "!appendfilename can't be empty");
    CHECK_PARSED("appenddirname", "a/", "!appenddirname can't be a path, just a dirname");
    CHECK_PARSED("appenddirname", "a\\b", "!appenddirname can't be a path, just a dirname");
    CHECK_PARSED("appenddirname", "..", "!appenddirname can't be a path, just a dirname");
    CHECK_PARSED("appenddirname", "", "!appenddirname can't be empty");
    CHECK_PARSED("appenddirname", "a", "a");
}

static void save_points_are_pairs(void) {
    CHECK_PARSED("save", "3600 1 300 100", "3600 1 300 100");
    CHECK_PARSED("save", "", "");
    CHECK_PARSED("save", "060 0", "60 0");
    static const char *const bad[] = {"60", "60 1 30", "0 1", "60 -1", "x 1", "60 1 ", " 60 1", "60  1", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_PARSED("save", bad[i], "!Invalid save parameters");
    char many[4 * (CONFIG_SAVE_POINTS_MAX + 1)];
    for (size_t i = 0; i < sizeof many; i++) many[i] = i % 2 ? ' ' : '1';
    many[sizeof many - 1] = '\0';
    CHECK_PARSED("save", many, "!Invalid save parameters");
    many[4 * CONFIG_SAVE_POINTS_MAX - 1] = '\0';
    CHECK_PARSED("save", many, many);
}

static void choices_of_several_words_are_shown_in_one_order(void) {
    CHECK_PARSED("shutdown-on-sigterm", "Force nosave", "nosave force");
    CHECK_PARSED("shutdown-on-sigterm", "now", "now");
    CHECK(parsed("shutdown-on-sigterm", "force save nosave")[0] == '!');
    CHECK(parsed("shutdown-on-sigterm", "")[0] == '!');
}

static void classes_of_events_are_shown_in_one_order(void) {
    CHECK_PARSED("notify-keyspace-events", "", "");
    CHECK_PARSED("notify-keyspace-events", "KEA", "AKE");
    CHECK_PARSED("notify-keyspace-events", "EKAm", "AKEm");
    CHECK_PARSED("notify-keyspace-events", "mEKdtexzhsl$gn", "AKEm");
    CHECK_PARSED("notify-keyspace-events", "nKEzg", "gznKE");
    CHECK_PARSED("notify-keyspace-events", "em$tdxsl", "$lsxetdm");
    CHECK_PARSED("notify-keyspace-events", "Kq", "!Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
}

static void what_is_not_there_yet_is_accepted_only_as_it_is(void) {
    CHECK_PARSED("activedefrag", "NO", "no");
    CHECK_PARSED("activedefrag", "yes", "!kevy does not defragment; only 'no' is accepted");
    CHECK_PARSED("save", "", "");
    CHECK_PARSED("maxmemory", "0mb", "0");
}

static void what_has_no_effect_is_checked_all_the_same(void) {
    CHECK_PARSED("hz", "100", "100");
    CHECK_PARSED("hz", "-1", "!argument must be between 0 and 2147483647 inclusive");
    CHECK_PARSED("hz", "abc", "!argument couldn't be parsed into an integer");
    CHECK_PARSED("repl-backlog-size", "2mb", "2097152");
    CHECK_PARSED("repl-backlog-size", "2 mb", "!argument must be a memory value");
    CHECK_PARSED("hll-sparse-max-bytes", "9223372036854775808",
                 "!argument must be between 0 and 9223372036854775807 inclusive");
    CHECK_PARSED("rdb-key-save-delay", "-5", "-5");
    CHECK_PARSED("rdbcompression", "NO", "no");
    CHECK_PARSED("rdbcompression", "maybe", "!argument must be 'yes' or 'no'");
    CHECK_PARSED("appendfsync", "ALWAYS", "always");
    CHECK_PARSED("appendfsync", "now", "!argument(s) must be one of the following: everysec, always, no");
    CHECK_PARSED("oom-score-adj-values", "1 2 3", "1 2 3");
    CHECK(option_takes_words(option("oom-score-adj-values")));
    CHECK(!option_takes_words(option("masteruser")) && !option_takes_words(option("syslog-ident")));
}

static void a_refused_text_leaves_the_value_as_it_was(void) {
    char error[OPTION_ERROR_MAX];
    struct option_value value;
    const struct option *limits = option("client-output-buffer-limit"), *bind = option("bind");
    CHECK(option_current(limits, &value));
    int64_t before = value.limits[OUTPUT_LIMIT_NORMAL][0];
    CHECK(!option_parse(limits, BYTES("normal 99 2 3 pubsub x 2 3"), &value, error));
    CHECK_INT(value.limits[OUTPUT_LIMIT_NORMAL][0], before);
    CHECK(option_current(bind, &value));
    char *words = value.text;
    CHECK(!option_parse(bind, (struct bytes){"a\0b", 3}, &value, error));
    CHECK(value.text == words);
    CHECK_BYTES(bytes_of(error), BYTES("argument holds a NUL byte"));
    option_value_free(&value);
}

static void a_check_has_the_last_word(void) {
    char path[128];
    CHECK_PARSED("shard-cpus", "0-1", "0-1");
    CHECK_PARSED("shard-cpus", "1-0", "!argument must be a list of CPUs such as 0-3,6");
    memset(path, 'x', sizeof path);
    path[107] = '\0';
    CHECK_PARSED("unixsocket", path, path);
    path[107] = 'x', path[108] = '\0';
    CHECK_PARSED("unixsocket", path, "!path is too long for a Unix socket (107 bytes)");
}

static void stored_values_are_in_force_and_come_back(void) {
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"timeout", "77"},         {"bind", "a b c"},    {"bind", ""},
        {"logfile", "x y"},        {"daemonize", "yes"}, {"loglevel", "debug"},
        {"requirepass", "secret"}, {"requirepass", ""},  {"client-output-buffer-limit", "normal 1 2 3"}};
    char error[OPTION_ERROR_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct option *o = option(cases[i].name);
        struct option_value value, copy, after;
        CHECK(option_current(o, &value) && option_parse(o, bytes_of(cases[i].text), &value, error));
        CHECK(option_current(o, &copy) && option_parse(o, bytes_of(cases[i].text), &copy, error));
        option_store(o, &value);
        CHECK(!value.text); /* it is the option's now */
        CHECK(option_current(o, &after) && option_value_equal(o, &after, &copy));
        option_value_free(&copy);
        option_value_free(&after);
        CHECK(config_has_password() == (*config.requirepass != '\0')); /* `changed` follows every store */
    }
    CHECK(config.timeout == 77 && config.daemonize == CONFIG_YES && config.bind_count == 0);
    CHECK_BYTES(bytes_of(config.logfile), BYTES("x y"));
    CHECK_INT(config.client_output_buffer_limit[OUTPUT_LIMIT_NORMAL].soft_seconds, 3);
    config_defaults();
}

static void the_nearest_name_is_near(void) {
    static const struct {
        const char *name, *nearest;
    } cases[] = {{"maxclient", "maxclients"},
                 {"MAXCLIENST", "maxclients"},
                 {"prot", "port"},
                 {"tiemout", "timeout"},
                 {"x", NULL},
                 {"something-else-entirely", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *nearest = option_nearest(bytes_of(cases[i].name));
        CHECK(!nearest == !cases[i].nearest);
        if (nearest) CHECK_BYTES(bytes_of(nearest), bytes_of(cases[i].nearest));
    }
    char long_name[100];
    memset(long_name, 'a', sizeof long_name);
    CHECK(!option_nearest((struct bytes){long_name, sizeof long_name}));
}

static void names_are_distinct_and_found_in_any_case(void) {
    CHECK(option_count() > 150);
    for (unsigned i = 0; i < option_count(); i++) {
        struct option *option = option_at(i);
        CHECK(option_find(bytes_of(option->name)) == option);
        if (option->alias) CHECK(option_find(bytes_of(option->alias)) == option);
        if (option->later) CHECK(option_find(bytes_of(option->later)) == option);
        for (const char *c = option->name; *c; c++)
            CHECK((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("-_", *c));
        CHECK((option->kind == OPTION_ONLY || option->no_effect) == (option->why != NULL));
        CHECK(option->why || option->help[strlen(option->help) - 1] == '.');
        CHECK(!option->no_effect || option->standard);
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

int main(void) {
    config_defaults();
    RUN(booleans_are_yes_or_no);
    RUN(numbers_keep_within_their_bounds);
    RUN(sizes_have_units_of_1000_and_1024);
    RUN(modes_are_octal);
    RUN(choices_are_named_in_any_case_and_all_told);
    RUN(lists_are_brought_to_single_spaces);
    RUN(limits_change_the_classes_they_name);
    RUN(names_are_no_paths);
    RUN(save_points_are_pairs);
    RUN(choices_of_several_words_are_shown_in_one_order);
    RUN(classes_of_events_are_shown_in_one_order);
    RUN(what_is_not_there_yet_is_accepted_only_as_it_is);
    RUN(what_has_no_effect_is_checked_all_the_same);
    RUN(a_refused_text_leaves_the_value_as_it_was);
    RUN(a_check_has_the_last_word);
    RUN(stored_values_are_in_force_and_come_back);
    RUN(the_nearest_name_is_near);
    RUN(names_are_distinct_and_found_in_any_case);
    RUN(every_default_reads_back_as_itself);
    return 0;
}
