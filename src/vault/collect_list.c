#include "vault/collect_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"

/*
 * INVARIANTS
 * (1) What is opened seals to the same body: arrays are strictly ascending.
 */

#define GC_MAGIC "HFGC"
#define DEAD_MAGIC "HFDD"
#define VERSION 1
#define ITEM_BYTES 40
#define VERDICT_BYTES 48
#define GC_NAME_CHARS (3 + 32 + 1 + 8 + 1 + 64)

static int compare_items(const void *left, const void *right)
{
	const struct collect_list_item *a = left;
	const struct collect_list_item *b = right;
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	return memcmp(a->hash, b->hash, sizeof(a->hash));
}

static int compare_sessions(const void *a, const void *b)
{
	return memcmp(a, b, 16); /* a verdict begins with its session */
}

void collect_list_object(const struct collect_list_item *item, char name[COLLECT_LIST_NAME_BYTES])
{
	char hex[65];
	text_hex(item->hash, sizeof(item->hash), hex);
	if (item->class == COLLECT_LIST_PACK)
		(void)snprintf(name, COLLECT_LIST_NAME_BYTES, "pk/%.2s/%s", hex, hex); /* fits */
	else
		(void)snprintf(name, COLLECT_LIST_NAME_BYTES, "%s/%s",
			item->class == COLLECT_LIST_REFS ? "rf" : "ev", hex); /* fits */
}

/* ---- writing ------------------------------------------------------------------------------- */

static int add_items(const struct collect_list *l, struct buf *out, struct err *err)
{
	int rc = buf_add32(out, (uint32_t)l->count, err);
	for (size_t i = 0; rc == 0 && i < l->count; i++) {
		uint8_t b[ITEM_BYTES] = { 0 };
		memcpy(b, l->items[i].hash, 32);
		bytes_put32(b + 32, l->items[i].len);
		b[36] = l->items[i].class;
		b[37] = l->items[i].cause;
		rc = buf_add(out, b, sizeof(b), err);
	}
	return rc;
}

static int add_verdicts(const struct collect_list *l, struct buf *out, struct err *err)
{
	int rc = buf_add32(out, (uint32_t)l->verdict_count, err);
	for (size_t i = 0; rc == 0 && i < l->verdict_count; i++) {
		rc = buf_add(out, l->verdicts[i].session, 16, err);
		if (rc == 0)
			rc = buf_add(out, l->verdicts[i].snap_hash, 32, err);
	}
	return rc;
}

static int encode_gc(const struct collect_list *l, struct buf *out, struct err *err)
{
	uint8_t head[36] = { 0 };
	memcpy(head, GC_MAGIC, 4);
	head[4] = VERSION;
	head[5] = (uint8_t)l->type;
	memcpy(head + 8, l->run, 16);
	bytes_put32(head + 24, l->number);
	bytes_put64(head + 28, (uint64_t)l->wall_ns);
	int rc = buf_add(out, head, sizeof(head), err);
	if (rc == 0 && (l->type == COLLECT_LIST_WAITS || l->type == COLLECT_LIST_DELETE))
		rc = buf_add(out, l->about, sizeof(l->about), err);
	if (rc == 0 && l->type == COLLECT_LIST_WAITS)
		rc = buf_add32(out, (uint32_t)l->session_count, err);
	if (rc == 0 && (l->type == COLLECT_LIST_WAITS || l->type == COLLECT_LIST_FENCE) &&
		l->session_count > 0)
		rc = buf_add(out, l->sessions, l->session_count * 16, err);
	if (rc == 0 && (l->type == COLLECT_LIST_CONDEMNED || l->type == COLLECT_LIST_DELETE))
		rc = add_items(l, out, err);
	if (rc == 0 && l->type == COLLECT_LIST_DELETE)
		rc = add_verdicts(l, out, err);
	return rc;
}

static int encode_dead(const struct collect_list *l, struct buf *out, struct err *err)
{
	uint8_t head[64] = { 0 };
	memcpy(head, DEAD_MAGIC, 4);
	head[4] = VERSION;
	memcpy(head + 8, l->run, 16);
	memcpy(head + 24, l->about, 32);
	bytes_put64(head + 56, (uint64_t)l->wall_ns);
	int rc = buf_add(out, head, sizeof(head), err);
	return rc != 0 ? rc : add_items(l, out, err);
}

/* The name but for the hash. */
static void name_stem(const struct collect_list *l, char name[COLLECT_LIST_NAME_BYTES])
{
	char run[33];
	text_hex(l->run, sizeof(l->run), run);
	if (l->type == COLLECT_LIST_DEAD)
		(void)snprintf(name, COLLECT_LIST_NAME_BYTES, "dd/"); /* fits */
	else
		(void)snprintf(name, COLLECT_LIST_NAME_BYTES, "gc/%s-%08x-", run,
			(unsigned)l->number); /* fits */
}

