/* assert.h - assertions: cheap ones, checked in every build, and dear ones.
 *
 * assert(x)         x compares what lies in registers or in the cache already. It is checked in every build, that
 *                   which people run included: better a server that stops, and says where, than one whose data
 *                   is no longer what it seems.
 * debug_assert(x)   x walks a list, reads a line of memory that nobody else needs, or stands where a request
 *                   passes dozens of times. It is checked in all builds but Release, sanitizers included
 *                   (KEVY_DEBUG_ASSERTS); elsewhere it is compiled and never evaluated.
 *
 * They are for what only a mistake in the code can break: never for what a client sends, or for errors that the
 * kernel may answer. In pairs they say most: before something is written, and after it is read. An assertion on a
 * numbered invariant of a header cites its number. */
#ifndef KEVY_PROTOCOL_ASSERT_H
#define KEVY_PROTOCOL_ASSERT_H

#include <assert.h>

#ifdef NDEBUG
#error "kevy is built with assertions: do not define NDEBUG"
#endif

#ifdef KEVY_DEBUG_ASSERTS
#define debug_assert(x) assert(x)
#else
#define debug_assert(x) ((void)sizeof((x) ? 1 : 0))
#endif

#endif
