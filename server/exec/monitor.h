/* monitor.h - clients that said MONITOR: a line for every command that anybody runs.
 *
 * Dispatch feeds each command when it has run, while its locks are still held, so that commands on one key
 * appear in their order. As in Redis, EXEC follows its queue, and SELECT shows the database that it went to. */
#ifndef KEVY_SERVER_EXEC_MONITOR_H
#define KEVY_SERVER_EXEC_MONITOR_H

#include "server/call/call.h"
#include "server/limits.h"

/* Tells the monitors of this command. Ask before whether MODE_MONITORED is raised and concerns its row: administrative
 * commands and those of CMD_SKIP_MONITOR are not shown. */
void monitor_feed(const struct call *call);

/* The client becomes a monitor. False without memory. */
bool monitor_add(struct client *client) __attribute__((warn_unused_result));
/* It is none any more; whoever closes or resets a client with CLIENT_MONITOR calls this. Nothing if it was none. */
void monitor_remove(struct client *client);

#endif
