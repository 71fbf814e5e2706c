/* The command line: a file and options, and what else kevy may be asked for. */
#include "server/config/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/config_fixture.h"

static void command_line_options_override_the_file(void) {
    char *file = (char *)file_write("cl.conf", BYTES("port 1\ntimeout 1\n"));
    CHECK(START_WITH(file, "--port", "7000", "--bind", "a", "b", "--save", "--requirepass", "x y"));
    CHECK_INT(config.port, 7000);
    CHECK_INT(config.timeout, 1);
    CHECK_INT(config.bind_count, 2);
    CHECK_BYTES(bytes_of(config.bind[1]), BYTES("b"));
    CHECK(config_password_is(BYTES("x y")));
    CHECK(strcmp(config_path(), file) == 0);
}

static void command_line_errors_name_the_option(void) {
    CHECK(!START_WITH("--port", "abc"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '--port abc': argument couldn't be parsed into an integer\n"));
    CHECK(!START_WITH("--prot", "1"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '--prot...': unknown directive; did you mean 'port'?\n"));
    CHECK(!START_WITH("--port"));
    CHECK(!START_WITH("--port", "1", "--requirepass"));
    char *file = (char *)file_write("cl.conf", BYTES("port 1\n"));
    CHECK(!START_WITH(file, "another"));
    CHECK_BYTES(bytes_of(errors_text()), BYTES("command line: 'another': unknown directive\n"));
    CHECK(!START_WITH("--timeout 5", "6"));
    CHECK_BYTES(bytes_of(errors_text()), BYTES("command line: '--timeout 5 6': wrong number of arguments\n"));
    CHECK(!START_WITH("--logfile \""));
    CHECK_BYTES(bytes_of(errors_text()), BYTES("command line: '--logfile \"': unbalanced quotes\n"));
}

static void a_word_may_hold_a_whole_line(void) {
    CHECK(START_WITH("--timeout 5", "--port", "7"));
    CHECK(config.timeout == 5 && config.port == 7);
    CHECK(START_WITH("--requirepass 'a b'"));
    CHECK(config_password_is(BYTES("a b")));
    CHECK(START_WITH("--bind 1.2.3.4", "::1"));
    CHECK_INT(config.bind_count, 2);
    CHECK(START_WITH("--timeout 8\n# not this: timeout 9\nport", "7"));
    CHECK(config.timeout == 8 && config.port == 7);
}

static void a_value_may_begin_with_dashes_where_a_name_wants_one(void) {
    CHECK(START_WITH("--requirepass", "--s3cret", "--timeout", "3"));
    CHECK(config_password_is(BYTES("--s3cret")));
    CHECK_INT(config.timeout, 3);
    CHECK(START_WITH("--requirepass", "--help"));
    CHECK(config_password_is(BYTES("--help")));
    CHECK(!START_WITH("--requirepass", "a", "--timeout", "--7"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '--timeout --7': argument couldn't be parsed into an integer\n"));
}

static void lines_may_stand_behind_the_file_without_dashes(void) {
    char *file = (char *)file_write("cl.conf", BYTES("timeout 1\n"));
    CHECK(START_WITH(file, "timeout", "5"));
    CHECK_INT(config.timeout, 5);
    CHECK(START_WITH(file, "timeout", "6", "--port", "7"));
    CHECK(config.timeout == 6 && config.port == 7);
    CHECK(START_WITH("--", "timeout", "9"));
    CHECK_INT(config.timeout, 9);
}

static void save_alone_means_none(void) {
    CHECK(START_WITH("--save", "--timeout", "7"));
    CHECK_INT(config.timeout, 7);
    CHECK(START_WITH("--timeout", "7", "--save"));
    CHECK(START_WITH("--save", "") && !config_saves());
    CHECK(START_WITH("--save", "60 1") && config_saves());
    CHECK(START_WITH("--save", "60", "1", "30", "2") && !START_WITH("--save", "60", "1", "30"));
}

static void no_secret_of_the_command_line_is_shown(void) {
    CHECK(!START_WITH("--requirepass", "s3cret", "s3cret"));
    CHECK(!strstr(errors_text(), "s3cret"));
    CHECK(!START_WITH("--requirepass=s3cret"));
    CHECK(!strstr(errors_text(), "s3cret"));
    CHECK(!START_WITH("requirepass s3cret"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: 'requirepass...': can't read: No such file or directory\n"));
    CHECK(!START_WITH("-requirepass", "s3cret"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("command line: '-requirepass...': unknown directive; did you mean 'requirepass'?\n"));
}

static void modes_are_recognised(void) {
#define MODE(...)                                                                                            \
    command_line_mode((int)(sizeof((char *[]){"kevy", __VA_ARGS__}) / sizeof(char *)),                       \
                      (char *[]){"kevy", __VA_ARGS__})
    CHECK_INT(MODE("--check-config", "x.conf"), COMMAND_LINE_CHECK);
    CHECK_INT(MODE("x.conf", "--check-config", "--port", "1"), COMMAND_LINE_CHECK);
    CHECK_INT(MODE("--help"), COMMAND_LINE_HELP);
    CHECK_INT(MODE("-h"), COMMAND_LINE_HELP);
    CHECK_INT(MODE("-v"), COMMAND_LINE_VERSION);
    CHECK_INT(MODE("--version"), COMMAND_LINE_VERSION);
    CHECK_INT(MODE("--probe"), COMMAND_LINE_PROBE);
    CHECK_INT(MODE("--ping"), COMMAND_LINE_PING);
    CHECK_INT(MODE("--ping", "host:1"), COMMAND_LINE_PING);
    CHECK_INT(MODE("--requirepass", "--ping"), COMMAND_LINE_SERVE);
    CHECK_INT(MODE("x.conf", "--ping"), COMMAND_LINE_SERVE);
    CHECK_INT(MODE("x.conf", "--requirepass", "-h"), COMMAND_LINE_SERVE);
    CHECK_INT(MODE("x.conf", "--requirepass", "--help"), COMMAND_LINE_SERVE);
    CHECK_INT(MODE("--port", "1", "--help"), COMMAND_LINE_HELP);
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
    CHECK_BYTES(bytes_of(config_path()), BYTES(""));
    CHECK_INT(lseek(0, 0, SEEK_SET), 0);
    char *file = (char *)file_write("cl.conf", BYTES("maxclients 7\ntcp-keepalive 9\n"));
    CHECK(!START_WITH(file, "--timeout", "3", "-")); /* read behind the file, also from the end of the line */
    CHECK(config.maxclients == 8 && config.tcp_keepalive == 9 && config.timeout == 3);
    CHECK_BYTES(bytes_of(config_path()), bytes_of(file));
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

int main(void) {
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(command_line_options_override_the_file);
    RUN(command_line_errors_name_the_option);
    RUN(a_word_may_hold_a_whole_line);
    RUN(a_value_may_begin_with_dashes_where_a_name_wants_one);
    RUN(lines_may_stand_behind_the_file_without_dashes);
    RUN(save_alone_means_none);
    RUN(no_secret_of_the_command_line_is_shown);
    RUN(modes_are_recognised);
    RUN(standard_input_is_a_file_too);
    RUN(debians_redis_conf_is_understood);
    return dir_remove();
}
