#include "cmd/cmd_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agents/backup.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "base/version.h"
#include "cmd/access.h"
#include "cmd/backup_source.h"
#include "cmd/bad_packs.h"
#include "cmd/paths.h"
#include "cmd/rollback.h"
#include "cmd/stop.h"
#include "cmd/view.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "vault/id_set.h"
#include "vault/session.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) One backup of a source at a time on this host: the lock is held from before the capture
 *     until the snapshot is acknowledged.
 */

#define HOST_BYTES 256

struct job {
	struct cli *cli;
	struct access *access;
	struct backup_source *source;
	const struct snapshot *base; /* the source's newest, or NULL; borrowed from the access */
	struct backup_result result;
	uint8_t source_id[16];
	char host[HOST_BYTES];
	char cache[PATH_MAX]; /* "" = none */
	char staging[PATH_MAX];
	int lock;
	int64_t start_ns;
};

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	struct job *j = arg;
	console_warn(&j->cli->console, path, len, "%s", why);
}

static void on_progress(void *arg, const struct backup_progress *p)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = { .what = "files",
		.items = p->files,
		.bytes = p->bytes,
		.total = j->base == NULL ? 0 : j->base->record.raw_bytes,
		.new_bytes = p->sent_bytes,
		.has_new = true };
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "backup", "status",
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)p->files,
				"unchanged_files", (json_int_t)p->unchanged_files, "bytes",
				(json_int_t)p->bytes, "read_bytes", (json_int_t)p->read_bytes,
				"stored_bytes", (json_int_t)p->sent_bytes)); /* the next comes */
}

static void find_host(struct job *j)
{
	const char *named = cli_text(j->cli, "host");
	if (named == NULL && gethostname(j->host, sizeof(j->host)) == 0)
		j->host[sizeof(j->host) - 1] = '\0';
	else
		(void)snprintf(j->host, sizeof(j->host), "%s",
			named == NULL ? "localhost" : named); /* cut is fine: a name for people */
}

static void find_base(struct job *j)
{
	const struct snapshot_list *l = &j->access->list;
	for (size_t i = 0; i < l->count; i++) {
		const struct snapshot *s = &l->at[i];
		if (memcmp(s->record.source_id, j->source_id, sizeof(j->source_id)) == 0 &&
			memcmp(s->record.agent_id, j->access->writer.agent_id, 16) == 0 &&
			(j->base == NULL || s->record.seq > j->base->record.seq))
			j->base = s;
	}
}

/* Invariant 1, by a file in the cache directory. */
static int take_lock(struct job *j, const char *dir, const char *id, struct err *err)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/%s.lock", dir, id) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "path '%s' is too long", dir);
	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->lock < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	if (flock(j->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(err, ERR_IO, "unable to lock '%s'", path);
	err_set(err, ERR_BUSY, "another backup of source '%s' is running on this host",
		backup_source_name(j->source));
	return err_hint(err, "wait until it has ended, or back up under another --source");
}

/* Cache, lock and staging of the source; a host that can keep none works without a cache. */
static int find_places(struct job *j, struct err *err)
{
	char dir[PATH_MAX];
	char id[33];
	const struct keyring_writer *w = &j->access->writer;
	const char *staging = cli_text(j->cli, "staging");
	struct err why = ERR_INIT;
	keyring_source_id(w->domain_id, w->agent_id, backup_source_name(j->source), j->source_id);
	text_hex(j->source_id, sizeof(j->source_id), id);
	int rc = staging != NULL
			 ? (snprintf(j->staging, sizeof(j->staging), "%s", staging) < PATH_MAX
					   ? 0
					   : err_set(err, ERR_LIMIT, "--staging is too long"))
			 : paths_dir(PATHS_STATE, w->vault_id, j->staging, err);
	if (rc == 0 && staging == NULL)
		rc = paths_join(j->staging, "staging", err);
	if (rc == 0)
		rc = paths_join(j->staging, id, err);
	if (rc != 0)
		return rc;
	rc = paths_dir(PATHS_CACHE, w->vault_id, dir, &why);
	if (rc == 0)
		rc = paths_make(dir, &why);
	if (rc != 0) {
		console_note(&j->cli->console, "holdfast: %s, continuing without a cache", why.msg);
		return 0;
	}
	rc = take_lock(j, dir, id, err);
	if (rc == 0 && !cli_is_set(j->cli, "no-cache") &&
		snprintf(j->cache, sizeof(j->cache), "%s/%s.cache", dir, id) >= PATH_MAX)
		j->cache[0] = '\0';
	return rc;
}

static int capture(struct job *j, struct err *err)
{
	char cache[PATH_MAX] = "";
	char state[PATH_MAX] = "";
	const uint8_t *id = j->access->writer.vault_id;
	(void)paths_dir(PATHS_CACHE, id, cache, NULL); /* without one there is none to leave out */
	(void)paths_dir(PATHS_STATE, id, state, NULL); /* as above */
	const char *own[] = { drivers_directory(j->cli), *cache != '\0' ? cache : NULL,
		*state != '\0' ? state : NULL };
	return backup_source_capture(j->source, j->staging, own, 3, err);
}

/* What this host remembers of the source, for the case that its newest snapshot cannot be read. */
static void find_memory(struct job *j, struct session_opts *out)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	int rc = paths_dir(PATHS_STATE, j->access->vault_id, dir, &why);
	if (rc == 0)
		rc = rollback_newest(dir, j->access->writer.agent_id, j->source_id,
			&out->memory.seq, out->memory.hash, &why);
	if (rc != 0) /* as on a host that remembers nothing */
		log_info("backup.memory", "%s, continuing", why.msg);
}

