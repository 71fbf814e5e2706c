/* file.h - an RDB file but for its values: what stands before, between and behind them.
 *
 *     REDIS 4 digits                                the version; of Valkey's own: VALKEY 3 digits
 *     { fa name value                               something about the file
 *     | fe number                                   the database of the keys that follow
 *     | fb keys expiring                            how many it has: a hint
 *     | f4 slot keys expiring                       the same of a slot of a cluster
 *     | [ fd seconds | fc milliseconds ] [ f8 idle seconds | f9 frequency ] type key value } ...
 *     ff [ checksum of all before ]                 since version 5; 0: none was made
 *
 * Reading is from input that comes in pieces, as in reader.h, which reads the values. Nothing is believed, and no memory is
 * taken that is not paid for by bytes that have come. What is of a module, or a function, is refused. */
#ifndef KEVY_STORE_RDB_FILE_H
#define KEVY_STORE_RDB_FILE_H

#include "store/rdb/element.h"
#include "store/rdb/sink.h"
#include "store/rdb/text.h"

enum {
    RDB_HEADER_LEN = 9,
    RDB_FOOTER_LEN = 8,
    RDB_FOOTER_SINCE = 5, /* the version; older files end with ff */
};

/* ---- Reading -------------------------------------------------------------------------------------- */

enum rdb_file_read {
    RDB_FILE_MORE, /* it takes more than there was; what was left in the input is to be there again, before the rest */
    RDB_FILE_AUX,      /* `name` has `value` */
    RDB_FILE_DATABASE, /* `db` */
    RDB_FILE_SIZE,     /* `keys` and `expiring` of a database */
    RDB_FILE_KEY,      /* `name` is a key; its value of this `type` is next in the input, for reader.h */
    RDB_FILE_END,      /* the footer is next, if the version has one */
    RDB_FILE_BAD,      /* no file is like this, or it has what is not read: `why` says what */
    RDB_FILE_NO_MEMORY,
};

/* Zeroes at first, but for max_bytes. */
struct rdb_file_reader {
    uint64_t max_bytes; /* a longer key, or a text about the file, is refused */
    unsigned version;   /* once the header was read */
    const char *why;    /* of RDB_FILE_BAD: ends a sentence */
    /* What was read last. */
    struct rdb_text name,
        value; /* good as long as the input is, or rdb_file_keep was called; until the next read */
    uint64_t db, keys, expiring;
    unsigned type;
    bool expires; /* the key does: `expiry_ms`, absolute Unix milliseconds, may be anything */
    int64_t expiry_ms;
    uint64_t idle_s; /* the key was not used for so long */
    bool idle;       /* that is known */
    /* How far it is. */
    uint64_t taken;      /* bytes of the file; who reads values adds theirs */
    uint64_t item_begin; /* where what was read last begins */
    unsigned step, opcode, numbers;
};

enum rdb_file_read rdb_file_read(struct rdb_file_reader *reader, struct bytes *input);
/* Makes `name` independent of the input. False without memory. */
bool rdb_file_keep(struct rdb_file_reader *reader);
/* Gives back what it holds. */
void rdb_file_close(struct rdb_file_reader *reader);
/* Where a key begins, with what stands before it (its expiry, say): `skipped` is where the input goes on behind its value,
 * and `plain` the key's bytes, NULL where they are not there as they are. False: it is no key, or not all of it is there, or
 * its value must be read to find its end. Neither is looked at. */
bool rdb_file_skip(unsigned version, struct bytes input, struct bytes *plain, struct bytes *skipped);
/* A reader in the middle of a file, of this version, where a key of a database may begin: `taken` bytes
 * from the beginning of the file. */
void rdb_file_begin_at(struct rdb_file_reader *reader, unsigned version, uint64_t db, uint64_t taken);
/* Will the next read begin with an item? Else something was said already of the key that is next, or a
 * part of that key was read. */
bool rdb_file_between(const struct rdb_file_reader *reader);

/* The checksum in a footer of RDB_FOOTER_LEN bytes. */
uint64_t rdb_file_footer(const char *at);

/* ---- Writing -------------------------------------------------------------------------------------- */

/* All of them are false where the sink took no more. */
bool rdb_file_write_header(struct sink *sink, unsigned version);
bool rdb_file_write_aux(struct sink *sink, struct bytes name, struct bytes value);
bool rdb_file_write_database(struct sink *sink, unsigned db, uint64_t keys, uint64_t expiring);
/* The same without saying how many keys follow: not for the first time that they are of this database. */
bool rdb_file_write_select(struct sink *sink, unsigned db);
/* What stands before a value. expiry_ms 0: it does not expire. */
bool rdb_file_write_key(struct sink *sink, struct bytes key, enum rdb_type type, int64_t expiry_ms);
/* What stands before the footer. */
bool rdb_file_write_end(struct sink *sink);
/* The footer itself, RDB_FOOTER_LEN bytes; a checksum of 0 says that there is none. */
void rdb_file_put_footer(char *at, uint64_t checksum);

#endif
