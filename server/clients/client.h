/* client.h - a session: what a peer has told us and what it may do. No socket in sight: conn.h has that.
 *
 * Written only by the shard thread that owns the connection. Fields that CLIENT LIST shows from other threads are
 * relaxed atomics (client_set / client_get), strings among them change under the registry's lock (clients.h). */
#ifndef KEVY_SERVER_CLIENTS_CLIENT_H
#define KEVY_SERVER_CLIENTS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"

struct transaction; /* queued commands and watched keys: server/exec/transaction.h */
struct waiter;      /* a wait for keys: server/stripes/waiters.h */
struct subscriber;  /* what it subscribes to: server/clients/pubsub.c */
struct tracker;     /* what the register of those who track knows of it: server/clients/trackers.h */
struct command;

enum client_flag {
    CLIENT_UNAUTHENTICATED = 1 << 0, /* came when there was a password, and has not given it */
    CLIENT_MULTI = 1 << 1,           /* MULTI was said: commands are queued */
    CLIENT_MONITOR = 1 << 2,
    CLIENT_CLOSE_AFTER_REPLY = 1 << 3, /* QUIT, protocol errors: nothing further is run */
    CLIENT_CLOSE_NOW = 1 << 4,         /* killed: no reply is owed */
    CLIENT_REPLY_OFF = 1 << 5,         /* CLIENT REPLY OFF */
    CLIENT_REPLY_SKIP = 1 << 6,        /* CLIENT REPLY SKIP: the reply of the running command is dropped */
    CLIENT_REPLY_SKIP_NEXT = 1 << 7,   /* becomes SKIP when the next command starts */
    CLIENT_NO_EVICT = 1 << 8,
    CLIENT_NO_TOUCH = 1 << 9,
    CLIENT_UNIX_SOCKET = 1 << 10,
    CLIENT_IN_EXEC = 1 << 11,         /* EXEC is running the queue */
    CLIENT_BLOCKED = 1 << 12,         /* its requests wait: for keys, or for the end of CLIENT PAUSE */
    CLIENT_SUBSCRIBED = 1 << 13,      /* to at least one channel or pattern */
    CLIENT_TRACKING = 1 << 14,        /* CLIENT TRACKING is on, and how: */
    CLIENT_BCAST = 1 << 15,           /* by prefixes, not by what it reads */
    CLIENT_OPTIN = 1 << 16,           /* only what is read behind CLIENT CACHING YES */
    CLIENT_OPTOUT = 1 << 17,          /* not what is read behind CLIENT CACHING NO */
    CLIENT_NOLOOP = 1 << 18,          /* its own changes are not told to it */
    CLIENT_CACHING = 1 << 19,         /* CLIENT CACHING was said for the next command */
    CLIENT_BROKEN_REDIRECT = 1 << 20, /* whom its invalidations were sent to has gone */
    CLIENT_READONLY = 1 << 21,        /* READONLY was said, in cluster mode */
    CLIENT_CAN_REDIRECT = 1 << 22,    /* CLIENT CAPA REDIRECT was said: it would follow a redirection */
};

/* What a client is called, and where its socket's two ends are: "ip:port" or "path:0". */
enum client_text { CLIENT_NAME, CLIENT_LIB_NAME, CLIENT_LIB_VER, CLIENT_PEER, CLIENT_LOCAL, CLIENT_TEXTS };

/* What few clients have; made at first need, under the registry's lock (clients.h), and freed by clients_remove. */
struct client_more {
    char *texts[CLIENT_TEXTS]; /* malloc'd or NULL; under the registry's lock */
    uint64_t redirect;         /* id of whom its invalidations are sent to; 0: to itself; atomic for others */
    uint32_t subscriptions[3]; /* to channels, patterns, shard channels; atomic for others */
};

struct client {
    uint64_t id;    /* from 1, never reused */
    uint32_t flags; /* CLIENT_*: atomic for others */
    uint16_t db;    /* atomic for others */
    uint8_t resp;   /* 2 or 3; atomic for others */
    /* {shard, slot, id} is its address for posts. Shard and slot change together, under the registry's lock, where it moves
     * (clients_leave): never while it waits for something, subscribes, tracks or monitors. So who has it by one of these,
     * or holds the lock, may rely on them. */
    uint8_t shard; /* index of the owning shard */
    uint32_t slot; /* of its connection there */
    int fd;        /* for CLIENT LIST and socket options alone */
    uint8_t wait;  /* enum wait_state (wait.h): atomic, swapped by other threads too */
    bool killed;   /* CLIENT KILL has posted its end: not shown; written under the registry's lock, atomic */
    uint32_t queued;                    /* commands that MULTI has queued; atomic for others */
    int64_t created_ms;                 /* Unix time; fixed */
    int64_t active_ms;                  /* Unix time when bytes last came or went; atomic for others */
    uint64_t input_bytes;               /* of unparsed requests; atomic for others */
    uint64_t output_bytes;              /* of unsent replies; atomic for others */
    uint64_t commands;                  /* atomic for others */
    const struct command *last_command; /* atomic for others */
    struct transaction *transaction;    /* NULL until MULTI or WATCH */
    uint64_t queued_bytes;              /* that MULTI's queue keeps; atomic for others */
    struct waiter *waiter;              /* what it waits for; NULL: it does not wait */
    size_t pushed;                      /* bytes of invalidations that may be unsent yet */
    struct subscriber *subscriber; /* NULL: it has no subscription, and no message waits for it behind EXEC */
    struct client_more *more;      /* NULL: it has none of it; other threads make it too (client_more) */
    struct client *prev, *next;    /* the registry's list */
};

#define client_set(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define client_get(field)        __atomic_load_n(&(field), __ATOMIC_RELAXED)

_Static_assert(sizeof(struct client) <= 144, "the part of an idle connection's memory that is its client");

/* What few clients have, or NULL. Any thread that keeps the client from going. */
static inline const struct client_more *client_more(const struct client *client) {
    return __atomic_load_n(&client->more, __ATOMIC_ACQUIRE);
}
/* One of its texts, or NULL. Under the registry's lock, or, of those that its own thread alone sets, by that. */
static inline const char *client_text(const struct client *client, enum client_text which) {
    const struct client_more *more = client_more(client);
    return more ? more->texts[which] : NULL;
}
static inline uint64_t client_redirect(const struct client *client) {
    const struct client_more *more = client_more(client);
    return more ? client_get(more->redirect) : 0;
}
/* To how many channels it is subscribed; kind is an enum channel_kind. */
static inline uint32_t client_subscriptions(const struct client *client, unsigned kind) {
    const struct client_more *more = client_more(client);
    return more ? client_get(more->subscriptions[kind]) : 0;
}

/* Is authentication asked for and still owed? */
bool client_must_authenticate(const struct client *client);

#endif
