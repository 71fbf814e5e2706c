/* rates.h - how much the server does now: requests and bytes a second.
 *
 * Nothing wakes a server to measure it: samples are taken on turns that happen anyway, and when somebody
 * asks. Any thread. */
#ifndef KEVY_SERVER_REPORT_RATES_H
#define KEVY_SERVER_REPORT_RATES_H

struct rates {
    double commands;                    /* a second */
    double input_kbytes, output_kbytes; /* KiB a second */
};

/* Remembers where the counters stand, if the last time is RATES_SAMPLE_US ago. Cheap: call it from any tick. */
void rates_sample(void);
/* The averages over the last RATES_WINDOW_US; or, where nothing sampled so recently, since the last sample. */
struct rates rates_now(void);

enum { RATES_SAMPLE_US = 100 * 1000, RATES_SAMPLES = 16, RATES_WINDOW_US = RATES_SAMPLES * RATES_SAMPLE_US };

#endif
