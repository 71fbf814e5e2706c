/* silence.h - sockets of which the kernel has stopped to tell: they are asked.
 *
 * A receive that stays armed can miss the end of the stream, if that comes together with the last bytes
 * (io_misses_ends): the connection would stay for ever. What is missed is missed when bytes come, so whoever has fallen
 * silent is asked once, and then no more: a server with idle clients sleeps. Who is never silent, because he is sent
 * something all the time, is asked now and then. Where any silence is doubtful (io_doubts_silence) all are asked.
 *
 * Each shard has one; all of it belongs to its thread. Nothing here fails. */
#ifndef KEVY_SERVER_LOOP_SILENCE_H
#define KEVY_SERVER_LOOP_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

struct silence {
    uint64_t heard_us, asked_us; /* monotonic: when anything was heard last; when the last round began */
    uint64_t next_all_us;        /* ... and when everybody is to be asked, where that is needed */
    uint64_t next_busy_us;       /* ... or those who are not silent, in the next round */
    int64_t from_ms, to_ms;      /* Unix time: who was heard last between these is asked in this round */
    unsigned next_page;          /* of the slots, while a round is under way */
    bool going, all, again;      /* is it? Does it ask everybody? Shall the next one? */
    bool busy;                   /* does it ask also those who were heard of last behind to_ms? */
};

/* Something was heard, somebody came, or bytes left: whatever makes a connection count as heard of (conn_active). */
static inline void silence_heard(struct silence *silence, uint64_t now_us) {
    silence->heard_us = now_us;
}
/* A receive that was to end goes on, or there was no room to end it: if that was asked for here, nobody knows whose. */
static inline void silence_unanswered(struct silence *silence) {
    silence->again = true;
}

/* Once a turn, behind its events: a page of connections, if a round is due or under way. */
void silence_ask(struct shard *shard);
/* Microseconds until this is to be called even if nothing comes; UINT64_MAX: no need. */
uint64_t silence_due_us(const struct shard *shard);

#endif
