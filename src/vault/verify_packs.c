#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/lineup.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hash_lanes.h"
#include "vault/collect_list.h"
#include "vault/fetch.h"
#include "vault/pack.h"
#include "vault/record.h"
#include "vault/vault_internal.h"
#include "vault/verify_ages.h"
#include "vault/verify_internal.h"

/*
 *   give: a small pack is read here --> lineup: a large one is read there, slice by slice; pack and
 *   records hashed side by side --> take: told here
 *
 * INVARIANTS
 * (1) A pack is hashed as a whole and its records each; none of them counts before both are known.
 * (2) Packs are told in the order in which they were given.
 * (3) in_flight is the sum of what the packs under way need: more than MAX_IN_FLIGHT only when it
 *     is one.
 * (4) object holds the pack's bytes from ${at} on, which is whole steps of the hash; before it all
 *     of them went into the chain.
 */

#define MAX_TASKS (LINEUP_MAX_THREADS + 1)
#define MAX_IN_FLIGHT ((uint64_t)48 << 20)
#define GROUP 256 /* records hashed side by side */
#define SPARE_BYTES ((size_t)4 << 20)
/* A larger pack is read in slices: several are under way in the memory of one, and what is hashed
 * is still in the processor's cache.  A record that is longer, which no writer of ours makes, is
 * one slice. */
#define SLICE_BYTES ((size_t)RECORD_MAX_WRITE_BYTES)

struct task {
	struct verify *v;
	const char *name; /* borrowed from who gave it */
	uint64_t listed;  /* bytes of the pack, by its name's line */
	uint64_t size;    /* as they are read */
	uint64_t need;    /* in memory, of in_flight */
	bool is_sliced;
	uint8_t pack[HASH_BYTES]; /* likewise: the hash in its name */
	struct buf object;
	size_t at;
	struct hash *hash; /* owned; of the chain */
	struct hash_lanes_chain chain;
	struct buf places; /* struct pack_place */
	size_t found;      /* so many of them, from the first on, hash to their IDs */
	int read_rc;       /* of a slice that cannot be had, in read_why */
	int name_rc, rc;   /* of the pack's hash; of its footer and records */
	struct err read_why, name_why, why;
};

struct verify_packs {
	struct lineup *lineup;
	struct task tasks[MAX_TASKS];
	struct task *spare[MAX_TASKS];
	size_t spare_count, task_count;
	uint64_t in_flight;
};

/* ---- on the threads -----------------------------------------------------------------------------
 */

static int keep_place(void *arg, const struct pack_place *p, struct err *why)
{
	struct task *t = arg;
	return buf_add(&t->places, p, sizeof(*p), why);
}

static void check_name(struct task *t, const uint8_t hash[HASH_BYTES])
{
	char hex[2 * HASH_BYTES + 1];
	const size_t len = strlen(t->name);
	text_hex(hash, HASH_BYTES, hex);
	if (len < 64 || strcmp(t->name + len - 64, hex) != 0)
		t->name_rc =
			err_set(&t->name_why, ERR_CORRUPT, "its bytes do not hash to its name");
}

/* What a group of messages needs. */
struct group {
	struct hash_lanes_item items[GROUP + 1];
	struct hash_part parts[GROUP + 1][2];
	uint8_t headers[GROUP][RECORD_HEADER_BYTES];
};

/* The records at ${places}, which lie in object, and beside them, unless ${bytes} is NULL, the next
 * bytes of the pack itself, of which ${is_open} says that they are not the last. */
static int check_group(struct task *t, struct group *g, const struct pack_place *places,
	size_t count, const struct hash_part *bytes, bool is_open)
{
	const size_t first = bytes != NULL ? 1 : 0;
	if (bytes != NULL)
		g->items[0] = (struct hash_lanes_item){
			.parts = bytes, .count = 1, .chain = &t->chain, .is_open = is_open
		};
	for (size_t i = 0; i < count; i++) {
		const struct pack_place *p = &places[i];
		struct hash_part *parts = g->parts[first + i];
		record_header(p->suite, p->type, p->cr_len, g->headers[i]);
		parts[0] = (struct hash_part){ g->headers[i], RECORD_HEADER_BYTES };
		parts[1] = (struct hash_part){ t->object.data + (p->offset - t->at),
			p->cr_len - RECORD_HEADER_BYTES };
		g->items[first + i] = (struct hash_lanes_item){ .parts = parts, .count = 2 };
	}
	hash_lanes_run(g->items, first + count);
	if (bytes != NULL && !is_open)
		check_name(t, g->items[0].out);
	for (size_t i = 0; i < count; i++) {
		if (memcmp(g->items[first + i].out, places[i].id, HASH_BYTES) != 0)
			return err_set(&t->why, ERR_CORRUPT,
				"the record at %u does not hash to its ID", places[i].offset);
		t->found++;
	}
	return 0;
}

static uint64_t place_end(const struct pack_place *p)
{
	return (uint64_t)p->offset + p->cr_len - RECORD_HEADER_BYTES;
}

