/* sha1.h - the hash by which scripts and the contents of a dataset are known. It is no protection against anybody. */
#ifndef KEVY_PROTOCOL_SHA1_H
#define KEVY_PROTOCOL_SHA1_H

#include "protocol/bytes.h"

enum { SHA1_LEN = 20 };

/* The SHA-1 (FIPS 180-4) of these bytes. */
void sha1(struct bytes bytes, unsigned char hash[SHA1_LEN]);

#endif
