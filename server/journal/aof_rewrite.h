/* aof_rewrite.h - how the files of the append-only log are made anew, while commands go on.
 *
 *            ask, or by itself        thread: the next incremental     executor: the cut, and
 *                                     file is made and listed          a snapshot of that moment
 *     NONE ------------------> ASKED ---------------------------> READY ----------------------> SAVING
 *       ^                        |                                  |                              | whoever writes the
 *       |   it failed            v                                  v  that failed                 v base: it is written
 *       +------------------------+<------------------------------ SAVED <--------------------------+
 *                        thread: lists the base; history goes
 *
 * What fails on the way leaves the files that there are in use; it is tried again after a second, or, where it has failed
 * three times, after a minute, as long as there is a reason for it. Who switches the log on takes the step from NONE to
 * SAVING himself: then the first file is listed together with the first base. While the file that is written first waits
 * for room there is no rewrite (BARRED).
 *
 * Steps are atomic, and whoever has made one owns what goes with it: ASKED and SAVED are the thread's, READY any
 * executor's who holds all stripes, SAVING the writer's of the base. */
#ifndef KEVY_SERVER_JOURNAL_AOF_REWRITE_H
#define KEVY_SERVER_JOURNAL_AOF_REWRITE_H

#include "server/journal/aof_log.h"
#include "server/journal/queue.h"

/* Nothing was rewritten yet. */
void aof_rewrite_open(void);

/* ---- Any thread ------------------------------------------------------------------------------------ */

enum aof_rewrite_answer {
    REWRITE_STARTED,
    REWRITE_GOES_ON,    /* another one, or the first base */
    REWRITE_IMPOSSIBLE, /* there is no journal, or no room to begin its file */
};
/* Asks for one, also where the log is off: then it makes a base alone. */
enum aof_rewrite_answer aof_rewrite_ask(void);

/* Is there a cut to be taken? */
bool aof_rewrite_wants_cut(void);
/* Is one under way, from its being asked for to its end? */
bool aof_rewrite_is_under_way(void);

struct aof_rewrite_figures {
    bool asked;               /* for one whose base is not begun */
    bool under_way;           /* or the first base is */
    bool ok;                  /* the last one; true where there was none */
    int64_t begun_ms;         /* monotonic clock: this one */
    int64_t last_s;           /* seconds that the last one took; -1: there was none */
    uint64_t begun, failures; /* how many; failed since one was well */
    uint64_t peak;            /* bytes that copies took for the last base */
};
struct aof_rewrite_figures aof_rewrite_figures(void);

/* ---- The journal's thread -------------------------------------------------------------------------- */

/* A step, where one is to be taken. Returns when the next is, though nobody rings the bell for it: now_ms where there may be
 * one at once, WRITER_NEVER where only others can bring it. Times are in milliseconds of the monotonic clock. */
int64_t aof_rewrite_turn(int64_t now_ms);
/* No executor runs any more. `synced`: all that was changed is on the disk. A base that is written is listed then. */
void aof_rewrite_finish(bool synced, int64_t now_ms);
/* The log is on, and its first base is not there: no file of it would be loaded. */
bool aof_rewrite_needs_first(void);

/* ---- An executor, holding all stripes -------------------------------------------------------------- */

/* Takes the cut that is wanted, if nothing else writes a snapshot; unix_ms is the time of all data. `queue` is the
 * executor's. True: then all shards are to look. */
bool aof_rewrite_cut(struct record_queue *queue, int64_t unix_ms);
/* What is changed from here on goes into the file of this path; "": into none. Nothing of the queue is open. */
void aof_rewrite_cut_to(struct record_queue *queue, const char *path);

/* Gives up what is under way. The thread sees it by and by, and leaves the files in use. */
void aof_rewrite_give_up(void);
/* Gives up what is under way, waits for that, and has none begin from now on. False: it did not end within seconds. */
bool aof_rewrite_claim(void) __attribute__((warn_unused_result));
/* One may begin again, behind a claim. */
void aof_rewrite_release(void);
/* Behind a claim: begins the first base, beside the incremental file and the base that aof_files_make_first has named,
 * and switches the log on with its cut. True: the claim is given back when the base is written. False: the log is
 * off as before. */
bool aof_rewrite_first(struct record_queue *queue, int64_t unix_ms);

/* None begins, nor can one be asked for, before aof_rewrite_release. No rewrite is under way. */
void aof_rewrite_bar(void);
bool aof_rewrite_is_barred(void);

#endif
