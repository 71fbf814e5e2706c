/* Error lines: what they show of a directive, and what never. */
#include "server/config/config_error.h"

#include "tests/unit/config_fixture.h"

/* Passwords are not repeated, whatever is wrong with the line; what is long is cut. */
static void what_an_error_repeats_is_bounded_and_keeps_secrets(void) {
    char line[300];
    struct config_place place = {.file = "f", .line = 7, .text = BYTES("--RequirePass secret")};
    errors_forget();
    config_error(&errors, &place, "%s %d", "bad", 1);
    CHECK_INT(errors.count, 1);
    CHECK_BYTES(bytes_of(errors_text()), BYTES("f:7: '--RequirePass...': bad 1\n"));
    memset(line, 'x', sizeof line);
    place = (struct config_place){.file = "f", .text = {line, sizeof line}};
    errors_forget();
    config_error(&errors, &place, "long");
    CHECK_INT(errors.lines.len, strlen("f: ''...: long\n") + 100);
    place.text.len = 0;
    errors_forget();
    config_error(&errors, &place, "all of it");
    CHECK_BYTES(bytes_of(errors_text()), BYTES("f: all of it\n"));
}

/* Whatever is wrong with a line, and whatever its name was meant to be. */
static void no_secret_is_shown_however_mistyped(void) {
    static const struct {
        const char *text, *shown;
    } cases[] = {{"requirepass s3cret", "requirepass..."},
                 {"--requirepass s3cret", "--requirepass..."},
                 {"\"requirepass\" s3cret", "\"requirepass..."},
                 {"\"requirepass s3cret", "\"requirepass..."},
                 {"requirepass\ts3cret", "requirepass..."},
                 {"--requirepass=s3cret", "--requirepass..."},
                 {"--requirepass:s3cret", "--requirepass..."},
                 {"requirepasss3cret", "requirepass..."},
                 {"requirpass s3cret", "requirpass..."},
                 {"require-pass s3cret", "require-pass..."},
                 {"require\x01pass s3cret", "require?pass..."},
                 {"reqiurepass5s3cret", "requirepass..."},
                 {"REQUIREPASS s3cret", "REQUIREPASS..."},
                 {"port 6379 requirepass s3cret", "port 6379 requirepass..."},
                 {"port 6379 --requirepass s3cret", "port 6379 --requirepass..."},
                 {"masterauth s3cret", "masterauth..."},
                 {"master-auth s3cret", "master-auth..."},
                 {"primaryauth s3cret", "primaryauth..."},
                 {"tls-key-file-pass s3cret", "tls-key-file-pass..."},
                 {"tls-client-key-file-pass s3cret", "tls-client-key-file-pass..."},
                 {"user alice on >s3cret", "user..."},
                 {"users alice on >s3cret", "users..."},
                 {"password s3cret", "password..."},
                 {"=s3cret", "=s3cret"},
                 {"port x", "port x"},
                 {"--port x", "--port x"},
                 {"include user.conf", "include user.conf"},
                 {"masteruser alice", "masteruser alice"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_place place = {.file = "f", .text = bytes_of(cases[i].text)};
        char expected[200];
        errors_forget();
        config_error(&errors, &place, "bad");
        snprintf(expected, sizeof expected, "f: '%s': bad\n", cases[i].shown);
        CHECK_BYTES(bytes_of(errors_text()), bytes_of(expected));
    }
}

static void so_many_errors_are_told_and_no_more(void) {
    struct config_place place = {.file = "many", .text = BYTES("nonsense")};
    errors_forget();
    for (int i = 0; i < 5000; i++) config_error(&errors, &place, "unknown");
    CHECK_INT(errors.count, 5000);
    CHECK(errors.lines.len <= CONFIG_ERRORS_MAX && errors.lines.len > CONFIG_ERRORS_MAX - 100);
    config_errors_free(&errors);
    CHECK_INT(errors.lines.len, 0);
}

int main(void) {
    config_defaults();
    RUN(what_an_error_repeats_is_bounded_and_keeps_secrets);
    RUN(no_secret_is_shown_however_mistyped);
    RUN(so_many_errors_are_told_and_no_more);
    return 0;
}
