/* tumble-limits: what the machine can do, to set figures against.
 *
 *     tumble-limits memcpy FILE            the file's bytes, from memory to memory
 *     tumble-limits append DIR BYTES N     N times: append BYTES to a file, fdatasync
 *     tumble-limits lmdb DIR BYTES N       N times: one upsert of BYTES, a durable commit of LMDB
 *
 * What it makes in DIR it removes. */

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/command_line.h"

static const char program[] = "tumble-limits";

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-limits: %s: %s\n", what, errno ? strerror(errno) : "failed");
        exit(1);
    }
}

static double now_us(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static char *pages(size_t bytes) {
    char *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(made != MAP_FAILED, "mmap");
    madvise(made, bytes, MADV_HUGEPAGE);
    memset(made, 1, bytes);
    return made;
}

static void copy(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    must(file >= 0 && fstat(file, &status) == 0 && status.st_size > 0, path);
    size_t size = (size_t)status.st_size, filled = 0;
    char *from = pages(size), *to = pages(size);
    for (ssize_t got; (got = read(file, from + filled, size - filled)) > 0;) {
        filled += (size_t)got;
    }
    must(filled == size, path);
    double began = now_us(CLOCK_MONOTONIC), began_cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
    memcpy(to, from, size);
    double seconds = (now_us(CLOCK_MONOTONIC) - began) / 1e6;
    printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"last\":%d}\n", seconds,
           (now_us(CLOCK_PROCESS_CPUTIME_ID) - began_cpu) / 1e6, to[size - 1]);
    close(file);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(double *us, size_t count) {
    qsort(us, count, sizeof *us, by_value);
    printf("{\"p50_us\":%.1f,\"p10_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", us[count / 2],
           us[count / 10], us[count * 9 / 10], us[count * 99 / 100], us[count - 1]);
}

static void append(const char *directory, char *bytes, size_t length, double *us, size_t count) {
    char path[4096];
    snprintf(path, sizeof path, "%s/appended", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    must(file >= 0, path);
    for (size_t i = 0; i < count; i++) {
        double began = now_us(CLOCK_MONOTONIC);
        must(write(file, bytes, length) == (ssize_t)length && fdatasync(file) == 0, path);
        us[i] = now_us(CLOCK_MONOTONIC) - began;
    }
    close(file);
    unlink(path);
}

static void upsert(const char *directory, char *bytes, size_t length, double *us, size_t count) {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    char data[4096], lock[4096];
    snprintf(data, sizeof data, "%s/data.mdb", directory);
    snprintf(lock, sizeof lock, "%s/lock.mdb", directory);
    if (access(data, F_OK) == 0) { /* somebody's, who wants to keep it */
        errno = EEXIST;
        must(0, data);
    }
    must(!mdb_env_create(&env) && !mdb_env_set_mapsize(env, (size_t)1 << 30) && !mdb_env_open(env, directory, 0, 0666),
         directory);
    must(!mdb_txn_begin(env, NULL, 0, &txn) && !mdb_dbi_open(txn, NULL, 0, &table) && !mdb_txn_commit(txn), directory);
    for (size_t i = 0; i < count; i++) {
        char key[] = "a key of twenty-four byt";
        MDB_val name = {sizeof key - 1, key}, value = {length, bytes};
        double began = now_us(CLOCK_MONOTONIC);
        must(!mdb_txn_begin(env, NULL, 0, &txn) && !mdb_put(txn, table, &name, &value, 0) && !mdb_txn_commit(txn),
             directory);
        us[i] = now_us(CLOCK_MONOTONIC) - began;
    }
    mdb_env_close(env);
    unlink(data);
    unlink(lock);
}

static const char usage[] =
    "Usage: tumble-limits memcpy FILE | append DIR BYTES N | lmdb DIR BYTES N\n"
    "What the machine can do, to set figures against. One line of JSON.\n\n"
    "  memcpy FILE        seconds for the file's bytes, from memory to memory\n"
    "  append DIR BYTES N  microseconds to append BYTES to a new file and fdatasync it, of N\n"
    "  lmdb DIR BYTES N    microseconds of a durable commit of LMDB of one value of BYTES, of N\n\n"
    "DIR exists; what is made there is removed.\n";

int main(int argc, char **argv) {
    static const char *const ways[] = {"memcpy", "append", "lmdb", NULL};
    command_words(program, argc, argv, 4, usage);
    if (argc < 2) {
        command_refuse(program, "takes memcpy, append or lmdb");
    }
    int way = command_choice(program, "the first argument", argv[1], ways);
    if (way == 0) {
        if (argc != 3) {
            command_refuse(program, "memcpy takes FILE");
        }
        copy(argv[2]);
        return command_end(program);
    }
    if (argc != 5) {
        command_refuse(program, way == 1 ? "append takes DIR BYTES N" : "lmdb takes DIR BYTES N");
    }
    size_t length = command_whole(program, "BYTES", argv[3], 1, 1 << 30);
    size_t count = command_whole(program, "N", argv[4], 1, 100000000);
    double *us = calloc(count, sizeof *us);
    char *bytes = pages(length);
    must(us != NULL, "memory");
    (*argv[1] == 'a' ? append : upsert)(argv[2], bytes, length, us, count);
    print(us, count);
    free(us);
    return command_end(program);
}
