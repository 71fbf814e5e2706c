/* intake.h - how far the server has come with loading what it finds at its start, while shards serve already.
 *
 *     intake_begin(bytes, now)     before there are shards
 *     intake_note(taken)           now and then; intake_delay() after each key or command
 *     intake_end()                 all is there
 *
 * One thread loads and says these; any thread asks the others. */
#ifndef KEVY_SERVER_JOURNAL_INTAKE_H
#define KEVY_SERVER_JOURNAL_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

/* `total`: bytes of all files together. */
void intake_begin(uint64_t total, int64_t now_s);
/* So many bytes of all files were taken; what the server that wrote them had in memory, if the file says so, else 0. */
void intake_note(uint64_t taken, uint64_t memory);
void intake_end(void);

/* Is something being loaded, beside shards that serve? */
bool intake_going(void);

/* The server is to end, and need not load the rest. */
void intake_cancel(void);
bool intake_cancelled(void);

/* Does the option key-load-delay ask for delays? Then keys come one after another. */
bool intake_delays(void);
/* Waits for as long as it says: microseconds after each key; below 0, one microsecond after one of so many keys. */
void intake_delay(void);

struct intake_figures {
    int64_t begun_s; /* Unix time */
    uint64_t total, taken;
    uint64_t memory; /* of the server that wrote it, in bytes; 0: not known */
    double percent;
    int64_t eta_s; /* as Redis counts it: 1 in the first second */
};
struct intake_figures intake_figures(int64_t now_s);

#endif
