/* Works through the calls on files and folders below "/work" and prints what each gave. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *what, long result) {
    if (result < 0)
        printf("%s: error %d\n", what, errno);
    else
        printf("%s: %ld\n", what, result);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        printf("opendir %s: error %d\n", path, errno);
        return;
    }
    char *names[256];
    int count = 0;
    for (struct dirent *row; (row = readdir(dir)) && count < 256;) {
        char line[300];
        snprintf(line, sizeof line, "%s/%d", row->d_name, row->d_type);
        names[count++] = strdup(line);
    }
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    printf("list %s:", path);
    for (int i = 0; i < count; i++) printf(" %s", names[i]);
    printf("\n");
}

static void stat_of(const char *path) {
    struct stat st;
    if (lstat(path, &st)) {
        printf("lstat %s: error %d\n", path, errno);
        return;
    }
    printf("lstat %s: kind %o size %lld links %d\n", path, st.st_mode & S_IFMT,
           S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size,
           S_ISDIR(st.st_mode) ? 0 : (int)st.st_nlink);
}

int main(void) {
    char buffer[256];
    if (chdir("/work")) { perror("chdir"); return 1; }
    int fd = open("a.txt", O_CREAT | O_RDWR | O_TRUNC, 0644);
    show("open a.txt", fd >= 0 ? 0 : -1);
    show("write", write(fd, "hello, world\n", 13));
    show("lseek set", lseek(fd, 7, SEEK_SET));
    show("read", read(fd, buffer, 5));
    printf("  %.5s\n", buffer);
    show("lseek cur", lseek(fd, 0, SEEK_CUR));
    show("lseek end", lseek(fd, -2, SEEK_END));
    show("lseek before start", lseek(fd, -100, SEEK_SET));
    show("pwrite", pwrite(fd, "HELLO", 5, 0));
    show("pread", pread(fd, buffer, 13, 0));
    printf("  %.12s\n", buffer);
    show("ftruncate shorter", ftruncate(fd, 5));
    show("ftruncate longer", ftruncate(fd, 10));
    show("fsync", fsync(fd));
    show("close", close(fd));
    show("close again", close(fd));
    stat_of("a.txt");
    show("open missing", open("missing", O_RDONLY));
    show("open excl", open("a.txt", O_CREAT | O_EXCL | O_RDWR, 0644));
    show("open as folder", open("a.txt", O_DIRECTORY | O_RDONLY));
    fd = open("a.txt", O_RDONLY);
    show("write to read-only", write(fd, "x", 1));
    close(fd);
    fd = open("a.txt", O_WRONLY | O_APPEND);
    show("append", write(fd, "tail", 4));
    show("read from write-only", read(fd, buffer, 1));
    close(fd);
    stat_of("a.txt");
    show("mkdir", mkdir("sub", 0755));
    show("mkdir again", mkdir("sub", 0755));
    show("mkdir deep", mkdir("no/such", 0755));
    show("rename", rename("a.txt", "sub/b.txt"));
    show("rename missing", rename("a.txt", "c.txt"));
    show("link", link("sub/b.txt", "hard"));
    stat_of("hard");
    show("symlink", symlink("sub/b.txt", "soft"));
    stat_of("soft");
    long size = readlink("soft", buffer, sizeof buffer);
    show("readlink", size);
    if (size > 0) printf("  %.*s\n", (int)size, buffer);
    show("readlink of a file", readlink("hard", buffer, sizeof buffer));
    fd = open("soft", O_RDONLY);
    show("read through link", read(fd, buffer, 5));
    close(fd);
    show("open link nofollow", open("soft", O_RDONLY | O_NOFOLLOW));
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    show("open loop", open("loop1", O_RDONLY));
    show("open through file", open("hard/x", O_RDONLY));
    show("open dot-dot inside", open("sub/../hard", O_RDONLY) >= 0 ? 0 : -1);
    list(".");
    list("sub");
    list("hard");
    show("rmdir not empty", rmdir("sub"));
    show("unlink folder", unlink("sub"));
    show("rmdir file", rmdir("hard"));
    show("unlink", unlink("sub/b.txt"));
    show("unlink again", unlink("sub/b.txt"));
    show("rmdir", rmdir("sub"));
    show("unlink loop1", unlink("loop1"));
    show("unlink loop2", unlink("loop2"));
    show("unlink soft", unlink("soft"));
    struct timespec when[2] = {{1000000000, 5}, {1234567890, 123456789}};
    show("utimensat", utimensat(AT_FDCWD, "hard", when, 0));
    struct stat st;
    stat("hard", &st);
    printf("mtime %lld %ld\n", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    char deep[3000] = "d";
    mkdir(deep, 0755);
    for (int i = 0; i < 60; i++) {
        strcat(deep, "/d");
        if (mkdir(deep, 0755)) { show("deep mkdir", -1); break; }
    }
    strcat(deep, "/f");
    fd = open(deep, O_CREAT | O_WRONLY, 0644);
    show("deep file", write(fd, "deep", 4));
    close(fd);
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    show("long name", open(name, O_CREAT | O_RDWR, 0644));
    list(".");
    return 0;
}
