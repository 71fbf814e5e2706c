/* snapshot_writer.h - what a snapshot shows, on its way into a file: parts that stripes fill under their locks, and one
 * writer that makes the file of them, without any of these locks.
 *
 * A part holds entries as they lie in the store; what their values refer to is held by references until it is written. So a
 * stripe copies a few bytes, and serialising, compressing and the checksum are the writer's. One thread is the writer, or,
 * in tests and simulations, whoever calls snapshot_writer_turn. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_WRITER_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_WRITER_H

#include "server/journal/snapshot_file.h"

/* What became of a snapshot. */
struct snapshot_written {
    int error;          /* 0, or a negative errno */
    const char *failed; /* what could not be done */
    bool given_up;      /* by snapshot_give_up: no error then */
    uint64_t keys, bytes;
};

struct snapshot_order {
    struct disk *disk;
    struct snapshot_names names; /* the texts stay where they are until it has ended */
    struct snapshot_form form;
    bool aof_base;              /* the file is the base of an append-only file */
    bool by_hand;               /* there is no thread: see snapshot_writer_turn */
    void (*cut)(void *context); /* this is the moment that the file shows: all stripes are locked. Or NULL */
    /* It is over, but for this: told by the writer, while somebody who holds all stripes may wait for it. So it takes no
     * stripe, and begins no other. Or NULL. */
    void (*ended)(void *context, const struct snapshot_written *written);
    void *context;
};

enum { SNAPSHOT_PART_BYTES = 32 << 10 };

struct snapshot_part {
    struct snapshot_part *next;
    uint64_t held; /* bytes that are held for it besides itself */
    size_t used;
    char data[SNAPSHOT_PART_BYTES - 3 * sizeof(uint64_t)];
};

/* The writer of this order begins; the data are as they are now, with all stripes held. None is at work. 0, or a negative
 * errno: without memory, or a thread. */
int snapshot_writer_open(const struct snapshot_order *order, int64_t now_ms);
/* Is one at work? Any thread. */
bool snapshot_writer_works(void);
/* Is it an append-only file's base that the last one to work was, or is, to write? Any thread. */
bool snapshot_writer_makes_base(void);
/* Nothing that is shown is of any use any more: it has failed, or was given up. Any thread. */
bool snapshot_writer_failed(void);

/* An empty part; NULL without memory: then it has failed. */
struct snapshot_part *snapshot_part_take(void);
/* Adds an entry, of which references are taken. False if it does not fit. `changes`: it is shown because it is about to be
 * changed, so that what is held of it is memory that nobody else needs. */
bool snapshot_part_add(struct snapshot_part *part, unsigned db, const struct entry *e, bool changes);
/* Hands a part over to the writer, which frees it. */
void snapshot_part_give(struct snapshot_part *part);
/* No part will follow. */
void snapshot_writer_complete(void);
/* It is to be given up; snapshot_writer_complete follows. */
void snapshot_writer_give_up(void);
/* Waits until it has ended and its thread is gone. Where there is no thread, does its work. */
void snapshot_writer_join(void);

enum snapshot_turn { SNAPSHOT_WROTE, SNAPSHOT_IDLE, SNAPSHOT_ENDED };
/* Writes a part, or ends the file. For the writer alone. */
enum snapshot_turn snapshot_writer_turn(void);

/* Any thread. */
struct snapshot_progress {
    uint64_t bytes, peak; /* that copies and what is held for them take, and took at most */
    uint64_t queued;      /* those of them that wait for the writer */
    uint64_t keys, total; /* written, and of the cut */
};
struct snapshot_progress snapshot_progress(void);
/* Grows while the writer is at work. Any thread. */
extern uint64_t snapshot_writer_work;

#endif
