#include "cmd/cmd_gc.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/gc_sights.h"
#include "cmd/lock_show.h"
#include "cmd/stop.h"
#include "store/store.h"
#include "vault/collect.h"
#include "vault/id_set.h"
#include "vault/lock_keep.h"

/*
 * INVARIANTS
 * (1) What the runs of one call did is told as one: counts add up, what is seen of the vault is as
 *     the last run saw it.
 * (2) What is needed stays locked also when nothing may be collected: what stops collection is what
 *     locks are for.
 */

#define POLL_MS 1000

struct job {
	struct cli *cli;
	struct access access;
	struct collect_opts opts;
	struct collect_result sum;
	struct collect_sights sights; /* owned */
	struct id_set *bad;           /* owned */
	char dir[PATH_MAX];           /* of this host's memory, or "" */
	int64_t wait_ns;
	bool has_locks; /* what follows tells something */
	struct lock_keep_result locks;
	json_t *given_up; /* owned; names */
};

static void keep_given_up(void *arg, const char *object)
{
	struct job *j = arg;
	(void)json_array_append_new(j->given_up, json_string(object)); /* the count stands */
}

static int parse_time(
	const struct cli *cli, const char *name, int64_t other, int64_t *out, struct err *err)
{
	const char *text = cli_text(cli, name);
	*out = other;
	if (text == NULL || human_parse_duration(text, out) == 0)
		return 0;
	return err_set(
		err, ERR_USAGE, "--%s wants a duration like 7d or 12h, not '%s'", name, text);
}

static int parse(struct job *j, struct err *err)
{
	struct collect_opts *o = &j->opts;
	int rc = parse_time(j->cli, "grace", COLLECT_GRACE_NS, &o->grace_ns, err);
	if (rc == 0)
		rc = parse_time(j->cli, "fence-after", COLLECT_FENCE_NS, &o->fence_ns, err);
	if (rc == 0)
		rc = parse_time(j->cli, "wait", 0, &j->wait_ns, err);
	o->repack_bytes = (uint64_t)cli_number(j->cli, "max-repack", COLLECT_REPACK_BYTES);
	o->is_dry_run = cli_is_set(j->cli, "dry-run");
	o->accepts_gaps = cli_is_set(j->cli, "give-up-missing");
	o->sights = &j->sights;
	o->on_given_up = keep_given_up;
	o->arg = j;
	j->given_up = json_array();
	return rc != 0 || j->given_up != NULL ? rc : err_set(err, ERR_NOMEM, "out of memory");
}

/* What this host remembers: packs it found damaged, sessions it saw silent. */
static void remember(struct job *j)
{
	struct err why = ERR_INIT;
	int rc = access_memory_dir(j->cli, j->access.vault_id, j->dir, &why);
	if (rc == 0)
		rc = bad_packs_load(j->dir, &j->bad, &why);
	if (rc == 0)
		rc = gc_sights_load(j->dir, &j->sights, &why);
	if (rc != 0)
		console_warn(&j->cli->console, NULL, 0, "%s; continuing without this host's memory",
			why.msg);
	j->opts.bad_packs = j->bad;
}

static void keep(struct job *j)
{
	struct err why = ERR_INIT;
	if (j->dir[0] != '\0' && !j->opts.is_dry_run &&
		gc_sights_store(j->dir, &j->sights, &why) != 0)
		console_warn(&j->cli->console, NULL, 0,
			"%s; silent sessions are seen from the next run on", why.msg);
}

