/* delay.c - a division, and a sleep. */
#include "server/journal/delay.h"

#include <time.h>

int64_t delay_after_key(int64_t option, uint64_t key) {
    if (option >= 0) return option;
    return key % (uint64_t)-option == 0;
}

void delay_sleep(int64_t delay_us) {
    struct timespec delay = {.tv_sec = delay_us / 1000000, .tv_nsec = delay_us % 1000000 * 1000};
    if (delay_us > 0) nanosleep(&delay, NULL);
}
