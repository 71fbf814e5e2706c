/* What HELP and misread subcommands reply. */
#include "server/call/help.h"

#include "tests/unit/server_fixture.h"

static struct output output;
static struct chunk_pool pool;
static struct buffer sent;

static struct call call_of(const struct command *command, const struct bytes *argv) {
    output_open(&output, &pool);
    return (struct call){.reply = &output.reply, .command = command, .argv = argv, .argc = 2};
}

static struct bytes replied(void) {
    buffer_free(&sent);
    fixture_take(&output, &sent);
    output_close(&output);
    return buffer_bytes(&sent);
}

static void help_ends_with_itself(void) {
    static const char *const lines[] = {"THING <sub>:", "DO", "    Does it."};
    struct bytes argv[] = {BYTES("thing"), BYTES("help")};
    struct call call = call_of(NULL, argv);
    HELP_REPLY(&call, lines);
    CHECK_BYTES(replied(),
                BYTES("*5\r\n+THING <sub>:\r\n+DO\r\n+    Does it.\r\n+HELP\r\n+    Prints this help.\r\n"));
}

static void a_command_that_was_renamed_is_called_so(void) {
    static const char *const lines[] = {"THING <sub>:"};
    const struct command row = {.container = "thing", .name = "help"};
    struct bytes argv[] = {BYTES("Other-1"), BYTES("x")};
    struct call call = call_of(&row, argv);
    HELP_REPLY(&call, lines);
    CHECK_BYTES(replied(), BYTES("*3\r\n+OTHER-1 <sub>:\r\n+HELP\r\n+    Prints this help.\r\n"));
    call = call_of(&row, argv);
    help_syntax_error(&call);
    CHECK_BYTES(replied(),
                BYTES("-ERR unknown subcommand or wrong number of arguments for 'x'. Try OTHER-1 HELP.\r\n"));
}

static void a_misread_subcommand_names_its_container(void) {
    const struct command row = {.container = "debug", .name = "object"}, lone = {.name = "memory"};
    struct bytes argv[] = {BYTES("debug"), BYTES("oBject")};
    struct call call = call_of(&row, argv);
    help_syntax_error(&call);
    CHECK_BYTES(
        replied(),
        BYTES("-ERR unknown subcommand or wrong number of arguments for 'oBject'. Try DEBUG HELP.\r\n"));
    argv[0] = BYTES("memory");
    call = call_of(&lone, argv);
    help_syntax_error(&call);
    CHECK_BYTES(
        replied(),
        BYTES("-ERR unknown subcommand or wrong number of arguments for 'oBject'. Try MEMORY HELP.\r\n"));
}

static void what_is_shown_of_it_is_bounded(void) {
    static char name[5000];
    const struct command row = {.name = "memory"};
    struct bytes argv[] = {BYTES("memory"), {name, sizeof name}};
    memset(name, 'x', sizeof name);
    struct call call = call_of(&row, argv);
    help_syntax_error(&call);
    struct bytes reply = replied();
    CHECK(reply.len < 300);
    CHECK_BYTES(((struct bytes){reply.data + reply.len - 21, 21}), BYTES("'. Try MEMORY HELP.\r\n"));
}

int main(void) {
    RUN(help_ends_with_itself);
    RUN(a_command_that_was_renamed_is_called_so);
    RUN(a_misread_subcommand_names_its_container);
    RUN(what_is_shown_of_it_is_bounded);
    buffer_free(&sent);
    chunk_pool_close(&pool);
    return 0;
}
