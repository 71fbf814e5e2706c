/* aof_in.h - an append-only file, looked at from its beginning to its end before any of it is run.
 *
 * Such a file is a sequence of commands in RESP, as Redis writes them, of lines that begin with #, which say something
 * about it and change nothing, and of kevy's batches: a line, and the commands that it tells of
 * (server/journal/batch.h):
 *
 *     #kevy seq=<first ticket>-<last> len=<bytes> crc=<CRC-32C> safe=<ticket>[ doubt=<bytes>][ run=<8 digits>]\n
 *
 * Words of such a line that are not known are skipped. Whatever begins with MULTI counts only with its EXEC.
 *
 * A file may end in the middle of something, for so do those of a server that was killed or has lost its power: what is
 * not whole at the end was acknowledged to nobody, and may be cut off. With plain commands that is all that can be
 * known, and a fault elsewhere is damage, as for Redis. A batch is whole or not, and where it is not, a line behind it
 * that says that it was safe already (or that anything behind it was) tells damage of what somebody relies on from a
 * tail that was torn, of which later parts may have come to the disk before earlier ones. Where there are only zero
 * bytes up to the end, the disk had the file's new length, and not yet what was to stand there: that is a
 * torn end, as well. Padding (writer.h) behind a whole batch is no fault: the file is whole, and
 * ends before its last byte, unless Redis went on with it, and has written commands behind the padding. */
#ifndef KEVY_SERVER_JOURNAL_AOF_IN_H
#define KEVY_SERVER_JOURNAL_AOF_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/journal/disk.h"

enum {
    AOF_LINE_MAX =
        1024, /* bytes of a line that begins with #, its end included: Redis reads no longer ones */
    AOF_WHY_SIZE = 160,
    AOF_NO_DOUBT = -1,
};

struct aof_look {
    struct disk *disk;
    const char *path;
    uint64_t begin;  /* the offset at which the commands begin: behind an RDB file, or 0 */
    uint64_t before; /* the last ticket in the file before this one; 0: it has none, or there is none */
    uint64_t *work;  /* atomic: grows while it goes on; or NULL */
    /* What was found. */
    uint64_t size;     /* bytes of the file */
    uint64_t end;      /* what is before this offset is whole */
    uint64_t commands; /* before it, those that begin and end a transaction included */
    uint64_t batches;
    uint64_t last; /* ticket; 0: there is no batch */
    int64_t
        doubt; /* bytes of the file before this one, as a line says that could not sync it; or AOF_NO_DOUBT */
    uint64_t fault;         /* the offset of what is not whole, or wrong */
    bool open;              /* what is not whole is a transaction, whose commands may be */
    char why[AOF_WHY_SIZE]; /* what is wrong with it */
};

enum aof_found {
    AOF_WHOLE,
    AOF_TORN, /* from `end` on */
    AOF_BAD,
    AOF_UNREAD, /* it could not be read, or there was no memory: `why` says it */
};

/* Reads all of the file. Takes 300 KiB of memory, and as much again where something is wrong. */
enum aof_found aof_look(struct aof_look *look);

#endif
