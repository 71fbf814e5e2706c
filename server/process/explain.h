/* explain.h - why the start failed and what to do, in words that name the limit; io_uring's refusals are explained in
 * uring/probe.h. Each writes one paragraph to `text`. */
#ifndef KEVY_SERVER_PROCESS_EXPLAIN_H
#define KEVY_SERVER_PROCESS_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* stripes_open failed with this negative errno. */
const char *explain_keyspace(int error, char *text, size_t size);
/* How many bytes of keys and small values there are addresses for, if these are limited; else false, nothing written. */
bool explain_room(uint64_t bytes, char *text, size_t size);
/* Shard number n (from 1 on) of so many could not open what it needs of epoll, with this negative errno. */
const char *explain_epoll(int error, unsigned n, unsigned shards, char *text, size_t size);
/* pthread_create failed with this negative errno for shard number n (from 1 on) of so many. */
const char *explain_thread(int error, unsigned n, unsigned shards, char *text, size_t size);

#endif
