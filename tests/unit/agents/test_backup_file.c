#include "agents/backup_file.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/chunker_cases.h"
#include "tests/lib/fake_source.h"

#define LEN_MAX ((size_t)3 << 20)
#define PIECES_MAX 4000

/* Holes and records in file order, as they should be or as they are. */
struct pieces {
	size_t count;
	struct {
		bool is_hole;
		uint64_t length;
	} piece[PIECES_MAX];
};

static void add_piece(struct pieces *p, bool is_hole, uint64_t length)
{
	cr_assert(lt(sz, p->count, PIECES_MAX));
	p->piece[p->count].is_hole = is_hole;
	p->piece[p->count++].length = length;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	size_t n = 0;
	while (n < len && p[n] == 0)
		n++;
	return n == len;
}

/* The format's words, without any state: zero runs first, then each run of data on its own. */
static void expect_pieces(
	const struct chunker *c, const uint8_t *data, size_t len, struct pieces *out)
{
	out->count = 0;
	for (size_t at = 0, begin = 0; at <= len;) {
		size_t zeros = 0;
		while (at + zeros + 4096 <= len && is_zero(data + at + zeros, 4096))
			zeros += 4096;
		if (zeros < 65536 && at < len) {
			size_t step = zeros + 4096;
			at = step > len - at ? len : at + step;
			continue;
		}
		while (begin < at) {
			size_t n = chunker_cases_plain(c, data + begin, at - begin);
			add_piece(out, false, n);
			begin += n;
		}
		if (at == len)
			break;
		add_piece(out, true, zeros);
		at += zeros;
		begin = at;
	}
}

/* A sink that keeps the bytes, and names records by their number. */
struct kept {
	uint8_t *bytes;
	size_t len;
	uint32_t records;
};

static int keep(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct kept *k = self;
	(void)err; /* cannot fail */
	cr_assert(eq(int, type, RECORD_DATA));
	cr_assert(eq(int, class, RECORD_CLASS_STREAM));
	memcpy(k->bytes + k->len, raw, len);
	k->len += len;
	*ref = (struct ref){ .raw_len = (uint32_t)len, .cr_len = ++k->records };
	return 0;
}

/* The fake source, read in pieces of any size. */
static struct fake_source fake;
static uint64_t x = 20261126;
static size_t piece_max;

static int read_some(
	void *self, void *data, size_t cap, size_t *len, uint64_t *hole, struct err *err)
{
	size_t some = 1 + chunker_cases_random(&x) % piece_max;
	return ((const struct fake_source *)self)
		->source.read(self, data, some < cap ? some : cap, len, hole, err);
}

static size_t draw_file(uint8_t *data)
{
	size_t len = BUNDLE_FILE_BYTES + chunker_cases_random(&x) % (LEN_MAX - BUNDLE_FILE_BYTES);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)chunker_cases_random(&x);
	for (unsigned i = 0; i < 8; i++) {
		size_t at = chunker_cases_random(&x) % len, n = chunker_cases_random(&x) % 300000;
		if (i % 2 == 0) { /* at block edges, around the length that makes a hole */
			at -= at % 4096;
			n = 65536 - 8192 + 4096 * (chunker_cases_random(&x) % 6);
		}
		memset(data + at, 0, n < len - at ? n : len - at);
	}
	return len;
}

static void expect_file(struct backup_file *f, struct source *source, const struct chunker *c,
	const uint8_t *data, size_t len, struct kept *k)
{
	static struct pieces want;
	struct fake_file file = { .path = "a", .kind = ENTRY_FILE, .data = data, .len = len };
	struct source_item item;
	struct content *content = NULL;
	struct err err = ERR_INIT;

	fake_source_init(&fake, &file, 1);
	k->len = 0;
	cr_assert(eq(int, source->next(source->self, &item, &err), 1));
	cr_assert(eq(int, backup_file_read(f, source, &item, &content, &err), 1), "%s", err.msg);
	expect_pieces(c, data, len, &want);
	cr_assert(eq(u64, content->size, len));
	cr_assert(eq(sz, content->count, want.count));
	size_t at = 0, kept = 0;
	for (size_t i = 0; i < want.count; i++) {
		size_t n = (size_t)want.piece[i].length;
		cr_assert(eq(int, content->extents[i].is_hole, want.piece[i].is_hole), "%zu", i);
		cr_assert(eq(u64, content->extents[i].length, n), "piece %zu at %zu", i, at);
		if (!want.piece[i].is_hole) {
			cr_assert(eq(int, memcmp(k->bytes + kept, data + at, n), 0), "%zu", i);
			kept += n;
		}
		at += n;
	}
	cr_assert(eq(sz, kept, k->len));
	content_free(content);
}

Test(backup_file, runs_and_cuts_do_not_depend_on_how_the_bytes_arrive)
{
	struct chunker c;
	uint8_t key[32] = { 7 };
	uint8_t *data = malloc(LEN_MAX);
	struct kept k = { .bytes = malloc(LEN_MAX) };
	struct record_sink sink = { .self = &k, .put = keep };
	struct bundle bundle;
	uint64_t read_bytes = 0;
	struct backup_file *f = NULL;

	cr_assert(data != NULL && k.bytes != NULL);
	chunker_init(&c, key, (size_t)1 << 14);
	bundle_init(&bundle, key);
	struct backup_file_opts opts = {
		.chunker = &c, .sink = &sink, .bundle = &bundle, .read_bytes = &read_bytes
	};
	cr_assert(eq(int, backup_file_new(&opts, &f, NULL), 0));
	fake_source_init(&fake, NULL, 0);
	struct source source = fake.source;
	source.read = read_some;
	for (unsigned round = 0; round < 40; round++) {
		static const size_t pieces[] = { 1 << 20, 9000, 4096, 70000 };
		piece_max = pieces[round % 4];
		size_t len = draw_file(data);
		expect_file(f, &source, &c, data, len, &k);
	}
	cr_expect(ge(u64, k.records, 1000));
	backup_file_free(f);
	bundle_done(&bundle);
	free(data);
	free(k.bytes);
}
