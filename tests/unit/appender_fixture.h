/* appender_fixture.h - the append-only log on a disk that may fail, its thread's turns taken by hand. */
#ifndef KEVY_TESTS_APPENDER_FIXTURE_H
#define KEVY_TESTS_APPENDER_FIXTURE_H

#include "server/journal/aof_rewrite.h"
#include "server/journal/aof_switch.h"
#include "server/journal/appender.h"
#include "server/journal/journal.h"
#include "server/journal/snapshot_walk.h"
#include "server/loop/upkeep.h"
#include "tests/unit/snapshot_fixture.h"

#define LOG_BASE(n) "appendonlydir/appendonly.aof." #n ".base.rdb"
#define LOG_INCR(n) "appendonlydir/appendonly.aof." #n ".incr.aof"
#define LOG_LIST    "appendonlydir/appendonly.aof.manifest"

static struct failing_disk disk;
static unsigned told, freed;          /* how often shards were told to look again; that there is room */
static bool refused, on_when_refused; /* what INFO said then */

static inline void note_look(void) {
    told++;
}
static inline void note_refusal(bool on) {
    CHECK(on != refused);
    refused = on;
    if (on) on_when_refused = appender_figures().on;
    if (on)
        gate_raise(GATE_MISCONF);
    else
        gate_lower(GATE_MISCONF);
}
static inline bool note_room(void) {
    if (!fixture_raised(GATE_ROOM)) return false;
    gate_lower(GATE_ROOM);
    freed++;
    return true;
}
static unsigned woken; /* how often shards were to look who waits for the disk */
static inline void note_wake(void) {
    woken++;
}
static const struct aof_log_server appender_stub = {
    .look_again = note_look, .refuse = note_refusal, .wake = note_wake, .holds = note_room, .by_hand = true};

/* A server on the disk as it is, with this option; its data are not loaded, but as if they were from the files, or not. */
static inline bool log_start_with(const char *options, bool from_files) {
    CHECK(appender_open(&disk.disk, &appender_stub, 3));
    open_shards(3);
    options_set(options);
    refused = false;
    shards->exec.clock.now_us = 0;
    return aof_switch_begin(from_files);
}
static inline bool log_start(const char *options) {
    return log_start_with(options, true);
}

static inline void log_stop(void) {
    snapshot_give_up();
    if (journal_listens()) journal_ignore();
    if (refused) note_refusal(false);
    atomic_fetch_and(&gates_up, ~GATE_MASK(GATE_ROOM));
    end();
    appender_close();
}

/* The base that is being written, to its end. */
static inline void log_walk(void) {
    while (snapshot_is_under_way()) {
        for (unsigned i = 0; i < stripes.count; i++) (void)snapshot_walk(&stripes.all[i]);
        (void)snapshot_writer_turn();
    }
}

/* Turns of the thread until it would sleep, and of an executor where it is asked; when the next is due. */
static inline int64_t log_turns(int64_t at_ms) {
    shards->exec.clock.now_us = (uint64_t)at_ms * 1000;
    for (;;) {
        int64_t due_ms = appender_turn(at_ms);
        if (aof_rewrite_wants_cut()) upkeep_cut(shards);
        bool walks = snapshot_is_under_way();
        log_walk();
        if (due_ms > at_ms && !walks) return due_ms;
    }
}

static inline bool disk_has(const char *name) {
    return disk_find(&disk, name) >= 0;
}
/* Does this text stand in this file? */
static inline bool disk_says(const char *name, const char *text) {
    struct bytes all = disk_contents(&disk, name);
    return all.len && memmem(all.data, all.len, text, strlen(text));
}

/* Is there a file in the directory of the log that its manifest does not list, nor is? */
static inline bool log_has_strays(void) {
    const char directory[] = "appendonlydir/";
    for (int i = 0; i < DISK_FILES; i++) {
        const char *name = disk.files[i].name;
        if (strncmp(name, directory, strlen(directory)) != 0 || strcmp(name, LOG_LIST) == 0) continue;
        if (!disk_says(LOG_LIST, name + strlen(directory))) return true;
    }
    return false;
}

#endif
