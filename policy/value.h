/*
 * Values as people write them: sizes, times, numbers, users, and the word somebody who mistyped another meant. Shared by
 * the command line and the policy language.
 */
#ifndef GABION_POLICY_VALUE_H
#define GABION_POLICY_VALUE_H

#include <stdint.h>
#include <sys/types.h>

/* 0, or -EINVAL, or -ERANGE where it is no sensible amount; for user also -ENOENT: no such user, -ESRCH: no such group. */
int value_size(const char *s, uint64_t *ret_bytes);
int value_duration(const char *s, uint64_t *ret_ms);
int value_cpus(const char *s, double *ret_cpus);
int value_pids(const char *s, uint64_t *ret_pids);
int value_files(const char *s, uint64_t *ret_files);
int value_user(const char *s, uid_t *ret_uid, gid_t *ret_gid);

/* Of the NULL-terminated NAMES the one nearest to WORD, or NULL where none is near enough to be meant. */
const char *nearest_word(const char *word, const char *const *names);

#endif
