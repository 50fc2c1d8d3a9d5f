/* Words for the policy's enums, for records and for people. Never NULL. */
#include "policy.h"

const char *rule_kind_name(enum rule_kind k)
{
	switch (k) {
	case RULE_HIDE:
		return "hide";
	case RULE_PROTECT:
		return "protect";
	case RULE_KEYS:
		return "keys";
	case RULE_EXCEPT:
		return "except";
	case RULE_READ:
		return "read";
	case RULE_WRITE:
		return "write";
	case RULE_EXEC:
		return "exec";
	case RULE_EXEC_DENY:
		return "deny-exec";
	case RULE_NONE:
	case RULE_KIND_COUNT:
		break;
	}
	return "none";
}

const char *verdict_op_name(enum op op)
{
	switch (op) {
	case OP_READ:
		return "read";
	case OP_WRITE:
		return "write";
	case OP_EXEC:
		return "exec";
	case OP_STAT:
		return "stat";
	case OP_CONNECT:
		return "connect";
	case OP_NONE:
	case OP_COUNT:
		break;
	}
	return "none";
}
