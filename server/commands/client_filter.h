/* client_filter.h - which clients CLIENT LIST and CLIENT KILL are about. */
#ifndef KEVY_SERVER_COMMANDS_CLIENT_FILTER_H
#define KEVY_SERVER_COMMANDS_CLIENT_FILTER_H

#include "server/call/call.h"
#include "server/clients/client.h"

enum client_type { TYPE_ANY = -1, TYPE_NORMAL, TYPE_REPLICA, TYPE_PUBSUB, TYPE_MASTER };

/* Filters that compare texts: equal ones, or, of flags and capabilities, letters that are all there. */
enum filter_text {
    FILTER_ADDR,
    FILTER_LADDR,
    FILTER_NAME,
    FILTER_LIB_NAME,
    FILTER_LIB_VER,
    FILTER_IP,
    FILTER_FLAGS,
    FILTER_CAPA,
    FILTER_TEXTS
};

/* Each filter, and behind it the one that begins with NOT-. A client must pass all that there are. */
struct client_filter {
    uint64_t *ids[2]; /* malloc'd, in ascending order; NULL: any */
    size_t id_count[2];
    enum client_type type[2];
    int64_t db[2]; /* -1: any */
    bool has_text[FILTER_TEXTS][2];
    struct bytes text[FILTER_TEXTS][2];
    int64_t max_age_s, idle_s; /* those at least so old, or idle for so long; 0: any */
    bool nobody;               /* NOT-USER: there is one user */
    bool skip_me;
};

/* Filters from argv[arg] on. False after replying; else the filter is to be freed. */
bool client_filter_read(struct call *call, uint32_t arg, bool kill, struct client_filter *filter)
    __attribute__((warn_unused_result));
/* One that lets all clients pass, but for the asking one if it is to be skipped. */
struct client_filter client_filter_all(bool skip_me);
void client_filter_free(struct client_filter *filter);
/* Under the registry's lock. One that is being closed never passes. */
bool client_filter_passes(const struct call *call, const struct client_filter *filter, struct client *client);

/* Redis's letters for a client's state, in its order; "N": there are none. */
enum { CLIENT_LETTERS_MAX = 16 };
void client_letters(uint32_t flags, char letters[CLIENT_LETTERS_MAX]);

#endif
