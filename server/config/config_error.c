/* config_error.c - one line for each thing that is wrong. */
#include "server/config/config_error.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/config/option.h"

enum { ECHO_MAX = 100 }; /* bytes of a line that an error repeats */

/* The directive as an error repeats it: printable, not too long, and without a password. */
static void echo_format(struct bytes text, char out[ECHO_MAX + 4]) {
    const char *blank = text.len ? memchr(text.data, ' ', text.len) : NULL;
    struct bytes name = {text.data, blank ? (size_t)(blank - text.data) : text.len};
    if (name.len > 2 && memcmp(name.data, "--", 2) == 0) name.data += 2, name.len -= 2;
    const struct option *option = option_find(name);
    bool secret = option && option->kind == OPTION_SECRET && blank;
    if (secret) text.len = (size_t)(blank - text.data);

    size_t len = text.len < ECHO_MAX ? text.len : ECHO_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        out[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    memcpy(out + len, secret || len < text.len ? "..." : "", secret || len < text.len ? 4 : 1);
}

void config_error(struct config_errors *errors, const struct config_place *place, const char *format, ...) {
    char echo[ECHO_MAX + 4], message[512], line[1024 + PATH_MAX], number[16] = "";
    echo_format(place->text, echo);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (place->line) snprintf(number, sizeof number, ":%u", place->line);
    if (place->text.len)
        snprintf(line, sizeof line, "%s%s: '%s': %s\n", place->file, number, echo, message);
    else
        snprintf(line, sizeof line, "%s%s: %s\n", place->file, number, message);
    errors->count++;
    if (!buffer_append(&errors->lines, bytes_of(line), CONFIG_ERRORS_MAX)) return; /* enough was told */
}

void config_errors_free(struct config_errors *errors) {
    buffer_free(&errors->lines);
}
