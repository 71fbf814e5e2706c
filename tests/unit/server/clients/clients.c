/* The register of clients: ids, maxclients, order, addresses and strings. */
#include "server/clients/clients.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/config/config.h"
#include "tests/check.h"
#include "tests/unit/info_fixture.h"

static void ids_rise_and_are_never_used_again(void) {
    struct client a = {.fd = -1}, b = {.fd = -1};
    config.maxclients = 10;
    CHECK(clients_add(&a) && clients_add(&b));
    CHECK_INT(a.id, 1);
    CHECK_INT(b.id, 2);
    clients_remove(&b);
    CHECK(clients_add(&b));
    CHECK_INT(b.id, 3);
    clients_remove(&a);
    clients_remove(&b);
    CHECK(clients_first() == NULL);
}

static void maxclients_counts_everybody(void) {
    struct client c[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
    config.maxclients = 2;
    CHECK(clients_add(&c[0]) && clients_add(&c[1]));
    CHECK(!clients_add(&c[2]));
    CHECK_INT(clients_count(), 2);
    CHECK_INT(c[2].id, 0);
    clients_remove(&c[0]);
    CHECK_INT(clients_count(), 1);
    CHECK(clients_add(&c[2]));
    config.maxclients = 1; /* lowered while more are there: these stay */
    CHECK_INT(clients_count(), 2);
    CHECK(!clients_add(&c[0]));
    clients_remove(&c[1]);
    clients_remove(&c[2]);
    CHECK_INT(clients_count(), 0);
}

static void the_list_is_in_order_of_ids(void) {
    struct client c[5];
    config.maxclients = 10;
    for (int i = 0; i < 5; i++) {
        c[i] = (struct client){.fd = -1};
        CHECK(clients_add(&c[i]));
    }
    clients_remove(&c[0]);
    clients_remove(&c[2]);
    clients_remove(&c[4]);
    CHECK(clients_first() == &c[1] && c[1].next == &c[3] && c[3].next == NULL);
    CHECK(clients_add(&c[0]));
    CHECK(c[3].next == &c[0] && c[0].prev == &c[3]);
    clients_remove(&c[1]);
    clients_remove(&c[3]);
    clients_remove(&c[0]);
}

static void texts_are_replaced_and_freed(void) {
    struct client c = {.fd = -1};
    CHECK(clients_add(&c));
    CHECK(clients_set_text(&c, CLIENT_NAME, BYTES("first")));
    CHECK(clients_set_text(&c, CLIENT_NAME, BYTES("second, longer")));
    CHECK_BYTES(bytes_of(client_text(&c, CLIENT_NAME)), BYTES("second, longer"));
    CHECK(clients_set_text(&c, CLIENT_NAME, BYTES("")));
    CHECK(client_text(&c, CLIENT_NAME) == NULL);
    CHECK(clients_set_text(&c, CLIENT_LIB_NAME, BYTES("lib")));
    clients_remove(&c);
    CHECK(c.more == NULL);
}

static const char *peer_of(struct client *client) {
    clients_lock();
    const char *peer = client_peer(client);
    clients_unlock();
    return peer;
}
static const char *local_of(struct client *client) {
    clients_lock();
    const char *local = client_local(client);
    clients_unlock();
    return local;
}

/* A listener on a free port of `family`'s loopback, a connection to it, and that connection's other end. */
static void connect_pair(int family, int *accepted, int *connected) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int listener = socket(family, SOCK_STREAM, 0);
    if (family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    else
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(listener >= 0);
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    *connected = socket(family, SOCK_STREAM, 0);
    CHECK(connect(*connected, (struct sockaddr *)&address, len) == 0);
    *accepted = accept(listener, NULL, NULL);
    CHECK(*accepted >= 0);
    close(listener);
}

static void addresses_are_those_of_the_socket(void) {
    struct sockaddr_in near;
    socklen_t len = sizeof(near);
    char expected[64];
    struct client c = {0}, other = {0};
    connect_pair(AF_INET, &c.fd, &other.fd);
    CHECK(getsockname(other.fd, (struct sockaddr *)&near, &len) == 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", ntohs(near.sin_port));
    CHECK(clients_add(&c) && clients_add(&other));
    CHECK_BYTES(bytes_of(peer_of(&c)), bytes_of(expected));
    CHECK_BYTES(bytes_of(local_of(&other)), bytes_of(expected));
    CHECK_BYTES(bytes_of(local_of(&c)), bytes_of(peer_of(&other)));
    CHECK(peer_of(&c) == peer_of(&c)); /* asked for once */
    clients_remove(&c);
    clients_remove(&other);
    close(c.fd), close(other.fd);
}

static void an_ipv6_address_stands_in_brackets(void) {
    struct client c = {0};
    int other, probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool have = probe >= 0 && bind(probe, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (probe >= 0) close(probe);
    if (!have) return; /* this machine has no IPv6 */
    connect_pair(AF_INET6, &c.fd, &other);
    CHECK(clients_add(&c));
    CHECK(strncmp(peer_of(&c), "[::1]:", 6) == 0);
    clients_remove(&c);
    close(c.fd), close(other);
}

static void a_unix_socket_shows_its_path_on_both_ends(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client c = {.flags = CLIENT_UNIX_SOCKET};
    char expected[128];
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/kevy-test-%d.sock", (int)getpid());
    snprintf(expected, sizeof(expected), "%s:0", address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 1) == 0);
    CHECK(connect(other, (struct sockaddr *)&address, sizeof(address)) == 0);
    c.fd = accept(listener, NULL, NULL);
    CHECK(c.fd >= 0 && clients_add(&c));
    CHECK_BYTES(bytes_of(peer_of(&c)), bytes_of(expected));
    CHECK_BYTES(bytes_of(local_of(&c)), bytes_of(expected));
    clients_remove(&c);
    close(c.fd), close(other), close(listener);
    unlink(address.sun_path);
}

static void a_socket_that_has_no_peer_any_more_has_no_address(void) {
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(clients_add(&c));
    CHECK_BYTES(bytes_of(peer_of(&c)), BYTES("?:0"));
    clients_remove(&c);
    close(c.fd);
}

static void whoever_comes_without_a_password_is_authenticated(void) {
    struct client c = {.fd = -1};
    CHECK(!config_has_password());
    CHECK(clients_add(&c));
    CHECK(!(c.flags & CLIENT_UNAUTHENTICATED));
    CHECK(!client_must_authenticate(&c));
    clients_remove(&c);
}

enum { THREADS = 4, ROUNDS = 2000 };

static void *come_and_go(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        struct client c = {.fd = -1};
        CHECK(clients_add(&c));
        CHECK(clients_set_text(&c, CLIENT_NAME, BYTES("somebody")));
        clients_lock();
        uint64_t last = 0;
        for (struct client *o = clients_first(); o; o = o->next) {
            CHECK(o->id > last);
            const char *name = client_text(o, CLIENT_NAME);
            CHECK(!name || strcmp(name, "somebody") == 0);
            last = o->id;
        }
        clients_unlock();
        clients_remove(&c);
    }
    return unused;
}

static void threads_may_come_and_go_and_look_at_once(void) {
    pthread_t threads[THREADS];
    config.maxclients = THREADS;
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, come_and_go, NULL) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK_INT(clients_count(), 0);
    CHECK(clients_first() == NULL);
}

