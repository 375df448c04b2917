#include "agents/backup_commit.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "vault/chunker.h"

#define ROOT_MAX_BYTES (64u << 10)
#define SNAPSHOT_SUITE 1

static int make_label(const struct backup_commit *c, const struct backup_result *result,
	struct buf *label, struct err *err)
{
	struct label l = *c->opts->label;
	struct uploader_stats stats;
	int rc = uploader_flush(c->uploader, err); /* so that new_bytes is what was sent */
	if (rc != 0)
		return rc;
	l.files = result->files;
	l.dirs = result->dirs;
	l.others = result->others;
	l.left_out = result->left_out;
	uploader_get_stats(c->uploader, &stats);
	l.new_bytes = stats.sent.sent_bytes;
	return label_encode(&l, label, err);
}

static int put_root(
	const struct backup_commit *c, const struct buf *label, struct ref *ref, struct err *err)
{
	const struct backup_opts *o = c->opts;
	const struct record_sink *sink = uploader_sink(c->uploader);
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(ROOT_MAX_BYTES);
	struct root root = { .chunker_id = 1,
		.chunker_bytes = CHUNKER_AVERAGE_BYTES,
		.check = (uint8_t)o->check,
		.consistency = (uint8_t)o->consistency,
		.has_truth = o->truth != NULL,
		.top = *c->top };
	int rc = env_random(root.nonce, sizeof(root.nonce), err);
	if (rc == 0 && o->truth != NULL)
		rc = sink->put(sink->self, RECORD_ATTR, RECORD_CLASS_META, o->truth, o->truth_len,
			&root.truth, err);
	if (rc != 0)
		return rc;
	hash_sha256(label->data, label->len, root.label_hash);
	(void)snprintf(root.tool, sizeof(root.tool), "%s",
		o->label->tool == NULL ? "" : o->label->tool); /* cut is fine */
	rc = root_encode(&root, &raw, err);
	if (rc == 0)
		rc = sink->put(
			sink->self, RECORD_ROOT, RECORD_CLASS_META, raw.data, raw.len, ref, err);
	secret_wipe(&root, sizeof(root));
	return rc;
}

static int add_envelope(const struct backup_commit *c, enum snaprec_recipient kind,
	const uint8_t snap_hash[32], const uint8_t pk[32], const struct ref *root, struct buf *out,
	struct err *err)
{
	uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
	int rc = snaprec_envelope(
		kind, c->opts->keys->domain_id, snap_hash, pk, root, envelope, err);
	return rc != 0 ? rc : buf_add(out, envelope, sizeof(envelope), err);
}

/* One for each recovery key, one for each drill group. */
static int make_envelopes(const struct backup_commit *c, const uint8_t record[SNAPREC_BYTES],
	const struct ref *root, struct buf *out, struct err *err)
{
	const struct domain *d = c->opts->domain;
	uint8_t snap_hash[HASH_BYTES];
	int rc = 0;
	snaprec_hash(record, snap_hash);
	for (size_t i = 0; rc == 0 && i < d->recovery_count; i++)
		rc = add_envelope(
			c, SNAPREC_RECOVERY, snap_hash, d->recovery_pk[i], root, out, err);
	for (size_t i = 0; rc == 0 && i < d->group_count; i++)
		rc = add_envelope(c, SNAPREC_DRILL, snap_hash, d->groups[i].dk_pk, root, out, err);
	return rc;
}

static void fill_record(const struct backup_commit *c, const struct ref *root,
	const struct backup_result *result, struct snaprec *r)
{
	const struct keyring_writer *k = c->opts->keys;
	memset(r, 0, sizeof(*r));
	r->suite = SNAPSHOT_SUITE;
	r->flags = result->left_out > 0 ? SNAPREC_PARTIAL : 0;
	r->config_epoch = c->opts->domain->epoch;
	memcpy(r->domain_id, k->domain_id, sizeof(r->domain_id));
	memcpy(r->agent_id, k->agent_id, sizeof(r->agent_id));
	keyring_source_id(k->domain_id, k->agent_id, c->opts->source_name, r->source_id);
	r->seq = c->seq;
	r->t_start_ns = c->t_start_ns;
	r->t_end_ns = env_now_ns();
	r->raw_bytes = c->summary->raw_bytes;
	if (c->base->is_there)
		memcpy(r->prev, c->base->hash, sizeof(r->prev));
	memcpy(r->root_id, root->id, sizeof(r->root_id));
	root_commit(root, r->root_commit);
	hash_sha256("", 0, r->log_root); /* log_size 0: there is no log yet */
}

int backup_commit_run(const struct backup_commit *c, struct backup_result *result, struct err *err)
{
	CLEANUP(buf_done) struct buf label = BUF_INIT(64u << 10);
	CLEANUP(buf_done) struct buf envelopes = BUF_INIT(1u << 20);
	struct ref root;
	struct snaprec rec;
	uint8_t raw[SNAPREC_BYTES];
	struct port_commit commit = { .record = raw };
	int rc = make_label(c, result, &label, err);
	if (rc == 0)
		rc = put_root(c, &label, &root, err);
	if (rc != 0)
		return rc;
	fill_record(c, &root, result, &rec);
	rc = uploader_finish(c->uploader, &commit.segments, &commit.segments_len, &rec.ref_count,
		rec.refs_root, err);
	if (rc != 0)
		return rc;
	snaprec_sign(&rec, c->opts->keys->ik_seed, raw);
	rc = make_envelopes(c, raw, &root, &envelopes, err);
	secret_wipe(&root, sizeof(root));
	if (rc != 0)
		return rc;
	commit.envelopes = envelopes.data;
	commit.envelope_count = envelopes.len / SNAPREC_ENVELOPE_BYTES;
	commit.label = label.data;
	commit.label_len = label.len;
	struct port_receipt receipt;
	rc = c->opts->port->commit(c->opts->port->self, &commit, &receipt, err);
	if (rc != 0)
		return rc;
	memcpy(result->snap_hash, receipt.snap_hash, sizeof(result->snap_hash));
	result->receipt_ns = receipt.receipt_ns;
	result->seq = c->seq;
	result->has_snapshot = true;
	return 0;
}
