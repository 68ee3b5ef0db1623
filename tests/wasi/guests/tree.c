/* Many files, renames over what is there, a sparse file of gigabytes, listings read on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *what, long long result) {
    printf("%s: %lld", what, result);
    if (result < 0) printf(" errno %d", errno);
    printf("\n");
}

static void make(const char *path, const char *text) {
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    for (const char *c = text; *c; c++) write(fd, c, 1);
    close(fd);
}

int main(void) {
    char name[64], buffer[16];
    struct stat st;
    if (chdir("/work")) return 1;
    mkdir("many", 0755);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "many/file-with-a-long-name-%d", i);
        make(name, "x");
    }
    DIR *dir = opendir("many");
    int count = 0, removed = 0;
    for (struct dirent *row; (row = readdir(dir));) {
        if (row->d_name[0] == '.') continue;
        count++;
    }
    for (int i = 0; i < 500; i += 2) {
        snprintf(name, sizeof name, "many/file-with-a-long-name-%d", i);
        if (!unlink(name)) removed++;
    }
    show("listed", count);
    show("removed", removed);
    rewinddir(dir);
    for (count = 0; readdir(dir);) count++;
    show("listed again", count);
    closedir(dir);

    make("a", "aaa");
    make("b", "b");
    show("rename over a file", rename("a", "b"));
    stat("b", &st);
    show("size", st.st_size);
    mkdir("d1", 0755);
    mkdir("d2", 0755);
    show("rename folder over empty folder", rename("d1", "d2"));
    show("rename folder over full folder", (mkdir("d3", 0755), rename("d2", "many")));
    show("rename file over folder", rename("b", "d3"));
    show("rename folder over file", rename("d3", "b"));
    show("rename folder into itself", rename("many", "many/inner"));
    show("rename to itself", rename("b", "b"));
    show("rename to the top", rename("b", "."));
    show("rename with slash", rename("b", "c/"));
    show("unlink with slash", unlink("b/"));
    show("rmdir dot", rmdir("."));
    show("mkdir with slash", mkdir("d4/", 0755));
    show("open folder to write", open("d4", O_RDWR));

#ifdef SPARSE
    int fd = open("sparse", O_CREAT | O_RDWR, 0644);
    show("seek far", lseek(fd, 5LL << 30, SEEK_SET));
    show("write far", write(fd, "end", 3));
    show("read hole", pread(fd, buffer, 4, 3LL << 30));
    printf("%d%d%d%d\n", buffer[0], buffer[1], buffer[2], buffer[3]);
    fstat(fd, &st);
    show("size", st.st_size);
    show("allocated little", st.st_blocks < 1000);
    show("cut", ftruncate(fd, 10));
    close(fd);
#else
    (void)buffer;
#endif
    return 0;
}
