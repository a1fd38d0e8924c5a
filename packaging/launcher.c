/* What stands as `bootstrap` in function.zip: starts the real one with the C library that lies beside it, whatever the
 * image holds. Linked statically, so that nothing else is needed.
 *
 *   DIRECTORY/bootstrap        this
 *   DIRECTORY/bin/bootstrap    the program
 *   DIRECTORY/lib/             its libraries, and LOADER */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef LOADER
#error "LOADER: the file name of the dynamic loader"
#endif

enum { PATH_BYTES = 4096 };

/* The directory this program was started from: the kernel tells its path, Lambda its own root. */
static int find_directory(char out[PATH_BYTES]) {
    const char *path = (const char *)getauxval(AT_EXECFN);
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *root = getenv("LAMBDA_TASK_ROOT");
    int length = slash ? snprintf(out, PATH_BYTES, "%.*s", (int)(slash - path), path)
                       : snprintf(out, PATH_BYTES, "%s", root ? root : "/var/task");
    return length >= 0 && length < PATH_BYTES - 64;
}

int main(int argc, char **argv) {
    char directory[PATH_BYTES], loader[PATH_BYTES], library[PATH_BYTES], program[PATH_BYTES];
    static char option[] = "--library-path";
    char *arguments[16] = {loader, option, library, program};
    if (!find_directory(directory)) {
        fputs("bootstrap: the path it was started by is too long\n", stderr);
        return 1;
    }
    snprintf(loader, sizeof loader, "%.4000s/lib/" LOADER, directory);
    snprintf(library, sizeof library, "%.4000s/lib", directory);
    snprintf(program, sizeof program, "%.4000s/bin/bootstrap", directory);
    for (int i = 1; i < argc && i < 11; i++) {
        arguments[i + 3] = argv[i];
    }
    execv(loader, arguments);
    perror(loader);
    return 1;
}
