/* The upstream of every peer: HTTP/1.1 on 127.0.0.1, one thread, keep-alive, the same kibibyte of JSON for every head.
 *
 *     upstream PORT
 *
 * It has to cost less than what is measured and the same for each of them, so it reads no more than where a head ends:
 * the load sends no bodies. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 32768, HEAD_MAX = 16384, BODY = 1024, EVENTS = 256, QUEUE = 4096 };

/* What has come of a head that is not whole yet. */
struct connection {
    size_t length;
    char octets[HEAD_MAX];
};

static struct connection *connections[CONNECTIONS_MAX];
static char answer[BODY + 256];
static size_t answer_length;

static void prepare_answer(void) {
    char body[BODY + 1];
    int begun = snprintf(body, sizeof body, "{\"order\":{\"id\":123,\"status\":\"shipped\"},\"pad\":\"");
    memset(body + begun, 'x', BODY - (size_t)begun);
    memcpy(body + BODY - 2, "\"}", 3);
    answer_length = (size_t)snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", BODY, body);
}

/* Answers every whole head that has come. 0 to wait for more, -1 when the connection is over. */
static int serve(int fd) {
    struct connection *connection = connections[fd];
    ssize_t received = recv(fd, connection->octets + connection->length, HEAD_MAX - connection->length, 0);
    if (received < 0) return errno == EAGAIN ? 0 : -1;
    if (received == 0) return -1;
    connection->length += (size_t)received;
    char *head = connection->octets, *end = connection->octets + connection->length, *found;
    while ((found = memmem(head, (size_t)(end - head), "\r\n\r\n", 4))) {
        /* A client that does not read is no part of any mix: what does not fit at once ends the connection. */
        if (send(fd, answer, answer_length, MSG_NOSIGNAL) != (ssize_t)answer_length) return -1;
        head = found + 4;
    }
    connection->length = (size_t)(end - head);
    memmove(connection->octets, head, connection->length);
    return connection->length == HEAD_MAX ? -1 : 0;
}

static void accept_all(int listener, int epoll) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS_MAX || (!connections[fd] && !(connections[fd] = malloc(sizeof *connections[fd])))) {
            close(fd);
            continue;
        }
        connections[fd]->length = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listening(int port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, QUEUE)) {
        perror("upstream");
        exit(1);
    }
    return listener;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare_answer();
    int listener = listening(atoi(arguments[1])), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(listener, epoll);
            else if (serve(fd)) close(fd);
        }
    }
}
