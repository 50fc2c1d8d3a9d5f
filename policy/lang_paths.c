/*
 * filesystem: the rules about paths. It is one mapping, or a list of mappings that are read one after another; within a
 * mapping the order is fixed (read, write, exec, hide, protect, keys, then except), so an except rule lifts what stands in its own
 * mapping and before it, and nothing behind it.
 *
 * A path is a text or {path: TEXT, when: view | bare | private}. In front of it stands /, ~, ${workspace}, ${scratch}, or
 * ** for "at every depth".
 */
#include "policy/lang_layer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/value.h"
#include "util/err.h"

/* A path item being read, and then what it is for. */
struct item {
	const char *text;
	uint32_t node; /* of the text */
	enum lang_when when;
};

/* Bytes of PATTERN that stand for a place, or for nothing where it begins with a slash. -1: it begins with neither. */
static int front_of(const char *pattern)
{
	static const char *const places[] = {"${workspace}", "${scratch}", "~"};

	if (pattern[0] == '/' || strcmp(pattern, "**") == 0 || strncmp(pattern, "**/", 3) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		size_t n = strlen(places[i]);

		if (strncmp(pattern, places[i], n) == 0 && (pattern[n] == '/' || pattern[n] == '\0'))
			return (int)n;
	}
	return -1;
}

static void bad_front(struct lang_reader *rd, uint32_t node, const char *pattern)
{
	if (pattern[0] == '~')
		lang_bad(rd, node, "'%.80s': only the own home is known (did you mean ~/%.60s?)", pattern, pattern + 1);
	else if (strncmp(pattern, "./", 2) == 0)
		lang_bad(rd, node, "'%.80s' is no absolute path (did you mean \"${workspace}/%.60s\"?)", pattern, pattern + 2);
	else
		lang_bad(rd, node,
			 "'%.80s' is no absolute path (did you mean \"${workspace}/%.60s\" or \"**/%.60s\"?)", pattern,
			 pattern, pattern);
}

bool lang_check_pattern(struct lang_reader *rd, uint32_t node, const char *pattern, bool literal)
{
	int front = front_of(pattern);
	unsigned int tokens = 0;
	bool glob = false;

	if (front < 0) {
		bad_front(rd, node, pattern);
		return false;
	}
	if (strlen(pattern) >= PATH_MAX) {
		lang_bad(rd, node, "longer than a path may be (%d bytes)", PATH_MAX);
		return false;
	}
	for (const char *s = pattern + front; *s;) {
		size_t len = strcspn(s, "/");
		int kind = len ? glob_component_kind(s, len) : GLOB_LITERAL;

		if (kind < 0) {
			lang_bad(rd, node, "'%.*s' is no pattern: ** stands alone between slashes, [ needs its ], a \\ "
					   "takes the next character along",
				 len < 80 ? (int)len : 80, s);
			return false;
		}
		if (len == 2 && memcmp(s, "..", 2) == 0) {
			lang_bad(rd, node, "'%.80s': a rule cannot hold .., for it speaks of one object", pattern);
			return false;
		}
		if (kind == GLOB_LITERAL && len > NAME_MAX) {
			lang_bad(rd, node, "a name of more than %d bytes cannot exist", NAME_MAX);
			return false;
		}
		glob |= kind != GLOB_LITERAL;
		tokens += glob && len;
		s += len + (s[len] == '/');
	}
	if (glob && literal) {
		lang_bad(rd, node, "'%.80s': a pattern cannot stand here: name the directory or the file", pattern);
		return false;
	}
	if (tokens > GLOB_TOKENS_MAX) {
		lang_bad(rd, node, "more than %d components behind the first * or ?", GLOB_TOKENS_MAX);
		return false;
	}
	return true;
}

static void take_item_path(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct item *item = rd->item;

	item->text = lang_read_text(rd, value, path);
	item->node = value;
}

static void take_item_when(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"always", "view", "bare", "private", NULL};
	struct item *item = rd->item;
	int i = lang_read_word(rd, value, path, words);

	item->when = i > 0 ? (enum lang_when)i : LANG_ALWAYS;
}

