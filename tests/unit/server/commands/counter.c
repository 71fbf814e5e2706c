/* INCR and its kin, INCRBYFLOAT and INCREX: the ends of their ranges, and what they leave as it was. */
#include "tests/unit/commands_fixture.h"

#define MAX          "9223372036854775807"
#define MIN          "-9223372036854775808"
#define OVERFLOWS    "-ERR increment or decrement would overflow\r\n"
#define NOT_A_FLOAT  "-ERR value is not a valid float\r\n"
#define NOT_A_NUMBER "-ERR increment would produce NaN or Infinity\r\n"

static void integers_stop_at_the_ends_of_their_range(void) {
    begin();
    static const struct exchange table[] = {
        {"set n 9223372036854775806", OK},
        {"incr n", ":" MAX "\r\n"},
        {"incr n", OVERFLOWS},
        {"incrby n 1", OVERFLOWS},
        {"decrby n -1", OVERFLOWS},
        {"get n", "$19\r\n" MAX "\r\n"},
        {"incrby n 0", ":" MAX "\r\n"},
        {"incrby n " MIN, ":-1\r\n"},
        {"incrby n " MIN, OVERFLOWS},
        {"set n -9223372036854775807", OK},
        {"decr n", ":" MIN "\r\n"},
        {"decr n", OVERFLOWS},
        {"decrby n 1", OVERFLOWS},
        {"incrby n " MAX, ":-1\r\n"},
        {"decrby n " MIN, "-ERR decrement would overflow\r\n"},
        {"incrby n 9223372036854775808", NOT_AN_INTEGER},
        {"decrby n x", NOT_AN_INTEGER},
        {"get n", "$2\r\n-1\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void a_refusal_changes_nothing_and_tells_of_no_change(void) {
    begin();
    EXPECT_CHANGES(1, "incr n\n", ":1\r\n");
    EXPECT_CHANGES(0, "incrby n " MAX "\n", OVERFLOWS);
    EXPECT_CHANGES(0, "incrbyfloat n x\n", NOT_A_FLOAT);
    EXPECT_CHANGES(0, "incrby absent x\nexists absent\n", NOT_AN_INTEGER ":0\r\n");
    end();
}

static void texts_that_are_no_integers_are_refused(void) {
    static const char *const texts[] = {"\"\"",       "\" 1\"", "\"1 \"", "+1",  "01",
                                        "-0",         "1.0",    "1e3",    "0x1", "9223372036854775808",
                                        "\"1\\x00\"", "-"};
    begin();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "set t %s\nincr t\n", texts[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK NOT_AN_INTEGER));
    }
    end();
}

static void a_counter_keeps_its_expiry_and_begins_anew_when_it_has_expired(void) {
    begin();
    EXPECT("set n 41 px 1000\nincr n\npttl n\nincrbyfloat n 1\npttl n\n",
           OK ":42\r\n:1000\r\n$2\r\n43\r\n:1000\r\n");
    now_ms += 1000;
    EXPECT("incr n\nttl n\n", ":1\r\n:-1\r\n");
    end();
}

static void floats_are_added_as_people_write_them(void) {
    begin();
    static const struct exchange table[] = {
        {"incrbyfloat f 0.1", "$3\r\n0.1\r\n"},
        {"incrbyfloat f 0.2", "$3\r\n0.3\r\n"},
        {"incrbyfloat f -0.3", "$1\r\n0\r\n"},
        {"set f 5.0e3", OK},
        {"incrbyfloat f 2.0e2", "$4\r\n5200\r\n"},
        {"set f 10", OK},
        {"incrbyfloat f 1", "$2\r\n11\r\n"},
        {"object encoding f", "$6\r\nembstr\r\n"},
        {"incr f", ":12\r\n"},
        {"incrbyfloat f inf", NOT_A_NUMBER},
        {"incrbyfloat f nan", NOT_A_FLOAT},
        {"incrbyfloat f \"\"", NOT_A_FLOAT},
        {"incrbyfloat f \" 1\"", NOT_A_FLOAT},
        {"get f", "$2\r\n12\r\n"},
        {"set f text", OK},
        {"incrbyfloat f 1", NOT_A_FLOAT},
    };
    EXPECT_ALL(table);
    end();
}

#define PAIR(value, applied) "*2\r\n:" value "\r\n:" applied "\r\n"

static void increx_stays_within_its_bounds(void) {
    begin();
    static const struct exchange table[] = {
        {"increx n", PAIR("1", "1")},
        {"increx n byint 10 ubound 5", PAIR("1", "0")},
        {"increx n byint 10 ubound 5 saturate", PAIR("5", "4")},
        {"increx n byint -10 lbound 0", PAIR("5", "0")},
        {"increx n byint -10 lbound 0 saturate", PAIR("0", "-5")},
        {"increx n byint 3 lbound 3 ubound 3", PAIR("3", "3")},
        {"increx n lbound 2 ubound 1", "-ERR LBOUND can't be greater than UBOUND\r\n"},
        {"set n " MAX, OK},
        {"increx n", PAIR(MAX, "0")},
        {"increx n saturate", PAIR(MAX, "0")},
        {"set n " MIN, OK},
        {"increx n byint 0 lbound " MAX " saturate", "-ERR applied increment would overflow\r\n"},
        {"get n", "$20\r\n" MIN "\r\n"},
        {"increx n byint x", "-ERR Increment is not an integer or out of range\r\n"},
        {"increx n byint 1 byint 1", SYNTAX_ERROR},
        {"increx n byint", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    end();
}

static void increx_minds_conditions_and_expiries(void) {
    begin();
    static const struct exchange table[] = {
        {"increx n xx", PAIR("0", "0")},
        {"exists n", ":0\r\n"},
        {"increx n nx ex 10", PAIR("1", "1")},
        {"pttl n", ":10000\r\n"},
        {"increx n nx", PAIR("1", "0")},
        {"increx n ex 99 enx", PAIR("2", "1")}, /* it has an expiry, and keeps it */
        {"pttl n", ":10000\r\n"},
        {"increx n persist", PAIR("3", "1")},
        {"ttl n", ":-1\r\n"},
        {"increx n nx xx", SYNTAX_ERROR},
        {"increx n ex 1 px 1", SYNTAX_ERROR},
        {"increx n enx", "-ERR ENX flag requires an expiration\r\n"},
        {"increx n ex 0", "-ERR invalid expire time in 'increx' command\r\n"},
        {"increx n exat 1", PAIR("4", "1")}, /* long ago */
        {"exists n", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(integers_stop_at_the_ends_of_their_range);
    RUN(a_refusal_changes_nothing_and_tells_of_no_change);
    RUN(texts_that_are_no_integers_are_refused);
    RUN(a_counter_keeps_its_expiry_and_begins_anew_when_it_has_expired);
    RUN(floats_are_added_as_people_write_them);
    RUN(increx_stays_within_its_bounds);
    RUN(increx_minds_conditions_and_expiries);
    return 0;
}
