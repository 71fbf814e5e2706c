/* files.h - a sparse table of registered files, so that operations on a connection skip the descriptor lookup
 * (IOSQE_FIXED_FILE). Slots are chosen by the caller. */
#ifndef KEVY_URING_FILES_H
#define KEVY_URING_FILES_H

#include "uring/ring.h"

struct files {
    struct ring *ring;
    unsigned count; /* slots; 0 when the table could not be had, then nothing is fixed */
};

/* REGISTER_FILES2 with RSRC_REGISTER_SPARSE. 0 or a negative errno: EMFILE where count exceeds RLIMIT_NOFILE. */
int files_open(struct files *files, struct ring *ring, unsigned count) __attribute__((warn_unused_result));
/* Before ring_close. Harmless after a failed open, and the second time. */
void files_close(struct files *files);
/* Puts a descriptor into a slot, replacing what is there, or empties it (fd -1). 0 or a negative errno. The
 * table holds its own reference: close(fd) alone does not end a connection that still sits in a slot. */
int files_set(struct files *files, unsigned slot, int fd) __attribute__((warn_unused_result));

#endif