int collect_list_seal(struct collect_list *l, const struct sealed_key *key, struct buf *out,
	char name[COLLECT_LIST_NAME_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char hex[SEALED_NAME_BYTES];
	if (l->count > COLLECT_LIST_MAX || l->session_count > COLLECT_LIST_MAX ||
		l->verdict_count > COLLECT_LIST_MAX)
		return err_set(err, ERR_LIMIT, "a collection list of more than %d entries",
			COLLECT_LIST_MAX);
	if (l->count > 0)
		qsort(l->items, l->count, sizeof(*l->items), compare_items);
	if (l->session_count > 0)
		qsort(l->sessions, l->session_count, 16, compare_sessions);
	if (l->verdict_count > 0)
		qsort(l->verdicts, l->verdict_count, sizeof(*l->verdicts), compare_sessions);
	bool is_dead = l->type == COLLECT_LIST_DEAD;
	int rc = is_dead ? encode_dead(l, &body, err) : encode_gc(l, &body, err);
	if (rc == 0)
		rc = sealed_seal(key, is_dead ? SEALED_DEAD : SEALED_GC, body.data, body.len, NULL,
			out, hex, err);
	if (rc != 0)
		return rc;
	name_stem(l, name);
	(void)strncat(name, hex, COLLECT_LIST_NAME_BYTES - 1 - strlen(name)); /* fits */
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct reading {
	const uint8_t *at;
	size_t len;
	struct err *err;
};

static int bad_form(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "a collection list has a wrong form");
}

/* A count and that many entries of ${size} bytes. */
static int take_array(struct reading *r, size_t size, const uint8_t **out, size_t *count)
{
	size_t n = r->len < 4 ? 0 : bytes_get32(r->at);
	if (r->len < 4 || n > COLLECT_LIST_MAX || r->len - 4 < n * size)
		return bad_form(r->err);
	*out = r->at + 4;
	*count = n;
	r->at += 4 + n * size;
	r->len -= 4 + n * size;
	return 0;
}

static int take_items(struct reading *r, struct collect_list *l)
{
	const uint8_t *b;
	size_t count;
	int rc = take_array(r, ITEM_BYTES, &b, &count);
	if (rc != 0)
		return rc;
	l->items = calloc(count + 1, sizeof(*l->items));
	if (l->items == NULL)
		return err_set(r->err, ERR_NOMEM, "out of memory");
	l->count = count;
	for (size_t i = 0; i < count; i++, b += ITEM_BYTES) {
		struct collect_list_item *item = &l->items[i];
		memcpy(item->hash, b, 32);
		item->len = bytes_get32(b + 32);
		item->class = b[36];
		item->cause = b[37];
		if (b[38] != 0 || b[39] != 0 || (i > 0 && compare_items(item - 1, item) >= 0))
			return bad_form(r->err);
		if (item->class < COLLECT_LIST_PACK || item->class > COLLECT_LIST_ENVELOPES ||
			item->cause < COLLECT_LIST_UNUSED || item->cause > COLLECT_LIST_REPACK)
			return err_set(
				r->err, ERR_UNSUPPORTED, "a collection list needs a newer version");
	}
	return 0;
}

static int take_sessions(struct reading *r, struct collect_list *l)
{
	const uint8_t *b = r->at;
	size_t count = 1;
	int rc = 0;
	if (l->type == COLLECT_LIST_WAITS)
		rc = take_array(r, 16, &b, &count);
	else if (r->len < 16)
		rc = bad_form(r->err);
	if (rc != 0)
		return rc;
	l->sessions = calloc(count + 1, 16);
	if (l->sessions == NULL)
		return err_set(r->err, ERR_NOMEM, "out of memory");
	l->session_count = count;
	memcpy(l->sessions, b, count * 16);
	for (size_t i = 1; i < count; i++) {
		if (compare_sessions(l->sessions[i - 1], l->sessions[i]) >= 0)
			return bad_form(r->err);
	}
	if (l->type == COLLECT_LIST_FENCE) {
		r->at += 16;
		r->len -= 16;
	}
	return 0;
}

static int take_verdicts(struct reading *r, struct collect_list *l)
{
	const uint8_t *b;
	size_t count;
	int rc = take_array(r, VERDICT_BYTES, &b, &count);
	if (rc != 0)
		return rc;
	l->verdicts = calloc(count + 1, sizeof(*l->verdicts));
	if (l->verdicts == NULL)
		return err_set(r->err, ERR_NOMEM, "out of memory");
	l->verdict_count = count;
	for (size_t i = 0; i < count; i++, b += VERDICT_BYTES) {
		memcpy(l->verdicts[i].session, b, 16);
		memcpy(l->verdicts[i].snap_hash, b + 16, 32);
		if (i > 0 && compare_sessions(&l->verdicts[i - 1], &l->verdicts[i]) >= 0)
			return bad_form(r->err);
	}
	return 0;
}

static int take_about(struct reading *r, struct collect_list *l)
{
	if (r->len < 32)
		return bad_form(r->err);
	memcpy(l->about, r->at, 32);
	r->at += 32;
	r->len -= 32;
	return 0;
}

static int decode_gc(struct reading *r, struct collect_list *l)
{
	const uint8_t *b = r->at;
	if (r->len < 36 || memcmp(b, GC_MAGIC, 4) != 0 || b[6] != 0 || b[7] != 0)
		return bad_form(r->err);
	if (b[4] != VERSION || b[5] < COLLECT_LIST_CONDEMNED || b[5] > COLLECT_LIST_DELETE)
		return err_set(r->err, ERR_UNSUPPORTED, "a collection list needs a newer version");
	l->type = (enum collect_list_type)b[5];
	memcpy(l->run, b + 8, 16);
	l->number = bytes_get32(b + 24);
	l->wall_ns = (int64_t)bytes_get64(b + 28);
	r->at += 36;
	r->len -= 36;
	int rc = 0;
	if (l->type == COLLECT_LIST_WAITS || l->type == COLLECT_LIST_DELETE)
		rc = take_about(r, l);
	if (rc == 0 && (l->type == COLLECT_LIST_WAITS || l->type == COLLECT_LIST_FENCE))
		rc = take_sessions(r, l);
	if (rc == 0 && (l->type == COLLECT_LIST_CONDEMNED || l->type == COLLECT_LIST_DELETE))
		rc = take_items(r, l);
	if (rc == 0 && l->type == COLLECT_LIST_DELETE)
		rc = take_verdicts(r, l);
	return rc;
}

static int decode_dead(struct reading *r, struct collect_list *l)
{
	const uint8_t *b = r->at;
	if (r->len < 64 || memcmp(b, DEAD_MAGIC, 4) != 0 || b[5] != 0 || b[6] != 0 || b[7] != 0)
		return bad_form(r->err);
	if (b[4] != VERSION)
		return err_set(r->err, ERR_UNSUPPORTED, "dead objects need a newer version");
	l->type = COLLECT_LIST_DEAD;
	memcpy(l->run, b + 8, 16);
	memcpy(l->about, b + 24, 32);
	l->wall_ns = (int64_t)bytes_get64(b + 56);
	r->at += 64;
	r->len -= 64;
	return take_items(r, l);
}

int collect_list_open(const struct sealed_key *key, const char *name, const void *object,
	size_t len, struct collect_list *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	bool is_dead = strncmp(name, "dd/", 3) == 0;
	int rc = sealed_open(key, is_dead ? SEALED_DEAD : SEALED_GC, object, len, &body, err);
	if (rc != 0)
		return rc;
	struct collect_list l = { .count = 0 };
	struct reading r = { .at = body.data, .len = body.len, .err = err };
	char stem[COLLECT_LIST_NAME_BYTES];
	rc = is_dead ? decode_dead(&r, &l) : decode_gc(&r, &l);
	if (rc == 0 && r.len > 0)
		rc = bad_form(err);
	name_stem(&l, stem);
	if (rc == 0 && (strncmp(name, stem, strlen(stem)) != 0 ||
			       (!is_dead && strlen(name) != GC_NAME_CHARS)))
		rc = err_set(err, ERR_CORRUPT, "a collection list stands under another's name");
	if (rc == 0)
		*out = l;
	else
		collect_list_done(&l);
	return rc;
}

void collect_list_done(struct collect_list *l)
{
	free(l->items);
	free(l->sessions);
	free(l->verdicts);
	memset(l, 0, sizeof(*l));
}

bool collect_list_has(
	const struct collect_list *l, enum collect_list_class class, const uint8_t hash[32])
{
	struct collect_list_item key = { .class = (uint8_t) class };
	memcpy(key.hash, hash, sizeof(key.hash));
	return l->count > 0 &&
	       bsearch(&key, l->items, l->count, sizeof(*l->items), compare_items) != NULL;
}

bool collect_list_has_session(const struct collect_list *l, const uint8_t session[16])
{
	return l->session_count > 0 &&
	       bsearch(session, l->sessions, l->session_count, 16, compare_sessions) != NULL;
}

const struct collect_list_verdict *collect_list_verdict(
	const struct collect_list *l, const uint8_t session[16])
{
	return l->verdict_count == 0 ? NULL
				     : bsearch(session, l->verdicts, l->verdict_count,
					       sizeof(*l->verdicts), compare_sessions);
}