/* Invariant 1. */
static void add_up(struct collect_result *sum, const struct collect_result *r)
{
	struct collect_result s = *r;
	s.condemned += sum->condemned;
	s.condemned_bytes += sum->condemned_bytes;
	s.repacked += sum->repacked;
	s.repacked_bytes += sum->repacked_bytes;
	s.rescued += sum->rescued;
	s.deleted += sum->deleted;
	s.deleted_bytes += sum->deleted_bytes;
	s.fenced += sum->fenced;
	s.voided += sum->voided;
	s.marks += sum->marks;
	s.given_up += sum->given_up;
	s.segments_replaced += sum->segments_replaced;
	s.segments_written += sum->segments_written;
	s.purge.purged += sum->purge.purged;
	s.purge.purged_bytes += sum->purge.purged_bytes;
	if (r->packs == 0 && r->waits > 0) { /* it only waited */
		s.deferred = sum->deferred;
		s.packs = sum->packs;
		s.pack_bytes = sum->pack_bytes;
		s.live_bytes = sum->live_bytes;
		s.unknown_packs = sum->unknown_packs;
		s.unknown_bytes = sum->unknown_bytes;
		s.missing_records = sum->missing_records;
	}
	*sum = s;
}

static int collect(struct job *j, struct err *err)
{
	int64_t begin = env_mono_ns();
	for (;;) {
		struct collect_result r;
		int rc = collect_run(j->access.vault, &j->opts, &r, err);
		if (rc != 0)
			return rc;
		add_up(&j->sum, &r);
		keep(j);
		if ((r.waits == 0 && r.deferred == 0) || env_mono_ns() - begin >= j->wait_ns)
			return 0;
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "collection was stopped");
		struct timespec pause = { .tv_nsec = POLL_MS * 1000000L - 1 };
		(void)nanosleep(&pause, NULL); /* a signal ends the wait */
	}
}

/* Invariant 2. */
static int keep_locks(struct job *j, struct err *err)
{
	struct store_lock lock;
	store_locks_by(j->access.store, &lock);
	if (lock.mode == STORE_LOCK_NONE || j->opts.is_dry_run)
		return 0;
	int rc = lock_keep_run(j->access.store, j->access.vault, NULL, &j->locks, err);
	j->has_locks = rc == 0;
	if (rc == 0)
		lock_show_warn(&j->cli->console, &j->locks);
	return rc;
}

/* What is in a store that keeps versions. */
static json_t *versions_json(const struct job *j)
{
	char when[HUMAN_BYTES];
	char safe[ERR_MSG_BYTES];
	const struct purge_result *p = &j->sum.purge;
	(void)escape_str(safe, sizeof(safe), p->why.msg); /* cut is fine */
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:I, s:O, s:o}", "purged",
		(json_int_t)p->purged, "purged_bytes", (json_int_t)p->purged_bytes, "locked",
		(json_int_t)p->locked, "locked_bytes", (json_int_t)p->locked_bytes, "locked_until",
		p->locked_until_ns == 0 ? json_null()
					: json_string(human_time_utc(when, p->locked_until_ns)),
		"refused", (json_int_t)p->refused, "passed_over",
		p->why.code == 0 ? json_null() : json_string(safe), "odd", (json_int_t)p->odd,
		"given_up", (json_int_t)j->sum.given_up, "given_up_objects", j->given_up, "locks",
		j->has_locks ? lock_show_json(j->access.store, &j->locks) : json_null());
}

