/* claim.h - the working directory is one server's: two that write into it would replace each other's files.
 *
 * The claim is a lock (flock) on the directory itself, which leaves nothing behind and ends with the process. Who neither
 * finds data there nor writes any claims nothing, so that servers which keep nothing may share a directory. */
#ifndef KEVY_SERVER_JOURNAL_CLAIM_H
#define KEVY_SERVER_JOURNAL_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

enum { CLAIM_WHY_SIZE = 512 };

/* Before files are read that this server will replace, and before it writes any. True where the working directory is its
 * own, from now on or already; or where its file system knows no such locks, which is logged. False: `why` names the
 * directory and, if that is known, the process that has it. One thread at a time. */
bool claim_directory(char why[CLAIM_WHY_SIZE]);
/* Gives it back. Nothing is written any more. */
void claim_release(void);

/* The process that has claimed this directory: its number, 0 if that is not known from here; -1: none has. */
int64_t claim_holder(const char *path);
/* For who is no server, and changes files there: until this process ends no server can claim it. False: one has, or somebody
 * else repairs files there. `within`: only in a directory that lies in it, as several may do at the same time. */
bool claim_for_repair(const char *path, bool within);

/* Removes what servers of this kind left half written in the working directory when they were killed: files temp-N.rdb
 * and the like of processes N that are no more, or of this one. For a start, before anything is written, and for an end in
 * the middle of it. Returns how many. */
unsigned claim_tidy(void);

#endif
