#include "agents/backup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/backup_commit.h"
#include "agents/backup_file.h"
#include "agents/backup_queue.h"
#include "agents/chunk_cache.h"
#include "agents/file_cache.h"
#include "agents/link_map.h"
#include "agents/rebundle.h"
#include "agents/uploader.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "vault/tree_builder.h"

/*
 *   source --> content (cache | links | read) --> queue --> tree builder --> root --> commit
 *                             |                     ^
 *                 bundles and chunks --> uploader --+ an entry waits until its records are sealed
 *
 * INVARIANTS
 * (1) Entries reach the builder in the order the source gave them.
 * (2) Every record an entry refers to was put to, or used on, the sink before its entry is added.
 */

#define QUEUE_MAX_BYTES (8u << 20)
#define RECHECK_SHARE 64 /* one in this many unchanged files is read again in each run */
#define NS_PER_S INT64_C(1000000000)

struct run {
	const struct backup_opts *opts;
	const struct source *source;
	struct uploader *uploader;
	const struct record_sink *sink; /* of the uploader */
	struct chunker chunker;
	struct bundle bundle;
	struct backup_file *file;
	struct content *known; /* of the item that is looked at, or NULL */
	struct backup_queue *queue;
	struct link_map *links;
	struct file_cache *cache;   /* NULL = none */
	struct chunk_cache *chunks; /* NULL = none */
	struct rebundle *rebundle;  /* NULL = none */
	uint64_t bundled_bytes;     /* of this run's bundles */
	struct tree_builder *builder;
	uint64_t seq; /* of the snapshot to come */
	int64_t scan_start_ns;
	struct backup_result result;
	bool warned_cache;
	bool is_reading;      /* a file, of which read_bytes - read_before are there */
	uint64_t read_before; /* read_bytes when it began */
};

static void warn(struct run *r, const struct source_item *item, const char *why)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(2 * ENTRY_MAX_KEY_BYTES);
	if (r->opts->on_warning == NULL)
		return;
	if (entry_key_path(item->key, item->key_len, &path, NULL) != 0)
		buf_clear(&path); /* no memory for the name: the warning still counts */
	r->opts->on_warning(r->opts->arg, (const char *)path.data, path.len, why);
}

static void tell_progress(struct run *r)
{
	struct uploader_stats sent = { .sealed_records = 0 };
	uint64_t bytes = r->result.bytes;
	if (r->opts->on_progress == NULL)
		return;
	if (r->uploader != NULL)
		uploader_get_stats(r->uploader, &sent);
	if (r->is_reading)
		bytes += r->result.read_bytes - r->read_before;
	struct backup_progress p = { .files = r->result.files,
		.unchanged_files = r->result.unchanged_files,
		.bytes = bytes,
		.read_bytes = r->result.read_bytes,
		.sent_bytes = sent.sent.sent_bytes };
	r->opts->on_progress(r->opts->arg, &p);
}

/* Asked within a large file and while a batch is on its way, where minutes may pass. */
static bool is_stopped(void *arg)
{
	struct run *r = arg;
	tell_progress(r);
	return r->opts->is_stopped != NULL && r->opts->is_stopped(r->opts->arg);
}

/* For the next run; what cannot be remembered costs that one time, and nothing is lost. */
static void remember(struct run *r, const struct source_item *item, const struct content *content,
	uint32_t notes)
{
	struct err why = ERR_INIT;
	int rc = notes == 0 ? file_cache_add(r->cache, item, content, &why) : 0;
	if (rc == 0)
		rc = rebundle_count(r->rebundle, content, &why);
	if (rc != 0 && !r->warned_cache) {
		r->warned_cache = true;
		log_warn("backup.cache", "%s, continuing", why.msg);
	}
}

