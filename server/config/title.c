/* title.c - what ps and top show.
 *
 * The kernel shows the bytes where it laid the arguments, and those behind them, where it laid the
 * environment:
 *
 *     argv[0] NUL argv[1] NUL ... argv[n] NUL envp[0] NUL ... envp[m] NUL
 *     '--------------------------- area ---------------------------------'
 *
 * A title that ends before its old place is shown up to its NUL; a longer one may run over the environment,
 * which therefore moves to the heap first. */
#include "server/config/title.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/bytes.h"

enum { TITLE_MAX = 2048 };

static struct {
    char *area; /* NULL: not ours to write to */
    size_t size;
    char *program; /* argv[0] */
    char **environment;
    bool shown; /* the area is the title's for good */
} title;

/* The end of the run of strings that starts at `end` and goes on with those of `list`. */
static char *run_end(char *end, char **list) {
    for (; *list && *list == end; list++) end += strlen(end) + 1;
    return end;
}

/* All copies lie in one block that title.environment keeps, so that a variable which is unset later is not lost. */
static bool environment_move(void) {
    size_t count = 0, size = 0;
    while (environ[count]) size += strlen(environ[count++]) + 1;
    char **moved = malloc((count + 1) * sizeof *moved + size);
    if (!moved) return false;
    char *at = (char *)(moved + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(environ[i]) + 1;
        moved[i] = memcpy(at, environ[i], len);
        at += len;
    }
    moved[count] = NULL;
    environ = title.environment = moved;
    return true;
}

void title_keep(int argc, char **argv) {
    if (title.area || argc < 1) return;
    char *end = run_end(run_end(argv[0], argv), environ);
    title.program = strdup(argv[0]);
    if (!title.program || !environment_move()) return;
    title.area = argv[0];
    title.size = (size_t)(end - argv[0]);
}

/* Redis's form: the first address, or *, and the port; else the Unix socket. */
static void listen_address(const struct title_values *values, char *out, size_t size) {
    const char *address = values->address ? values->address : "*";
    if (*address == '-') address++;
    if (!values->port)
        snprintf(out, size, "%s", values->unixsocket);
    else
        snprintf(out, size, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, values->port);
}

/* Puts the value of a variable into out. False if there is no such variable. */
static bool variable(const struct title_values *values, struct bytes name, char *out, size_t size) {
    if (bytes_equal(name, BYTES("title")))
        snprintf(out, size, "%s", title.program ? title.program : "");
    else if (bytes_equal(name, BYTES("listen-addr")))
        listen_address(values, out, size);
    else if (bytes_equal(name, BYTES("server-mode"))) /* a lone server is shown as nothing, as in Redis */
        snprintf(out, size, "%s", values->cluster ? "[cluster]" : "");
    else if (bytes_equal(name, BYTES("port")))
        snprintf(out, size, "%d", values->port);
    else if (bytes_equal(name, BYTES("tls-port")))
        snprintf(out, size, "0");
    else if (bytes_equal(name, BYTES("unixsocket")))
        snprintf(out, size, "%s", values->unixsocket);
    else if (bytes_equal(name, BYTES("config-file")))
        snprintf(out, size, "%s", values->config_file);
    else
        return false;
    return true;
}

/* The template with its variables replaced, cut at TITLE_MAX. False for an unknown variable or an open brace. */
static bool render(const char *template, const struct title_values *values, char out[TITLE_MAX]) {
    size_t len = 0;
    while (*template && len < TITLE_MAX - 1) {
        if (*template != '{') {
            out[len++] = *template ++;
            continue;
        }
        const char *close = strchr(++template, '}');
        const struct bytes name = {template, close ? (size_t)(close - template) : 0};
        if (!close || !variable(values, name, out + len, TITLE_MAX - len)) return false;
        len += strlen(out + len);
        template = close + 1;
    }
    while (len && out[len - 1] == ' ') len--;
    out[len] = '\0';
    return true;
}

const char *title_check(const char *template) {
    static const struct title_values none = {.unixsocket = "", .config_file = ""};
    char out[TITLE_MAX];
    return render(template, &none, out) ? NULL : "template format is invalid or contains unknown variables";
}

void title_show(const char *template, const struct title_values *values) {
    char out[TITLE_MAX];
    if (!title.area || !render(template, values, out)) return;
    title.shown = true;
    memset(title.area, 0, title.size);
    size_t len = strlen(out);
    memcpy(title.area, out, len < title.size ? len : title.size - 1);
}

bool title_is_shown(void) {
    return title.shown;
}
