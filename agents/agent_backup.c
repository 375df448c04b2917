#include "agents/agent_backup.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/agent_conf.h"
#include "agents/agent_link.h"
#include "agents/agent_state.h"
#include "agents/backup.h"
#include "agents/pace.h"
#include "agents/port_far.h"
#include "agents/source_kinds.h"
#include "agents/sources_conf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/version.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "net/http_client.h"

/*
 * INVARIANTS
 * (1) The controller hears of the job at least every BEAT_MS while anything calls back.
 * (2) Once is_stopped is set nothing goes on; why says the reason.
 * (3) The port and its connections are used by the sender's thread while the pipeline runs; of the
 *     job that thread sees is_stopped and has_failed only.
 */

#define BEAT_MS 10000
#define NS_PER_MS INT64_C(1000000)

DEFINE_CLEANUP(struct http_client *, http_client_free)

struct job {
	const struct agent_backup_opts *opts;
	const struct msg_order *order;
	struct msg_result *result;
	const struct sources_conf_source *from;
	struct msg_progress progress;
	struct pace pace;
	int64_t last_ns, deadline_ns; /* monotonic; deadline 0 = none */
	atomic_bool is_stopped, has_failed;
	struct err why; /* once is_stopped is set */
	char staging[PATH_MAX], cache[PATH_MAX], pending[PATH_MAX];
};

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	struct job *j = arg;
	struct msg_result *r = j->result;
	char shown[PATH_MAX];
	(void)escape_text(shown, sizeof(shown), path, len); /* cut is fine */
	log_warn("agent_backup.warning", "source=%s path='%s' why='%s'", j->from->name, shown, why);
	if (r->warnings++ == 0)
		(void)snprintf(
			r->first_warning, sizeof(r->first_warning), "%.300s: %.200s", shown, why);
}

static void beat(struct job *j, int64_t now_ns)
{
	j->last_ns = now_ns;
	if (j->opts->on_beat != NULL)
		j->opts->on_beat(j->opts->arg);
	if (agent_link_progress(j->opts->link, j->order->job, &j->progress, &j->why) != 0)
		j->is_stopped = true;
}

static bool is_stopped(void *arg)
{
	struct job *j = arg;
	int64_t now = env_mono_ns();
	pace_rest(&j->pace);
	if (j->is_stopped)
		return true;
	if (j->opts->is_stopped(j->opts->arg)) {
		(void)err_set(&j->why, ERR_INTERRUPTED, "the agent was asked to end");
		j->is_stopped = true;
	} else if (j->deadline_ns != 0 && now > j->deadline_ns) {
		(void)err_set(&j->why, ERR_INTERRUPTED, "the deadline of the job has passed");
		j->is_stopped = true;
	} else if (now - j->last_ns > BEAT_MS * NS_PER_MS) {
		beat(j, now);
	}
	return j->is_stopped;
}

static bool is_port_stopped(void *arg)
{
	struct job *j = arg;
	return j->is_stopped || j->has_failed || j->opts->is_stopped(j->opts->arg);
}

/* Nobody waits for a controller that is away when there is nothing left to tell it. */
static void on_failed(void *arg)
{
	struct job *j = arg;
	j->has_failed = true;
}

static void on_progress(void *arg, const struct backup_progress *p)
{
	struct job *j = arg;
	j->progress.files = (int64_t)p->files;
	j->progress.bytes = (int64_t)p->bytes;
	j->progress.read_bytes = (int64_t)p->read_bytes;
	j->progress.sent_bytes = (int64_t)p->sent_bytes;
	(void)is_stopped(j); /* the pipeline asks again by itself */
}

/* Directories of the source below the state directory: cache, staging, what is pending. */
static int find_places(struct job *j, struct err *err)
{
	static const char *const below[] = { "cache", "staging", "pending" };
	char *const paths[] = { j->cache, j->staging, j->pending };
	const char *state = j->opts->conf->state;
	for (size_t i = 0; i < 3; i++) {
		if (snprintf(paths[i], PATH_MAX, "%s/%s", state, below[i]) >= PATH_MAX - 100)
			return err_set(err, ERR_LIMIT, "path '%s' is too long", state);
		if (mkdir(paths[i], 0700) != 0 && errno != EEXIST)
			return err_sys(err, ERR_IO, "unable to make directory '%s'", paths[i]);
		(void)snprintf(paths[i] + strlen(paths[i]), 100, "/%s", j->from->name); /* fits */
	}
	return 0;
}

static void fill_writer(const struct agent_state *s, struct keyring_writer *w)
{
	*w = (struct keyring_writer){ .kv_epoch = s->keys.kv_epoch,
		.config_epoch = s->keys.config_epoch };
	memcpy(w->vault_id, s->keys.vault_id, 16);
	memcpy(w->domain_id, s->keys.domain_id, 16);
	memcpy(w->agent_id, s->keys.agent_id, 16);
	memcpy(w->k_mle, s->keys.k_mle, 32);
	memcpy(w->k_cdc, s->keys.k_cdc, 32);
	memcpy(w->ik_seed, s->ik_seed, 32);
	memcpy(w->rk_pk, s->keys.rk_pk, 32);
	memcpy(w->officer_pk, s->answer.officer, 32);
	memcpy(w->k_fp, s->k_fp, 32);
}

