/*
 * bits: every bit of a reference vault flipped, every object cut at every length, lengthened,
 * swapped with every other, removed; old objects put back.  A run of verify without any data key
 * must name the object.
 *
 * The vault holds every class of object.  So that two million runs take minutes and not hours, an
 * object is looked at in a view of the vault: its header and the object, with the config where that
 * has a say; a finding counts only when the view had not that finding about the object before.
 * Some bits of every object are flipped in the whole vault as well, and all other damage is looked
 * at there.  It is always verify_run() that has to name the object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "crypto/hash.h"
#include "tests/lib/plant_model.h"
#include "tests/lib/prove_slice.h"
#include "vault/collect.h"
#include "vault/session.h"
#include "vault/verify.h"

#define MAX_NAMES 256
#define MIN_BYTES (256u << 10)
#define WHOLE_FLIPS 9
#define QUICK_WHOLE_STEP 5
#define QUICK_STEP 401
#define QUICK_CUT_STEP 2003
#define QUICK_SWAP_STEP 7

enum { FLIPS, CUTS, WHOLE, LONGER, SWAPS, REMOVED, REPLAYED, NAMED, ROLLBACK, HARMLESS };
static const char *const labels[] = { "bits flipped", "cuts", "of the flips in the whole vault",
	"lengthened", "swaps", "removals", "replays", "named by verify",
	"told by the host's memory", "without effect", NULL };

struct object {
	char name[STORE_MAX_NAME_BYTES + 1];
	uint64_t size;
};

struct objects {
	struct object at[MAX_NAMES];
	size_t count;
	uint64_t bytes;
};

static struct prove_slice p;
static struct plant_model plant;
static struct store_mem *reference; /* owned by its store */
static struct store_fault *fault;
static struct objects all, old_ones; /* old_ones: what was there once and is not now */
static struct store *attic;          /* holds them */
static struct store_mem *attic_mem;

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "bits: %s: %s\n", what, err->msg);
		exit(2);
	}
}

/* ---- the reference vault -------------------------------------------------------------------- */

static int keep(void *arg, const char *name, uint64_t size)
{
	struct objects *o = arg;
	if (o->count == MAX_NAMES)
		return -ERR_LIMIT;
	(void)snprintf(o->at[o->count].name, sizeof(o->at[0].name), "%s", name);
	o->at[o->count++].size = size;
	o->bytes += size;
	return 0;
}

static void copy_to_attic(void)
{
	struct err err = ERR_INIT;
	struct objects now = { .count = 0 };
	must(store_list(plant.f.store, "", keep, &now, &err), &err, "list");
	for (size_t i = 0; i < now.count; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		must(store_get(plant.f.store, now.at[i].name, &b, &err), &err, now.at[i].name);
		must(store_put(attic, now.at[i].name, b.data, b.len, &err), &err, now.at[i].name);
	}
	must(store_barrier(attic, &err), &err, "barrier");
}

static void backup(unsigned times)
{
	struct err err = ERR_INIT;
	for (unsigned i = 0; i < times; i++) {
		plant_model_change(&plant);
		must(plant_model_backup(&plant, &err), &err, "backup");
		copy_to_attic();
	}
}

/* A session that stays open: its mark, and what a collection says while it waits. */
static void leave_session_open(void)
{
	struct err err = ERR_INIT;
	struct session *session = NULL;
	struct port_base base;
	static const uint8_t source_id[16] = "another";
	must(session_new(plant.f.vault, NULL, &session, &err), &err, "session_new");
	const struct port *port = session_port(session);
	must(port->begin(port->self, plant.f.keys.writer.agent_id, source_id, &base, &err), &err,
		"begin");
	store_fault_crash(fault, store_fault_count(fault, STORE_FAULT_ANY) + 1);
	session_free(session); /* as killed: nothing more is written */
	store_fault_reset(fault);
}

static uint64_t bytes_now(void)
{
	struct err err = ERR_INIT;
	static struct objects now;
	now.count = 0;
	now.bytes = 0;
	must(store_list(plant.f.store, "", keep, &now, &err), &err, "list");
	return now.bytes;
}

