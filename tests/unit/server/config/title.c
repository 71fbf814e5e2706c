/* What ps shows, on arguments and an environment laid out as the kernel does. */
#include "server/config/title.h"

#include <unistd.h>

#include "server/config/config.h"
#include "tests/check.h"

/* argv[0] NUL argv[1] NUL VARIABLE=value NUL, and what must not be touched behind it. */
static char area[] = "./kevy\0--port\0KEVY_TEST=before\0untouched";
enum { ARGUMENT_AT = 7, VARIABLE_AT = 14, UNTOUCHED_AT = 31 };
static char *argv[] = {area, area + ARGUMENT_AT, NULL};
static char *variables[] = {area + VARIABLE_AT, NULL};

static void show(char *template) {
    config.proc_title_template = template;
    title_show();
}

static void templates_have_known_variables_and_closed_braces(void) {
    CHECK(!title_check("{title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}"));
    CHECK(!title_check("") && !title_check("plain } text"));
    CHECK(title_check("{nosuch}") && title_check("{title") && title_check("{}") && title_check("{Title}"));
    static char large[10000];
    memset(large, 'x', sizeof large - 1);
    CHECK(!title_check(large));
}

static void nothing_is_shown_before_the_area_is_known(void) {
    show("shown");
    title_follow();
    CHECK(strcmp(area, "./kevy") == 0);
}

static void the_environment_moves_out_of_the_way(void) {
    environ = variables;
    title_keep(2, argv);
    CHECK(environ != variables && strcmp(getenv("KEVY_TEST"), "before") == 0);
    title_follow(); /* not yet: the arguments are still being read */
    CHECK(strcmp(argv[1], "--port") == 0);
}

static void a_title_replaces_the_arguments(void) {
    config.port = 7777;
    show("{title} *:{port} {server-mode}");
    CHECK(strcmp(area, "./kevy *:7777") == 0);
    for (size_t i = strlen(area); i < UNTOUCHED_AT; i++) CHECK(area[i] == 0);
    CHECK(strcmp(getenv("KEVY_TEST"), "before") == 0);
    config.proc_title_template = "short";
    title_follow();
    CHECK(strcmp(area, "short") == 0 && area[6] == 0);
}

static void a_long_title_ends_with_the_area(void) {
    show("0123456789 0123456789 0123456789 0123456789 0123456789");
    CHECK_INT(strlen(area), UNTOUCHED_AT - 1);
    CHECK(strcmp(area + UNTOUCHED_AT, "untouched") == 0);
}

static void no_title_is_shown_where_none_is_wanted(void) {
    show("before");
    config.set_proc_title = false;
    show("after");
    CHECK(strcmp(area, "before") == 0);
}

int main(void) {
    config_defaults();
    char *given = config.proc_title_template;
    RUN(templates_have_known_variables_and_closed_braces);
    RUN(nothing_is_shown_before_the_area_is_known);
    RUN(the_environment_moves_out_of_the_way);
    RUN(a_title_replaces_the_arguments);
    RUN(a_long_title_ends_with_the_area);
    RUN(no_title_is_shown_where_none_is_wanted);
    config.proc_title_template = given;
    return 0;
}
