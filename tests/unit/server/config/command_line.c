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
                BYTES("command line: '--prot 1': unknown directive; did you mean 'port'?\n"));
    CHECK(!START_WITH("--port"));
    CHECK(!START_WITH("--port", "1", "--requirepass"));
    char *file = (char *)file_write("cl.conf", BYTES("port 1\n"));
    CHECK(!START_WITH(file, "another"));
    CHECK(strstr(errors_text(), "command line: 'another'"));
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
    CHECK_INT(MODE("x.conf", "--requirepass", "-h"), COMMAND_LINE_SERVE);
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
    RUN(modes_are_recognised);
    RUN(standard_input_is_a_file_too);
    RUN(debians_redis_conf_is_understood);
    return dir_remove();
}
