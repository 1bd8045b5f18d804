/* The program in the containers of the engine's tests. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void done(int signal) { _exit(0); }

/* Written to, so that it counts; volatile, so that it is not left out. */
static void take(long bytes) {
    volatile char *memory = malloc(bytes);
    for (long at = 0; memory && at < bytes; at += 1024) memory[at] = 1;
}

static int serve(int port, int step) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16)) return 9;
    for (int reads = 1;; reads++) {
        char asked[4096], page[1024], head[128];
        int client = accept(listener, 0, 0);
        if (client < 0) continue;
        if (read(client, asked, sizeof asked) <= 0) { close(client); continue; }
        int good = 10000 + reads * 60, bad = 10000 + reads * step;
        int length = snprintf(page, sizeof page,
            "# TYPE http_requests_total counter\n"
            "http_requests_total{code=\"200\"} %d\nhttp_requests_total{code=\"500\"} %d\n"
            "# TYPE http_request_duration_seconds histogram\n"
            "http_request_duration_seconds_bucket{le=\"0.5\"} %d\n"
            "http_request_duration_seconds_bucket{le=\"1\"} %d\n"
            "http_request_duration_seconds_bucket{le=\"+Inf\"} %d\n",
            good, bad, good, good + bad, good + bad);
        int begin = snprintf(head, sizeof head,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", length);
        if (write(client, head, begin) < 0 || write(client, page, length) < 0) reads--;
        close(client);
    }
}

int main(int count, char **words) {
    const char *word = count > 1 ? words[1] : "run";
    signal(SIGTERM, done);
    if (!strcmp(word, "check")) return 0;
    if (!strcmp(word, "exit")) return atoi(words[2]);
    if (!strcmp(word, "sleep")) { sleep(atoi(words[2])); return atoi(words[3]); }
    if (!strcmp(word, "spin")) for (volatile long n = 0;; n++);
    if (!strcmp(word, "eat")) for (;;) take(1 << 20);
    if (!strcmp(word, "hold")) { take(24 << 20); for (;;) pause(); }
    if (!strcmp(word, "serve")) return serve(atoi(words[2]), atoi(words[3]));
    if (!strcmp(word, "stubborn")) { signal(SIGTERM, SIG_IGN); for (;;) pause(); }
    for (;;) pause();
}