static void take_result(struct job *j, const struct backup_result *r)
{
	struct msg_result *m = j->result;
	text_hex(r->snap_hash, sizeof(r->snap_hash), m->snapshot);
	m->files = (int64_t)r->files;
	m->dirs = (int64_t)r->dirs;
	m->others = (int64_t)r->others;
	m->bytes = (int64_t)r->bytes;
	m->read_bytes = (int64_t)r->read_bytes;
	m->sent_bytes = (int64_t)r->sent_bytes;
	m->records = (int64_t)r->sent_records;
	if (m->warnings < (int64_t)r->left_out)
		m->warnings = (int64_t)r->left_out;
}

static int run_pipeline(
	struct job *j, struct port_far *port, struct source_open *source, struct err *err)
{
	static char *paths[LABEL_MAX_ITEMS];
	static char *tags[LABEL_MAX_ITEMS];
	struct keyring_writer keys;
	struct backup_result result = { .has_snapshot = false };
	struct label label = { .source = (char *)(uintptr_t)j->from->name,
		.host = (char *)(uintptr_t)j->opts->host,
		.tool = (char *)(uintptr_t)VERSION_TOOL,
		.paths = paths,
		.tags = tags };
	/* the texts of a label are not const in its type, and only read here */
	for (; label.path_count < LABEL_MAX_ITEMS; label.path_count++) {
		const char *path = j->opts->kinds->path(j->from, label.path_count);
		if (path == NULL)
			break;
		paths[label.path_count] = (char *)(uintptr_t)path;
	}
	for (; label.tag_count < j->from->tag_count && label.tag_count < LABEL_MAX_ITEMS;
		label.tag_count++)
		tags[label.tag_count] = (char *)(uintptr_t)j->from->tags[label.tag_count];
	fill_writer(j->opts->state, &keys);
	struct backup_opts opts = { .port = port_far_port(port),
		.keys = &keys,
		.domain = port_far_domain(port), /* filled by begin */
		.source_name = j->from->name,
		.label = &label,
		.cache_path = j->cache,
		.consistency = j->from->consistency,
		.check = RECORD_CHECK_FULL,
		.workers = (unsigned)j->opts->conf->workers,
		.is_recheck = true,
		.arg = j,
		.on_warning = on_warning,
		.on_progress = on_progress,
		.is_stopped = is_stopped,
		.on_failed = on_failed };
	opts.truth = j->opts->kinds->truth(source, &opts.truth_len);
	int rc = backup_run(&opts, j->opts->kinds->source(source), &result, err);
	secret_wipe(&keys, sizeof(keys));
	if (rc == -ERR_EXISTS && port_far_made(port) != NULL) {
		memcpy(result.snap_hash, port_far_made(port), sizeof(result.snap_hash));
		log_info("agent_backup.made",
			"source=%s: the snapshot of an earlier attempt was made", j->from->name);
		rc = 0;
	}
	if (rc == 0)
		take_result(j, &result);
	return rc;
}

static int run(struct job *j, struct err *err)
{
	const struct agent_backup_opts *o = j->opts;
	struct source_open *source = NULL;
	struct port_far *port = NULL;
	struct source_kinds_opts open = { .from = j->from,
		.staging = j->staging,
		.own = &o->conf->state,
		.own_count = 1,
		.arg = j,
		.on_warning = on_warning,
		.is_stopped = is_stopped };
	CLEANUP(http_client_free_p) struct http_client *client = NULL;
	struct port_far_opts far = { .job = j->order->job,
		.attempt = j->order->attempt,
		.source = j->from->name,
		.officer_pk = o->state->answer.officer,
		.pending_path = j->pending,
		.min_epoch = o->state->keys.config_epoch };
	(void)snprintf(j->progress.phase, sizeof(j->progress.phase), "capture");
	beat(j, env_mono_ns());
	int rc = o->kinds->open(&open, &source, err);
	(void)snprintf(j->progress.phase, sizeof(j->progress.phase), "backup");
	if (rc == 0)
		rc = agent_link_connect(o->link, is_port_stopped, j, &client, err);
	far.client = client;
	if (rc == 0)
		rc = port_far_new(&far, &port, err);
	if (rc == 0)
		rc = run_pipeline(j, port, source, err);
	port_far_free(port);
	if (source != NULL)
		o->kinds->free(source);
	return rc;
}

void agent_backup_run(
	const struct agent_backup_opts *opts, const struct msg_order *order, struct msg_result *out)
{
	struct job j = { .opts = opts, .order = order, .result = out, .last_ns = env_mono_ns() };
	*out = (struct msg_result){ .attempt = order->attempt };
	j.progress.attempt = order->attempt;
	j.from = opts->conf->sources == NULL
			 ? NULL
			 : sources_conf_find(opts->conf->sources, order->source);
	if (j.from == NULL) {
		(void)err_set(&out->error, ERR_NOT_FOUND,
			"this agent's configuration has no source '%s'", order->source);
		return;
	}
	pace_start(&j.pace, opts->conf->cpu_percent);
	if (order->deadline_ms > 0 &&
		order->deadline_ms < INT64_MAX / NS_PER_MS - j.last_ns / NS_PER_MS)
		j.deadline_ns = j.last_ns + order->deadline_ms * NS_PER_MS;
	int rc = find_places(&j, &out->error);
	if (rc == 0)
		rc = run(&j, &out->error);
	if (rc == -ERR_INTERRUPTED && j.is_stopped)
		out->error = j.why;
	if (rc == 0)
		err_clear(&out->error);
}
