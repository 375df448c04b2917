#include "controller/gateway_grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "controller/gateway_vault.h"
#include "msg/msg_vault.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/hold.h"
#include "vault/id_set.h"
#include "vault/sealed.h"
#include "vault/snapshot.h"
#include "vault/snapshot_body.h"
#include "vault/vault.h"
#include "vault/vault_config.h"

/*
 * INVARIANTS
 * (1) allowed holds exactly the IDs of the chosen snapshots' reference lists.
 * (2) What is asked for is compared with allowed before the vault is asked: a no says nothing of
 *     what the vault holds.
 * (3) A writer that the catalog has shut out counts as revoked, also before its key is struck.
 */

struct point {
	const struct snapshot *snapshot; /* in list, or NULL */
};

struct gateway_grant {
	struct store *store; /* owned, as all here */
	struct vault *vault;
	struct hold *hold; /* NULL: the store cannot be written to */
	struct fetch *fetch;
	struct snapshot_list list;
	struct id_set *allowed;
	struct point *points;
	char **sources;
	size_t count;
};

DEFINE_CLEANUP(struct gateway_grant *, gateway_grant_free)

static void on_bad(void *arg, const char *object, const struct err *why)
{
	(void)arg; /* nobody to tell but the log: verify names it */
	log_warn("gateway_grant.list", "object=%s error=\"%s\", continuing", object, why->msg);
}

static int add_allowed(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	return id_set_add(arg, id, cr_len, NULL, err);
}

/* Invariant 3. */
static void mark_shut_out(struct snapshot_list *list, const uint8_t *ids, size_t count)
{
	for (size_t i = 0; i < list->count; i++) {
		struct snapshot *s = &list->at[i];
		for (size_t k = 0; k < count && !s->is_writer_revoked; k++)
			s->is_writer_revoked = memcmp(s->record.agent_id, ids + k * 16, 16) == 0;
	}
}

/* The newest of ${source} that was there at ${at_ms}. */
static int choose(struct gateway_grant *g, size_t i, int64_t at_ms, struct err *err)
{
	struct point *p = &g->points[i];
	struct snapshot_list then = { .at = g->list.at };
	while (then.count < g->list.count &&
		g->list.at[then.count].body.receipt_ns / 1000000 <= at_ms)
		then.count++;
	struct err why = ERR_INIT;
	int rc = snapshot_pick(&then, "latest", g->sources[i], &p->snapshot, &why);
	if (rc == -ERR_NOT_FOUND) {
		p->snapshot = NULL;
		return 0;
	}
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	return snapshot_refs(g->vault, p->snapshot, add_allowed, g->allowed, err);
}

/* Collection waits for the drill; where the store cannot be written to, its grace protects it. */
static void hold(struct gateway_grant *g, const struct gateway_vault *v)
{
	struct err why = ERR_INIT;
	struct store *store = NULL;
	int rc = v->open_store(v->arg, false, &store, &why);
	if (rc == 0)
		rc = hold_begin(g->vault, store, NULL, &g->hold, &why);
	if (rc != 0)
		log_info(
			"gateway_grant.hold", "%s, continuing without holding collection", why.msg);
}