/* A list that cannot be read is told: the records it names are not stored anew. */
static void find_bad_packs(struct job *j, struct id_set **out)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	if (paths_dir(PATHS_STATE, j->access->vault_id, dir, NULL) != 0)
		return; /* a host without a home remembers nothing */
	if (bad_packs_load(dir, out, &why) != 0)
		console_warn(&j->cli->console, NULL, 0, "%s", why.msg);
}

/* Less than was sent: what a session that broke off had stored is not stored again. */
static void take_stored(struct backup_result *r, const struct session_stats *stored)
{
	r->sent_records = stored->records;
	r->sent_bytes = stored->data_bytes + stored->metadata_bytes;
	r->sent_data_records = stored->data_records;
	r->sent_data_bytes = stored->data_bytes;
}

static int run_pipeline(struct job *j, struct err *err)
{
	struct session *session = NULL;
	struct id_set *bad = NULL;
	struct session_opts memory = { .memory = { .seq = 0 } };
	bool is_dry = cli_is_set(j->cli, "dry-run");
	struct label label = { .source = (char *)(uintptr_t)backup_source_name(j->source),
		.host = j->host,
		.tool = (char *)(uintptr_t)VERSION_TOOL };
	struct backup_opts opts = { .keys = &j->access->writer,
		.domain = vault_domain(j->access->vault),
		.source_name = backup_source_name(j->source),
		.label = &label,
		.cache_path = j->cache[0] != '\0' ? j->cache : NULL,
		.consistency = backup_source_consistency(j->source),
		.check = RECORD_CHECK_FULL,
		.is_dry_run = is_dry,
		.dry_base = j->base == NULL ? NULL : j->base->hash,
		.is_reread = cli_is_set(j->cli, "reread"),
		.is_recheck = !cli_is_set(j->cli, "no-recheck"),
		.arg = j,
		.on_warning = on_warning,
		.on_progress = on_progress,
		.is_stopped = stop_is_asked };
	label.paths = (char **)(uintptr_t)backup_source_paths(j->source, &label.path_count);
	label.tags = (char **)(uintptr_t)backup_source_tags(j->source, &label.tag_count);
	opts.truth = backup_source_truth(j->source, &opts.truth_len);
	find_memory(j, &memory);
	find_bad_packs(j, &bad);
	memory.bad_packs = bad;
	int rc = is_dry ? 0 : session_new(j->access->vault, &memory, &session, err);
	if (rc == 0) {
		opts.port = is_dry ? NULL : session_port(session);
		rc = backup_run(&opts, backup_source_source(j->source), &j->result, err);
	}
	if (rc == 0 && !is_dry)
		take_stored(&j->result, session_stats(session));
	session_free(session);
	id_set_free(bad);
	return rc;
}

