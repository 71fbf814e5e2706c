/* redis.conf's syntax: lines, words, quotes, include; and where in which file something is wrong. */
#include "server/config/config_file.h"

#include <errno.h>

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

/* Passwords are not repeated, whatever is wrong with the line; what is long is cut. */
static void what_an_error_repeats_is_bounded_and_keeps_secrets(void) {
    struct config_reading reading = {.errors = &errors};
    char line[300];
    struct config_place place = {.file = "f", .line = 7, .text = BYTES("--RequirePass secret")};
    errors.len = 0;
    config_file_error(&reading, &place, "%s %d", "bad", 1);
    CHECK(reading.failed);
    CHECK_BYTES(buffer_bytes(&errors), BYTES("f:7: '--RequirePass...': bad 1\n"));
    memset(line, 'x', sizeof line);
    place = (struct config_place){.file = "f", .text = {line, sizeof line}};
    errors.len = 0;
    config_file_error(&reading, &place, "long");
    CHECK_INT(errors.len, strlen("f: ''...: long\n") + 100);
    place.text.len = 0;
    errors.len = 0;
    config_file_error(&reading, &place, "all of it");
    CHECK_BYTES(buffer_bytes(&errors), BYTES("f: all of it\n"));
}

static void so_many_errors_are_told_and_no_more(void) {
    struct buffer text = {0};
    for (int i = 0; i < 2500; i++) CHECK(buffer_append(&text, BYTES("nonsense\n"), SIZE_MAX));
    errors.len = 0;
    CHECK(!config_load_text("many", buffer_bytes(&text), &errors));
    CHECK(errors.len <= CONFIG_ERRORS_MAX && errors.len > CONFIG_ERRORS_MAX - 100);
    buffer_free(&text);
}

static void each_option_takes_as_many_words_as_it_has_room_for(void) {
    check_refused("timeout\n", "test.conf:1: 'timeout': wrong number of arguments\n");
    check_refused("timeout 1 2\n", "test.conf:1: 'timeout 1 2': wrong number of arguments\n");
    check_refused("client-output-buffer-limit\n",
                  "test.conf:1: 'client-output-buffer-limit': wrong number of arguments\n");
    check_refused("include\n", "test.conf:1: 'include': unknown directive\n");
    check_refused("include a b\n", "test.conf:1: 'include a b': unknown directive\n");
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

/* ---- Through config_load -------------------------------------------------------------------------- */

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
    check_refused("na\x1bme x", "test.conf:1: 'na?me x': unknown directive\n");
    CHECK(!config_load_text("t", (struct bytes){"port\0 5", 7}, &errors));
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
    CHECK(strstr(errors_text(), "missing.conf: can't read: No such file or directory"));
    CHECK(!START_WITH(dir));
    CHECK(strstr(errors_text(), ": can't read: Is a directory"));
    CHECK(!START_WITH("/dev/zero"));
    CHECK(strstr(errors_text(), ": can't read: File too large"));
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

int main(void) {
    CHECK(mkdtemp(dir));
    config.loglevel = LOG_LEVEL_WARNING;
    RUN(lines_are_taken_without_the_blanks_around_them);
    RUN(words_are_split_with_redis_s_quotes);
    RUN(words_are_joined_by_single_spaces);
    RUN(a_file_is_read_whole_up_to_its_maximum);
    RUN(what_an_error_repeats_is_bounded_and_keeps_secrets);
    RUN(so_many_errors_are_told_and_no_more);
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
    return dir_remove();
}
