/* crowd.h - how many clients wait for the disk, beside how many there are that do: by that the thread which writes under
 * `always` knows whether more are about to come (server/process/scribe.c).
 *
 * What is counted are connections whose replies began to be held, summed over all shards. Shards tell what they have counted
 * once a turn, and nobody waits for anybody: so these are estimates, by which nothing is decided but when a batch begins. */
#ifndef KEVY_SERVER_JOURNAL_CROWD_H
#define KEVY_SERVER_JOURNAL_CROWD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CROWD_EPOCH_US = 10 * 1000, /* in which different connections are told apart, or longer: */
    CROWD_BATCHES = 8, /* so many batches at least, for on a slow disk some write only now and then */
    CROWD_MANY = 32,   /* connections in a batch share well what it costs */
    CROWD_EPOCHS = 3,  /* a connection notes the epoch in which it was counted last, modulo this, plus one */
};

struct crowd {
    /* Shards add to these. */
    _Atomic uint32_t came __attribute__((aligned(64))); /* times that a connection began to be held */
    _Atomic uint32_t met;                               /* different ones in this epoch */
    /* The thread that writes stores these. */
    _Atomic uint32_t taken __attribute__((aligned(64))); /* of those that came: all before the last batch */
    _Atomic uint32_t members;                            /* different ones in the last epoch */
    _Atomic uint32_t epoch;
    uint32_t batches;  /* in this epoch, which */
    uint64_t since_us; /* has lasted since then */
};
extern struct crowd crowd;

/* What a shard has not told yet. Its thread's. */
struct crowd_part {
    uint32_t came, met;
};

/* A connection begins to be held, and notes what is returned: 1..CROWD_EPOCHS. `noted` is what it did so last, or 0. */
static inline uint32_t crowd_join(struct crowd_part *part, uint32_t noted) {
    uint32_t epoch = atomic_load_explicit(&crowd.epoch, memory_order_relaxed) % CROWD_EPOCHS + 1;
    part->came++;
    if (noted != epoch) part->met++;
    return epoch;
}
/* At the end of a shard's turn. True: some came. */
bool crowd_tell(struct crowd_part *part);

/* The thread that writes begins a batch: who has come so far is in it, or just missed it. */
void crowd_begin(uint64_t now_us);

/* How many connections write, by what was seen of late. */
uint32_t crowd_members(void);
/* How many of them have come since the last batch began? ALL is seven in eight, for a few may have stopped to write. HALF
 * is CROWD_MANY, where that is less. */
enum crowd_level { CROWD_FEW, CROWD_HALF, CROWD_ALL };
enum crowd_level crowd_level(void);

#endif
