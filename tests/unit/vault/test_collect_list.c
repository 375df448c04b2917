#include "vault/collect_list.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "vault/sealed.h"

static struct sealed_key key;
static struct err err;

static void setup(void)
{
	uint8_t id[16] = { 1 };
	uint8_t k[32] = { 2 };
	sealed_key_init(&key, id, 1, k);
}

TestSuite(collect_list, .init = setup);

/* A list of each type, its entries not in order. */
static void make(struct collect_list *l, enum collect_list_type type)
{
	memset(l, 0, sizeof(*l));
	l->type = type;
	l->number = type == COLLECT_LIST_DEAD ? 0 : 0x1f;
	l->wall_ns = 77;
	memset(l->run, 0x3c, sizeof(l->run));
	if (type == COLLECT_LIST_WAITS || type >= COLLECT_LIST_DELETE)
		memset(l->about, 0x44, sizeof(l->about));
	if (type == COLLECT_LIST_WAITS || type == COLLECT_LIST_FENCE) {
		l->session_count = type == COLLECT_LIST_FENCE ? 1 : 3;
		l->sessions = calloc(3, 16);
		for (size_t i = 0; i < l->session_count; i++)
			l->sessions[i][0] = (uint8_t)(9 - i);
		return;
	}
	l->count = 3;
	l->items = calloc(3, sizeof(*l->items));
	for (uint8_t i = 0; i < 3; i++) {
		l->items[i].hash[0] = i;
		l->items[i].class = 3 - i;
		l->items[i].cause = i == 2 ? COLLECT_LIST_REPACK : COLLECT_LIST_UNUSED;
		l->items[i].len = 4096;
	}
	if (type == COLLECT_LIST_DELETE) {
		l->verdict_count = 2;
		l->verdicts = calloc(2, sizeof(*l->verdicts));
		l->verdicts[0].session[3] = 5;
		l->verdicts[1].snap_hash[8] = 6;
	}
}

Test(collect_list, every_type_reads_back)
{
	for (int type = COLLECT_LIST_CONDEMNED; type <= COLLECT_LIST_DEAD; type++) {
		struct collect_list l;
		struct collect_list back;
		char name[COLLECT_LIST_NAME_BYTES];
		struct buf out = BUF_INIT(1 << 20);
		make(&l, (enum collect_list_type)type);
		cr_assert(eq(int, collect_list_seal(&l, &key, &out, name, &err), 0));
		cr_assert(eq(int, collect_list_open(&key, name, out.data, out.len, &back, &err), 0),
			"%d: %s", type, err.msg);
		cr_expect(eq(int, (int)back.type, type));
		cr_expect(eq(int, memcmp(back.run, l.run, 16), 0));
		cr_expect(eq(int, memcmp(back.about, l.about, 32), 0));
		cr_expect(eq(u32, back.number, l.number));
		cr_expect(eq(sz, back.count, l.count));
		cr_expect(eq(sz, back.session_count, l.session_count));
		cr_expect(eq(sz, back.verdict_count, l.verdict_count));
		for (size_t i = 0; i < l.count; i++) {
			cr_expect(collect_list_has(
				&back, (enum collect_list_class)l.items[i].class, l.items[i].hash));
			cr_expect(eq(int,
				collect_list_has(&back,
					(enum collect_list_class)(l.items[i].class % 3 + 1),
					l.items[i].hash),
				0));
		}
		for (size_t i = 0; i < l.session_count; i++)
			cr_expect(collect_list_has_session(&back, l.sessions[i]));
		for (size_t i = 0; i < l.verdict_count; i++)
			cr_expect(ne(ptr,
				(void *)collect_list_verdict(&back, l.verdicts[i].session), NULL));
		uint8_t other[16] = { 0xee };
		cr_expect(eq(int, collect_list_has_session(&back, other), 0));
		cr_expect(eq(ptr, (void *)collect_list_verdict(&back, other), NULL));
		collect_list_done(&l);
		collect_list_done(&back);
		buf_done(&out);
	}
}

