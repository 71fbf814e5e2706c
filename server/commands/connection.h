/* connection.h - what connection.c and client.c have in common: which texts a client may give itself. */
#ifndef KEVY_SERVER_COMMANDS_CONNECTION_H
#define KEVY_SERVER_COMMANDS_CONNECTION_H

#include "server/call/call.h"
#include "server/clients/client.h"

/* Only printable ASCII without spaces, so that CLIENT LIST stays readable by machines. */
bool connection_text_ok(struct bytes text);
/* The same for a client's name. False after replying with the error. */
bool connection_name_ok_or_reply(struct call *call, struct bytes name);

#endif
