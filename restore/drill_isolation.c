#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "plans/plan.h"
#include "restore/canary.h"
#include "restore/drill_internal.h"
#include "restore/service_postgres.h"

/*
 * INVARIANTS
 * (1) Nothing is restored or started before every probe said "unreachable" and the canary, proven
 *     alive, saw nobody.
 */

#define DRILL_PROBE_MS 3000

static struct report_isolation_check *add_check(struct drill *d, const char *target)
{
	struct report_isolation_check *c = report_add_isolation_check(d->r);
	if (c == NULL)
		return NULL; /* the report is marked as failed */
	c->target = report_text(d->r, target);
	c->expected = REPORT_UNREACHABLE;
	c->observed = REPORT_NOT_PROBED;
	c->at = clock_now_ms(&d->clock);
	return c;
}

/* Try one address from inside and note what became of it. */
static int probe(struct drill *d, const struct probe_target *t, struct err *err)
{
	char detail[SANDBOX_DETAIL_BYTES];
	enum sandbox_reach reach;
	struct report_isolation_check *c = add_check(d, t->text);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (t->address[0] == '\0') {
		c->detail = report_text(d->r, t->detail);
		drill_tell(d, "isolation: %s was not tried: %s", t->text, t->detail);
		return 0;
	}
	int rc = sandbox_connect(d->box, t->address, t->port, DRILL_PROBE_MS, &reach, detail, err);
	if (rc != 0)
		return rc;
	c->observed = reach == SANDBOX_REACHED ? REPORT_REACHED : REPORT_UNREACHABLE;
	c->detail = report_text(d->r, detail);
	d->is_isolated = d->is_isolated && reach == SANDBOX_UNREACHABLE;
	drill_tell(d, "isolation: %s from inside: %s (%s)", t->text,
		reach == SANDBOX_REACHED ? "REACHED" : "unreachable", detail);
	return 0;
}

static int open_sandbox(struct drill *d, struct err *err)
{
	static const struct sandbox_file files[] = { { SERVICE_POSTGRES_HBA_NAME,
		SERVICE_POSTGRES_HBA_TEXT } };
	const struct sandbox_opts opts = { .program = d->o->program,
		.data = d->data,
		.log = d->log,
		.files = files,
		.file_count = 1,
		.share_network = d->o->share_network,
		.is_stopped = d->o->is_stopped,
		.arg = d->o->arg };
	return sandbox_open(&opts, &d->box, err);
}

static void name_canary(struct drill *d)
{
	char text[CANARY_MAX_PERCHES * (CANARY_ADDRESS_BYTES + 16)] = "";
	size_t count, len = 0;
	const struct canary_perch *p = canary_perches(d->canary, &count);
	for (size_t i = 0; i < count; i++) {
		int n = snprintf(text + len, sizeof(text) - len, "%s%s:%d", i == 0 ? "" : ", ",
			p[i].address, p[i].port); /* fits */
		len += n > 0 ? (size_t)n : 0;
	}
	d->r->environment.canary.address = report_text(d->r, text);
}

static int probe_all(struct drill *d, struct err *err)
{
	size_t count;
	const struct canary_perch *p = canary_perches(d->canary, &count);
	int rc = canary_prove(d->canary, err);
	if (rc != 0)
		return rc;
	drill_tell(d, "isolation: the canary is alive: it counted a connection from this host");
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct probe_target t = { .port = p[i].port };
		(void)snprintf(t.text, sizeof(t.text), "canary %s:%d", p[i].address, p[i].port);
		(void)snprintf(t.address, sizeof(t.address), "%s", p[i].address); /* fits */
		rc = probe(d, &t, err);
	}
	for (size_t i = 0; i < d->target_count && rc == 0; i++)
		rc = probe(d, &d->targets[i], err);
	return rc;
}

static void look_at_interfaces(struct drill *d, const char *names)
{
	drill_tell(d, "sandbox: process 1 is %d here, network interfaces inside: %s",
		(int)sandbox_ids(d->box)->pid, names == NULL ? "?" : names);
	if (names != NULL && strcmp(names, "lo") == 0)
		return;
	d->is_isolated = false;
	drill_find(d, REPORT_MAJOR, NULL,
		"the sandbox has network interfaces besides a loopback of its own: %s",
		names == NULL ? "?" : names);
}

int drill_isolation_run(struct drill *d, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf names = BUF_INIT(4096);
	int rc = open_sandbox(d, &why);
	d->is_isolated = rc == 0;
	if (rc == 0)
		rc = sandbox_interfaces(d->box, &names, &why);
	if (rc == 0) {
		look_at_interfaces(d, buf_cstr(&names));
		name_canary(d);
		rc = probe_all(d, &why);
	}
	rc = drill_settle(d, rc, &why);
	if (drill_is_final(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0) {
		d->is_isolated = false;
		drill_find(d, REPORT_MAJOR, NULL, "%s", why.msg);
		return 0;
	}
	drill_isolation_count(d);
	if (!d->is_isolated) {
		drill_tell(d, "the sandbox is not isolated: nothing is started in it");
		return 0;
	}
	for (size_t i = 0; i < d->o->plan->system_count; i++)
		clock_mark(&d->clock, CLOCK_SANDBOX, &d->systems[i].report->timings);
	return 0;
}

void drill_isolation_count(struct drill *d)
{
	if (d->r->environment.canary.address == NULL)
		return;
	d->r->environment.canary.connections_seen = canary_seen(d->canary);
	if (d->r->environment.canary.connections_seen > 0)
		d->is_isolated = false;
}
