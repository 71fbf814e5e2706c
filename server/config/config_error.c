/* config_error.c - one line for each thing that is wrong. */
#include "server/config/config_error.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/config/option.h"

enum { ECHO_MAX = 100 }; /* bytes of a line that an error repeats */

/* What separates the words of a line, also of one that was mistyped. */
static bool is_separator(char c) {
    return strchr(" \t\r\n\"'=:,;", c);
}

/* The next run of bytes without separators and without dashes in front; false at the end. */
static bool next_word(struct bytes *rest, struct bytes *word) {
    while (rest->len && (is_separator(*rest->data) || *rest->data == '-')) rest->data++, rest->len--;
    if (!rest->len) return false;
    word->data = rest->data;
    for (word->len = 0; word->len < rest->len && !is_separator(rest->data[word->len]);) word->len++;
    rest->data += word->len;
    rest->len -= word->len;
    return true;
}

/* How much of a directive may be shown: a known one whole, but for what follows a word that resembles one with a secret; of
 * an unknown one its name, since nobody knows what it was meant to be. `name` is for what must stand there instead of the
 * word at the end, or NULL. */
static struct bytes shown_of(struct bytes text, const char **name) {
    struct bytes rest = text, word;
    bool first = true;
    *name = NULL;
    for (; next_word(&rest, &word); first = false) {
        bool secret = option_resembles_secret(word, name);
        if (*name) return (struct bytes){text.data, (size_t)(word.data - text.data)};
        bool renames = first &&
                       bytes_is(word, "rename-command"); /* who renames a command may keep its name secret */
        if (renames && next_word(&rest, &word)) return (struct bytes){text.data, text.len - rest.len};
        bool known = !first || option_find(word) || bytes_is(word, "include");
        if (secret || !known) return (struct bytes){text.data, text.len - rest.len};
    }
    return text;
}

/* The directive as an error repeats it: printable, not too long, and without a password. */
static void echo_format(struct bytes text, char out[ECHO_MAX + 4]) {
    const char *name;
    struct bytes shown = shown_of(text, &name);
    size_t len = shown.len < ECHO_MAX ? shown.len : ECHO_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)shown.data[i];
        out[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    if (name) len += (size_t)snprintf(out + len, ECHO_MAX - len + 1, "%s", name);
    if (len > ECHO_MAX) len = ECHO_MAX;
    snprintf(out + len, 4, "%s", name || len < text.len ? "..." : "");
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
