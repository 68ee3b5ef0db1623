/* Copies standard input, or the file it is told, to standard output. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char buffer[1 << 16];

int main(int argc, char **argv) {
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : 0;
    if (fd < 0) { perror(argv[1]); return 1; }
    for (;;) {
        long size = read(fd, buffer, sizeof buffer);
        if (size < 0) { perror("read"); return 1; }
        if (size == 0) return 0;
        for (long done = 0; done < size;) {
            long written = write(1, buffer + done, size - done);
            if (written < 0) { perror("write"); return 2; }
            done += written;
        }
    }
}
