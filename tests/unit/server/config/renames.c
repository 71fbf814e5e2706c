/* Lines of rename-command are kept in their order, whatever becomes of what they were read from. */
#include "server/config/renames.h"

#include "tests/check.h"

static void lines_are_kept_as_copies_in_order(void) {
    char file[] = "a.conf", text[] = "rename-command get x", from[] = "get", to[] = "x";
    struct config_rename first = {{file, 7, bytes_of(text)}, bytes_of(from), bytes_of(to)};
    struct config_rename second = {{"command line", 0, BYTES("")}, BYTES("set"), BYTES("")};
    CHECK(!config_rename_at(0));
    CHECK(config_rename_keep(&first) && config_rename_keep(&second));
    memset(file, '-', sizeof file - 1);
    memset(text, '-', sizeof text - 1);
    from[0] = to[0] = '-';
    const struct config_rename *kept = config_rename_at(0);
    CHECK_BYTES(bytes_of(kept->place.file), BYTES("a.conf"));
    CHECK_INT(kept->place.line, 7);
    CHECK_BYTES(kept->place.text, BYTES("rename-command get x"));
    CHECK_BYTES(kept->from, BYTES("get"));
    CHECK_BYTES(kept->to, BYTES("x"));
    kept = config_rename_at(1);
    CHECK_BYTES(bytes_of(kept->place.file), BYTES("command line"));
    CHECK(kept->place.line == 0 && kept->place.text.len == 0 && kept->to.len == 0);
    CHECK_BYTES(kept->from, BYTES("set"));
    CHECK(!config_rename_at(2));
    config_renames_forget();
    CHECK(!config_rename_at(0));
}

int main(void) {
    RUN(lines_are_kept_as_copies_in_order);
    return 0;
}
