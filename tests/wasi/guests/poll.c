/* Waits for standard input and for clocks. */
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct timespec before, after, pause = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    printf("nanosleep %d\n", nanosleep(&pause, 0));
    clock_gettime(CLOCK_MONOTONIC, &after);
    long long ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("slept %s\n", ns >= 20000000 ? "long enough" : "too short");
    struct pollfd fds[2] = {{0, POLLIN, 0}, {1, POLLOUT, 0}};
    int count = poll(fds, 2, 1000);
    printf("poll %d: in %d out %d\n", count > 0, !!(fds[0].revents & POLLIN),
           !!(fds[1].revents & POLLOUT));
    char c;
    while (read(0, &c, 1) == 1) putchar(c);
    return 0;
}
