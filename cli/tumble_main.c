#include <fcntl.h>
#include <string.h>

#include <tumble/version.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/option_table.h"
#include "cli/terminal_text.h"

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"replay", "captured records -> exact per-window rows", tw_cmd_replay},
    {"tune", "which mapping, memory and shards a capture needs, and their price", tw_cmd_tune},
    {"capture", "a Kinesis stream -> a file that replay reads", tw_cmd_capture},
    {"run", "a live Kinesis stream -> exact per-window rows", tw_cmd_run},
    {"invoke", "one Lambda event, by hand", tw_cmd_invoke},
    {"inspect", "what a state directory holds", tw_cmd_inspect},
    {"drain", "rows that wait in a state's outbox -> their outputs", tw_cmd_drain},
    {"merge", "rows of shards and fragments -> one row per window and group", tw_cmd_merge},
    {"check", "validate a spec and explain it", tw_cmd_check},
    {"outputs", "where rows can go, with the options of each", tw_cmd_outputs},
    {"version", "print the version", cmd_version},
    {"help", "this, or the help of a command", cmd_help},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to) {
    fputs("Usage: tumble COMMAND [OPTION]...\n"
          "Turns a Kinesis stream into exact per-window results.\n\n",
          to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    }
    fputs("\nFor example:\n"
          "  tumble replay -w 60 -t ts -g eventType -a 'revenue=sum(amount)' clicks.ndjson\n"
          "\n`tumble COMMAND -h` shows how a command is used.\n",
          to);
}

static int cmd_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts("tumble " TUMBLE_VERSION_STRING);
    return TW_EXIT_OK;
}

static int unknown_command(const char *name) {
    const char *names[COMMAND_COUNT + 1] = {NULL};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = tw_nearest(name, names);
    tw_say("unknown command \"%s\"%s%s%s", name, nearest ? ": did you mean \"" : "", nearest ? nearest : "",
           nearest ? "\"?" : "");
    tw_say("see tumble help");
    return TW_EXIT_USAGE;
}

static int run_command(const char *name, int argc, char **argv) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc, argv);
        }
    }
    return unknown_command(name);
}

static int cmd_help(int argc, char **argv) {
    char help[] = "--help";
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "version") == 0) {
        print_usage(stdout);
        return TW_EXIT_OK;
    }
    char *arguments[] = {argv[1], help, NULL};
    return run_command(argv[1], 2, arguments);
}

/* What went to stdout counts only when it arrived there. */
static int finish(int status) {
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || failed) {
        tw_say("standard output: cannot write");
        return status == TW_EXIT_OK ? (int)TW_EXIT_OUTPUT : status;
    }
    return status;
}

/* A standard stream that was closed would give its number to the next file opened, and rows would go there. What is
 * put in its place can be read (nothing is there) but not written to. */
static void keep_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            int opened = open("/dev/null", O_RDONLY); /* the lowest free number: this one */
            (void)opened;
        }
    }
}

int main(int argc, char **argv) {
    keep_standard_streams();
    if (argc < 2) {
        print_usage(stderr);
        return finish(TW_EXIT_USAGE);
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    }
    return finish(run_command(name, argc - 1, argv + 1));
}