static void make_reference(uint64_t seed)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	(void)plant_model_env(seed);
	must(store_mem_new(&reference, &err), &err, "mem");
	must(store_fault_new(&store_mem_driver, reference, &fault, &err), &err, "fault");
	must(store_new(store_fault_driver(fault), fault, NULL, &store, &err), &err, "store");
	must(store_mem_new(&attic_mem, &err), &err, "mem");
	must(store_new(&store_mem_driver, attic_mem, NULL, &attic, &err), &err, "store");
	plant_model_init(&plant, seed, store);
	plant.max_bytes = 14000;
	plant.grace_ns = COLLECT_GRACE_NS;
	plant.fence_ns = COLLECT_FENCE_NS;
	backup(4);
	must(plant_model_prune(&plant, 2, &err), &err, "prune");  /* hs/ */
	must(plant_model_collect(&plant, &err), &err, "collect"); /* dd/ */
	backup(3);
	while (bytes_now() < MIN_BYTES)
		backup(1);
	must(plant_model_prune(&plant, 4, &err), &err, "prune");
	leave_session_open();                                     /* se/ */
	must(plant_model_collect(&plant, &err), &err, "collect"); /* gc/ */
	copy_to_attic();
	store_fault_fail(fault, STORE_FAULT_REMOVE, 1, 1000, ERR_IO);
	if (plant_model_prune(&plant, 3, &err) == 0) /* pr/ */
		must(-1, &err, "the prune was not broken off");
	store_fault_reset(fault);
	copy_to_attic();
	must(store_list(store, "", keep, &all, &err), &err, "list");
	if (all.bytes < MIN_BYTES)
		must(-1, &err, "the vault is too small");
}

static bool has_object(const struct objects *o, const char *name)
{
	for (size_t i = 0; i < o->count; i++) {
		if (strcmp(o->at[i].name, name) == 0)
			return true;
	}
	return false;
}

static void find_old_ones(void)
{
	struct err err = ERR_INIT;
	static struct objects seen;
	must(store_list(attic, "", keep, &seen, &err), &err, "list");
	for (size_t i = 0; i < seen.count; i++) {
		if (!has_object(&all, seen.at[i].name))
			old_ones.at[old_ones.count++] = seen.at[i];
	}
}

/* ---- verify --------------------------------------------------------------------------------- */

struct seen {
	const char *wanted, *other; /* objects one of which must be named; other may be NULL */
	const char *known;          /* what is said of the wanted one without the damage, or NULL */
	bool is_named;
	int problems;
	char said[ERR_MSG_BYTES]; /* of the wanted one */
	char first[STORE_MAX_NAME_BYTES + 1];
};

/* A whole text that is another version's, or the other text, is worth a warning: no data is in it.
 */
static bool is_text(const char *name)
{
	return name != NULL && strchr(name, '/') == NULL;
}

static void on_finding(void *arg, const struct verify_finding *x)
{
	struct seen *s = arg;
	if (x->is_warning) {
		if (is_text(s->wanted) && is_text(s->other) && strcmp(x->object, s->wanted) == 0)
			s->is_named = true;
		return;
	}
	if (s->problems++ == 0)
		(void)snprintf(s->first, sizeof(s->first), "%s", x->object);
	bool is_new = s->known == NULL || strcmp(x->what, s->known) != 0;
	if (s->wanted != NULL && strcmp(x->object, s->wanted) == 0 && is_new) {
		s->is_named = true;
		(void)snprintf(s->said, sizeof(s->said), "%s", x->what);
	}
	if (s->other != NULL && strcmp(x->object, s->other) == 0)
		s->is_named = true;
}

static int verify(struct vault *v, struct seen *s)
{
	struct err err = ERR_INIT;
	struct verify_opts opts = { .arg = s, .on_finding = on_finding };
	struct verify_result result;
	s->problems = 0;
	s->is_named = false;
	return verify_run(v, &opts, &result, &err);
}

static int open_by_writer(struct store *store, struct vault **out, struct err *err)
{
	struct vault_keys keys;
	vault_keys_of_writer(&plant.f.keys.writer, &keys);
	return vault_open(store, &keys, out, err);
}

