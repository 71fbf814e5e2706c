/* ping.h - `kevy --ping`: does a server answer? For a container's health check, where there is no redis-cli. */
#ifndef KEVY_SERVER_PROCESS_PING_H
#define KEVY_SERVER_PROCESS_PING_H

/* Asks the server at `address`: "host:port", "host", ":port" (an IPv6 address stands in brackets where a port follows), the
 * path of a Unix socket, which has a slash, or NULL for where the options in force would have kevy listen first. Says
 * PONG and returns 0, or says why not on standard error and returns 1: the process's status. A server that wants a password
 * is taken for well; one that is loading, full, or turns this host away is not. Ends the process, with 1, if all
 * that takes longer than so many milliseconds. For a process that does nothing else. */
int ping(const char *address, unsigned patience_ms);

#endif
