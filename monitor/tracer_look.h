/*
 * What the tracer looks at while a thread stands still (tracer_look.c). Blocks only in the file system and in page faults of
 * the thread's.
 */
#ifndef GABION_MONITOR_TRACER_LOOK_H
#define GABION_MONITOR_TRACER_LOOK_H

#include <stdbool.h>
#include <sys/types.h>

#include "tracer_msg.h"

/*
 * Whether process PID, at its exec stop, loaded EXE with LOADER and no other file. What cannot be seen is not right. Not for
 * several threads.
 */
bool tracer_loaded(int proc_fd, pid_t pid, const struct tracer_file *exe, const struct tracer_file *loader);
/* Name of what PID executes, for the record: cut, empty where it cannot be had. */
void tracer_name(int proc_fd, pid_t pid, char ret_name[TRACER_PATH_MAX]);
/* Copies registers, BYTES of stack and maps of the stopped thread TID, and sends them as SNAP (its .id is set) to SOCKET without waiting. 0
 * or a negative errno. */
int tracer_snapshot_send(int proc_fd, pid_t tid, uint32_t bytes, struct tracer_snapshot *snap, int socket);

#endif
