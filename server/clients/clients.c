/* clients.c - one list under one mutex: connections come and go by the thousand, requests by the million, and
 * only the former take the lock. */
#include "server/clients/clients.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "protocol/assert.h"
#include "server/clients/trackers.h"
#include "server/config/config.h"
#include "server/limits.h"
#include "server/lock_order.h"
#include "server/report/info.h"

static struct {
    struct mutex mutex;
    struct client *first, *last;
    unsigned count;   /* written under the mutex; atomic for others */
    uint64_t last_id; /* under the mutex, so that the list is in order of ids */
} registry = {.mutex = MUTEX(LOCK_CLIENTS)};

_Atomic uint32_t clients_stir_turns;

void clients_lock(void) {
    mutex_lock(&registry.mutex);
}

void clients_unlock(void) {
    mutex_unlock(&registry.mutex);
}

struct client *clients_first(void) {
    return registry.first;
}

unsigned clients_count(void) {
    return __atomic_load_n(&registry.count, __ATOMIC_RELAXED);
}

static void registry_link(struct client *client) {
    client->id = ++registry.last_id;
    client->prev = registry.last, client->next = NULL;
    if (registry.last)
        registry.last->next = client;
    else
        registry.first = client;
    registry.last = client;
    __atomic_store_n(&registry.count, registry.count + 1, __ATOMIC_RELAXED);
}

static void registry_unlink(struct client *client) {
    if (client->prev)
        client->prev->next = client->next;
    else
        registry.first = client->next;
    if (client->next)
        client->next->prev = client->prev;
    else
        registry.last = client->prev;
    client->prev = client->next = NULL;
    __atomic_store_n(&registry.count, registry.count - 1, __ATOMIC_RELAXED);
}

bool clients_add(struct client *client) {
    bool room;
    if (config_has_password()) client_set(client->flags, client->flags | CLIENT_UNAUTHENTICATED);
    clients_lock();
    room = registry.count < (uint64_t)config.maxclients;
    if (room) registry_link(client);
    clients_unlock();
    return room;
}

void clients_remove(struct client *client) {
    clients_lock();
    registry_unlink(client);
    trackers_leave(client);
    clients_unlock();
    struct client_more *more = client->more;
    client->more = NULL;
    for (unsigned i = 0; more && i < CLIENT_TEXTS; i++) free(more->texts[i]);
    free(more);
}

/* In the place of the other, so that the list stays in order of ids. Others read a client under the lock alone. */
static void replace(struct client *from, struct client *to, unsigned shard, uint32_t slot) {
    assert(from->id && !from->transaction && !from->waiter && !from->subscriber && shard < MAX_SHARDS);
    *to = *from;
    to->shard = (uint8_t)shard;
    to->slot = slot;
    if (to->prev)
        to->prev->next = to;
    else
        registry.first = to;
    if (to->next)
        to->next->prev = to;
    else
        registry.last = to;
    from->id = 0;
    from->more = NULL;
    from->prev = from->next = NULL;
}

bool clients_leave(struct client *from, struct client *to, unsigned shard, uint32_t slot) {
    clients_lock();
    bool stays = from->killed || trackers_know(from->id);
    if (!stays) replace(from, to, shard, slot);
    clients_unlock();
    return !stays;
}

void clients_arrive(struct client *from, struct client *to, unsigned shard, uint32_t slot) {
    clients_lock();
    replace(from, to, shard, slot);
    clients_unlock();
}

struct client_more *clients_more(struct client *client) {
    struct client_more *more = client->more;
    debug_assert(lock_order_holds(LOCK_CLIENTS));
    if (more) return more;
    more = calloc(1, sizeof *more);
    __atomic_store_n(&client->more, more, __ATOMIC_RELEASE);
    return more;
}

/* A socket address in words; `size` bytes at dst. */
static void address_text(const struct sockaddr_storage *address, socklen_t len, char *dst, size_t size) {
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(dst, size, "%s:%d", host, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        snprintf(dst, size, "[%s]:%d", host, ntohs(in->sin6_port));
    } else if (address->ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)address;
        size_t path =
            len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;
        snprintf(dst, size, "%.*s:0", (int)strnlen(un->sun_path, path), un->sun_path);
    } else {
        snprintf(dst, size, "?:0");
    }
}

/* What `ask` (getpeername or getsockname) says about its socket, kept from the first time on. */
static const char *address_of(struct client *client, int (*ask)(int, struct sockaddr *, socklen_t *),
                              enum client_text which) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    char words[sizeof(struct sockaddr_un) + INET6_ADDRSTRLEN];
    const char *known = client_text(client, which);
    if (known) return known;
    if (ask(client->fd, (struct sockaddr *)&address, &len) < 0) return "?:0";
    address_text(&address, len, words, sizeof(words));
    struct client_more *more = clients_more(client);
    if (more) more->texts[which] = strdup(words);
    known = client_text(client, which);
    return known ? known : "?:0";
}

const char *client_peer(struct client *client) {
    /* The far end of a Unix socket has no name: Redis shows the near one for both. */
    return address_of(client, client_get(client->flags) & CLIENT_UNIX_SOCKET ? getsockname : getpeername,
                      CLIENT_PEER);
}

const char *client_local(struct client *client) {
    return address_of(client, getsockname, CLIENT_LOCAL);
}

bool clients_set_text(struct client *client, enum client_text which, struct bytes text) {
    char *copy = text.len ? strndup(text.data, text.len) : NULL, *old = NULL;
    if (text.len && !copy) return false;
    clients_lock();
    struct client_more *more = copy ? clients_more(client) : client->more;
    if (more) {
        old = more->texts[which];
        more->texts[which] = copy;
    }
    clients_unlock();
    free(more ? old : copy);
    return more || !text.len;
}

bool client_must_authenticate(const struct client *client) {
    return client->flags & CLIENT_UNAUTHENTICATED && config_has_password();
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

struct clients_usage clients_usage(void) {
    struct clients_usage usage = {0};
    clients_lock();
    for (struct client *client = clients_first(); client; client = client->next) {
        uint64_t input = client_get(client->input_bytes), output = client_get(client->output_bytes);
        usage.count += !client->killed;
        usage.bytes += input + output;
        if (input > usage.max_input) usage.max_input = input;
        if (output > usage.max_output) usage.max_output = output;
    }
    clients_unlock();
    return usage;
}

static void measure_clients(struct info *info) {
    struct clients_usage usage = clients_usage();
    info->figures.connected_clients = (double)usage.count;
    info->figures.maxclients = (double)config.maxclients;
    info->figures.client_recent_max_input_buffer = (double)usage.max_input;
    info->figures.client_recent_max_output_buffer = (double)usage.max_output;
}
INFO_MEASURE(CLIENTS, measure_clients);

static void section_clients(struct info *info) {
    info_metrics(info, METRIC_CLIENTS);
}
INFO_SECTION(clients) = {
    .name = "clients", .title = "Clients", .order = 20, .by_default = true, .write = section_clients};
