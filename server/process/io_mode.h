/* io_mode.h - by which of the kernel's ways the shards receive and send, and why: io_uring, or epoll where io-mode says so,
 * or leaves it open and io_uring is not to be had. All shards go the same way. */
#ifndef KEVY_SERVER_PROCESS_IO_MODE_H
#define KEVY_SERVER_PROCESS_IO_MODE_H

#include <stdbool.h>
#include <stddef.h>

/* Asks the kernel, where io-mode leaves it a say; before anything is opened. False: what io-mode demands is refused, and
 * `text` says why, and the remedy. */
bool io_mode_choose(char *text, size_t size) __attribute__((warn_unused_result));
/* A shard's ring could not be opened: the negative errno, and the same in words. True: from now on it is epoll, for all of
 * them. False where io-mode demands io_uring, where it was epoll already, and where descriptors are lacking, of which epoll
 * needs as many. Before threads, or when they have ended. */
bool io_mode_fall_back(int error, const char *reason);
/* Any thread, once chosen. */
bool io_mode_is_epoll(void);
/* One line in the log, if io_uring was not to be had: why, and what it costs. */
void io_mode_log(void);

#endif