Test(collect_list, another_name_is_refused)
{
	struct collect_list l;
	struct collect_list back;
	char name[COLLECT_LIST_NAME_BYTES];
	struct buf out = BUF_INIT(1 << 20);
	make(&l, COLLECT_LIST_CONDEMNED);
	cr_assert(eq(int, collect_list_seal(&l, &key, &out, name, &err), 0));
	name[5] ^= 1; /* the run */
	cr_expect(eq(
		int, collect_list_open(&key, name, out.data, out.len, &back, &err), -ERR_CORRUPT));
	name[5] ^= 1;
	name[3 + 32 + 8] ^= 1; /* the number */
	cr_expect(eq(
		int, collect_list_open(&key, name, out.data, out.len, &back, &err), -ERR_CORRUPT));
	cr_expect(eq(int, collect_list_open(&key, "dd/", out.data, out.len, &back, &err),
		-ERR_CORRUPT)); /* another kind of object */
	collect_list_done(&l);
	buf_done(&out);
}

/* Bodies that are sealed well and of a wrong form. */
static int open_body(const uint8_t *body, size_t len, const char *name)
{
	struct collect_list back;
	struct buf out = BUF_INIT(1 << 20);
	char hex[SEALED_NAME_BYTES];
	enum sealed_kind kind = name[0] == 'd' ? SEALED_DEAD : SEALED_GC;
	cr_assert(eq(int, sealed_seal(&key, kind, body, len, NULL, &out, hex, &err), 0));
	int rc = collect_list_open(&key, name, out.data, out.len, &back, &err);
	if (rc == 0)
		collect_list_done(&back);
	buf_done(&out);
	return rc;
}

Test(collect_list, no_body_is_taken_cut_short_long_or_out_of_order)
{
	for (int type = COLLECT_LIST_CONDEMNED; type <= COLLECT_LIST_DEAD; type++) {
		struct collect_list l;
		char name[COLLECT_LIST_NAME_BYTES];
		struct buf out = BUF_INIT(1 << 20);
		struct buf body = BUF_INIT(1 << 20);
		make(&l, (enum collect_list_type)type);
		cr_assert(eq(int, collect_list_seal(&l, &key, &out, name, &err), 0));
		cr_assert(eq(int,
			sealed_open(&key, name[0] == 'd' ? SEALED_DEAD : SEALED_GC, out.data,
				out.len, &body, &err),
			0));
		cr_expect(eq(int, open_body(body.data, body.len, name), 0));
		for (size_t i = 0; i < body.len; i++)
			cr_expect(eq(int, open_body(body.data, i, name), -ERR_CORRUPT), "%d %zu",
				type, i);
		cr_assert(eq(int, buf_add8(&body, 0, &err), 0));
		cr_expect(eq(int, open_body(body.data, body.len, name), -ERR_CORRUPT));
		body.len--;
		body.data[4] = 2;
		cr_expect(eq(int, open_body(body.data, body.len, name), -ERR_UNSUPPORTED));
		body.data[4] = 1;
		if (type != COLLECT_LIST_FENCE) { /* the last entry is the first again */
			size_t size = type == COLLECT_LIST_WAITS    ? 16
				      : type == COLLECT_LIST_DELETE ? 48
								    : 40;
			memcpy(body.data + body.len - size, body.data + body.len - 2 * size, size);
			cr_expect(eq(int, open_body(body.data, body.len, name), -ERR_CORRUPT));
		}
		collect_list_done(&l);
		buf_done(&out);
		buf_done(&body);
	}
}

Test(collect_list, an_item_tells_the_name_of_its_object)
{
	char name[COLLECT_LIST_NAME_BYTES];
	struct collect_list_item item = { .hash = { 0xab, 0xcd }, .class = COLLECT_LIST_PACK };
	collect_list_object(&item, name);
	cr_expect(eq(int, strncmp(name, "pk/ab/abcd00", 12), 0));
	item.class = COLLECT_LIST_REFS;
	collect_list_object(&item, name);
	cr_expect(eq(int, strncmp(name, "rf/abcd00", 9), 0));
	item.class = COLLECT_LIST_ENVELOPES;
	collect_list_object(&item, name);
	cr_expect(eq(int, strncmp(name, "ev/abcd00", 9), 0));
}
