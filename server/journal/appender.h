/* appender.h - the append-only log as the server runs it: the turns of the journal's thread, who is held by it or waits for
 * it, and what INFO says of it all. Whether there is a log is aof_switch.h's, how its files are made anew aof_rewrite.h's.
 *
 * Who does what:
 *   the journal's thread   takes turns of the writer and steps of a rewrite: it alone writes to the log
 *   an executor            takes the cut of a rewrite, and switches the log on and off: all of it under all stripes
 *   anybody                asks for a rewrite, and for figures */
#ifndef KEVY_SERVER_JOURNAL_APPENDER_H
#define KEVY_SERVER_JOURNAL_APPENDER_H

#include <stdatomic.h>

#include "server/journal/aof_log.h"

enum {
    APPENDER_BYTES_MAX = 64 << 20, /* records in memory at which whoever writes is held ... */
    APPENDER_AGE_MAX_MS = 1000,    /* ... or when so old a change is not synced (everysec) */
};

/* Queues for so many executors, before these are opened; nothing is recorded yet. False without memory. */
bool appender_open(struct disk *disk, const struct aof_log_server *server, unsigned executors)
    __attribute__((warn_unused_result));
/* No thread uses it any more. */
void appender_close(void);

/* ---- The journal's thread ------------------------------------------------------------------------- */

/* A turn of the writer and a step of a rewrite. Times as writer_turn has them. */
int64_t appender_turn(int64_t now_ms);
/* The next turn's batch has so many tickets at most; 0: any number. */
void appender_limit(uint64_t tickets);
/* Under `always` each change is somebody's wait; else there is time to gather some. */
bool appender_hurries(void);
/* So many microseconds are slept before each write from now on, for tests; 0: none. Any thread. */
void appender_sleep_before_writes(int64_t sleep_us);
/* What was to be on the disk cannot be: what is left to do is to say so and end. The error, a negative errno; 0: no. */
int appender_fatal(void);
/* No executor runs any more: all is written and synced. False, after logging why not, where that failed. */
bool appender_finish(int64_t now_ms);

/* ---- An executor, holding all stripes -------------------------------------------------------------- */

/* For who wants to read the files: waits until all that was changed is written to them, and lets nobody make others or list
 * them until appender_give_files. The disk that they are on; NULL, after logging why, where they do not say all that they
 * are to say. */
struct disk *appender_keep_files(void) __attribute__((warn_unused_result));
void appender_give_files(void);

/* ---- Any thread ------------------------------------------------------------------------------------ */

/* There are changes in the journal that were made at this time of the monotonic clock, in milliseconds, or later.
 * Whoever adds some calls it: a journal's thread that does not come to its turn cannot tell how old they are. */
void appender_note(uint64_t now_ms);
/* Is there room for more changes? Where not, whoever wants to make some is held. */
bool appender_has_room(uint64_t now_ms);

/* Is the log on? Is it on, and all of it that was changed up to this ticket on the disk, in files that are listed? */
bool appender_is_on(void);
bool appender_has_synced(uint64_t ticket);
/* Another number, never 0, whenever one of these answers may be another one. */
extern _Atomic uint64_t appender_news_count;
static inline uint64_t appender_news(void) {
    return atomic_load_explicit(&appender_news_count, memory_order_seq_cst);
}
/* Somebody waits for that, or no longer: as long as there is anybody all shards are woken when there is news. */
void appender_await(void);
void appender_await_no_more(void);

struct appender_figures {
    bool on;                   /* or it will be, when all data are loaded */
    bool rewriting, scheduled; /* scheduled: when what else writes a snapshot has ended */
    bool asked;                /* for one whose base is not begun */
    bool rewrite_ok, write_ok;
    int64_t last_rewrite_s, current_rewrite_s; /* seconds; -1: there was none, there is none */
    uint64_t rewrites, failures;               /* begun; failed since one was well */
    uint64_t size, base_size;                  /* bytes of all files, and when they were made anew */
    uint64_t buffered;                         /* bytes of records in memory, where any is to be written */
    bool unsynced;
    uint64_t delayed; /* times that whoever writes was held */
    uint64_t peak;    /* bytes that copies took for the last base */
};
struct appender_figures appender_figures(void);
/* Text of the last error of writing; what is refused names it. */
const char *appender_error(void);

#endif
