/* Private to container*.c. */
#ifndef GABION_OCI_CONTAINER_IN_H
#define GABION_OCI_CONTAINER_IN_H

#include "monitor/oci/child.h"
#include "monitor/oci/container.h"

/* The copy of config.json in the state directory DIR. */
int container_config(int dir, struct oci_config **ret_c, struct oci_fault *fault);
/* The filter of a container, kept in its state directory for exec. */
int container_filter_write(int dir, const struct filter_box *box);
int container_filter_read(int dir, struct filter_box *box);
/* PID into the file PATH, at once. */
int container_pid_file(const char *path, pid_t pid, struct oci_fault *fault);
/* The listener number VALUE of process PID. */
int container_take_listener(int pidfd, int value, int *ret_fd);
/* How many descriptors are passed on to a process: PRESERVE, and those of LISTEN_FDS, whose number is *ret_listen. */
unsigned int container_preserve(unsigned int preserve, unsigned int *ret_listen);
/* With terminal and console socket as they must go together. */
int container_check_terminal(bool terminal, bool detach, const char *socket, struct oci_fault *fault);
/* A container just made, its first process a child of ours. */
struct made {
	pid_t pid;
	int pidfd;
	int master; /* of the terminal, where there was no console socket; -1 */
};

#define MADE_NULL ((struct made){.pid = -1, .pidfd = -1, .master = -1})

/* oci_create() with what a caller that stays needs to know. INTERNAL: a console socket of the caller's own, or -1. */
int container_create(const struct oci_create_options *o, int internal, struct made *ret_m, struct oci_fault *fault);

/*
 * container_wait.c: stays in front of PID, a child of ours, until it ends: passes signals on, and the terminal MASTER (-1:
 * none). Its exit status, 128 + signal.
 */
int container_wait(pid_t pid, int pidfd, int master);
/* A pair for a console socket: the child's end, and the one container_master() takes the terminal from. */
int container_console_pair(int ret_pair[2]);
int container_master(int socket, int *ret_master);

#endif
