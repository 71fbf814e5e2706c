/* delay.h - how long who saves or loads waits after each key, where a test asks for that by the options
 * rdb-key-save-delay or key-load-delay. */
#ifndef KEVY_SERVER_JOURNAL_DELAY_H
#define KEVY_SERVER_JOURNAL_DELAY_H

#include <stdint.h>

/* Microseconds to wait after key number `key`, where the option has this value: as many, or, below 0, one after each
 * that is a multiple of it. */
int64_t delay_after_key(int64_t option, uint64_t key);
/* Sleeps for so many microseconds. */
void delay_sleep(int64_t delay_us);

#endif