/* What was just acknowledged must never be missing again. */
static void remember(struct job *j)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	struct snapshot made = { .record = { .seq = j->result.seq } };
	memcpy(made.hash, j->result.snap_hash, sizeof(made.hash));
	memcpy(made.record.agent_id, j->access->writer.agent_id, 16);
	memcpy(made.record.source_id, j->source_id, 16);
	const struct snapshot_list one = { .at = &made, .count = 1 };
	int rc = paths_dir(PATHS_STATE, j->access->vault_id, dir, &why);
	if (rc == 0)
		rc = rollback_update(dir, &one, false, &why);
	if (rc != 0) /* the snapshot is made; the next listing remembers it */
		console_note(&j->cli->console, "holdfast: %s, continuing", why.msg);
}

static int tell_json(struct job *j, struct err *err)
{
	char id[65] = "";
	const struct backup_result *r = &j->result;
	const char *name = backup_source_name(j->source);
	if (r->has_snapshot)
		text_hex(r->snap_hash, sizeof(r->snap_hash), id);
	json_t *o = json_pack("{s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run",
		(int)!r->has_snapshot, "source", jsonx_name(name, strlen(name)), "files",
		(json_int_t)r->files, "dirs", (json_int_t)r->dirs, "others", (json_int_t)r->others,
		"new_files", (json_int_t)r->new_files, "unchanged_files",
		(json_int_t)r->unchanged_files, "bytes", (json_int_t)r->bytes, "read_bytes",
		(json_int_t)r->read_bytes, "known_bytes", (json_int_t)r->known_bytes);
	json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "stored_records",
		(json_int_t)r->sent_records, "stored_bytes", (json_int_t)r->sent_bytes,
		"stored_data_records", (json_int_t)r->sent_data_records, "stored_data_bytes",
		(json_int_t)r->sent_data_bytes, "left_out", (json_int_t)r->left_out, "warnings",
		(json_int_t)j->cli->console.warnings, "duration_s",
		(double)(env_mono_ns() - j->start_ns) / 1e9);
	int rc = o == NULL || more == NULL ? -1 : json_object_update_new(o, more);
	if (rc == 0 && r->has_snapshot) {
		(void)json_object_set_new(o, "snapshot_id", json_string(id));
		(void)json_object_set_new(o, "seq", json_integer((json_int_t)r->seq));
	}
	if (rc != 0 || console_object(&j->cli->console, "backup", "summary", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int tell(struct job *j, struct err *err)
{
	char id[65];
	char all[HUMAN_BYTES];
	char in[HUMAN_BYTES];
	char out[HUMAN_BYTES];
	char took[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct backup_result *r = &j->result;
	if (c->is_json)
		return tell_json(j, err);
	if (c->is_quiet)
		return 0;
	if (r->has_snapshot) {
		text_hex(r->snap_hash, sizeof(r->snap_hash), id);
		console_print(c, "snapshot %.8s of ", id);
	} else {
		console_print(c, "dry run of ");
	}
	console_print_name(c, backup_source_name(j->source), strlen(backup_source_name(j->source)));
	console_print(c, "\n  files     %llu: %llu %s, %llu unchanged\n",
		(unsigned long long)r->files, (unsigned long long)r->new_files,
		r->has_snapshot ? "read" : "to read", (unsigned long long)r->unchanged_files);
	console_print(c, "  besides   ");
	console_count(c, r->dirs, "directory, ", "directories, ");
	console_count(c, r->others, "other\n", "others\n");
	console_print(c, "  content   %s", human_size(all, r->bytes));
	if (r->has_snapshot)
		console_print(c, ", %s read, %s stored", human_size(in, r->read_bytes),
			human_size(out, r->sent_bytes));
	else
		console_print(c, ", %s to read", human_size(in, r->read_bytes));
	console_print(c, "\n");
	if (r->left_out > 0)
		console_print(c, "  left out  %llu\n", (unsigned long long)r->left_out);
	console_print(c, "  took      %s\n", human_duration(took, env_mono_ns() - j->start_ns));
	return 0;
}

static int backup(struct job *j, struct err *err)
{
	find_host(j);
	int rc = backup_source_new(j->cli, j->host, &j->source, err);
	if (rc == 0)
		rc = find_places(j, err);
	if (rc != 0)
		return rc;
	find_base(j);
	rc = capture(j, err);
	if (rc == 0)
		rc = run_pipeline(j, err);
	if (rc != 0)
		return err_wrap(err, "unable to back up '%s'", backup_source_name(j->source));
	if (j->result.has_snapshot)
		remember(j);
	return tell(j, err);
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct job j = { .cli = cli, .access = &a, .lock = -1, .start_ns = env_mono_ns() };
	bool is_dry = cli_is_set(cli, "dry-run");
	int rc = access_open(cli, ACCESS_WRITER, is_dry ? DRIVERS_READ : DRIVERS_WRITE, &a, err);
	a.is_backup = true;
	if (rc == 0)
		rc = access_snapshots(cli, &a, err);
	if (rc == 0)
		rc = backup(&j, err);
	backup_source_free(j.source); /* may warn */
	if (rc == 0 && (cli->console.warnings > 0 || j.result.left_out > 0))
		cli->status = EXIT_STATUS_WARNINGS;
	if (j.lock >= 0)
		(void)close(j.lock); /* ends the lock */
	access_done(&a);
	return rc;
}

static const char *const consistencies[] = { "fuzzy", "quiesced", "crash", "application", NULL };

static const struct cli_option options[] = {
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "name of the chain of snapshots; default: host name and paths.  With "
			"--config: which source of the file" },
	{ .name = "config",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = NULL,
		.help = "back up a source that this file describes" },
	{ .name = "stdin", .help = "back up standard input as one file" },
	{ .name = "stdin-name",
		.kind = CLI_TEXT,
		.argument = "PATH",
		.help = "what that file is called; default: stdin" },
	{ .name = "files-from",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "FILE",
		.help = "back up the paths listed in FILE, one a line or ended by NUL; - is "
			"standard input" },
	{ .name = "host",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the host name in the snapshot" },
	{ .name = "tag",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "TAG",
		.help = "give the snapshot a tag" },
	{ .name = "exclude",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "PATTERN",
		.help = "leave out what matches (docs/CLI-filters.md)" },
	{ .name = "exclude-file",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "FILE",
		.help = "leave out what the patterns in FILE match" },
	{ .name = "exclude-caches",
		.help = "leave out what is in directories with a CACHEDIR.TAG" },
	{ .name = "exclude-if-present",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "NAME",
		.help = "leave out what is in directories that hold a file NAME" },
	{ .name = "exclude-larger-than",
		.kind = CLI_SIZE,
		.argument = "SIZE",
		.help = "leave out larger files" },
	{ .name = "one-file-system",
		.letter = 'x',
		.help = "do not enter file systems on which no given path lies" },
	{ .name = "dry-run", .letter = 'n', .help = "only say what would be read" },
	{ .name = "reread", .help = "read every file, also unchanged ones" },
	{ .name = "no-recheck",
		.help = "do not read one in 64 unchanged files again to see whether it really is" },
	{ .name = "no-cache",
		.help = "neither use nor write the lists of unchanged files and known chunks" },
	{ .name = "consistency",
		.kind = CLI_WORD,
		.argument = "fuzzy|quiesced|crash|application",
		.words = consistencies,
		.help = "how consistent the content is: recorded in the snapshot" },
	{ .name = "truth",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "keep this truth manifest (JSON) in the snapshot" },
	{ .name = "staging",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where a database copy lies while it is backed up; default: the state "
			"directory" },
	ACCESS_LIMIT_OPTIONS,
	{ .name = NULL },
};

const struct cli_verb cmd_backup_verb = {
	.name = "backup",
	.arguments = "[PATH...]",
	.summary = "make a snapshot of paths, standard input or a configured source",
	.about =
		"Needs the writer key only, which opens nothing that was stored.  A file that did "
		"not change since the last backup of the source costs one look at it, but one that "
		"was written less than two seconds before that backup is read once more: a change "
		"right after it might have left the same times.  What "
		"cannot be read is named and left out, and the exit status is 3.",
	.json = "JSON lines: warning, status, summary",
	.options = options,
	.groups = CLI_VAULT,
	.max_args = CLI_ANY,
	.run = run,
};
