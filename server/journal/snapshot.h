/* snapshot.h - saving and loading the whole keyspace by the options dbfilename, rdbcompression, rdbchecksum and save: at
 * once or in the background, because somebody asks for it or because it is time; what was done last, and what came of it.
 *
 * Who saves at once, or loads, holds all stripes, or there are no threads to use them. So only one does at a time. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_H

#include "server/journal/snapshot_load.h"

/* Before there are threads: where files lie from now on, and since when nothing was saved. */
void snapshot_open(struct disk *disk, int64_t now_ms);
/* When there are no threads any more: what is under way is given up. */
void snapshot_close(void);

/* Saves, waits for the disk, and logs what came of it. What it takes to do that, nobody else gets to do. Nothing is being
 * saved in the background. */
bool snapshot_save(int64_t now_ms);

/* Loads, or looks, and logs what came of it. Of `load` the disk, the name and `summed` are filled in here. What is
 * changed by it is no change that a save is missing. */
enum snapshot_loaded snapshot_load(struct snapshot_load *load);

/* What has been changed until now is no change that a save is missing. All stripes are held. */
void snapshot_forget_changes(void);
/* What snapshot_work tells of, for who loads something else meanwhile: atomic. */
uint64_t *snapshot_work_counter(void);

/* What is loaded is taken whatever its checksum says, or is not any longer: DEBUG
 * SET-SKIP-CHECKSUM-VALIDATION. Any thread. */
void snapshot_skip_checksums(bool skip);
bool snapshot_skips_checksums(void);

/* Somebody asked for a save: SAVE. */
void snapshot_count(void);

/* ---- By a shard, for a thread that is none -------------------------------------------------------- */

/* With a lone shard there are no locks, so another thread lets it save. Asks for a save, which ends one in the background;
 * `tell` has all shards look. Waits until a shard has saved: what came of it. Meanwhile it calls `wait`, which returns in
 * how many microseconds it is to be called again, or less than 0. One thread at a time, while shards run. */
bool snapshot_ask(void (*tell)(void), int64_t (*wait)(void));
/* Does somebody ask? Any thread. */
bool snapshot_is_asked(void);
/* Saves for who asks. All stripes are held. */
void snapshot_answer(int64_t now_ms);

/* ---- In the background ---------------------------------------------------------------------------- */

/* All stripes are held; then all shards are to look (post_look_again). False, with a line in the log, where it cannot begin:
 * then it counts as a save that has failed. Nothing is under way (snapshot_other, snapshot_in_background). */
bool snapshot_background(int64_t now_ms);
/* Is such a save under way? Any thread. */
bool snapshot_in_background(void);
/* Does something else write a snapshot: an append-only file's new base? Any thread. */
bool snapshot_other(void);
/* A save in the background, as soon as nothing else is under way. */
void snapshot_schedule(void);
/* Gives up a save in the background that is under way. All stripes are held, or there are no threads. */
void snapshot_stop(void);
/* All databases were emptied: saves, if there are save points, and nothing is being loaded. All stripes are held. */
void snapshot_emptied(int64_t now_ms);

/* When a save in the background is due by the save points, or because it was scheduled, as far as is known now; INT64_MAX:
 * never, or not before all shards are to look again, as while data are being loaded. Takes stripes. */
int64_t snapshot_due_ms(int64_t now_ms);
/* Begins it if it is due. True: all shards are to look. All stripes are held. */
bool snapshot_begin_due(int64_t now_ms);

/* Do writes have to wait, for copies take too much memory? Any thread. */
bool snapshot_is_full(void);
/* Are writes refused, because the last save in the background has failed? Any thread. */
bool snapshot_stops_writes(void);

/* ---- Figures -------------------------------------------------------------------------------------- */

struct snapshot_figures {
    int64_t saved_s;                    /* Unix time of the last save, or else of the start */
    uint64_t saves;                     /* that somebody asked for, and those in the background */
    uint64_t changes;                   /* of keys since the last save */
    uint64_t loaded_keys, expired_keys; /* by the last load */
    bool in_background, other, failed;  /* failed: the last in the background */
    int64_t took_s, takes_s;            /* seconds that it took, that it takes so far; -1: there is none */
    uint64_t last_peak;                 /* bytes that its copies took */
    uint64_t bytes, peak;               /* the same of the one that is under way, whatever its file */
    uint64_t keys, total;               /* that it has written, of so many */
};
/* All stripes are held. */
struct snapshot_figures snapshot_figures(int64_t now_ms);
/* `saved_s` of these; any thread. */
int64_t snapshot_saved_s(void);
/* Grows while a save or a load goes on: whoever holds the stripes is at work. Any thread. */
uint64_t snapshot_work(void);

#endif