/* Give every entry that waits for nothing to the tree and to the next run's cache. */
static int drain(struct run *r, struct err *err)
{
	const struct source_item *item;
	const struct content *content;
	while (backup_queue_first(r->queue, &item, &content)) {
		struct entry e = item->entry;
		if (content != NULL) {
			e.size = content->size;
			e.digest_kind = content->digest_kind;
			memcpy(e.digest, content->digest, sizeof(e.digest));
			e.extents = content->extents;
			e.extent_count = content->count;
		}
		struct err why = ERR_INIT;
		int rc = tree_builder_add(r->builder, item->key, item->key_len, &e, &why);
		if (rc != 0 && tree_builder_is_refused(r->builder)) {
			warn(r, item, why.msg); /* past a limit of the format: only this entry */
			r->result.left_out++;
			backup_queue_pop(r->queue);
			continue;
		}
		if (rc != 0) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		if (content != NULL && r->cache != NULL)
			remember(r, item, content, e.notes);
		backup_queue_pop(r->queue);
	}
	return 0;
}

static void on_bundle(void *arg, uint64_t ordinal, const struct ref *ref)
{
	struct run *r = arg;
	if (ref != NULL)
		backup_queue_resolve(r->queue, ordinal, ref);
}

static int close_bundle(void *arg, struct err *err)
{
	struct run *r = arg;
	struct bundle *b = &r->bundle;
	const size_t len = b->bytes.len;
	if (len > 0) {
		backup_file_sum(r->file);
		int rc = uploader_put_later(r->uploader, RECORD_DATA, RECORD_CLASS_BUNDLE,
			&b->bytes, len, on_bundle, r, b->ordinal, err);
		if (rc != 0)
			return rc;
		r->bundled_bytes += len;
		bundle_clear(b); /* the bytes are gone already */
	}
	return drain(r, err);
}

/* All entries so far to the tree, however long that takes. */
static int settle(struct run *r, struct err *err)
{
	int rc = close_bundle(r, err);
	if (rc == 0)
		rc = uploader_settle(r->uploader, err);
	return rc != 0 ? rc : drain(r, err);
}

