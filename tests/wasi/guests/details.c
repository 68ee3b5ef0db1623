/* What files.c leaves out: several buffers at once, appending, flags, times, positions in folders,
   large contents, relative opens, randomness. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void show(const char *what, long long result) {
    printf("%s: %lld", what, result);
    if (result < 0) printf(" errno %d", errno);
    printf("\n");
}

typedef ssize_t transfer(int, const struct iovec *, int);

/* A host may move fewer bytes than it is asked to: as many calls as it takes. */
static long all(transfer *move, int fd, struct iovec *rows, int count) {
    long total = 0;
    while (count) {
        long size = move(fd, rows, count);
        if (size < 0) return size;
        if (size == 0 && rows->iov_len) return total;
        total += size;
        while (count && size >= (long)rows->iov_len) {
            size -= rows->iov_len;
            rows++;
            count--;
        }
        if (count) {
            rows->iov_base = (char *)rows->iov_base + size;
            rows->iov_len -= size;
        }
    }
    return total;
}

static void buffers(void) {
    char one[4] = "", two[9] = "";
    struct iovec out[4] = {{"ab", 2}, {"", 0}, {"cdefgh", 6}, {"ij", 2}};
    struct iovec in[3] = {{one, 3}, {one, 0}, {two, 8}};
    int fd = open("v", O_CREAT | O_RDWR, 0644);
    show("writev", all(writev, fd, out, 4));
    show("lseek", lseek(fd, 0, SEEK_SET));
    show("readv", all(readv, fd, in, 3));
    printf("  %.3s %.8s\n", one, two);
    struct iovec again[1] = {{one, 3}};
    show("readv at the end", readv(fd, again, 1));
    show("pwrite", pwrite(fd, "PQ", 2, 4));
    show("pread", pread(fd, two, 8, 2));
    printf("  %.8s\n", two);
    show("position", lseek(fd, 0, SEEK_CUR));
    show("read nothing", read(fd, one, 0));
    show("write nothing", write(fd, one, 0));
    close(fd);
}

static void appending(void) {
    char c;
    int fd = open("ap", O_CREAT | O_RDWR | O_APPEND, 0644);
    show("append", write(fd, "one", 3));
    show("seek", lseek(fd, 0, SEEK_SET));
    show("append again", write(fd, "two", 3));
    show("position", lseek(fd, 0, SEEK_CUR));
    show("flags", fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK));
    show("no append", fcntl(fd, F_SETFL, 0));
    show("seek", lseek(fd, 1, SEEK_SET));
    show("write", write(fd, "X", 1));
    show("seek beyond", lseek(fd, 10, SEEK_SET));
    show("read beyond", read(fd, &c, 1));
    show("write beyond", write(fd, "Y", 1));
    show("truncate negative", ftruncate(fd, -1));
    show("advise", posix_fadvise(fd, 0, 4, POSIX_FADV_WILLNEED));
    close(fd);
    show("truncate on open", fd = open("ap", O_WRONLY | O_TRUNC));
    struct stat st;
    show("fstat", fstat(fd, &st));
    show("size", st.st_size);
    close(fd);
}

static void times(void) {
    struct timespec when[2] = {{1, 2}, {3, 4}}, omit[2] = {{0, UTIME_OMIT}, {99, 0}};
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    struct stat st;
    int fd = open("t", O_CREAT | O_RDWR, 0644);
    show("futimens", futimens(fd, when));
    fstat(fd, &st);
    printf("  %lld.%09ld %lld.%09ld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
           (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    show("omit", futimens(fd, omit));
    fstat(fd, &st);
    printf("  %lld %lld\n", (long long)st.st_atim.tv_sec, (long long)st.st_mtim.tv_sec);
    show("now", futimens(fd, now));
    fstat(fd, &st);
    printf("  %d %lld\n", st.st_atim.tv_sec > 1000000000, (long long)st.st_mtim.tv_sec);
    close(fd);
    symlink("t", "tl");
    show("of the link", utimensat(AT_FDCWD, "tl", when, AT_SYMLINK_NOFOLLOW));
    stat("tl", &st);
    show("the file's stays", st.st_mtim.tv_sec);
    show("missing", utimensat(AT_FDCWD, "none", when, 0));
}

static void folders(void) {
    char name[32];
    mkdir("f", 0755);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "f/%02d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    DIR *dir = opendir("f");
    for (int i = 0; i < 10; i++) readdir(dir);
    long at = telldir(dir);
    char expected[32];
    strcpy(expected, readdir(dir)->d_name);
    for (int i = 0; i < 10; i++) readdir(dir);
    seekdir(dir, at);
    show("seekdir", strcmp(readdir(dir)->d_name, expected));
    int fd = openat(dirfd(dir), "07", O_RDONLY);
    show("openat", fd >= 0 ? 0 : -1);
    show("openat out", openat(dirfd(dir), "../v", O_RDONLY) >= 0 ? 0 : -1);
    struct stat st;
    show("fstatat", fstatat(dirfd(dir), "08", &st, 0));
    show("unlinkat", unlinkat(dirfd(dir), "08", 0));
    show("faccessat", faccessat(dirfd(dir), "08", R_OK, 0));
    show("access", access("f/09", R_OK));
    show("read of a folder", read(dirfd(dir), name, 1));
    closedir(dir);
    close(fd);
}

static void contents(void) {
    enum { SIZE = 3 << 20 };
    unsigned char *data = malloc(SIZE), *back = malloc(SIZE);
    uint32_t x = 1;
    for (int i = 0; i < SIZE; i++) data[i] = (x = x * 1664525 + 1013904223) >> 24;
    int fd = open("big", O_CREAT | O_RDWR, 0644);
    long long done = 0;
    while (done < SIZE) done += write(fd, data + done, SIZE - done < 99991 ? SIZE - done : 99991);
    show("written", done);
    lseek(fd, 0, SEEK_SET);
    for (done = 0; done < SIZE;) {
        long size = read(fd, back + done, 65537);
        if (size <= 0) break;
        done += size;
    }
    show("read", done);
    show("equal", memcmp(data, back, SIZE));
    close(fd);
}

int main(void) {
    if (chdir("/work")) return 1;
    buffers();
    appending();
    times();
    folders();
    contents();
    unsigned char noise[256];
    memset(noise, 0, sizeof noise);
    show("getentropy", getentropy(noise, sizeof noise));
    int zeros = 0;
    for (unsigned i = 0; i < sizeof noise; i++) zeros += !noise[i];
    show("random", zeros < 20);
    show("yield", sched_yield());
    struct timespec resolution;
    show("resolution", clock_getres(CLOCK_MONOTONIC, &resolution));
    show("a second at most", resolution.tv_sec);
    for (int i = 0; i < 3; i++) show("isatty", isatty(i));
    show("no descriptor", write(99, "x", 1));
    fflush(stdout);
    _Exit(42);
}
