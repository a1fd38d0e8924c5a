#ifndef TW_CLI_COMMAND_H
#define TW_CLI_COMMAND_H

/* The subcommands of `tumble`, one file each. argv[0] is the subcommand's name; the result is the exit status. */
int tw_cmd_replay(int argc, char **argv);
int tw_cmd_tune(int argc, char **argv);
int tw_cmd_capture(int argc, char **argv);
int tw_cmd_run(int argc, char **argv);
int tw_cmd_inspect(int argc, char **argv);
int tw_cmd_invoke(int argc, char **argv);
int tw_cmd_check(int argc, char **argv);
int tw_cmd_merge(int argc, char **argv);
int tw_cmd_outputs(int argc, char **argv);
int tw_cmd_drain(int argc, char **argv);

#endif