/* Open and verify; what cannot be opened counts as told when ${s} asks for that much only. */
static int open_and_verify(struct store *store, struct seen *s)
{
	struct err err = ERR_INIT;
	struct vault *v = NULL;
	int rc = open_by_writer(store, &v, &err);
	if (rc == 0)
		rc = verify(v, s);
	vault_close(v);
	return rc;
}

/* A copy of ${from}, to be broken. */
static struct store *copy_of(const struct store_mem *from, struct store_mem **mem)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	must(store_mem_crash(from, 0, mem, &err), &err, "copy");
	must(store_new(&store_mem_driver, *mem, NULL, &store, &err), &err, "store");
	return store;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The vault that object ${i} is looked at in. */
struct view {
	size_t object;
	struct store *store;
	struct store_mem *mem;
	struct vault *vault;
	bool is_reopened;          /* what opening reads is broken too */
	char known[ERR_MSG_BYTES]; /* what verify says of the object without damage, or "" */
};
static struct view view = { .object = MAX_NAMES };

static void view_done(void)
{
	vault_close(view.vault);
	store_free(view.store);
	view = (struct view){ .object = MAX_NAMES };
}

static void view_of(size_t object)
{
	struct err err = ERR_INIT;
	const char *name = all.at[object].name;
	if (view.object == object)
		return;
	view_done();
	view.object = object;
	view.store = copy_of(reference, &view.mem);
	view.is_reopened = has_prefix(name, "vh/") || has_prefix(name, "cf/");
	bool needs_config = has_prefix(name, "hs/") || has_prefix(name, "vh/");
	for (size_t i = 0; i < all.count; i++) {
		const char *other = all.at[i].name;
		if (i != object && !has_prefix(other, "vh/") &&
			!(needs_config && has_prefix(other, "cf/")))
			must(store_remove(view.store, other, &err), &err, "remove");
	}
	must(open_by_writer(view.store, &view.vault, &err), &err, "open");
	struct seen seen = { .wanted = name };
	if (verify(view.vault, &seen) != 0)
		prove_slice_wrong(&p, "%s: the view cannot be verified", name);
	if (seen.is_named && !has_prefix(name, "sn/")) /* a snapshot misses its records */
		prove_slice_wrong(&p, "%s: found damaged as it was: %s", name, seen.said);
	(void)snprintf(view.known, sizeof(view.known), "%s", seen.is_named ? seen.said : "");
}

static void look(const char *what, uint64_t where)
{
	const char *name = all.at[view.object].name;
	struct seen seen = { .wanted = name, .known = view.known[0] == '\0' ? NULL : view.known };
	int rc = view.is_reopened ? open_and_verify(view.store, &seen) : verify(view.vault, &seen);
	if (rc == 0 && seen.is_named)
		p.counts[NAMED]++;
	else
		prove_slice_wrong(&p, "%s: %s %llu: not named (%d, %d problems, first %s)", name,
			what, (unsigned long long)where, rc, seen.problems, seen.first);
}

/* ---- the cases ------------------------------------------------------------------------------ */

static void flip(size_t object, uint64_t bit)
{
	struct err err = ERR_INIT;
	view_of(object);
	must(store_mem_flip(view.mem, all.at[object].name, bit, &err), &err, "flip");
	look("bit", bit);
	must(store_mem_flip(view.mem, all.at[object].name, bit, &err), &err, "flip");
	p.counts[FLIPS]++;
}

/* The same in the whole vault: bit ${k} of WHOLE_FLIPS, from the first to the last. */
static void flip_whole(size_t object, uint64_t k)
{
	const char *name = all.at[object].name;
	uint64_t bit = k * (all.at[object].size * 8 - 1) / (WHOLE_FLIPS - 1);
	struct err err = ERR_INIT;
	struct store_mem *mem;
	struct store *store = copy_of(reference, &mem);
	struct seen seen = { .wanted = name };
	must(store_mem_flip(mem, name, bit, &err), &err, "flip");
	int rc = open_and_verify(store, &seen);
	if (rc == 0 && seen.is_named)
		p.counts[NAMED]++;
	else
		prove_slice_wrong(&p, "%s: bit %llu: not named in the whole vault (%d)", name,
			(unsigned long long)bit, rc);
	store_free(store);
	p.counts[WHOLE]++;
}

