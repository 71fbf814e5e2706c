/* What the lines of rename-command do to the commands, and what is said of those that cannot. */
#include "server/process/rename.h"

#include "server/call/command.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static const struct command *found(const char *name) {
    return command_find_name(bytes_of(name));
}

static void lines_are_applied_in_their_order(void) {
    struct config_errors errors = {0};
    const struct command *get = found("get"), *set = found("set");
    options_set(
        "rename-command GET x\nrename-command SET get\nrename-command x y\nRENAME-COMMAND del \"\"\n");
    CHECK(found("get") == get); /* not yet */
    CHECK(rename_commands(&errors) && errors.count == 0);
    CHECK(found("get") == set && found("Y") == get && !found("set") && !found("x") && !found("del"));
    CHECK(rename_commands(&errors)); /* nothing is left to do */
    CHECK(found("get") == set);
}

static void each_line_that_cannot_be_done_is_told(void) {
    struct config_errors errors = {0};
    options_set("rename-command nosuch x\nrename-command del y\nrename-command mset mget\nrename-command "
                "incr \"a b\"\n");
    CHECK(!rename_commands(&errors));
    CHECK_BYTES(buffer_bytes(&errors.lines),
                BYTES("test:1: 'rename-command nosuch...': No such command in rename-command\n"
                      "test:2: 'rename-command del...': No such command in rename-command\n"
                      "test:3: 'rename-command mset...': Target command name already exists\n"));
    CHECK(found("a b") && !found("incr"));
    config_errors_free(&errors);
}

int main(void) {
    CHECK(command_table_open() == NULL);
    config_defaults();
    RUN(lines_are_applied_in_their_order);
    RUN(each_line_that_cannot_be_done_is_told);
    return 0;
}
