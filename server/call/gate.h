/* gate.h - what may keep a command from running: a row for each reason.
 *
 *     static enum verdict ask_password(const struct call *call, struct text *why) { ... }
 *     GATE(password) = {.bit = GATE_NOAUTH, .flags = CLIENT_UNAUTHENTICATED, .concerns = ..., .ask = ask_password};
 *
 * A gate is raised or not. It costs those commands alone that it concerns, and those only while it is raised: which
 * gates concern a command is found out once, at start (command->gates), which are raised once a batch, so that
 *
 *     command->gates & executor->gates
 *
 * is all that a command is asked that passes. Otherwise server/exec/gates asks the raised ones that concern it, in the
 * order of their bits, which is Redis's: before any lock is taken, before MULTI queues it, and within EXEC.
 *
 * To add a gate: give it a bit, write its row into its subject's file, and raise it. */
#ifndef KEVY_SERVER_CALL_GATE_H
#define KEVY_SERVER_CALL_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/text.h"

struct call;
struct command;

enum verdict {
    PASS,
    REFUSED, /* with an error, and counted */
    HELD,    /* unanswered: it waits, or its client is to be closed */
};

enum gate_bit {
    GATE_PROTECTED,   /* not enabled by the configuration: DEBUG */
    GATE_NOAUTH,      /* the password is owed */
    GATE_NO_MULTI,    /* not inside MULTI */
    GATE_DISK,        /* what was changed could not be saved: nothing more is to be changed */
    GATE_MISCONF,     /* what is changed cannot be written down */
    GATE_SUBSCRIBER,  /* who subscribes in RESP2 may do little else */
    GATE_LOADING,     /* the data set is being loaded */
    GATE_KEYSPACE,    /* monitors have nothing to do with keys */
    GATE_PAUSE_WRITE, /* CLIENT PAUSE WRITE */
    GATE_PAUSE_ALL,   /* CLIENT PAUSE */
    GATE_MESSAGES,    /* more messages wait for delivery than should */
    GATE_ROOM,        /* more changes wait for the disk than should */
    GATE_SNAPSHOT,    /* a save in the background holds more memory than it should */
    GATE_COUNT,
    /* Modes keep nothing back: they change how a command runs. Their rows have no .ask. */
    MODE_FIRST = 26,
    MODE_CLOSING = MODE_FIRST, /* nothing is run or refused any more: the client is to be closed */
    MODE_MUTED,                /* replies are dropped */
    MODE_QUEUE,                /* MULTI keeps it for EXEC */
    MODE_MONITORED,            /* monitors are told of it */
    MODE_TRACKED,              /* its client tracks what it reads: server/call/tracked.h */
    MODE_TIMED,                /* timed by itself, however quick */
    GATE_BITS
};
_Static_assert(GATE_COUNT < MODE_FIRST && GATE_BITS <= 32, "a word holds all gates and modes");
#define GATE_MASK(bit) ((uint32_t)1 << (bit))
enum { GATE_MODES = (int)(UINT32_MAX << MODE_FIRST) };

struct gate {
    uint8_t bit;
    bool outermost; /* EXEC has passed it for its queue: commands within are not asked */
    uint32_t
        flags; /* it is raised for clients with any of these (CLIENT_*); 0: by gate_raise, for all clients */
    bool (*concerns)(const struct command *command);
    /* What of this call? REFUSED: `why` has the error, its code first. call->command is the row that it concerns; no
     * lock is held, or, within EXEC, those of EXEC's keys. */
    enum verdict (*ask)(const struct call *call, struct text *why);
};

#define GATE(ident)                                                                                          \
    static const struct gate gate_##ident;                                                                   \
    static const struct gate *const gate_row_##ident                                                         \
        __attribute__((section("gates"), used)) = &gate_##ident;                                             \
    static const struct gate gate_##ident

/* Those that are raised for all clients. Any thread may raise and lower; a batch that has begun may not see it. */
extern _Atomic uint32_t gates_up;
static inline void gate_raise(enum gate_bit bit) {
    atomic_fetch_or(&gates_up, GATE_MASK(bit));
}
static inline void gate_lower(enum gate_bit bit) {
    atomic_fetch_and(&gates_up, ~GATE_MASK(bit));
}

/* Client flags that raise some gate. */
extern uint32_t gates_client_flags;

/* Checks the rows. NULL, or an error text. Called by command_table_open, before the next ones. */
const char *gate_table_open(void);
/* The bits of all gates and modes that concern this row. */
uint32_t gates_of_command(const struct command *command);
/* The bits of those that are raised for a client with these flags. */
uint32_t gates_of_flags(uint32_t flags);
/* The row with this bit, or NULL. */
const struct gate *gate_at(unsigned bit);

#endif
