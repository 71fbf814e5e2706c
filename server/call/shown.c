/* shown.c - keys by their row, or whole stripes. */
#include "server/call/shown.h"

/* Data, and not what is to be known of the server when its disk hangs. */
static bool shows_all(const struct command *command) {
    return command->flags & (CMD_ALL_STRIPES | CMD_MORE_STRIPES) &&
           (command->flags & (CMD_READONLY | CMD_WRITE | CMD_PROTECTED) || command->group == GROUP_CLUSTER);
}

static void note_key(struct call *call, uint64_t hash) {
    assert(call_holds(call, stripe_index(hash)));
    effects_show_key(call->effects, hash);
    if (call->logged) effects_mark(call->effects, hash);
}

static void note_keys(struct call *call) {
    struct command_key few[COMMAND_FEW_KEYS], *keys;
    int count;
    keys = command_keys_all(call->command, call->argv, call->argc, few, &count);
    if (!keys) shown_note_held(call);
    for (int i = 0; keys && i < count; i++)
        if (!(keys[i].flags & KEY_NOT_KEY)) note_key(call, call->hash[keys[i].arg]);
    command_keys_free(keys, few);
}

static void note_set(struct effects *x, const struct stripe_set *set) {
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++)
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1)
            effects_show_stripe(x, &stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)]);
}

void shown_note_held(struct call *call) {
    if (!journal_holds()) return;
    if (call->held) note_set(call->effects, call->held);
    if (call->stripe != STRIPE_NONE) effects_show_stripe(call->effects, &stripes.all[call->stripe]);
}

/* A channel is hashed as if it were a key. */
void shown_note(struct call *call) {
    const struct command *command = call->command;
    if (command->flags & CMD_PUBSUB) return;
    if (command->lone_key)
        note_key(call, call->hash[command->lone_key]);
    else if (command->keys[0].flags || command->find_keys)
        note_keys(call);
    if (shows_all(command)) shown_note_held(call);
}
