/* config_print.c - options as a person reads them. */
#include "server/config/config_print.h"

#include <stdlib.h>

#include "server/config/config_file.h"

/* ---- Words, quoted where needed ------------------------------------------------------------------- */

static bool out_append(struct buffer *out, struct bytes text) {
    return buffer_append(out, text, 2 * (size_t)CONFIG_FILE_MAX);
}

static bool is_plain(struct bytes word) {
    for (size_t i = 0; i < word.len; i++)
        if ((unsigned char)word.data[i] <= ' ' || strchr("\"'\\#\x7f", word.data[i])) return false;
    return word.len > 0;
}

static bool out_escaped(struct buffer *out, char c) {
    char escaped[8];
    switch (c) {
    case '\n': return out_append(out, BYTES("\\n"));
    case '\r': return out_append(out, BYTES("\\r"));
    case '\t': return out_append(out, BYTES("\\t"));
    case '\\':
    case '"': snprintf(escaped, sizeof escaped, "\\%c", c); break;
    default:
        if ((unsigned char)c >= ' ' && c != 0x7f) return out_append(out, (struct bytes){&c, 1});
        snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)c);
    }
    return out_append(out, bytes_of(escaped));
}

static bool out_word(struct buffer *out, struct bytes word) {
    if (is_plain(word)) return out_append(out, word);
    bool ok = out_append(out, BYTES("\""));
    for (size_t i = 0; i < word.len && ok; i++) ok = out_escaped(out, word.data[i]);
    return ok && out_append(out, BYTES("\""));
}

bool config_print_directive(struct buffer *out, const struct option *option, struct bytes value) {
    bool ok = out_append(out, bytes_of(option->name)) && out_append(out, BYTES(" "));
    if (!option_takes_words(option) || value.len == 0) return ok && out_word(out, value);
    while (ok && value.len) {
        const char *space = memchr(value.data, ' ', value.len);
        struct bytes word = {value.data, space ? (size_t)(space - value.data) : value.len};
        ok = out_word(out, word) && (!space || out_append(out, BYTES(" ")));
        value.data += word.len + (space != NULL);
        value.len -= word.len + (space != NULL);
    }
    return ok;
}

/* ---- kevy.conf and --help ------------------------------------------------------------------------- */

/* Prints text in lines of at most `width` columns, each behind `indent`. */
static void print_wrapped(FILE *out, const char *indent, const char *text, size_t width) {
    width -= strlen(indent);
    while (*text) {
        size_t len = strlen(text);
        if (len > width) {
            len = width;
            while (len && text[len] != ' ') len--;
            if (!len) len = strcspn(text, " ");
        }
        fprintf(out, "%s%.*s\n", indent, (int)len, text);
        text += len + (text[len] == ' ');
    }
}

/* The help of an option, and what its row says besides: unit, choices, whether it can change. */
static void explain(const struct option *option, bool more, char *text, size_t size) {
    size_t len = (size_t)snprintf(text, size, "%s", option->help);
    if (option->unit) len += (size_t)snprintf(text + len, size - len, " In %s.", option->unit);
    for (const struct option_choice *choice = option->choices; choice && choice->name; choice++)
        len += (size_t)snprintf(text + len, size - len, "%s%s%s",
                                choice == option->choices ? " One of " : ", ", choice->name,
                                choice[1].name ? "" : ".");
    if (more && option->more) snprintf(text + len, size - len, " %s", option->more);
}

static void print_directive(FILE *out, const char *before, const struct option *option) {
    struct buffer line = {0};
    if (config_print_directive(&line, option, bytes_of(option->standard)))
        fprintf(out, "%s%.*s\n", before, (int)line.len, line.data);
    buffer_free(&line);
}

static void conf_group(FILE *out, const char *title, const char *text) {
    fprintf(out, "\n# ---- %s ----\n", title);
    print_wrapped(out, "# ", text, 100);
    fputc('\n', out);
}

static void conf_option(FILE *out, const char *name) {
    const struct option *option = option_find(bytes_of(name));
    char text[1024];
    if (option->hidden) return;
    explain(option, true, text, sizeof text);
    print_wrapped(out, "# ", text, 100);
    print_directive(out, *option->standard ? "" : "# ", option);
    fputc('\n', out);
}

static void conf_only(FILE *out, const char *name) {
    const struct option *option = option_find(bytes_of(name));
    if (option->standard && !option->hidden) print_directive(out, "# ", option);
}

void config_print(FILE *out) {
    fputs("# kevy.conf - the options of kevy, with their defaults.\n"
          "#\n"
          "#     kevy [kevy.conf] [--name value ...]\n"
          "#\n"
          "# The syntax is redis.conf's. Sizes may end in k, m, g (1000, ...) or kb, mb, gb (1024, ...). "
          "Values\n"
          "# with blanks stand in \"quotes\". Later lines override earlier ones. `include path` reads "
          "another file,\n"
          "# also several: `include /etc/kevy/*.conf`. `rename-command FLUSHALL name` gives a command "
          "another name,\n"
          "# `rename-command FLUSHALL \"\"` disables it. Lines with a # in front are comments.\n",
          out);
#define GROUP(title, text)             conf_group(out, title, text);
#define OPTION(kind, field, name, ...) conf_option(out, name);
#define ONLY(name, ...)                conf_only(out, name);
#define NO_EFFECT(kind, name, ...)     conf_only(out, name);
#include "server/config/options.def"
#undef GROUP
#undef OPTION
#undef ONLY
#undef NO_EFFECT
}

static void help_option(FILE *out, const char *name) {
    const struct option *option = option_find(bytes_of(name));
    char text[1024];
    if (option->hidden) return;
    explain(option, false, text, sizeof text);
    print_directive(out, option->when == ANY ? "  * --" : "    --", option);
    print_wrapped(out, "          ", text, 100);
}

void config_help(FILE *out) {
    fputs(
        "Usage: kevy [file] [--name value ...]\n"
        "       kevy - [--name value ...]        read the configuration from standard input\n"
        "       kevy --check-config [file] ...   say what is wrong with a configuration, start nothing\n"
        "       kevy --probe                     tell what this kernel offers and what kevy will use\n"
        "       kevy --check-data PATH           say whether what is saved there can be loaded; start "
        "nothing\n"
        "                     [--repair]         and cut off what is torn at the end of an append-only file\n"
        "       kevy --ping [host:port | path]   ask a server whether it is well: by default at "
        "127.0.0.1:6379\n"
        "       kevy --version | --help\n"
        "\n"
        "A file has redis.conf's syntax, and options override it. Here they are with their defaults;\n"
        "those with a * can be changed while kevy runs, by CONFIG SET.\n",
        out);
#define GROUP(title, text)
#define OPTION(kind, field, name, ...) help_option(out, name);
#define ONLY(...)
#define NO_EFFECT(...)
#include "server/config/options.def"
#undef GROUP
#undef OPTION
#undef ONLY
#undef NO_EFFECT
}
