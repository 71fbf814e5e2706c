/* mute.h - replies that nobody is to hear: of CLIENT REPLY OFF and SKIP, and those behind one's own end within EXEC.
 *
 * While a reply is muted, what is written to it goes to a place where it is written over. Handlers know nothing of it, and
 * it may begin and end between any two commands, within EXEC too: as in Redis, whatever is written meanwhile is left out,
 * also the head of a reply whose rest will be heard. */
#ifndef KEVY_SERVER_EXEC_MUTE_H
#define KEVY_SERVER_EXEC_MUTE_H

#include "protocol/reply.h"

struct call;

/* Where a muted reply writes, and how it goes on when it is heard again. One for each executor: one client's replies are
 * written at a time. */
struct mute {
    struct reply_sink sink; /* the reply's while it is muted: so the reply leads here */
    const struct reply_sink *heard;
    char *at, *end;
    char scratch[REPLY_CHUNK_MIN];
};

/* Mutes the call's reply, or ends that, as its client's flags say now. Whoever changes these flags and replies then calls
 * this in between. */
void mute_follow(struct call *call);
/* The reply's bytes go nowhere, whoever ends muting: of a command that nobody has sent. */
void mute_forever(struct mute *mute, struct reply *reply);
/* Ends it before the reply goes back to its owner. Nothing if it is not muted. */
void mute_end(struct reply *reply);

#endif
