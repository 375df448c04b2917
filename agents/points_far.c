#include "agents/points_far.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "msg/msg_vault.h"
#include "vault/domain.h"
#include "vault/record_reader.h"
#include "vault/snapshot_unseal.h"

/*
 * INVARIANTS
 * (1) snapshots[i] is point i, its signature checked, and its label names the source it was given
 *     for: a controller cannot pass one source off as another.
 * (2) Which snapshot was the newest at T0 the controller chose by its own clock, the one that dated
 *     the receipts; it countersigns only a report about just these.
 */

struct points_far {
	struct points_far_opts o;
	struct domain domain;         /* owned */
	struct record_reader *reader; /* owned */
	struct snapshot *snapshots;   /* owned */
	size_t count;
	struct drill_points points;
};

DEFINE_CLEANUP(struct points_far *, points_far_free)

static const struct msg_point *find(
	const struct points_far *p, const char *source, const struct snapshot **snapshot)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->o.points->at[i].source, source) == 0) {
			*snapshot = &p->snapshots[i];
			return &p->o.points->at[i];
		}
	}
	return NULL;
}

static int far_open(
	void *self, const char *source, int64_t at_ns, struct drill_point *out, struct err *err)
{
	const struct points_far *p = self;
	(void)at_ns; /* invariant 2 */
	const struct snapshot *snapshot = NULL;
	struct snapshot_opened opened;
	const struct msg_point *at = find(p, source, &snapshot);
	if (at == NULL)
		return err_set(err, ERR_NOT_FOUND,
			"the controller knows no snapshot of source '%s' from before the "
			"disruption",
			source);
	const struct snapshot_unseal_opts opts = { .domain = &p->domain,
		.snapshot = snapshot,
		.envelopes = at->envelopes,
		.envelopes_len = at->envelopes_len,
		.name = "the envelopes granted",
		.sk = p->o.dk_sk,
		.source = record_reader_source(p->reader) };
	int rc = snapshot_unseal_open(&opts, &opened, err);
	if (rc == -ERR_AUTH) {
		(void)err_set(err, ERR_AUTH,
			"the newest snapshot of source '%s' is not sealed to this sandbox's key: "
			"it is "
			"from before this sandbox was approved",
			source);
		(void)err_hint(err, "back up the source once more, then order the drill again");
	}
	if (rc != 0)
		return rc;
	*out = (struct drill_point){ .record = snapshot->record,
		.receipt_ns = snapshot->body.receipt_ns,
		.opened = opened };
	memcpy(out->hash, snapshot->hash, sizeof(out->hash));
	return 0;
}

static int64_t far_newest(void *self, const char *source)
{
	const struct snapshot *snapshot = NULL;
	return find(self, source, &snapshot) == NULL ? 0 : snapshot->body.receipt_ns;
}

static int take_config(struct points_far *p, struct err *err)
{
	const struct msg_points *m = p->o.points;
	int rc = domain_decode(m->config, m->config_len, p->o.officer_pk, &p->domain, err);
	if (rc == 0 && p->domain.epoch < p->o.min_epoch)
		rc = err_set(err, ERR_ROLLBACK,
			"the controller's config has epoch %lu; %lu was seen here before",
			(unsigned long)p->domain.epoch, (unsigned long)p->o.min_epoch);
	return rc;
}

/* Invariant 1. */
static int take_points(struct points_far *p, struct err *err)
{
	const struct msg_points *m = p->o.points;
	p->snapshots = calloc(m->count + 1, sizeof(*p->snapshots));
	if (p->snapshots == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; p->count < m->count; p->count++) {
		const struct msg_point *at = &m->at[p->count];
		struct snapshot *s = &p->snapshots[p->count];
		int rc = snapshot_unseal_body(&p->domain, at->snapshot, at->snapshot_len, s, err);
		if (rc != 0)
			return err_wrap(err, "the snapshot granted for source '%s'", at->source);
		if (!snapshot_is_of(s, at->source)) {
			snapshot_unseal_done(s);
			return err_set(err, ERR_CORRUPT,
				"the snapshot granted for source '%s' is of another one",
				at->source);
		}
	}
	return 0;
}

int points_far_new(const struct points_far_opts *opts, struct points_far **out, struct err *err)
{
	CLEANUP(points_far_free_p) struct points_far *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->o = *opts;
	int rc = take_config(p, err);
	if (rc == 0)
		rc = take_points(p, err);
	if (rc == 0)
		rc = record_reader_new(opts->records, &p->reader, err);
	if (rc != 0)
		return rc;
	p->points = (struct drill_points){ .self = p,
		.open = far_open,
		.newest = far_newest,
		.content = record_reader_source(p->reader) };
	*out = TAKE(p);
	return 0;
}

void points_far_free(struct points_far *p)
{
	if (p == NULL)
		return;
	record_reader_free(p->reader);
	for (size_t i = 0; i < p->count; i++)
		snapshot_unseal_done(&p->snapshots[i]);
	free(p->snapshots);
	domain_done(&p->domain);
	free(p);
}

const struct drill_points *points_far_points(struct points_far *p)
{
	return &p->points;
}
