/* clients.h - the register of every client of the process, for CLIENT LIST and KILL and for maxclients. */
#ifndef KEVY_SERVER_CLIENTS_CLIENTS_H
#define KEVY_SERVER_CLIENTS_CLIENTS_H

#include <stdint.h>

#include "server/clients/client.h"

/* Gives the client its id and links it. False, and nothing is done, when maxclients are there already. Its fd
 * must stay open until clients_remove. A client that comes while there is no password counts as authenticated. */
bool clients_add(struct client *client) __attribute__((warn_unused_result));
/* Unlinks it and frees its strings. */
void clients_remove(struct client *client);

/* A client moves: `to` becomes what `from` was, in its place in the register, and lives in that shard and slot. Both
 * are of the caller's thread; `from` means nobody from then on. For a client that waits for nothing and keeps nothing
 * (see client.h: transaction, waiter, subscriber), and is no monitor. False, and nothing has happened, for one that
 * CLIENT KILL has named, or that tracks what it reads or is told of what others read. */
bool clients_leave(struct client *from, struct client *to, unsigned shard, uint32_t slot)
    __attribute__((warn_unused_result));
/* The same behind clients_leave, where nothing stands in its way: to be called where it has come to. */
void clients_arrive(struct client *from, struct client *to, unsigned shard, uint32_t slot);

/* For tests, by DEBUG: each client that can moves to the next shard whenever its own has made so many turns;
 * 0: none does. */
extern _Atomic uint32_t clients_stir_turns;

/* How many there are; no lock is taken. */
unsigned clients_count(void);

/* Between lock and unlock no client comes or goes, and strings of clients hold still:
 *
 *     clients_lock();
 *     for (struct client *c = clients_first(); c; c = c->next) ...    oldest first, so in order of their ids
 *     clients_unlock();
 *
 * Nothing slow may happen there: every shard that accepts or closes a connection waits for this lock. */
void clients_lock(void);
void clients_unlock(void);
struct client *clients_first(void);

/* What all clients together hold; takes the lock. */
struct clients_usage {
    uint64_t count;                 /* without those that CLIENT KILL has named, which have yet to go */
    uint64_t bytes;                 /* of unparsed requests and unsent replies */
    uint64_t max_input, max_output; /* of these bytes, those of one client */
};
struct clients_usage clients_usage(void);

/* The two ends of its socket, "127.0.0.1:50000", "[::1]:50000" or "/path/of/socket:0"; "?:0" where the kernel
 * no longer knows. Call under the lock; good until clients_remove. */
const char *client_peer(struct client *client);
const char *client_local(struct client *client);

/* Makes what few clients have. Call under the lock. NULL without memory. */
struct client_more *clients_more(struct client *client) __attribute__((warn_unused_result));

/* Replaces CLIENT_NAME, LIB_NAME or LIB_VER (an empty text: it has none). Takes the lock. False without memory, of which
 * forgetting a text needs none. */
bool clients_set_text(struct client *client, enum client_text which, struct bytes text)
    __attribute__((warn_unused_result));

#endif
