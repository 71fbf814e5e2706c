/* Options as people read them: lines that read back as what they say, the file of defaults, --help.
 *
 *     test_server_config_config_print --print-conf > kevy.conf
 *
 * writes the file that kevy_conf_is_what_the_table_says compares. */
#include "server/config/config_print.h"

#include "tests/unit/config_fixture.h"

/* The line for a value. */
static const char *directive(const char *name, const char *value) {
    static struct buffer out;
    const struct option *option = option_find(bytes_of(name));
    out.len = 0;
    CHECK(option && config_print_directive(&out, option, bytes_of(value)));
    CHECK(buffer_append(&out, (struct bytes){"", 1}, SIZE_MAX));
    return out.data;
}
#define CHECK_DIRECTIVE(name, value, line) CHECK_BYTES(bytes_of(directive(name, value)), bytes_of(line))

static void words_are_quoted_where_they_must_be(void) {
    CHECK_DIRECTIVE("logfile", "/var/log/kevy.log", "logfile /var/log/kevy.log");
    CHECK_DIRECTIVE("logfile", "", "logfile \"\"");
    CHECK_DIRECTIVE("logfile", "a b", "logfile \"a b\"");
    CHECK_DIRECTIVE("logfile", "#1", "logfile \"#1\"");
    CHECK_DIRECTIVE("logfile", "it's", "logfile \"it's\"");
    CHECK_DIRECTIVE("logfile", "\"\\", "logfile \"\\\"\\\\\"");
    CHECK_DIRECTIVE("logfile", "\n\r\t\x01\x7f", "logfile \"\\n\\r\\t\\x01\\x7f\"");
    CHECK_DIRECTIVE("logfile", "\xc3\xa9", "logfile \xc3\xa9");
}

static void lists_stay_lists(void) {
    CHECK_DIRECTIVE("bind", "10.0.0.1 ::1", "bind 10.0.0.1 ::1");
    CHECK_DIRECTIVE("bind", "", "bind \"\"");
    CHECK_DIRECTIVE("client-output-buffer-limit", "normal 1 2 3", "client-output-buffer-limit normal 1 2 3");
}

static void any_text_reads_back_as_itself(void) {
    unsigned long long random = check_seed();
    for (int round = 0; round < 500; round++) {
        char text[40], line[256];
        size_t len = check_random(&random) % (sizeof text - 1);
        for (size_t i = 0; i < len; i++) text[i] = (char)(1 + check_random(&random) % 255);
        text[len] = '\0';
        int n = snprintf(line, sizeof line, "%s\n", directive("logfile", text));
        CHECK(load_bytes("t", (struct bytes){line, (size_t)n}));
        CHECK_BYTES(bytes_of(config.logfile), bytes_of(text));
    }
}

static char *printed(void (*print)(FILE *out)) {
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    CHECK(out);
    print(out);
    CHECK(fclose(out) == 0);
    return text;
}

/* Every option that Redis 7.0 or kevy has, once. */
static void the_file_of_defaults_names_every_option_and_changes_none(void) {
    config_defaults();
    char *text = printed(config_print), *before = strdup(get("*"));
    CHECK(load(text));
    CHECK_GET("*", before);
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        char line[80];
        snprintf(line, sizeof line, "\n%s%s ", option->why || !*option->standard ? "# " : "", option->name);
        bool there = strstr(text, line) != NULL, expected = option->standard && !option->hidden;
        if (there != expected) fprintf(stderr, "'%s'\n", line + 1);
        CHECK(there == expected);
    }
    free(text);
    free(before);
}

static void comments_are_wrapped_and_end_where_the_text_does(void) {
    char *text = printed(config_print);
    for (char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        CHECK(line[0] != '#' || len <= 125);
        CHECK(len == 0 || line[len - 1] != ' ');
        line += len + (line[len] == '\n');
    }
    free(text);
}

static void help_marks_what_can_change_while_it_runs(void) {
    char *text = printed(config_help);
    CHECK(strstr(text, "Usage: kevy [file]") == text);
    CHECK(strstr(text, "\n  * --maxclients 10000\n") && strstr(text, "\n    --port 6379\n"));
    CHECK(strstr(text, "One of debug, verbose, notice, warning."));
    CHECK(!strstr(text, "replicaof")); /* what kevy lacks is no offer */
    free(text);
}

static void kevy_conf_is_what_the_table_says(void) {
    char *printed;
    size_t len;
    FILE *out = open_memstream(&printed, &len);
    CHECK(out);
    config_print(out);
    fclose(out);
    if (strcmp(printed, file_text(IN_TREE("kevy.conf"))) != 0) {
        fprintf(
            stderr,
            "kevy.conf differs from options.def: test_server_config_config_print --print-conf > kevy.conf\n");
        exit(1);
    }
    free(printed);
    char *before = strdup(get("*"));
    CHECK(START_WITH(IN_TREE("kevy.conf")));
    CHECK_GET("*", before);
    free(before);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print-conf") == 0) {
        config_print(stdout);
        return 0;
    }
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(words_are_quoted_where_they_must_be);
    RUN(lists_stay_lists);
    RUN(any_text_reads_back_as_itself);
    RUN(the_file_of_defaults_names_every_option_and_changes_none);
    RUN(comments_are_wrapped_and_end_where_the_text_does);
    RUN(help_marks_what_can_change_while_it_runs);
    RUN(kevy_conf_is_what_the_table_says);
    return 0;
}
