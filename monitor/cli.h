/* Subcommands: one file each (cli_NAME.c), no mechanism in them. argv[0] is the subcommand's name. The return
 * value is the program's exit status: 0, 1 for a negative answer, 125 for wrong use or a failure of ours. */
#ifndef GABION_MONITOR_CLI_H
#define GABION_MONITOR_CLI_H

enum { EXIT_GABION = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_TIMEOUT = 124 };

int cli_run(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_syscalls(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_log(int argc, char **argv);
int cli_allow(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_completion(int argc, char **argv);

/* One clear line on stderr, "gabion: ...", and, where HINT is not NULL, a second one, "        HINT". */
void cli_error(const char *hint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