static int tell_json(struct job *j, struct err *err)
{
	char when[HUMAN_BYTES];
	const struct collect_result *r = &j->sum;
	json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"dry_run", (int)j->opts.is_dry_run, "packs", (json_int_t)r->packs, "pack_bytes",
		(json_int_t)r->pack_bytes, "live_bytes", (json_int_t)r->live_bytes, "unknown_packs",
		(json_int_t)r->unknown_packs, "missing_records", (json_int_t)r->missing_records,
		"condemned", (json_int_t)r->condemned, "condemned_bytes",
		(json_int_t)r->condemned_bytes, "deferred", (json_int_t)r->deferred, "repacked",
		(json_int_t)r->repacked, "repacked_bytes", (json_int_t)r->repacked_bytes, "rescued",
		(json_int_t)r->rescued);
	json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		"unknown_bytes", (json_int_t)r->unknown_bytes, "dead", (json_int_t)r->dead,
		"dead_bytes", (json_int_t)r->dead_bytes, "deleted", (json_int_t)r->deleted,
		"deleted_bytes", (json_int_t)r->deleted_bytes, "waits", (json_int_t)r->waits,
		"fenced", (json_int_t)r->fenced, "voided", (json_int_t)r->voided, "marks",
		(json_int_t)r->marks, "segments_replaced", (json_int_t)r->segments_replaced,
		"segments_written", (json_int_t)r->segments_written, "next",
		r->next_ns == 0 ? json_null() : json_string(human_time_utc(when, r->next_ns)));
	if (o == NULL || more == NULL || json_object_update_new(o, more) != 0 ||
		json_object_set_new(o, "versions", versions_json(j)) != 0 ||
		console_object(&j->cli->console, "gc", NULL, o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static void tell_versions(const struct job *j)
{
	char a[HUMAN_BYTES];
	char b[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct purge_result *p = &j->sum.purge;
	size_t i;
	const json_t *name;
	if (j->sum.given_up > 0) {
		console_print(c, "%s", j->opts.is_dry_run ? "would give up " : "gave up ");
		console_count(c, j->sum.given_up, "snapshot that somebody deleted:\n",
			"snapshots that somebody deleted:\n");
	}
	json_array_foreach(j->given_up, i, name)
		console_print(c, "  %s\n", json_string_value(name));
	if (p->purged > 0) {
		console_count(c, p->purged, "old version ", "old versions ");
		console_print(c, "and markers deleted, %s\n", human_size(a, p->purged_bytes));
	}
	if (p->locked > 0) {
		console_count(c, p->locked, "dead version stays, ", "dead versions stay, ");
		console_print(c, "%s, as long as they are locked, the last until %s\n",
			human_size(a, p->locked_bytes), human_time_local(b, p->locked_until_ns));
	}
	if (p->refused > 0)
		console_count(c, p->refused,
			"dead version stays: this key may not delete versions\n",
			"dead versions stay: this key may not delete versions\n");
	if (p->why.code != 0)
		console_print(c, "old versions stay: %s\n", p->why.msg);
	if (p->odd > 0)
		console_count(c, p->odd,
			"object was removed or replaced, but not by us; see 'holdfast vault "
			"undelete'\n",
			"objects were removed or replaced, but not by us; see 'holdfast vault "
			"undelete'\n");
	if (j->has_locks)
		lock_show_text(c, "locks", &j->locks);
	if (j->locks.extended > 0)
		console_count(c, j->locks.extended, "object was locked anew\n",
			"objects were locked anew\n");
}

static void tell_text(const struct job *j)
{
	char a[HUMAN_BYTES];
	char b[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct collect_result *r = &j->sum;
	bool is_dry = j->opts.is_dry_run;
	if (r->packs > 0) {
		console_count(c, r->packs, "pack, ", "packs, ");
		console_print(c, "%s, %s of it needed\n", human_size(a, r->pack_bytes),
			human_size(b, r->live_bytes));
	}
	if (r->unknown_packs > 0) {
		console_count(c, r->unknown_packs, "pack that", "packs that");
		console_print(c,
			" nobody knows, %s: in no index, and the end that tells what is in it "
			"cannot be read.  Left alone; see 'holdfast verify' and 'holdfast "
			"repair'\n",
			human_size(a, r->unknown_bytes));
	}
	if (r->repacked > 0) {
		console_print(c, "%s", is_dry ? "would repack " : "repacked ");
		console_count(c, r->repacked, "pack, ", "packs, ");
		console_print(c, "%s copied\n", human_size(a, r->repacked_bytes));
	}
	console_print(c, "%s", is_dry ? "would condemn " : "condemned ");
	console_count(c, r->condemned, "object, ", "objects, ");
	console_print(c, "%s", human_size(a, r->condemned_bytes));
	if (r->rescued > 0)
		console_print(c, "; %llu needed again and kept", (unsigned long long)r->rescued);
	console_print(c, "\n");
	if (r->deferred > 0)
		console_count(c, r->deferred,
			"pack may be of a backup that is open: its turn comes when that is over\n",
			"packs may be of backups that are open: their turn comes when those are "
			"over\n");
	if (r->fenced > 0)
		console_count(c, r->fenced, "silent session was given up\n",
			"silent sessions were given up\n");
	if (r->deleted > 0) {
		console_print(c, "deleted ");
		console_count(c, r->deleted, "object, ", "objects, ");
		console_print(c, "%s\n", human_size(a, r->deleted_bytes));
	}
	if (r->dead > 0) {
		console_count(c, r->dead, "object waits, ", "objects wait, ");
		console_print(c, "%s, to be deleted from %s on\n", human_size(a, r->dead_bytes),
			human_time_local(b, r->next_ns));
	}
	if (r->waits > 0)
		console_count(c, r->waits, "session is open that must end first: run it again\n",
			"sessions are open that must end first: run it again\n");
	tell_versions(j);
}

/* Invariant 2: what collection failed with is what is returned. */
static int work(struct job *j, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = access_snapshots(j->cli, &j->access, err); /* nothing is deleted from a store
							     * that went back */
	if (rc == 0)
		remember(j);
	if (rc == 0)
		rc = collect(j, err);
	size_t i;
	const json_t *name;
	json_array_foreach(j->given_up, i, name)
	{
		if (rc != 0 && !j->opts.is_dry_run) /* no more will be told, and this stays done */
			console_warn(&j->cli->console, NULL, 0, "snapshot '%s' was given up",
				json_string_value(name));
	}
	int kept = keep_locks(j, &why);
	if (rc != 0 && kept != 0)
		console_warn(&j->cli->console, NULL, 0, "the locks were not seen to: %s", why.msg);
	else if (kept != 0 && err != NULL)
		*err = why;
	return rc != 0 ? rc : kept;
}

static int run(struct cli *cli, struct err *err)
{
	struct job j = { .cli = cli, .access = ACCESS_INIT };
	int rc = parse(&j, err);
	if (rc == 0)
		rc = access_open(cli, ACCESS_WRITER,
			j.opts.is_dry_run ? DRIVERS_READ : DRIVERS_WRITE, &j.access, err);
	if (rc == 0)
		rc = work(&j, err);
	if (rc == 0 && cli->console.is_json)
		rc = tell_json(&j, err);
	else if (rc == 0)
		tell_text(&j);
	if (rc == 0 && j.sum.missing_records > 0)
		console_warn(&cli->console, NULL, 0,
			"%llu records that snapshots need are in no readable pack; see "
			"'holdfast verify'",
			(unsigned long long)j.sum.missing_records);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	collect_sights_done(&j.sights);
	id_set_free(j.bad);
	json_decref(j.given_up);
	access_done(&j.access);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "dry-run", .letter = 'n', .help = "only say what would be condemned" },
	{ .name = "grace",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "how long dead objects stay before they are deleted; default 7d" },
	{ .name = "wait",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "wait so long for open backups; default 0s: the next run goes on" },
	{ .name = "fence-after",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "give a session up after so long without a sign of life, by this host's "
			"clock; default 24h" },
	{ .name = "max-repack",
		.kind = CLI_SIZE,
		.argument = "SIZE",
		.help = "copy at most so much out of wasteful packs in one run; default 4GiB" },
	{ .name = "give-up-missing",
		.help = "snapshots that are gone although nobody pruned them are lost for good: "
			"collect what only they needed, too" },
	{ .name = NULL },
};

const struct cli_verb cmd_gc_verb = {
	.name = "gc",
	.arguments = "",
	.summary = "take back the space of what no snapshot needs",
	.about = "Backups and restores go on meanwhile, and several may run at once. What no "
		 "snapshot needs is condemned, the backups that are open then are waited for, what "
		 "they turned out to need is kept, the rest is taken out of the index and, after "
		 "the grace, deleted. Broken off at any point, the next run carries on.",
	.json = "one object",
	.options = options,
	.groups = CLI_VAULT,
	.run = run,
};
