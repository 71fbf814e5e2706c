/* pause.h - CLIENT PAUSE: until when, and which commands, are held back: two gates (server/call/gate.h). Any
 * thread may ask and change. */
#ifndef KEVY_SERVER_EXEC_PAUSE_H
#define KEVY_SERVER_EXEC_PAUSE_H

#include <stdint.h>

enum pause_mode { PAUSE_WRITE, PAUSE_ALL };

/* Holds back until `until_ms` (Unix time). A pause that is still on is only ever made longer and wider by this. */
void pause_begin(enum pause_mode mode, int64_t until_ms, int64_t now_ms);
/* Ends it at once. Whoever calls this then asks all shards to look at the clients they hold (post_look_again). */
void pause_end(void);
/* Unix time of its end, or 0 when there is none. One that is over counts until a command is asked. */
int64_t pause_until_ms(void);

#endif
