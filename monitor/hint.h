/* What to do about refusals that no rule of the policy speaks of. */
#ifndef GABION_MONITOR_HINT_H
#define GABION_MONITOR_HINT_H

/* What people can do where a program called COMM (as in /proc/PID/comm, NUL-terminated) asked for namespaces of its own by call NR,
 * in one phrase of static text; NULL where NR asks for none. */
const char *hint_namespaces(int nr, const char *comm);

#endif