static void info_tells_how_many_there_are_and_what_they_hold(void) {
    struct client a = {.fd = -1, .input_bytes = 777, .output_bytes = 30};
    struct client b = {.fd = -1, .input_bytes = 20, .output_bytes = 888};
    config.maxclients = 10;
    CHECK(clients_add(&a) && clients_add(&b));
    struct clients_usage usage = clients_usage();
    CHECK(usage.count == 2 && usage.bytes == 777 + 30 + 20 + 888);
    const char *clients = info_text("clients", 0);
    CHECK_INT(figure(clients, "connected_clients"), 2);
    CHECK_INT(figure(clients, "maxclients"), 10);
    CHECK_INT(figure(clients, "client_recent_max_input_buffer"), 777);
    CHECK_INT(figure(clients, "client_recent_max_output_buffer"), 888);
    b.killed = true; /* its own thread has yet to remove it, and its buffers */
    CHECK_INT(figure(info_text("clients", 0), "connected_clients"), 1);
    CHECK_INT(figure(info_text("clients", 0), "client_recent_max_output_buffer"), 888);
    clients_remove(&b);
    CHECK_INT(figure(info_text("clients", 0), "client_recent_max_output_buffer"), 30);
    clients_remove(&a);
    CHECK_INT(figure(info_text("clients", 0), "connected_clients"), 0);
}

int main(void) {
    config_defaults();
    CHECK(info_open() == NULL);
    RUN(ids_rise_and_are_never_used_again);
    RUN(maxclients_counts_everybody);
    RUN(the_list_is_in_order_of_ids);
    RUN(texts_are_replaced_and_freed);
    RUN(addresses_are_those_of_the_socket);
    RUN(an_ipv6_address_stands_in_brackets);
    RUN(a_unix_socket_shows_its_path_on_both_ends);
    RUN(a_socket_that_has_no_peer_any_more_has_no_address);
    RUN(whoever_comes_without_a_password_is_authenticated);
    RUN(threads_may_come_and_go_and_look_at_once);
    RUN(info_tells_how_many_there_are_and_what_they_hold);
    return 0;
}
