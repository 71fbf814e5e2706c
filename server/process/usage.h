/* usage.h - the memory that the process takes: INFO's section memory. */
#ifndef KEVY_SERVER_PROCESS_USAGE_H
#define KEVY_SERVER_PROCESS_USAGE_H

/* Notes what the control group lets the process take: once, before anybody can ask. */
void usage_starting(void);

/* Notes what the server has taken before there were clients and data: once, when it has started. */
void usage_started(void);

#endif
