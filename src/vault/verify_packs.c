#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/lineup.h"
#include "codec/text.h"
#include "crypto/hash_lanes.h"
#include "vault/collect_list.h"
#include "vault/pack.h"
#include "vault/record.h"
#include "vault/vault_internal.h"
#include "vault/verify_ages.h"
#include "vault/verify_internal.h"

/*
 *   give: read here --> lineup: hashed there, pack and records side by side --> take: told here
 *
 * INVARIANTS
 * (1) A pack is hashed as a whole and its records each; none of them counts before both are known.
 * (2) Packs are told in the order in which they were given.
 * (3) in_flight is the sum of the packs in memory: more than MAX_IN_FLIGHT only when it is one.
 */

#define MAX_TASKS (LINEUP_MAX_THREADS + 1)
#define MAX_IN_FLIGHT ((uint64_t)48 << 20)
#define GROUP 256 /* records hashed side by side */
#define SPARE_BYTES ((size_t)4 << 20)

struct task {
	struct verify *v;
	const char *name; /* borrowed from who gave it */
	uint64_t size;
	struct buf object;
	struct buf places; /* struct pack_place */
	size_t found;      /* so many of them, from the first on, hash to their IDs */
	int name_rc, rc;   /* of the pack's hash; of its footer and records */
	struct err name_why, why;
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

/* The records at ${places}, and with the first of them, or with none, the pack itself. */
static int check_group(struct task *t, struct group *g, const struct pack_place *places,
	size_t count, bool has_pack)
{
	const size_t first = has_pack ? 1 : 0;
	if (has_pack) {
		g->parts[0][0] = (struct hash_part){ t->object.data, t->object.len };
		g->items[0] = (struct hash_lanes_item){ .parts = g->parts[0], .count = 1 };
	}
	for (size_t i = 0; i < count; i++) {
		const struct pack_place *p = &places[i];
		struct hash_part *parts = g->parts[first + i];
		record_header(p->suite, p->type, p->cr_len, g->headers[i]);
		parts[0] = (struct hash_part){ g->headers[i], RECORD_HEADER_BYTES };
		parts[1] = (struct hash_part){ t->object.data + p->offset,
			p->cr_len - RECORD_HEADER_BYTES };
		g->items[first + i] = (struct hash_lanes_item){ .parts = parts, .count = 2 };
	}
	hash_lanes_run(g->items, first + count);
	if (has_pack)
		check_name(t, g->items[0].out);
	for (size_t i = 0; i < count; i++) {
		if (memcmp(g->items[first + i].out, places[i].id, HASH_BYTES) != 0)
			return err_set(&t->why, ERR_CORRUPT,
				"the record at %u does not hash to its ID", places[i].offset);
		t->found++;
	}
	return 0;
}

static void do_task(void *arg, unsigned worker)
{
	(void)worker;
	struct task *t = arg;
	int class = 0;
	CLEANUP(cleanup_free_p) struct group *g = malloc(sizeof(*g));
	t->name_rc = 0;
	t->rc = pack_footer_open(vault_sealed_key(t->v->vault), t->object.data, t->object.len,
		t->object.len, &class, keep_place, t, &t->why);
	if (g == NULL) {
		t->rc = t->name_rc = err_set(&t->name_why, ERR_NOMEM, "out of memory");
		return;
	}
	const size_t count = t->rc == 0 ? t->places.len / sizeof(struct pack_place) : 0;
	const struct pack_place *places = (const struct pack_place *)(const void *)t->places.data;
	size_t done = 0;
	do {
		size_t n = count - done < GROUP ? count - done : GROUP;
		int rc = check_group(t, g, places + done, n, done == 0);
		if (t->rc == 0)
			t->rc = rc;
		done += n;
	} while (t->rc == 0 && done < count);
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
			.places = BUF_INIT((size_t)PACK_MAX_RECORDS * sizeof(struct pack_place)) };
		p->spare[p->spare_count++] = &p->tasks[i];
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
		v->result->bytes += t->object.len;
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
	if (t == NULL)
		return 0;
	int rc = check_pack(v, t, &why);
	if (rc != 0)
		bad(v, t->name, &why);
	else if (!v->is_short)
		keep_age(v, t->name, env_now_ns() / 1000000000);
	p->in_flight -= t->size;
	p->spare[p->spare_count++] = t;
	return verify_step(v, t->size, err);
}

int verify_packs_give(struct verify *v, const char *name, uint64_t size, struct err *err)
{
	struct verify_packs *p = v->packs;
	int rc = 0;
	while (rc == 0 &&
		(p->spare_count == 0 || (p->in_flight > 0 && p->in_flight + size > MAX_IN_FLIGHT)))
		rc = take(v, err);
	if (rc != 0)
		return rc;
	struct task *t = p->spare[p->spare_count - 1];
	if (t->object.cap > size + SPARE_BYTES)
		buf_done(&t->object); /* in_flight is what there is */
	buf_clear(&t->places);
	t->found = 0;
	t->why = (struct err)ERR_INIT;
	rc = verify_objects_read(v, name, size, &t->object, bad, err);
	if (rc <= 0)
		return rc < 0 ? rc : verify_step(v, size, err);
	t->name = name;
	t->size = size;
	p->in_flight += size;
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
