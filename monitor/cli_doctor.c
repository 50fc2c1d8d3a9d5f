/* `gabion doctor`: what this host offers, for people or as JSON. Probing and judging are doctor_probe.c's and
 * doctor.c's. */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli_option.h"
#include "doctor.h"

static void print_wrapped(const char *label, const char *text)
{
	enum { INDENT = 4, LABEL = 7, WIDTH = 100 };
	int at = printf("%*s%-*s", INDENT, "", LABEL, label);

	while (*text) {
		int len = (int)strcspn(text, " ");
		if (at > INDENT + LABEL && at + 1 + len > WIDTH)
			at = printf("\n%*s", INDENT + LABEL, "") - 1;
		else if (at > INDENT + LABEL)
			at += printf(" ");
		at += printf("%.*s", len, text);
		text += len;
		text += strspn(text, " ");
	}
	(void)printf("\n");
}

static void print_text(const struct doctor_report *r)
{
	bool told[DOCTOR_PROBLEM_COUNT] = {false};

	for (int c = 0; c < CHECK_COUNT; c++) {
		const struct doctor_finding *f = &r->check[c];
		const char *mark = f->state == STATE_PRESENT   ? "yes"
				   : f->state == STATE_PARTIAL ? "part"
				   : f->state == STATE_UNUSED  ? "-"
							       : "no";

		(void)printf("%-5s %s%s%s%s\n", mark, doctor_check_title((enum doctor_check)c),
			     f->detail[0] ? " (" : "", f->detail, f->detail[0] ? ")" : "");
		if (f->problem == DOCTOR_OK)
			continue;
		if (told[f->problem]) {
			print_wrapped("cause", "see above");
			continue;
		}
		told[f->problem] = true;
		print_wrapped("cause", doctor_cause(f->problem));
		print_wrapped("cost", doctor_cost(f->problem));
		/* Not wrapped: it is to be copied. */
		(void)printf("    %-7s%s\n", "cure", doctor_cure(f->problem));
	}
	(void)printf("\n");
	if (r->can_run)
		(void)printf("gabion can run here: %s (mode %s).\n", doctor_mode_text(r->mode),
			     floor_mode_name(r->mode));
	else
		(void)printf("gabion cannot run here: %s.\nTo mend it: %s\n", doctor_cause(r->blocker),
			     doctor_cure(r->blocker));
}

static json_t *finding_json(enum doctor_check c, const struct doctor_finding *f)
{
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s}", "check", doctor_check_name(c), "title",
			  doctor_check_title(c), "state", doctor_state_name(f->state), "detail", f->detail);

	if (o && f->problem != DOCTOR_OK) {
		json_t *p = json_pack("{s:s, s:s, s:s, s:s}", "name", doctor_name(f->problem), "cause",
				      doctor_cause(f->problem), "cost", doctor_cost(f->problem), "cure",
				      doctor_cure(f->problem));
		if (!p || json_object_set_new(o, "problem", p) != 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

/* False where memory is short. */
static bool print_json(const struct doctor_report *r)
{
	json_t *root = json_pack("{s:b, s:o?, s:o?, s:[]}", "can_run", r->can_run, "mode",
				 r->can_run ? json_string(floor_mode_name(r->mode)) : json_null(), "blocker",
				 r->can_run ? json_null() : json_string(doctor_name(r->blocker)), "checks");
	json_t *checks = json_object_get(root, "checks");
	bool ok = checks != NULL;

	for (int c = 0; c < CHECK_COUNT && ok; c++)
		ok = json_array_append_new(checks, finding_json((enum doctor_check)c, &r->check[c])) == 0;
	if (ok)
		ok = json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") == 1;
	json_decref(root);
	return ok;
}

int cli_doctor(int argc, char **argv)
{
	struct doctor_facts facts;
	struct doctor_report report;
	enum option_id id;
	const char *value;
	int state = 0, status, r;
	bool json = false;

	for (;;) {
		if (!cli_option(COMMAND_DOCTOR, argc, argv, &state, &id, &value, &status))
			return status;
		if (id == OPTION_NONE)
			break;
		json = true; /* its only option */
	}
	if (!cli_operands(COMMAND_DOCTOR, argc, argv, state, 0, 0, &status))
		return status;
	r = doctor_probe(&facts);
	if (r < 0) {
		cli_error("close some programs, or raise the limits: ulimit -u, ulimit -v",
			  "doctor: cannot probe: %s", strerror(-r));
		return EXIT_GABION;
	}
	doctor_judge(&facts, &report);
	if (json && !print_json(&report)) {
		cli_error(NULL, "doctor: cannot print: %m");
		return EXIT_GABION;
	}
	if (!json)
		print_text(&report);
	status = cli_flush();
	return status ? status : report.can_run ? 0 : 1;
}
