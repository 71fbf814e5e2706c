/* snapshot.h - saving and loading the whole keyspace by the options dbfilename, rdbcompression and rdbchecksum: what was
 * done last, and what came of it.
 *
 * Who saves or loads holds all stripes, or there are no threads to use them. So only one does at a time. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_H

#include "server/journal/snapshot_load.h"

/* Before there are threads: where files lie from now on, and since when nothing was saved. */
void snapshot_open(struct disk *disk, int64_t now_ms);

/* Saves, waits for the disk, and logs what came of it. What it takes to do that, nobody else gets to do. */
bool snapshot_save(int64_t now_ms);

/* Loads, or looks, and logs what came of it. Of `load` the disk, the name and `summed` are filled in here. What is
 * changed by it is no change that a save is missing. */
enum snapshot_loaded snapshot_load(struct snapshot_load *load);

/* What is loaded is taken whatever its checksum says, or is not any longer: DEBUG SET-SKIP-CHECKSUM-VALIDATION. Any thread. */
void snapshot_skip_checksums(bool skip);
bool snapshot_skips_checksums(void);

/* Somebody asked for a save: SAVE. */
void snapshot_count(void);

struct snapshot_figures {
    int64_t saved_s;                    /* Unix time of the last save, or else of the start */
    uint64_t saves;                     /* that somebody asked for */
    uint64_t changes;                   /* of keys since the last save */
    uint64_t loaded_keys, expired_keys; /* by the last load */
};
/* All stripes are held. */
struct snapshot_figures snapshot_figures(void);
/* `saved_s` of these; any thread. */
int64_t snapshot_saved_s(void);
/* Grows while a save or a load goes on: whoever holds the stripes is at work. Any thread. */
uint64_t snapshot_work(void);

#endif
