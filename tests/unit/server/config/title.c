/* What ps shows, on arguments and an environment laid out as the kernel does. */
#include "server/config/title.h"

#include <unistd.h>

#include "tests/check.h"

/* argv[0] NUL argv[1] NUL VARIABLE=value NUL, and what must not be touched behind it. */
static char area[] = "./kevy\0--port\0KEVY_TEST=before\0untouched";
enum { ARGUMENT_AT = 7, VARIABLE_AT = 14, UNTOUCHED_AT = 31 };
static char *argv[] = {area, area + ARGUMENT_AT, NULL};
static char *variables[] = {area + VARIABLE_AT, NULL};
static struct title_values values = {.port = 7777, .unixsocket = "", .config_file = ""};

static void templates_have_known_variables_and_closed_braces(void) {
    CHECK(!title_check("{title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}"));
    CHECK(!title_check("") && !title_check("plain } text"));
    CHECK(title_check("{nosuch}") && title_check("{title") && title_check("{}") && title_check("{Title}"));
    static char large[10000];
    memset(large, 'x', sizeof large - 1);
    CHECK(!title_check(large));
}

static void nothing_is_shown_before_the_area_is_known(void) {
    title_show("shown", &values);
    CHECK(!title_is_shown() && strcmp(area, "./kevy") == 0);
}

static void the_environment_moves_out_of_the_way(void) {
    environ = variables;
    title_keep(2, argv);
    CHECK(environ != variables && strcmp(getenv("KEVY_TEST"), "before") == 0);
    CHECK(!title_is_shown() && strcmp(argv[1], "--port") == 0); /* the arguments are still being read */
}

static void a_title_replaces_the_arguments(void) {
    title_show("{title} *:{port} {server-mode}", &values);
    CHECK(title_is_shown() && strcmp(area, "./kevy *:7777") == 0);
    for (size_t i = strlen(area); i < UNTOUCHED_AT; i++) CHECK(area[i] == 0);
    CHECK(strcmp(getenv("KEVY_TEST"), "before") == 0);
    struct title_values cluster = values;
    cluster.cluster = true;
    title_show("*:{port} {server-mode}", &cluster);
    CHECK(strcmp(area, "*:7777 [cluster]") == 0);
    title_show("short", &values);
    CHECK(strcmp(area, "short") == 0 && area[6] == 0);
    title_show("{nosuch}", &values);
    CHECK(strcmp(area, "short") == 0);
}

static void an_address_is_the_first_without_its_mark_or_the_socket(void) {
    static const struct {
        struct title_values values;
        const char *shown;
    } cases[] = {{{.port = 5, .unixsocket = "/s"}, "*:5"},
                 {{.address = "-10.0.0.1", .port = 5, .unixsocket = "/s"}, "10.0.0.1:5"},
                 {{.address = "-::1", .port = 5, .unixsocket = "/s"}, "[::1]:5"},
                 {{.address = "10.0.0.1", .port = 0, .unixsocket = "/s"}, "/s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        title_show("{listen-addr}", &cases[i].values);
        CHECK_BYTES(bytes_of(area), bytes_of(cases[i].shown));
    }
}

static void a_long_title_ends_with_the_area(void) {
    title_show("0123456789 0123456789 0123456789 0123456789 0123456789", &values);
    CHECK_INT(strlen(area), UNTOUCHED_AT - 1);
    CHECK(strcmp(area + UNTOUCHED_AT, "untouched") == 0);
}

int main(void) {
    RUN(templates_have_known_variables_and_closed_braces);
    RUN(nothing_is_shown_before_the_area_is_known);
    RUN(the_environment_moves_out_of_the_way);
    RUN(a_title_replaces_the_arguments);
    RUN(an_address_is_the_first_without_its_mark_or_the_socket);
    RUN(a_long_title_ends_with_the_area);
    return 0;
}