/* A text or {path, when}. False where there is nothing to add. */
static bool read_item(struct lang_reader *rd, uint32_t node, const char *path, struct item *ret_item)
{
	static const struct lang_key keys[] = {{"path", take_item_path}, {"when", take_item_when}};
	struct item item = {.node = node};

	if (rd->l->tree.nodes[node].type != LANG_MAP) {
		item.text = lang_read_text(rd, node, path);
	} else {
		size_t errors = rd->m->errors;

		rd->item = &item;
		lang_read_map(rd, node, path, keys, ARRAY_LEN(keys));
		if (!item.text && rd->m->errors == errors)
			lang_bad(rd, node, "an item of %s names no path: {path: ...}", path);
	}
	if (item.text)
		item.text = lang_read_variables(rd, item.node, item.text, true);
	if (!item.text)
		return false;
	*ret_item = item;
	return true;
}

static void add_rule(struct lang_reader *rd, const struct item *item, enum rule_kind kind, bool made)
{
	struct lang_layer *l = rd->l;
	const struct lang_node *n = &l->tree.nodes[item->node];

	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		struct path_rule *rules = reallocarray(l->rules, room, sizeof(*rules));

		if (!rules) {
			rd->r = -ENOMEM;
			return;
		}
		l->rules = rules;
		l->room = room;
	}
	l->rules[l->n++] = (struct path_rule){.pattern = item->text,
					      .line = n->line,
					      .column = n->column,
					      .kind = (uint8_t)kind,
					      .when = (uint8_t)item->when,
					      .made = made};
}

static void one_rule(struct lang_reader *rd, uint32_t node, const char *path, enum rule_kind kind)
{
	struct item item;

	/* Nothing of a floor holds an exec rule with globs, and nobody can execute for another. */
	if (read_item(rd, node, path, &item) && lang_check_pattern(rd, item.node, item.text, false))
		add_rule(rd, &item, kind, false);
}

static void one_read(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_READ);
}

static void one_write(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_WRITE);
}

static void one_exec(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_EXEC);
}

static void one_hide(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_HIDE);
}

static void one_protect(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_PROTECT);
}

static void one_keys(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_KEYS);
}

static void one_except(struct lang_reader *rd, uint32_t node, const char *path)
{
	one_rule(rd, node, path, RULE_EXCEPT);
}

static const char allows_nothing[] = "it allows nothing (and takes nothing back)";
static const char says_nothing[] = "it says nothing";

static void take_read(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, allows_nothing, one_read);
}

static void take_write(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, allows_nothing, one_write);
}

static void take_exec(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, allows_nothing, one_exec);
}

static void take_hide(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, says_nothing, one_hide);
}

static void take_protect(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, says_nothing, one_protect);
}

static void take_keys(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, says_nothing, one_keys);
}

static void take_except(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "it lifts nothing", one_except);
}

/* -- tmpfs -- */

struct tmpfs_item {
	struct item item; /* first: take_item_path() fills it in */
	struct tmpfs_wish wish;
};

static void take_tmpfs_size(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct tmpfs_item *t = rd->item;
	const char *text = lang_read_text(rd, value, path);
	int r = text ? value_size(text, &t->wish.size) : 0;

	if (r < 0)
		lang_bad(rd, value, "%s: '%.40s' is %s: a size is a whole number with k, m, g or t, and at least 1m: 512m, 2g",
			 path, text, r == -ERANGE ? "out of range" : "no size");
}

