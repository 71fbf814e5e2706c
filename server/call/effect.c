/* effect.c - the one change that no command makes: the time of a key has come, or of elements of its value. And the end of a
 * request: its ticket, and the marks that get it. */
#include "server/call/effect.h"

/* ---- The end -------------------------------------------------------------------------------------- */

/* Each mark that was noted gets the ticket. The stripes are locked still. */
static void mark(struct changed_marks *changed, uint64_t ticket) {
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++) {
        for (uint64_t bits = changed->stripes.words[word]; bits; bits &= bits - 1) {
            unsigned stripe = word * 64 + (unsigned)__builtin_ctzll(bits);
            struct stripe_marks *marks = stripes.all[stripe].marks;
            assert(marks->newest < ticket); /* tickets are taken under the lock */
            marks->newest = ticket;
            for (uint64_t left = changed->marks[stripe]; left; left &= left - 1)
                marks->last[__builtin_ctzll(left)] = ticket;
            changed->marks[stripe] = 0;
        }
        changed->stripes.words[word] = 0;
    }
}

/* Who took a ticket and has nothing to record after all records what changes nothing, for the ticket is waited for. */
static __attribute__((noinline)) void add_nothing(struct effects *x) {
    struct bytes ping[] = {BYTES("PING")};
    queue_add(x->journal, 0, &(struct record_command){.argv = ping, .argc = 1});
}

void effects_seal(struct effects *x) {
    if (__builtin_expect(!queue_is_open(x->journal), 0)) add_nothing(x);
    bool overdue_alone = !x->ticket && x->overdue == x->journal->open_count;
    uint64_t ticket = journal_seal(x->journal, x->ticket);
    x->ticket = 0;
    x->overdue = 0;
    if (!journal_holds()) return;
    mark(&x->changed, ticket);
    if (!overdue_alone) wakes_show(x->wakes, ticket);
}

/* ---- What is shown -------------------------------------------------------------------------------- */

void effects_claim(struct effects *x) {
    if (!x->journal || x->ticket || !journal_holds()) return;
    x->ticket = journal_take();
    wakes_show(x->wakes, x->ticket);
}

void effects_number(struct effects *x) {
    if (!x->journal || x->ticket || !queue_is_open(x->journal)) return;
    x->ticket = journal_take();
    if (journal_holds()) wakes_show(x->wakes, x->ticket);
}

void effects_claim_changed(struct effects *x) {
    if (x->journal && queue_is_open(x->journal)) effects_claim(x);
}

void effects_show_stripe(struct effects *x, const struct stripe *stripe) {
    wakes_show(x->wakes, stripe->marks->newest);
}

void effects_mark_stripe(struct effects *x, const struct stripe *stripe) {
    unsigned index = (unsigned)(stripe - stripes.all);
    stripe_set_add(&x->changed.stripes, index);
    x->changed.marks[index] = UINT64_MAX;
}

/* ---- Expiry --------------------------------------------------------------------------------------- */

void effect_expired(struct effects *x, struct stripe *stripe, const struct expired *what) {
    const struct entry *e = what->entry;
    struct value value = entry_value(e);
    bool last = what->kind == EXPIRED_LAST;
    if (what->kind == EXPIRED_KEY) metric_add(&x->metrics->expired_keys, 1);
    if (what->kind == EXPIRED_ELEMENT) metric_add(&x->metrics->expired_elements, 1);
    if (last) metric_add(&x->metrics->expired_elements, keyspace_type(stripe->keyspace, e)->count(&value));
    if (!stripe->ears) return; /* the key need not be hashed for nobody */
    struct effect said = {.kind = EFFECT_EXPIRED,
                          .event = EVENT_EXPIRED,
                          .db = what->db,
                          .key = {entry_key(e), hash_bytes(&stripes.seed, entry_key(e))},
                          .name = what->name,
                          .due = true};
    if (what->kind == EXPIRED_ELEMENTS || last) {
        said.kind = EFFECT_CHANGED;
        said.event = EVENT_HEXPIRED;
    } else if (what->kind == EXPIRED_ELEMENT) {
        said.kind = EFFECT_ELEMENT_EXPIRED;
        said.event = EVENT_NONE;
    }
    effect_heard(x, stripe, &said);
    if (!last) return;
    said.kind = EFFECT_EXPIRED;
    said.event = EVENT_DEL;
    effect_heard(x, stripe, &said);
}
