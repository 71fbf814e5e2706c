/* appender.h - the append-only log as the server keeps it: whether it is on, in which files it lies, how these are made
 * anew, and what INFO says of all that.
 *
 * Who does what:
 *   the journal's thread   takes turns of the writer; makes and deletes files, and writes the manifest, for a rewrite
 *   an executor            takes the cut of a rewrite, and switches the log on and off: all of it under all stripes
 *   anybody                asks for a rewrite, and for figures
 *
 * A rewrite goes through steps: ASKED; the thread makes the next incremental file and lists it; READY; an executor takes the
 * cut, and a snapshot of that moment becomes the new base (SAVING); SAVED; the thread lists it, and deletes what is history.
 * What fails on the way leaves the files that there are in use. Where the log is switched on while the server runs, its
 * first file is listed together with its first base.
 *
 * Manifest and files of this process are under a mutex whose holder may wait for the disk. */
#ifndef KEVY_SERVER_JOURNAL_APPENDER_H
#define KEVY_SERVER_JOURNAL_APPENDER_H

#include <stdatomic.h>

#include "server/journal/bell.h"
#include "server/journal/crowd.h"
#include "server/journal/writer.h"

enum {
    APPENDER_BYTES_MAX = 64 << 20, /* records in memory at which whoever writes is held ... */
    APPENDER_AGE_MAX_MS = 1000,    /* ... or when so old a change is not synced (everysec) */
};

/* What the log asks of the server around it; calls come from the journal's thread. */
struct appender_server {
    void (*look_again)(
        void); /* every shard is to look at everything: a cut is to be taken, or there is room */
    void (*refuse)(bool on); /* commands that write are refused from now on, or no longer */
    void (*wake)(void);      /* every shard is to look who waits for the disk */
    bool (*holds)(void);     /* whoever writes is held now; called when there is room, and ends that */
    /* For tests. */
    bool by_hand;                         /* bases are written by who calls snapshot_writer_turn */
    const struct writer_padding *padding; /* another one than the usual; or NULL */
};

/* Queues for so many executors, before these are opened; nothing is recorded yet. False without memory. */
bool appender_open(struct disk *disk, const struct appender_server *server, unsigned executors)
    __attribute__((warn_unused_result));
/* No thread uses it any more. */
void appender_close(void);
/* When all data are loaded, before anybody changes them, and before there is the thread: with appendonly, makes the files
 * and listens. `from_files`: what is in memory is what the files say; else they get a base of it. Needs no lock held. False
 * after logging why not. */
bool appender_begin(bool from_files);

/* ---- The journal's thread ------------------------------------------------------------------------- */

extern struct bell appender_bell; /* rung when there is something to write: */
/* as loud as this, where so many wait for it. */
static inline uint32_t appender_loudness(enum crowd_level level) {
    _Static_assert((int)CROWD_FEW == 0 && (int)CROWD_ALL < (int)BELL_LOUDEST, "each has its own");
    return 1 + (uint32_t)level;
}

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

/* Follows the options appendonly and appendfsync: `queue` is the executor's. False where the log cannot be switched
 * on: why stands in the log. */
bool appender_follow(struct record_queue *queue, int64_t now_ms);
/* Is there a cut to be taken? Any thread. */
bool appender_wants_cut(void);
/* Takes it, if nothing else writes a snapshot. True: then all shards are to look. */
bool appender_cut(struct record_queue *queue, int64_t now_ms);

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

enum appender_answer { REWRITE_STARTED, REWRITE_GOES_ON, REWRITE_IMPOSSIBLE };
enum appender_answer appender_rewrite(void);

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