/* Give an object other bytes. */
static void replace(struct store *store, const char *name, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	must(store_remove(store, name, &err), &err, "remove");
	must(store_put(store, name, data, len, &err), &err, "put");
	must(store_barrier(store, &err), &err, "barrier");
}

static void read_object(const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	must(store_get(plant.f.store, name, out, &err), &err, name);
}

static void cut(size_t object, uint64_t len)
{
	struct err err = ERR_INIT;
	view_of(object);
	struct view whole = view;
	view.store = copy_of(whole.mem, &view.mem);
	must(open_by_writer(view.store, &view.vault, &err), &err, "open");
	must(store_mem_truncate(view.mem, all.at[object].name, (size_t)len, &err), &err, "cut");
	look("cut to", len);
	vault_close(view.vault);
	store_free(view.store);
	view = whole;
	p.counts[CUTS]++;
}

static void lengthen(size_t object, size_t more)
{
	const char *name = all.at[object].name;
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct err err = ERR_INIT;
	view_of(object);
	read_object(name, &b);
	size_t len = b.len;
	must(buf_add_zero(&b, more, &err), &err, "memory");
	replace(view.store, name, b.data, b.len);
	look("longer by", more);
	replace(view.store, name, b.data, len);
	p.counts[LONGER]++;
}

static void swap(size_t i, size_t k)
{
	CLEANUP(buf_done) struct buf a = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct store_mem *mem;
	struct store *store = copy_of(reference, &mem);
	struct seen seen = { .wanted = all.at[i].name, .other = all.at[k].name };
	read_object(all.at[i].name, &a);
	read_object(all.at[k].name, &b);
	replace(store, all.at[i].name, b.data, b.len);
	replace(store, all.at[k].name, a.data, a.len);
	int rc = open_and_verify(store, &seen);
	if (rc == 0 && seen.is_named)
		p.counts[NAMED]++;
	else
		prove_slice_wrong(&p, "swap of %s and %s: not named (%d)", all.at[i].name,
			all.at[k].name, rc);
	store_free(store);
	p.counts[SWAPS]++;
}

/* Does the writer, who remembers its newest snapshot, refuse to go on? */
static bool is_rollback(struct store *store)
{
	struct err err = ERR_INIT;
	struct plant_model copy = plant;
	copy.f.vault = NULL;
	copy.f.store = store;
	int rc = plant_model_backup(&copy, &err);
	vault_close(copy.f.vault);
	return rc == -ERR_ROLLBACK;
}

/* Told by verify, or nothing of what was acknowledged is lost and nothing else is there, or (the
 * newest snapshot gone: the store was whole like that once) told by who made it. */
static void told_or_harmless(struct store *store, const char *what, const char *name)
{
	struct seen seen = { .wanted = name };
	struct plant_model copy = plant;
	int rc = open_and_verify(store, &seen);
	const char *why = NULL;
	if (rc != 0 || seen.problems > 0)
		p.counts[NAMED]++;
	else if ((why = plant_model_check(&copy, store, PLANT_MODEL_COMPARED)) == NULL)
		p.counts[HARMLESS]++;
	else if (is_rollback(store))
		p.counts[ROLLBACK]++;
	else
		prove_slice_wrong(&p, "%s %s: nobody noticed, and %s", what, name, why);
}

static void remove_one(size_t object)
{
	struct err err = ERR_INIT;
	struct store_mem *mem;
	struct store *store = copy_of(reference, &mem);
	must(store_remove(store, all.at[object].name, &err), &err, "remove");
	must(store_barrier(store, &err), &err, "barrier");
	told_or_harmless(store, "removed", all.at[object].name);
	store_free(store);
	p.counts[REMOVED]++;
}

