/* aof_log.h - what the three parts of the append-only log share:
 *
 *     aof_switch    whether it is on, from the start on or by CONFIG SET; an executor's, who holds all stripes
 *     aof_rewrite   how its files are made anew, step by step; the thread's, but for the cut
 *     appender      the turns of the thread, which write what was changed, and what others want to know of that
 *
 * Below them lie the files (aof_files.h) and the stream (writer.h), which know nothing of each other. */
#ifndef KEVY_SERVER_JOURNAL_AOF_LOG_H
#define KEVY_SERVER_JOURNAL_AOF_LOG_H

#include <stdatomic.h>

#include "server/config/config.h"
#include "server/journal/aof_files.h"
#include "server/journal/bell.h"
#include "server/journal/crowd.h"
#include "server/journal/writer.h"

/* What the log asks of the server around it; calls come from the journal's thread, `refuse` also at the start. */
struct aof_log_server {
    void (*look_again)(
        void); /* every shard is to look at everything: a cut is to be taken, or there is room */
    void (*refuse)(bool on); /* commands that write are refused from now on, or no longer */
    void (*wake)(void);      /* every shard is to look who waits for the disk */
    bool (*holds)(void);     /* whoever writes is held now; called when there is room, and ends that */
    /* For tests. */
    bool by_hand;                         /* bases are written by who calls snapshot_writer_turn */
    const struct writer_padding *padding; /* another one than the usual; or NULL */
};

/* One word, since it is read by threads that hold no stripes: of two words, whether the log is on and whether its file is
 * listed, they might see the one of before a change and the other of behind it, and take a file for listed that is not. */
enum aof_log_state {
    AOF_LOG_OFF,
    AOF_LOG_WAITS, /* it was switched on, and its first base is not there yet: its file is not listed */
    AOF_LOG_LISTED,
};

struct aof_log {
    const struct aof_log_server *server; /* fixed */
    struct aof_files files;              /* under its mutex; its disk is fixed */
    struct writer writer; /* the journal's thread's; before there is one, who begins the log's */
    bool refused;         /* the same; what `refuse` was told last */
    _Atomic bool begun; /* what is there from the beginning is there; set under all stripes, and not again */
    _Atomic enum aof_log_state
        state;         /* set under all stripes; AOF_LOG_LISTED behind AOF_LOG_WAITS by the thread */
    _Atomic int error; /* of the writer: a negative errno, or 0 */
    _Atomic uint64_t base_size, other_size; /* bytes: aof_files_measure */
};
extern struct aof_log aof_log;

static inline bool aof_log_is_on(void) {
    return aof_log.state != AOF_LOG_OFF;
}

/* Rung when the thread has something to do: */
extern struct bell aof_log_bell;
/* as loud as this, where so many wait for it. */
static inline uint32_t aof_log_loudness(enum crowd_level level) {
    _Static_assert((int)CROWD_FEW == 0 && (int)CROWD_ALL < (int)BELL_LOUDEST, "each has its own");
    return 1 + (uint32_t)level;
}

/* What the option appendfsync says. */
static inline enum writer_policy aof_log_policy(void) {
    int64_t chosen = config.appendfsync;
    if (chosen == CONFIG_ALWAYS) return WRITER_ALWAYS;
    return chosen == CONFIG_EVERYSEC ? WRITER_EVERYSEC : WRITER_NO;
}

/* A file has grown beyond its base, whatever was appended by earlier runs: notes what that is. `path` is the file's that is
 * being written, and whose size the writer knows. Where the manifest could not be read the figures stay as they are. Not
 * under the mutex. */
static inline void aof_log_note_sizes(const char *path) {
    uint64_t base = aof_log.base_size, others = aof_log.other_size;
    mutex_lock(&aof_log.files.mutex);
    if (aof_log.files.manifest.count) aof_files_measure(&aof_log.files, path, &base, &others);
    mutex_unlock(&aof_log.files.mutex);
    aof_log.base_size = base;
    aof_log.other_size = others;
}

#endif
