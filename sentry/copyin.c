/*
 * Copies paths out of the guest's memory, each byte once. A path that cannot be read is not an error yet:
 * Linux would report it in its own order, so the handler does. Memory other than paths is read by the handler
 * that knows its shape, through call_read().
 *
 * After the last copy the notification is asked whether it still stands: if it does, the memory read was
 * the caller's, for the kernel keeps its thread id until then. The families that are asked most do so later,
 * before their first effect (call_alive(), call_write()), and once only; a reply to a caller that is gone goes nowhere.
 */
#include "sentry/copyin.h"

#include <errno.h>
#include <string.h>

static int copy_path(struct call *c, int index, uint64_t addr)
{
	int r = -EFAULT;

	/* Nothing is mapped at the first page; utimensat() without a path asks often. */
	if (addr != 0)
		r = call_mech(c)->ops->read_str(call_mech(c), &c->ev, addr, c->path[index], sizeof(c->path[index]));
	c->path_err[index] = 0;
	c->path_len[index] = 0;
	if (r == 0)
		c->path_len[index] = strlen(c->path[index]);
	if (r >= 0)
		return r;
	if (r != -EFAULT && r != -ENAMETOOLONG)
		return r;
	c->path_err[index] = -r;
	c->path[index][0] = '\0';
	return 0;
}

int copyin(struct call *c)
{
	int index = 0, r;

	for (unsigned int i = 0; i < c->row->nargs && index < CALL_PATHS; i++) {
		if (c->row->arg[i] != ARG_PATH)
			continue;
		r = copy_path(c, index, c->ev.args[i]);
		if (r != 0)
			return r;
		index++;
	}
	if (index == 0 || c->row->family == FAM_META || c->row->family == FAM_OPEN ||
	    c->row->family == FAM_CHANGE)
		return 0;
	return call_mech(c)->ops->alive(call_mech(c), &c->ev);
}