/* An unchanged file's records stay in use. */
static int use_content(struct run *r, const struct content *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->extents[i].is_hole)
			continue;
		int rc = r->sink->use(r->sink->self, &c->extents[i].ref, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Is it this file's turn to be read although nothing says that it changed? */
static bool is_rechecked(const struct run *r, const struct source_item *item)
{
	return r->opts->is_reread ||
	       (r->opts->is_recheck && (item->ino + item->fs_id + r->seq) % RECHECK_SHARE == 0);
}

DEFINE_CLEANUP(struct content *, content_free)

static int find_in_cache(
	struct run *r, struct source_item *item, struct content **out, struct err *err)
{
	if (r->cache == NULL)
		return 0;
	return file_cache_find(r->cache, item, r->scan_start_ns / NS_PER_S, out, err);
}

/*
 * Find what the cache knows of a regular file, r->known NULL when nothing, and all of its entry:
 * from there too, or from the file.  A brief item may be some time old: what is to be read and
 * compared is asked for anew, or it would seem to have changed behind its times.  Return 1, 0 when
 * it cannot be opened, or an error.
 */
static int look_up(struct run *r, struct source_item *item, struct err *err)
{
	bool was_brief = item->is_brief;
	int rc = find_in_cache(r, item, &r->known, err);
	if (rc < 0 || !was_brief || r->opts->is_dry_run)
		return rc < 0 ? rc : 1;
	if (!item->is_brief && !is_rechecked(r, item))
		return 1;
	content_free(TAKE(r->known)); /* it may be another state of the file that is opened now */
	bool is_found = rc == 1;
	rc = r->source->detail(r->source->self, item, err);
	if (rc != 1 || !is_found)
		return rc;
	rc = find_in_cache(r, item, &r->known, err);
	return rc < 0 ? rc : 1;
}

/*
 * The content of an unchanged file, as look_up() found it.  Return 1 with it, 0 when the file must
 * be read, 2 when it cannot be read, or an error.
 */
static int known_content(
	struct run *r, struct source_item *item, struct content **out, struct err *err)
{
	CLEANUP(content_free_p) struct content *known = TAKE(r->known);
	if (known == NULL || (r->opts->is_dry_run && r->opts->is_reread))
		return 0;
	if (!r->opts->is_dry_run && is_rechecked(r, item)) {
		int rc = backup_file_compare(r->file, r->source, item, known, err);
		if (rc == 0)
			warn(r, item, "its content changed although its size and times did not");
		if (rc != 1)
			return rc;
	}
	*out = TAKE(known);
	return 1;
}

/* As backup_file_read(). */
static int read_content(
	struct run *r, struct source_item *item, struct content **out, struct err *err)
{
	r->is_reading = true;
	r->read_before = r->result.read_bytes;
	int rc = backup_file_read(r->file, r->source, item, out, err);
	r->is_reading = false;
	r->result.new_files += rc == 1;
	return rc;
}

/* A regular file's content.  Return 1, 0 when the entry is left out, or an error. */
static int find_content(
	struct run *r, struct source_item *item, struct content **out, struct err *err)
{
	CLEANUP(content_free_p) struct content *known = NULL;
	int rc = known_content(r, item, &known, err);
	if (rc < 0)
		return rc;
	if (rc == 2)
		return 0;
	if (r->opts->is_dry_run && known == NULL) {
		r->result.new_files++;
		r->result.read_bytes += item->entry.size;
		rc = content_new(out, err);
		if (rc == 0)
			(*out)->size = item->entry.size;
		return rc != 0 ? rc : 1;
	}
	if (known == NULL || (!r->opts->is_dry_run && rebundle_is_due(r->rebundle, known))) {
		rc = read_content(r, item, out, err);
		if (rc != 0 || known == NULL) /* one that cannot be read stays as it was */
			return rc;
	}
	r->result.unchanged_files++;
	rc = r->opts->is_dry_run ? 0 : use_content(r, known, err);
	if (rc == 0)
		*out = TAKE(known);
	return rc != 0 ? rc : 1;
}

static int queue_entry(
	struct run *r, struct source_item *item, struct content *content, struct err *err)
{
	r->result.files += item->entry.kind == ENTRY_FILE;
	r->result.dirs += item->entry.kind == ENTRY_DIR;
	r->result.others += item->entry.kind != ENTRY_FILE && item->entry.kind != ENTRY_DIR;
	if (content != NULL)
		r->result.bytes += content->size;
	if (r->opts->is_dry_run)
		return 0;
	int rc = backup_queue_push(r->queue, item, content, err);
	if (rc != 0)
		return rc;
	if (backup_queue_bytes(r->queue) > QUEUE_MAX_BYTES)
		return settle(r, err);
	if (content != NULL && content->bundle == r->bundle.ordinal &&
		bundle_should_close_after(&r->bundle, item->key, item->key_len))
		return close_bundle(r, err);
	return drain(r, err);
}

/* A further name of what was kept under an earlier one.  Its content is the one read then, so its
 * time is too; what happened to the file since is noted as if it had been read just now. */
static void join_link(struct run *r, struct source_item *item, const struct link_found *found)
{
	struct entry *e = &item->entry;
	e->hardlink = found->group;
	if (found->content == NULL)
		return;
	e->notes |= found->notes;
	if (e->mtime.s != found->mtime.s || e->mtime.ns != found->mtime.ns) {
		bool has_grown = e->size > found->content->size;
		e->notes |= has_grown ? ENTRY_NOTE_APPENDED : ENTRY_NOTE_CHANGED;
		if (!has_grown)
			warn(r, item, "changed after it was read under another name");
	}
	e->mtime = found->mtime;
	e->size = found->content->size;
}

static int take_item(struct run *r, struct source_item *item, struct err *err)
{
	CLEANUP(content_free_p) struct content *content = NULL;
	content_free(TAKE(r->known)); /* of the item before, which needed none */
	if (item->entry.kind == ENTRY_FILE) {
		int rc = look_up(r, item, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			r->result.left_out++;
			return 0;
		}
	}
	bool is_linked = item->links > 1 && item->ino != 0 && item->entry.kind != ENTRY_DIR;
	struct link_found found = { .group = 0 };
	if (is_linked && link_map_find(r->links, item, &found)) {
		join_link(r, item, &found);
		if (found.content != NULL)
			content = content_share(found.content);
		return queue_entry(r, item, content, err);
	}
	if (item->entry.kind == ENTRY_FILE) {
		int rc = find_content(r, item, &content, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			r->result.left_out++;
			return 0;
		}
	}
	if (is_linked) {
		int rc = link_map_add(r->links, item, content, &item->entry.hardlink, err);
		if (rc != 0)
			return rc;
	}
	return queue_entry(r, item, content, err);
}

static int scan(struct run *r, struct err *err)
{
	for (;;) {
		struct source_item item;
		int more = r->source->next(r->source->self, &item, err);
		if (more < 0)
			return more;
		if (more == 0)
			break;
		if (is_stopped(r))
			return err_set(err, ERR_INTERRUPTED, "the backup was stopped");
		int rc = take_item(r, &item, err);
		if (rc != 0)
			return rc;
	}
	if (is_stopped(r)) /* what ended the input may be what stopped us */
		return err_set(err, ERR_INTERRUPTED, "the backup was stopped");
	if (r->source->lost != NULL)
		r->result.left_out += r->source->lost(r->source->self);
	return r->opts->is_dry_run ? 0 : settle(r, err);
}

/* What lies beside the file cache. */
static int open_beside(struct run *r, const uint8_t *base, struct err *err)
{
	char chunks[PATH_MAX], bundles[PATH_MAX];
	const char *path = r->opts->cache_path;
	if (snprintf(chunks, sizeof(chunks), "%s.chunks", path) >= PATH_MAX ||
		snprintf(bundles, sizeof(bundles), "%s.bundles", path) >= PATH_MAX)
		return err_set(err, ERR_IO, "the name of the cache is too long");
	int rc = chunk_cache_open(chunks, r->opts->keys->k_fp, base, &r->chunks, err);
	return rc != 0 ? rc : rebundle_open(bundles, &r->rebundle, err);
}

static int open_caches(struct run *r, const uint8_t *base, struct err *err)
{
	if (r->opts->cache_path == NULL)
		return 0;
	struct err why = ERR_INIT;
	int rc = file_cache_open(r->opts->cache_path, r->opts->keys->k_fp, base, &r->cache, &why);
	if (rc == 0 && !r->opts->is_dry_run)
		rc = open_beside(r, base, &why);
	if (rc == 0)
		return 0;
	if (rc == -ERR_NOMEM) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	log_warn("backup.cache", "%s, continuing without a cache", why.msg);
	return 0;
}

static int set_up(struct run *r, const uint8_t *base, struct err *err)
{
	const struct backup_opts *o = r->opts;
	uint8_t chunker_key[32];
	uint8_t k_tree[16];
	keyring_cut_keys(
		o->keys->k_cdc, o->keys->domain_id, o->keys->kv_epoch, chunker_key, k_tree);
	chunker_init(&r->chunker, chunker_key, CHUNKER_AVERAGE_BYTES);
	bundle_init(&r->bundle, k_tree);
	int rc = open_caches(r, base, err);
	if (rc == 0 && r->cache != NULL && !file_cache_is_empty(r->cache) && !o->is_reread &&
		r->source->be_brief != NULL)
		r->source->be_brief(r->source->self);
	if (rc == 0)
		rc = link_map_new(&r->links, err);
	if (rc != 0 || o->is_dry_run)
		return rc;
	const struct uploader_opts up = { .port = o->port,
		.k_mle = o->keys->k_mle,
		.check = o->check,
		.workers = o->workers,
		.cache = r->chunks,
		.is_stopped = is_stopped,
		.arg = r };
	rc = uploader_new(&up, &r->uploader, err);
	if (rc != 0)
		return rc;
	r->sink = uploader_sink(r->uploader);
	struct backup_file_opts file = { .chunker = &r->chunker,
		.uploader = r->uploader,
		.bundle = &r->bundle,
		.arg = r,
		.close_bundle = close_bundle,
		.is_stopped = is_stopped,
		.read_bytes = &r->result.read_bytes };
	rc = backup_file_new(&file, &r->file, err);
	if (rc == 0)
		rc = backup_queue_new(&r->queue, err);
	return rc != 0 ? rc : tree_builder_new(k_tree, r->sink, &r->builder, err);
}

static void tear_down(struct run *r)
{
	uploader_free(r->uploader); /* tells who waits for a record */
	content_free(r->known);
	tree_builder_free(r->builder);
	backup_queue_free(r->queue);
	backup_file_free(r->file);
	link_map_free(r->links);
	file_cache_free(r->cache);
	chunk_cache_free(r->chunks);
	rebundle_free(r->rebundle);
	bundle_done(&r->bundle);
}

static void take_stats(struct run *r)
{
	struct uploader_stats s;
	uploader_get_stats(r->uploader, &s);
	r->result.known_bytes = s.known_bytes;
	r->result.sent_records = s.sent.sent_records;
	r->result.sent_bytes = s.sent.sent_bytes;
	r->result.sent_data_records = s.sent.sent_data_records;
	r->result.sent_data_bytes = s.sent.sent_data_bytes;
}

static int finish(struct run *r, const struct port_base *base, struct err *err)
{
	struct ref top;
	struct tree_summary summary;
	int rc = tree_builder_finish(r->builder, &top, &summary, err);
	if (rc != 0)
		return rc;
	struct backup_commit c = { .opts = r->opts,
		.uploader = r->uploader,
		.base = base,
		.seq = r->seq,
		.t_start_ns = r->scan_start_ns,
		.top = &top,
		.summary = &summary };
	rc = backup_commit_run(&c, &r->result, err);
	if (rc != 0)
		return rc;
	take_stats(r);
	struct err why = ERR_INIT;
	if (r->cache != NULL && file_cache_commit(r->cache, r->result.snap_hash, &why) != 0)
		log_warn("backup.cache", "%s, continuing: the next backup reads everything",
			why.msg);
	if (r->rebundle != NULL && rebundle_commit(r->rebundle, r->bundled_bytes, &why) != 0)
		log_warn("backup.cache", "%s, continuing", why.msg);
	if (uploader_keep_cache(r->uploader, r->result.snap_hash, &why) != 0)
		log_warn("backup.cache",
			"%s, continuing: the next backup seals everything that it reads", why.msg);
	return 0;
}

/* The snapshot whose remembered files may be used, or NULL. */
static const uint8_t *find_known(const struct backup_opts *opts, const struct port_base *base)
{
	if (opts->is_dry_run)
		return opts->dry_base;
	return base->is_there && base->is_whole ? base->hash : NULL;
}

int backup_run(const struct backup_opts *opts, const struct source *source,
	struct backup_result *out, struct err *err)
{
	struct run r = { .opts = opts, .source = source, .scan_start_ns = env_now_ns() };
	struct port_base base = { .is_there = false };
	uint8_t source_id[16];
	int rc = 0;
	keyring_source_id(
		opts->keys->domain_id, opts->keys->agent_id, opts->source_name, source_id);
	if (!opts->is_dry_run)
		rc = opts->port->begin(
			opts->port->self, opts->keys->agent_id, source_id, &base, err);
	r.seq = base.is_there ? base.seq + 1 : 1;
	if (rc == 0 && base.is_there && !base.is_whole && opts->on_warning != NULL)
		opts->on_warning(opts->arg, NULL, 0,
			"something of the last snapshot is damaged or missing in the vault: "
			"every file is read, and what lacks is stored anew");
	if (rc == 0)
		rc = set_up(&r, find_known(opts, &base), err);
	if (rc == 0)
		rc = scan(&r, err);
	if (rc == 0 && !opts->is_dry_run)
		rc = finish(&r, &base, err);
	tell_progress(&r);
	if (rc != 0 && opts->on_failed != NULL)
		opts->on_failed(opts->arg);
	tear_down(&r); /* ends the thread that uses the port */
	if (!opts->is_dry_run)
		opts->port->abort(opts->port->self);
	if (rc == 0)
		*out = r.result;
	return rc;
}