int gateway_grant_new(
	const struct gateway_grant_opts *o, struct gateway_grant **out, struct err *err)
{
	CLEANUP(gateway_grant_free_p) struct gateway_grant *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (o->source_count == 0 || o->source_count > MSG_MAX_POINTS)
		return err_set(err, ERR_LIMIT, "a grant is for 1 to %d sources, not %zu",
			MSG_MAX_POINTS, o->source_count);
	g->points = calloc(o->source_count, sizeof(*g->points));
	g->sources = calloc(o->source_count, sizeof(*g->sources));
	if (g->points == NULL || g->sources == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; g->count < o->source_count; g->count++) {
		g->sources[g->count] = strdup(o->sources[g->count]);
		if (g->sources[g->count] == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	int rc = gateway_vault_open_at_work(o->vault, true, &g->store, &g->vault, err);
	if (rc == 0) {
		hold(g, o->vault); /* before the list */
		rc = fetch_new(g->vault, &g->fetch, err);
	}
	if (rc == 0)
		rc = snapshot_list(g->vault, on_bad, NULL, &g->list, err);
	mark_shut_out(&g->list, o->shut_out, o->shut_out_count);
	if (rc == 0)
		rc = id_set_new(&g->allowed, err);
	for (size_t i = 0; rc == 0 && i < g->count; i++)
		rc = choose(g, i, o->at_ms, err);
	if (rc != 0)
		return rc;
	*out = TAKE(g);
	return 0;
}

void gateway_grant_free(struct gateway_grant *g)
{
	if (g == NULL)
		return;
	snapshot_list_done(&g->list);
	id_set_free(g->allowed);
	hold_end(g->hold);
	fetch_free(g->fetch);
	vault_close(g->vault);
	store_free(g->store);
	for (size_t i = 0; i < g->count; i++)
		free(g->sources[i]);
	free(g->sources);
	free(g->points);
	free(g);
}

static int fill_point(struct gateway_grant *g, size_t i, struct msg_point *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	CLEANUP(buf_done) struct buf envelopes = BUF_INIT(SEALED_MAX_BYTES);
	const struct snapshot *s = g->points[i].snapshot;
	(void)snprintf(out->source, sizeof(out->source), "%s", g->sources[i]); /* a name: fits */
	int rc = snapshot_body_encode(&s->body, &body, err);
	if (rc == 0)
		rc = snapshot_envelopes(g->vault, s, &envelopes, err);
	if (rc != 0)
		return rc;
	out->snapshot = TAKE(body.data);
	out->snapshot_len = body.len;
	out->envelopes = TAKE(envelopes.data);
	out->envelopes_len = envelopes.len;
	return 0;
}

int gateway_grant_points(struct gateway_grant *g, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(SEALED_MAX_BYTES);
	struct msg_points m = { .count = 0 };
	int rc = vault_config_get(g->vault, &config, err);
	m.at = calloc(g->count, sizeof(*m.at));
	if (rc == 0 && m.at == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && i < g->count; i++) {
		if (g->points[i].snapshot != NULL)
			rc = fill_point(g, i, &m.at[m.count++], err);
	}
	if (rc == 0) {
		m.config = TAKE(config.data);
		m.config_len = config.len;
		rc = msg_vault_points_encode(&m, out, err);
	}
	msg_vault_points_done(&m);
	return rc;
}

int gateway_grant_records(
	struct gateway_grant *g, const uint8_t *ids, size_t len, struct buf *out, struct err *err)
{
	const size_t begin = out->len, count = len / 32;
	hold_beat(g->hold);
	if (count == 0 || len % 32 != 0 || count > MSG_READ_IDS)
		return err_set(err, ERR_CORRUPT, "%zu bytes are not 1 to %d record ids", len,
			MSG_READ_IDS);
	for (size_t i = 0; i < count; i++) {
		if (id_set_find(g->allowed, ids + i * 32) == 0)
			return err_set(
				err, ERR_NOT_FOUND, "the grant does not cover record %zu", i);
	}
	for (size_t i = 0; i < count; i++) {
		CLEANUP(buf_done) struct buf cr = BUF_INIT(MSG_MAX_BODY + 4096);
		size_t next = id_set_find(g->allowed, ids + i * 32);
		if (i > 0 && out->len - begin + next + 4 > MSG_MAX_BODY)
			break;
		int rc = fetch_record(g->fetch, ids + i * 32, &cr, err);
		if (rc == 0)
			rc = msg_vault_records_add(out, cr.data, cr.len, err);
		if (rc != 0) {
			out->len = begin;
			return rc;
		}
	}
	return 0;
}
