/* secret.c - a secret is what follows a word that announces one: AUTH user password, HELLO 3 AUTH user
 * password, CONFIG SET requirepass password.
 *
 * Only two kinds of command carry passwords: those that are allowed before one was given, and those that
 * administer the server. Looking at no other keeps `GET auth x` what it is. */
#include "server/call/secret.h"

static const struct {
    struct bytes word;
    uint32_t secrets; /* arguments behind it */
} announced[] = {
    {BYTES_INIT("auth"), 2},
    {BYTES_INIT("requirepass"), 1},
    {BYTES_INIT("masterauth"), 1},
    {BYTES_INIT("masteruser"), 1},
};
enum { FARTHEST = 2 };

bool secret_argument(const struct command *command, const struct bytes *argv, uint32_t arg) {
    if (!(command->flags & (CMD_NO_AUTH | CMD_ADMIN))) return false;
    for (uint32_t back = 1; back <= FARTHEST && back <= arg; back++)
        for (size_t i = 0; i < sizeof announced / sizeof *announced; i++)
            if (back <= announced[i].secrets && bytes_equal_nocase(argv[arg - back], announced[i].word))
                return true;
    return false;
}
