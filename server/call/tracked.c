/* tracked.c - which keys a command has read, by its row: the keys that it locks, of rows that are CMD_READONLY. */
#include "server/call/tracked.h"

#include "protocol/assert.h"
#include "server/call/gate.h"
#include "server/config/config.h"

/* Commands that write may change what their own client has read, and those that read are noted. */
static bool reads_or_writes(const struct command *command) {
    return command->flags & (CMD_READONLY | CMD_WRITE);
}
GATE(tracked) = {.bit = MODE_TRACKED, .flags = CLIENT_TRACKING, .concerns = reads_or_writes};

/* ---- The limit ------------------------------------------------------------------------------------ */

static bool is_over(void) {
    int64_t most = config.tracking_table_max_keys;
    return most && __builtin_expect(tracking_totals().keys > (uint64_t)most, 0);
}

/* Nobody has changed them: who runs the command is told like all others, and whatever it has said of its own changes. */
unsigned tracked_evict(struct effects *x, struct stripe *stripe, unsigned most) {
    static _Thread_local uint64_t random = 0x9e3779b97f4a7c15ull;
    unsigned evicted = 0;
    uint64_t client_id = x->tracking.own.client_id;
    x->tracking.own.client_id = 0;
    for (; evicted < most && is_over(); evicted++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        struct tracked *tracked = tracking_take_any(stripe, random);
        if (!tracked) break;
        effects_invalidate(x, stripe, tracked);
    }
    x->tracking.own.client_id = client_id;
    return evicted;
}

/* ---- Reads ---------------------------------------------------------------------------------------- */

void tracked_note(struct call *call, struct key key) {
    struct stripe *stripe = stripe_of(key.hash);
    assert(call_holds(call, stripe_index(key.hash)));
    enum tracking_noted noted = tracking_note(stripe, key, (uint32_t)call->client->id);
    if (__builtin_expect(noted == TRACKING_KNOWN, 1)) return;
    if (noted == TRACKING_NO_MEMORY) invalidation_unnoted(&call->effects->tracking);
    if (is_over()) (void)tracked_evict(call->effects, stripe, TRACKED_EVICTED);
}

/* As CLIENT CACHING has said: YES under OPTIN, NO under OPTOUT. */
static bool is_noted(const struct client *client) {
    bool said = client->flags & CLIENT_CACHING;
    if (client->flags & CLIENT_BCAST) return false;
    return client->flags & CLIENT_OPTIN ? said : client->flags & CLIENT_OPTOUT ? !said : true;
}

void tracked_note_all(struct call *call) {
    struct command_key few[COMMAND_FEW_KEYS], *keys;
    const struct command *command = call->command;
    int count;
    if (!(call->client->flags & CLIENT_TRACKING) || !(command->flags & CMD_READONLY) ||
        !is_noted(call->client))
        return;
    keys = command_keys_all(command, call->argv, call->argc, few, &count);
    if (!keys) invalidation_unnoted(&call->effects->tracking);
    for (int i = 0; keys && i < count; i++)
        if (!(keys[i].flags & KEY_NOT_KEY)) tracked_note(call, call_key(call, keys[i].arg));
    command_keys_free(keys, few);
}

void tracked_end(struct client *client) {
    const uint32_t modes = CLIENT_TRACKING | CLIENT_BROKEN_REDIRECT | CLIENT_BCAST | CLIENT_CACHING |
                           CLIENT_OPTIN | CLIENT_OPTOUT | CLIENT_NOLOOP;
    if (!(client->flags & CLIENT_TRACKING)) return;
    trackers_end(client);
    client_set(client->flags, client->flags & ~modes);
}

/* CLIENT's subcommands in between do not count, as in Redis, and MULTI makes it last until the transaction has ended. */
void tracked_command_ended(const struct command *command, struct client *client) {
    bool is_client = command && command->container && command->group == GROUP_CONNECTION;
    if (!(client->flags & CLIENT_CACHING) || client->flags & CLIENT_MULTI || is_client) return;
    client_set(client->flags, client->flags & ~(uint32_t)CLIENT_CACHING);
}