/* The places, of which none counts when the footer is not right. */
static const struct pack_place *places_of(const struct task *t, size_t *count)
{
	*count = t->rc == 0 ? t->places.len / sizeof(struct pack_place) : 0;
	return (const struct pack_place *)(const void *)t->places.data;
}

/* Hash what object holds, and of the records those that end in it. */
static void check_slice(struct task *t, struct group *g)
{
	const size_t end = t->at + t->object.len;
	const bool is_open = end < t->size;
	const size_t steps = t->object.len / HASH_LANES_STEP_BYTES * HASH_LANES_STEP_BYTES;
	const struct hash_part all = { t->object.data, is_open ? steps : t->object.len };
	const struct hash_part *bytes = &all;
	size_t count;
	const struct pack_place *places = places_of(t, &count);
	do {
		size_t n = 0;
		while (n < GROUP && t->found + n < count && place_end(&places[t->found + n]) <= end)
			n++;
		int rc = check_group(t, g, places + t->found, n, bytes, is_open);
		if (t->rc == 0)
			t->rc = rc;
		if (t->rc != 0 || n == 0)
			break;
		bytes = NULL;
	} while (t->found < count);
	if (!is_open)
		return;
	memmove(t->object.data, t->object.data + steps, t->object.len - steps);
	t->object.len -= steps;
	t->at += steps;
}

/* The end of the next slice: of as many whole records as it may hold, but of one at least. */
static uint64_t slice_end(const struct task *t)
{
	size_t count;
	const struct pack_place *places = places_of(t, &count);
	const uint64_t most = t->at + SLICE_BYTES;
	uint64_t end = 0;
	for (size_t i = t->found; i < count; i++) {
		if (end > 0 && place_end(&places[i]) > most)
			return end;
		end = place_end(&places[i]);
	}
	if (end > most)
		return end;
	return most < t->size ? most : t->size; /* with the footer; or no place is known */
}

/* Read a large pack, and check it on the way. */
static int read_sliced(struct task *t, struct group *g, struct err *why)
{
	struct store *store = vault_store(t->v->vault);
	struct fetch_footer footer = { .at = NULL };
	int rc = buf_reserve(&t->object, SLICE_BYTES, why);
	if (rc != 0)
		return rc;
	t->rc = fetch_footer(t->v->vault, t->pack, t->size, &footer, &t->why);
	if (t->rc == 0)
		t->rc = buf_add(&t->places, footer.at, footer.count * sizeof(*footer.at), &t->why);
	fetch_footer_done(&footer);
	for (uint64_t done = 0; rc == 0 && done < t->size;) {
		const uint64_t end = slice_end(t);
		rc = store_get_range(store, t->name, done, (size_t)(end - done), &t->object, why);
		if (rc == 0)
			check_slice(t, g);
		done = end;
	}
	return rc;
}

static void do_task(void *arg, unsigned worker)
{
	(void)worker;
	struct task *t = arg;
	int class = 0;
	CLEANUP(cleanup_free_p) struct group *g = malloc(sizeof(*g));
	if (g == NULL) {
		t->read_rc = err_set(&t->read_why, ERR_NOMEM, "out of memory");
		return;
	}
	if (t->is_sliced) {
		t->read_rc = read_sliced(t, g, &t->read_why);
		return;
	}
	t->size = t->object.len;
	t->rc = pack_footer_open(vault_sealed_key(t->v->vault), t->object.data, t->object.len,
		t->object.len, &class, keep_place, t, &t->why);
	check_slice(t, g);
}

/* ---- here ---------------------------------------------------------------------------------------
 */

