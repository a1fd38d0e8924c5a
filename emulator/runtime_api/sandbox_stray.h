#ifndef TW_SANDBOX_STRAY_H
#define TW_SANDBOX_STRAY_H

/* Processes that left their sandbox's group (setsid, daemon): they still carry its environment, and are known by one
 * variable in it. One that cleared its environment too is out of reach. */

enum { TW_SANDBOX_MARK = 80 };

/* "_LAMBDA_SANDBOX_OF=…", a text that no other run has. */
void tw_sandbox_mark(char out[TW_SANDBOX_MARK]);

/* SIGKILL to every process that began with the mark in its environment, until there is none (or for some rounds: who
 * forks faster than it is killed gets away). Asks for no memory but what opendir takes; Linux: looks through /proc. */
void tw_sandbox_kill_strays(const char *mark);

#endif
