/*
 * The process that becomes the container's (or exec's): what it does between its birth and its exec, and what it and
 * its maker say to each other. It reports what failed in words; its maker prints them.
 */
#ifndef GABION_OCI_CHILD_H
#define GABION_OCI_CHILD_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "monitor/oci/config.h"
#include "monitor/oci/rootfs.h"
#include "monitor/oci/seccomp.h"

/* Over a SOCK_SEQPACKET pair, whole messages; anything else ends both. */
enum child_msg_kind {
	CHILD_MSG_NONE = 0,
	CHILD_MSG_FAILED,   /* .value: negative errno, .text why */
	CHILD_MSG_WARNING,  /* .text */
	CHILD_MSG_MOUNTED,  /* create: its namespaces and mounts are there, its root is not changed yet */
	CHILD_MSG_LISTENER, /* .value: number of the listener of gabion's filter; nothing goes on before it is answered */
	CHILD_MSG_READY,    /* everything is done but the exec */
	CHILD_MSG_GO,	    /* the maker's one answer to each of these, and its first word; .value: the child's pid there */
};

struct child_msg {
	uint32_t kind;
	int32_t value;
	char text[2048];
};

/* A filter in memory shared with the maker, which builds it while the child is at its mounts. */
struct filter_box {
	unsigned short len;
	struct sock_filter insns[BPF_MAXINSNS];
};

/* All of it is read only to the child, by fork. */
struct child {
	const struct oci_proc *p;
	int sync;	 /* its end of the pair */
	int console;	 /* connected console socket, or -1 */
	unsigned int preserve; /* descriptors from 3 on that are passed on */
	unsigned int listen;   /* of these: LISTEN_FDS */
	const struct filter_box *filter; /* gabion's; complete when the listener is to be made */
	struct oci_seccomp own;	  /* the container's profile */
	int proc;		  /* a procfs directory of the host's (exec) */
	bool userns;		  /* the container has a user namespace of its own */
	/* create */
	const struct oci_config *c; /* NULL: exec */
	struct rootfs *root;
	int nsfd[OCI_NS_COUNT];	     /* namespaces given by path; -1 */
	int fifo;		     /* start's: one byte lets go */
	bool no_pivot;
	const char *keyring; /* NULL: keep the caller's session keyring */
	json_t *state;	     /* for hooks; pid and status are put in */
	/* exec */
	int target;  /* pidfd of the container's process */
	int spaces;  /* CLONE_NEW* of it to be entered */
};

/* Never return. */
_Noreturn void child_create(const struct child *ch);
_Noreturn void child_exec(const struct child *ch);

/* child_msg.c. 0, -EPIPE where the other end is gone, -EPROTO. */
int child_send(int sync, enum child_msg_kind kind, int value, const char *text);
/* Waits for the next message that is no warning (those go to the log); a failure becomes FAULT and its errno. RET_VALUE may be
 * NULL. 0 for KIND as expected. */
int child_wait(int sync, enum child_msg_kind kind, int *ret_value, struct oci_fault *fault);
/* The same with the descriptor that came along, -1 where none did. */
int child_wait_fd(int sync, enum child_msg_kind kind, int *ret_value, int *ret_fd, struct oci_fault *fault);
int child_send_fd(int sync, const struct child_msg *m, int fd);

#endif
