/* Which arguments are shown to nobody. */
#include "server/call/secret.h"

#include "tests/check.h"

static const struct command administers = {.flags = CMD_ADMIN}, before_auth = {.flags = CMD_NO_AUTH},
                            reads = {.flags = CMD_READONLY};

/* `secrets` has a digit for each secret argument. */
static void expect(const struct command *command, const char *const *words, const char *secrets) {
    struct bytes argv[8];
    uint32_t count = 0;
    for (; words[count]; count++) argv[count] = bytes_of(words[count]);
    for (uint32_t i = 0; i < count; i++)
        CHECK(secret_argument(command, argv, i) == (strchr(secrets, (int)('0' + i)) != NULL));
}
#define EXPECT(command, secrets, ...) expect(command, (const char *const[]){__VA_ARGS__, NULL}, secrets)

static void passwords_and_the_names_before_them_are_secret(void) {
    EXPECT(&before_auth, "1", "AUTH", "password");
    EXPECT(&before_auth, "12", "auth", "user", "password");
    EXPECT(&before_auth, "34", "HELLO", "3", "aUtH", "user", "password", "SETNAME", "me");
    EXPECT(&administers, "3", "CONFIG", "SET", "requirepass", "password");
    EXPECT(&administers, "35", "config", "set", "MASTERAUTH", "p", "masteruser", "u");
}

static void what_follows_them_is_shown(void) {
    EXPECT(&administers, "3", "CONFIG", "SET", "requirepass", "password", "port", "1");
    EXPECT(&administers, "", "CONFIG", "SET", "port", "1");
    EXPECT(&before_auth, "", "HELLO", "3");
    EXPECT(&before_auth, "", "AUTHOR", "name");
}

static void a_key_of_that_name_is_a_key(void) {
    EXPECT(&reads, "", "GET", "auth");
    EXPECT(&reads, "", "SET", "requirepass", "shown");
}

int main(void) {
    RUN(passwords_and_the_names_before_them_are_secret);
    RUN(what_follows_them_is_shown);
    RUN(a_key_of_that_name_is_a_key);
    return 0;
}