int verify_packs_new(struct verify *v, struct err *err)
{
	struct verify_packs *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	v->packs = p;
	p->task_count = lineup_threads() + 1;
	for (size_t i = 0; i < p->task_count; i++) {
		p->tasks[i] = (struct task){ .v = v,
			.object = BUF_INIT(STORE_MAX_OBJECT_BYTES),
			.places = BUF_INIT((size_t)PACK_MAX_RECORDS * sizeof(struct pack_place)),
			.hash = hash_new() };
		p->spare[p->spare_count++] = &p->tasks[i];
		if (p->tasks[i].hash == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return lineup_new(p->task_count, do_task, &p->lineup, err);
}

void verify_packs_free(struct verify *v)
{
	struct verify_packs *p = v->packs;
	if (p == NULL)
		return;
	lineup_free(p->lineup);
	for (size_t i = 0; i < p->task_count; i++) {
		buf_done(&p->tasks[i].object);
		buf_done(&p->tasks[i].places);
		hash_free(p->tasks[i].hash);
	}
	free(p);
	v->packs = NULL;
}

static int add_good(struct verify *v, const struct task *t, struct err *why)
{
	const struct pack_place *places = (const struct pack_place *)(const void *)t->places.data;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < t->found; i++)
		rc = id_marks_add(v->good, places[i].id, places[i].cr_len, why);
	return rc;
}

/* What is found of a pack, the first thing that is wrong in ${why}. */
static int check_pack(struct verify *v, struct task *t, struct err *why)
{
	const char *hex = strrchr(t->name, '/');
	uint8_t hash[HASH_BYTES];
	int rc = t->name_rc;
	if (rc != 0)
		*why = t->name_why;
	if (rc == 0 && (hex == NULL || strlen(t->name) != 3 + 2 + 1 + 64 ||
			       strncmp(t->name + 3, hex + 1, 2) != 0))
		rc = err_set(why, ERR_CORRUPT, "the pack lies in the wrong folder");
	if (rc == 0) {
		v->result->packs++;
		v->result->records += t->found;
		v->result->bytes += t->size;
		/* what a dead pack holds does not count as there */
		if (text_unhex(hex + 1, sizeof(hash), hash) != 0 ||
			!collect_view_is_dead(&v->lists, COLLECT_LIST_PACK, hash))
			rc = add_good(v, t, why);
	}
	if (rc == 0 && t->rc != 0) {
		*why = t->why;
		rc = t->rc;
	}
	return rc;
}

/* Remember how a pack was found. */
static void keep_age(struct verify *v, const char *name, int64_t second)
{
	uint8_t hash[HASH_BYTES];
	const char *end = strrchr(name, '/');
	if (v->opts->ages != NULL && strlen(end + 1) == 2 * HASH_BYTES &&
		text_unhex(end + 1, sizeof(hash), hash) == 0)
		verify_ages_set(v->opts->ages, hash, second);
}

static void bad(struct verify *v, const char *name, const struct err *why)
{
	const uint64_t before = v->result->problems;
	verify_problem(v, name, why);
	verify_parity_note(v, name);
	if (v->result->problems > before)
		keep_age(v, name, VERIFY_AGES_DAMAGED);
}

static int take(struct verify *v, struct err *err)
{
	struct verify_packs *p = v->packs;
	struct task *t = lineup_take(p->lineup);
	struct err why = ERR_INIT;
	int rc = 0;
	if (t == NULL)
		return 0;
	p->in_flight -= t->need;
	p->spare[p->spare_count++] = t;
	if (t->read_rc != 0) {
		rc = verify_objects_unread(v, t->name, &t->read_why, bad, err);
	} else if (check_pack(v, t, &why) != 0) {
		bad(v, t->name, &why);
	} else if (!v->is_short) {
		keep_age(v, t->name, env_now_ns() / 1000000000);
	}
	return rc != 0 ? rc : verify_step(v, t->listed, err);
}

/* Is the pack better read in slices?  One under another name than its own is not: its footer would
 * be looked for under that. */
static bool is_for_slices(const char *name, uint64_t size, uint8_t hash[HASH_BYTES])
{
	char own[FETCH_PACK_NAME_BYTES];
	const char *hex = strrchr(name, '/');
	if (size <= SLICE_BYTES || size > PACK_MAX_BYTES || hex == NULL ||
		strlen(hex + 1) != 2 * HASH_BYTES || text_unhex(hex + 1, HASH_BYTES, hash) != 0)
		return false;
	fetch_pack_name(hash, own);
	return strcmp(own, name) == 0;
}

static void begin_task(struct task *t, const char *name, uint64_t size)
{
	uint8_t unused[HASH_BYTES];
	hash_end(t->hash, unused); /* what an error may have left */
	t->chain = (struct hash_lanes_chain){ .hash = t->hash };
	t->name = name;
	t->listed = t->size = size;
	t->is_sliced = is_for_slices(name, size, t->pack);
	t->need = t->is_sliced ? SLICE_BYTES : size;
	t->at = 0;
	t->found = 0;
	t->read_rc = t->name_rc = t->rc = 0;
	t->read_why = t->name_why = t->why = (struct err)ERR_INIT;
	if (t->object.cap > t->need + SPARE_BYTES)
		buf_done(&t->object); /* in_flight is what there is */
	buf_clear(&t->object);
	buf_clear(&t->places);
}

int verify_packs_give(struct verify *v, const char *name, uint64_t size, struct err *err)
{
	struct verify_packs *p = v->packs;
	uint8_t unused[HASH_BYTES];
	const uint64_t need = is_for_slices(name, size, unused) ? SLICE_BYTES : size;
	int rc = 0;
	while (rc == 0 &&
		(p->spare_count == 0 || (p->in_flight > 0 && p->in_flight + need > MAX_IN_FLIGHT)))
		rc = take(v, err);
	if (rc != 0)
		return rc;
	struct task *t = p->spare[p->spare_count - 1];
	begin_task(t, name, size);
	rc = t->is_sliced ? 1 : verify_objects_read(v, name, size, &t->object, bad, err);
	if (rc <= 0)
		return rc < 0 ? rc : verify_step(v, size, err);
	p->in_flight += t->need;
	p->spare_count--;
	lineup_give(p->lineup, t);
	return 0;
}

int verify_packs_end(struct verify *v, struct err *err)
{
	struct verify_packs *p = v->packs;
	int rc = 0;
	while (rc == 0 && p->spare_count < p->task_count)
		rc = take(v, err);
	return rc;
}
