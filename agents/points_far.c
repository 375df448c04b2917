#include "agents/points_far.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "msg/msg_vault.h"
#include "vault/domain.h"
#include "vault/snapshot_unseal.h"

/*
 * INVARIANTS
 * (1) Every point in here has a record signed by an identity of the officer's config, and a label
 *     that names the source it was granted for; the label is compared with the root when opened.
 * (2) There is one point of a source at most.
 */

struct point {
	struct snapshot snapshot; /* owned */
	char *source;             /* owned; as granted */
	uint8_t *envelopes;       /* owned: body of its ev/ object */
	size_t envelopes_len;
};

struct points_far {
	struct drill_points points;
	struct domain domain; /* owned */
	const uint8_t *drill_sk;
	const struct record_source *content;
	struct point *at; /* owned */
	size_t count;
};

DEFINE_CLEANUP(struct points_far *, points_far_free)

static struct point *find(const struct points_far *p, const char *source)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->at[i].source, source) == 0)
			return &p->at[i];
	}
	return NULL;
}

static int take_config(struct points_far *p, const struct points_far_opts *o, struct err *err)
{
	int rc = domain_decode(
		o->points->config, o->points->config_len, o->officer_pk, &p->domain, err);
	if (rc != 0)
		return err_wrap(err, "the domain config that came with the grant");
	if (p->domain.epoch == 0)
		return err_set(err, ERR_CORRUPT, "the domain config has no epoch");
	if (p->domain.epoch < o->config_epoch)
		return err_set(err, ERR_ROLLBACK,
			"the controller sent config epoch %u, this agent knows %u: it went back",
			p->domain.epoch, o->config_epoch);
	return 0;
}

static int take_point(struct points_far *p, const struct msg_point *m, struct err *err)
{
	struct point *x = &p->at[p->count];
	if (find(p, m->source) != NULL)
		return err_set(err, ERR_CORRUPT, "it was granted twice");
	int rc = snapshot_unseal_body(&p->domain, m->snapshot, m->snapshot_len, &x->snapshot, err);
	if (rc != 0)
		return rc;
	p->count++; /* from here on free() ends it */
	if (strcmp(x->snapshot.label.source, m->source) != 0)
		return err_set(err, ERR_CORRUPT, "its snapshot is one of another source");
	x->source = strdup(m->source);
	x->envelopes = malloc(m->envelopes_len + 1);
	if (x->source == NULL || x->envelopes == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(x->envelopes, m->envelopes, m->envelopes_len);
	x->envelopes_len = m->envelopes_len;
	return 0;
}

/* What was received later than the disruption, by more than clocks may differ, was not there. */
static int check_time(const struct point *x, int64_t at_ns, struct err *err)
{
	char received[HUMAN_BYTES], declared[HUMAN_BYTES];
	const int64_t receipt = x->snapshot.body.receipt_ns;
	if (at_ns > INT64_MAX - POINTS_FAR_CLOCK_NS || receipt <= at_ns + POINTS_FAR_CLOCK_NS)
		return 0;
	(void)err_set(err, ERR_NOT_FOUND,
		"the granted snapshot was received at %s, after the disruption at %s",
		human_time_utc(received, receipt), human_time_utc(declared, at_ns));
	return err_hint(err, "set the clocks of controller and agent");
}

static int far_open(
	void *self, const char *source, int64_t at_ns, struct drill_point *out, struct err *err)
{
	const struct points_far *p = self;
	const struct point *x = find(p, source);
	struct snapshot_opened opened;
	if (x == NULL)
		return err_set(err, ERR_NOT_FOUND,
			"the controller granted no snapshot of source '%s'", source);
	const struct snapshot_unseal_opts opts = { .domain = &p->domain,
		.snapshot = &x->snapshot,
		.envelopes = x->envelopes,
		.envelopes_len = x->envelopes_len,
		.name = "envelopes",
		.sk = p->drill_sk,
		.source = p->content };
	int rc = check_time(x, at_ns, err);
	if (rc == 0)
		rc = snapshot_unseal_open(&opts, &opened, err);
	if (rc != 0)
		return rc;
	*out = (struct drill_point){ .record = x->snapshot.record,
		.receipt_ns = x->snapshot.body.receipt_ns,
		.opened = opened };
	memcpy(out->hash, x->snapshot.hash, sizeof(out->hash));
	return 0;
}

static int64_t far_newest(void *self, const char *source)
{
	const struct point *x = find(self, source);
	return x == NULL ? 0 : x->snapshot.body.receipt_ns;
}

int points_far_new(const struct points_far_opts *opts, struct points_far **out, struct err *err)
{
	CLEANUP(points_far_free_p) struct points_far *p = calloc(1, sizeof(*p));
	const struct msg_points *m = opts->points;
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->drill_sk = opts->drill_sk;
	p->content = opts->content;
	p->points = (struct drill_points){
		.self = p, .open = far_open, .newest = far_newest, .content = opts->content
	};
	if (m->count > MSG_MAX_POINTS)
		return err_set(err, ERR_LIMIT, "the grant has more than %d points", MSG_MAX_POINTS);
	p->at = calloc(m->count + 1, sizeof(*p->at));
	if (p->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = take_config(p, opts, err);
	for (size_t i = 0; rc == 0 && i < m->count; i++) {
		rc = take_point(p, &m->at[i], err);
		if (rc != 0)
			return err_wrap(err, "the grant's source '%s'", m->at[i].source);
	}
	if (rc == 0)
		*out = TAKE(p);
	return rc;
}

void points_far_free(struct points_far *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		snapshot_unseal_done(&p->at[i].snapshot);
		free(p->at[i].source);
		free(p->at[i].envelopes);
	}
	free(p->at);
	domain_done(&p->domain);
	free(p);
}

const struct drill_points *points_far_points(const struct points_far *p)
{
	return &p->points;
}
