/* Prints its arguments, environment and standard input, writes to standard error, exits with 7. */
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) printf("arg %d: %s\n", i, argv[i]);
    for (char **row = environ; *row; row++) printf("env: %s\n", *row);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) printf("in: %s", line);
    fprintf(stderr, "to stderr\n");
    return 7;
}
