/* Tries to reach what lies outside of the folder it was given; prints the attempts that worked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *paths[] = {
    "../outside/secret",
    "/work/../outside/secret",
    "sub/../../outside/secret",
    "./sub/./.././../outside/secret",
    "link_file",            /* a link the embedder's folder holds: ../outside/secret */
    "link_absolute",        /* ... to an absolute path */
    "link_folder/secret",   /* ... to the folder outside */
    "link_chain",           /* ... to link_file */
    "sub/link_up/../outside/secret",
    "..",
    "../",
    "/work/..",
};

int main(int argc, char **argv) {
    int escaped = 0;
    (void)argc;
    (void)argv;
    if (chdir("/work")) return 99;
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct stat st;
        int fd = open(paths[i], O_RDONLY);
        if (fd >= 0) { printf("open %s\n", paths[i]); escaped++; close(fd); }
        if (!stat(paths[i], &st)) { printf("stat %s\n", paths[i]); escaped++; }
    }
    int fd = open("../outside/new", O_CREAT | O_WRONLY, 0644);
    if (fd >= 0) { printf("created\n"); escaped++; }
    if (!mkdir("../outside/folder", 0755)) { printf("mkdir\n"); escaped++; }
    if (!unlink("../outside/secret")) { printf("unlink\n"); escaped++; }
    if (!unlink("link_folder/secret")) { printf("unlink by link\n"); escaped++; }
    if (!rename("inside", "../outside/moved")) { printf("rename out\n"); escaped++; }
    if (!rename("../outside/secret", "stolen")) { printf("rename in\n"); escaped++; }
    if (!link("../outside/secret", "hard")) { printf("link\n"); escaped++; }
    if (!symlink("/etc/passwd", "absolute")) { printf("absolute symlink made\n"); escaped++; }
    if (!symlink("../outside/secret", "made")) {
        if (open("made", O_RDONLY) >= 0) { printf("own link followed\n"); escaped++; }
    }
    fd = open("link_file", O_WRONLY | O_TRUNC);
    if (fd >= 0) { printf("truncated\n"); escaped++; }
    printf("%d escapes\n", escaped);
    return escaped;
}
