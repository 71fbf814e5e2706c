/* What Redis has and kevy lacks: each thing stands either there or among the commands. */
#include "server/missing.h"

#include "server/call/command.h"
#include "tests/check.h"

static const struct {
    const char *name, *why;
} rows[] = {
#define MISSING(name, why) {name, why},
#include "server/missing.def"
#undef MISSING
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static void every_row_is_found_in_any_case(void) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char upper[64];
        size_t len = strlen(rows[i].name);
        for (size_t j = 0; j <= len; j++)
            upper[j] = rows[i].name[j] >= 'a' && rows[i].name[j] <= 'z' ? (char)(rows[i].name[j] - 32)
                                                                        : rows[i].name[j];
        CHECK(i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0);
        CHECK(strcmp(missing_command(bytes_of(rows[i].name)), rows[i].why) == 0);
        CHECK(strcmp(missing_command(bytes_of(upper)), rows[i].why) == 0);
    }
}

static void what_is_no_row_is_not_found(void) {
    static const char *const names[] = {"",    "a",        "get",    "acl2",   "ac",
                                        "zzz", "sentinel", "xtrim ", "client", "\xff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) CHECK(!missing_command(bytes_of(names[i])));
    CHECK(!missing_command((struct bytes){"acl\0", 4}));
}

static void subcommands_are_found_by_their_container(void) {
    CHECK(missing_subcommand(BYTES("memory"), BYTES("Doctor")));
    CHECK(!missing_subcommand(BYTES("client"), BYTES("list")) &&
          !missing_subcommand(BYTES("config"), BYTES("tracking")));
    char longer[500];
    memset(longer, 'x', sizeof longer);
    CHECK(!missing_subcommand(BYTES("client"), (struct bytes){longer, sizeof longer}));
}

static void no_command_that_is_there_is_called_missing(void) {
    CHECK(!command_table_open());
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (command_find_name(bytes_of(rows[i].name))) fprintf(stderr, "%s is there\n", rows[i].name);
        CHECK(!command_find_name(bytes_of(rows[i].name)));
        const char *bar = strchr(rows[i].name, '|'); /* a missing subcommand of a command that is there */
        CHECK(!bar || command_find_name((struct bytes){rows[i].name, (size_t)(bar - rows[i].name)}));
    }
}

int main(void) {
    RUN(every_row_is_found_in_any_case);
    RUN(what_is_no_row_is_not_found);
    RUN(subcommands_are_found_by_their_container);
    RUN(no_command_that_is_there_is_called_missing);
    return 0;
}