static void replay(size_t object)
{
	struct err err = ERR_INIT;
	const char *name = old_ones.at[object].name;
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct store_mem *mem;
	struct store *store = copy_of(reference, &mem);
	must(store_get(attic, name, &b, &err), &err, name);
	must(store_put(store, name, b.data, b.len, &err), &err, name);
	must(store_barrier(store, &err), &err, "barrier");
	told_or_harmless(store, "put back", name);
	store_free(store);
	p.counts[REPLAYED]++;
}

/* Case ${n} of one kind: the object it is in, and where; false when it is behind the last. */
static bool place(uint64_t n, uint64_t per_byte, size_t *object, uint64_t *where)
{
	for (size_t i = 0; i < all.count; i++) {
		if (n < all.at[i].size * per_byte) {
			*object = i;
			*where = n;
			return true;
		}
		n -= all.at[i].size * per_byte;
	}
	return false;
}

static void run_case(uint64_t n)
{
	static const size_t more[] = { 1, 4096 };
	uint64_t where, pairs = all.count * all.count;
	size_t object;
	if (place(n, 8, &object, &where)) {
		flip(object, where);
		return;
	}
	n -= all.bytes * 8;
	if (place(n, 1, &object, &where)) {
		cut(object, where);
		return;
	}
	n -= all.bytes;
	if (n < WHOLE_FLIPS * all.count) {
		flip_whole((size_t)n / WHOLE_FLIPS, n % WHOLE_FLIPS);
		return;
	}
	n -= WHOLE_FLIPS * all.count;
	if (n < 2 * all.count)
		lengthen((size_t)n / 2, more[n % 2]);
	else if ((n -= 2 * all.count) < pairs) {
		if (n / all.count < n % all.count)
			swap((size_t)(n / all.count), (size_t)(n % all.count));
	} else if ((n -= pairs) < all.count)
		remove_one((size_t)n);
	else
		replay((size_t)(n - all.count));
}

/* With --quick a part of the flips and cuts, and all of the rest. */
static uint64_t next_case(uint64_t n)
{
	uint64_t cuts = all.bytes * 9, whole = cuts + WHOLE_FLIPS * all.count;
	const struct {
		uint64_t end, step;
	} parts[] = { { all.bytes * 8, QUICK_STEP }, { cuts, QUICK_CUT_STEP },
		{ whole, QUICK_WHOLE_STEP }, { whole + 2 * all.count, 1 },
		{ whole + 2 * all.count + all.count * all.count, QUICK_SWAP_STEP } };
	for (size_t i = 0; p.is_quick && i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t next = n + parts[i].step;
		if (n < parts[i].end)
			return next < parts[i].end ? next : parts[i].end;
	}
	return n + 1;
}

/* The same line of every slice and every worker: else they flip bits of different vaults. */
static void tell_the_vault(void)
{
	uint8_t digest[HASH_BYTES];
	struct hash *h = hash_new();
	must(h == NULL ? -1 : 0, &(struct err){ .msg = "no memory" }, "hash");
	for (size_t i = 0; i < all.count; i++) /* names tell bytes, but for marks */
		hash_add(h, all.at[i].name, strlen(all.at[i].name) + 1);
	hash_end(h, digest);
	hash_free(h);
	printf("prove-bits: a vault of %zu objects, %llu bytes, called %02x%02x%02x%02x; %zu old "
	       "ones\n",
		all.count, (unsigned long long)all.bytes, digest[0], digest[1], digest[2],
		digest[3], old_ones.count);
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-bits", labels, 0, 0, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_ONE_SEED); /* the same vault: every jobs-th case of it */
	make_reference(p.seed);
	find_old_ones();
	p.total = all.bytes * 9 + (WHOLE_FLIPS + 2) * all.count + all.count * all.count +
		  all.count + old_ones.count;
	p.total = (p.total + p.jobs - 1 - p.job) / p.jobs;
	tell_the_vault();
	if (p.is_quick)
		p.at = p.seed % QUICK_STEP;
	for (; prove_slice_more(&p); p.at = next_case(p.at))
		run_case(p.at * p.jobs + p.job);
	view_done();
	plant_model_done(&plant);
	store_free(plant.f.store);
	store_free(attic);
	return prove_slice_end(&p);
}