static void take_tmpfs_exec(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct tmpfs_item *t = rd->item;

	t->wish.exec = lang_read_bool(rd, value, path) == 1;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Where gabion's own mounts are, or where nothing would be left to run. */
static bool check_tmpfs_path(struct lang_reader *rd, uint32_t node, const char *path)
{
	static const char *const ours[] = {"/proc", "/sys", "/run/scratch"};
	bool taken = strcmp(path, "/") == 0 || (is_below(path, "/dev") && strcmp(path, "/dev/shm") != 0);

	if (path[0] != '/') {
		lang_bad(rd, node, "'%.80s': a tmpfs has a plain absolute path", path);
		return false;
	}
	if (!lang_check_pattern(rd, node, path, true))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		taken = taken || is_below(path, ours[i]);
	if (taken)
		lang_bad(rd, node, "'%.80s' is gabion's own: no tmpfs can be there", path);
	return !taken;
}

static void one_tmpfs(struct lang_reader *rd, uint32_t node, const char *path)
{
	static const struct lang_key keys[] = {{"path", take_item_path},
					       {"size", take_tmpfs_size},
					       {"exec", take_tmpfs_exec}};
	struct tmpfs_item t = {.item = {.node = node, .when = LANG_VIEW}};
	struct tmpfs_list *list = &rd->l->values.tmpfs;
	size_t errors = rd->m->errors;
	struct tmpfs_wish *v;

	if (rd->l->tree.nodes[node].type != LANG_MAP) {
		t.item.text = lang_read_text(rd, node, path);
	} else {
		rd->item = &t;
		lang_read_map(rd, node, path, keys, ARRAY_LEN(keys));
		if (!t.item.text && rd->m->errors == errors)
			lang_bad(rd, node, "an item of %s names no path: {path: ...}", path);
	}
	if (t.item.text)
		t.item.text = lang_read_variables(rd, t.item.node, t.item.text, false);
	if (!t.item.text || !check_tmpfs_path(rd, t.item.node, t.item.text))
		return;
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].path, t.item.text) == 0)
			lang_bad(rd, t.item.node, "a tmpfs at '%.80s' is said twice (first at %s)", t.item.text,
				 list->v[i].origin);
	}
	v = reallocarray(list->v, list->n + 1, sizeof(*v));
	if (!v) {
		rd->r = -ENOMEM;
		return;
	}
	list->v = v;
	t.wish.path = strdup(t.item.text);
	t.wish.origin = lang_origin(rd, t.item.node);
	v[list->n++] = t.wish;
	if (!t.wish.path || !t.wish.origin)
		rd->r = -ENOMEM;
	add_rule(rd, &t.item, RULE_WRITE, true);
	if (t.wish.exec)
		add_rule(rd, &t.item, RULE_EXEC, true);
}

static void take_tmpfs(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, says_nothing, one_tmpfs);
}

static void take_home(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"private", "host", NULL};
	int i = lang_read_word(rd, value, path, words);

	rd->l->values.home_host = i == 1;
	lang_from(rd, &rd->l->values.home_from, value);
}

/* In the order in which a mapping's rules count. */
static const struct lang_key keys[] = {
	{"home", take_home}, {"read", take_read},	{"write", take_write},	 {"exec", take_exec},
	{"tmpfs", take_tmpfs}, {"hide", take_hide}, {"protect", take_protect}, {"keys", take_keys}, {"except", take_except},
};

/* Rules are kept as they stand; brings those from FIRST on into the order of the keys. */
static int by_kind(const void *a, const void *b)
{
	static const uint8_t order[RULE_KIND_COUNT] = {[RULE_READ] = 1, [RULE_WRITE] = 2, [RULE_EXEC] = 3,
						       [RULE_HIDE] = 4, [RULE_PROTECT] = 5, [RULE_KEYS] = 6,
						       [RULE_EXCEPT] = 7};
	const struct path_rule *x = a, *y = b;

	if (order[x->kind] != order[y->kind])
		return order[x->kind] - order[y->kind];
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static void read_section(struct lang_reader *rd, uint32_t node, const char *path)
{
	size_t first = rd->l->n;

	lang_read_map(rd, node, path, keys, ARRAY_LEN(keys));
	if (rd->l->n > first + 1)
		qsort(rd->l->rules + first, rd->l->n - first, sizeof(*rd->l->rules), by_kind);
}

void lang_read_filesystem(struct lang_reader *rd, uint32_t node, const char *path)
{
	if (rd->l->tree.nodes[node].type == LANG_LIST)
		lang_read_list(rd, node, path, says_nothing, read_section);
	else
		read_section(rd, node, path);
}
