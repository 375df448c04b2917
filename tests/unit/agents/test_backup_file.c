#include "agents/backup_file.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "agents/uploader.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/chunker_cases.h"
#include "tests/lib/fake_source.h"

#define LEN_MAX ((size_t)3 << 20)
#define PIECES_MAX 4000
#define KEPT_MAX (2 * LEN_MAX)

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

/* A port that has nothing and keeps what comes. */
struct kept {
	struct port port;
	uint8_t *bytes; /* KEPT_MAX */
	size_t len, count;
	struct {
		uint8_t id[HASH_BYTES];
		size_t at;
	} record[PIECES_MAX];
};

static int kept_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	(void)self;
	(void)ids;
	(void)err; /* cannot fail */
	memset(present, 0, count);
	return 0;
}

static int kept_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct kept *k = self;
	while (len > 0) {
		uint32_t cr_len = 0;
		int suite, type;
		int rc = record_peek(batch, len, &cr_len, &suite, &type, err);
		if (rc != 0 || k->len + cr_len > KEPT_MAX || k->count == PIECES_MAX)
			return -ERR_CORRUPT;
		memcpy(k->bytes + k->len, batch, cr_len);
		hash_sha256(batch, cr_len, k->record[k->count].id);
		k->record[k->count++].at = k->len;
		k->len += cr_len;
		batch += cr_len;
		len -= cr_len;
	}
	return 0;
}

/* The raw bytes of ${ref} are those at ${data}. */
static void expect_record(const struct kept *k, struct record_opener *opener, const struct ref *ref,
	const uint8_t *data, size_t len)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(LEN_MAX);
	struct err err = ERR_INIT;
	size_t i = 0;
	while (i < k->count && memcmp(k->record[i].id, ref->id, HASH_BYTES) != 0)
		i++;
	cr_assert(lt(sz, i, k->count));
	cr_assert(eq(int,
			  record_open(opener, ref, RECORD_DATA, k->bytes + k->record[i].at,
				  ref->cr_len, &raw, &err),
			  0),
		"%s", err.msg);
	cr_assert(eq(sz, raw.len, len));
	cr_assert(eq(int, memcmp(raw.data, data, len), 0));
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

struct bench {
	struct chunker chunker;
	struct kept kept;
	struct uploader *uploader;
	struct record_opener *opener;
	struct backup_file *file;
	struct source source; /* the fake one, reading in pieces */
};

static void expect_file(struct bench *b, const uint8_t *data, size_t len)
{
	static struct pieces want;
	struct fake_file file = { .path = "a", .kind = ENTRY_FILE, .data = data, .len = len };
	struct source_item item;
	struct content *content = NULL;
	struct err err = ERR_INIT;

	fake_source_init(&fake, &file, 1);
	b->kept.len = b->kept.count = 0;
	cr_assert(eq(int, b->source.next(&fake, &item, &err), 1));
	cr_assert(eq(int, backup_file_read(b->file, &b->source, &item, &content, &err), 1), "%s",
		err.msg);
	cr_assert(eq(int, uploader_flush(b->uploader, &err), 0), "%s", err.msg);
	expect_pieces(&b->chunker, data, len, &want);
	cr_assert(eq(u64, content->size, len));
	cr_assert(eq(sz, content->count, want.count));
	cr_assert(content_is_whole(content));
	size_t at = 0;
	for (size_t i = 0; i < want.count; i++) {
		const struct extent *e = &content->extents[i];
		size_t n = (size_t)want.piece[i].length;
		cr_assert(eq(int, e->is_hole, want.piece[i].is_hole), "piece %zu at %zu", i, at);
		cr_assert(eq(u64, e->length, n), "piece %zu at %zu", i, at);
		if (!e->is_hole)
			expect_record(&b->kept, b->opener, &e->ref, data + at, n);
		at += n;
	}
	content_free(content);
}

Test(backup_file, runs_and_cuts_do_not_depend_on_how_the_bytes_arrive)
{
	static struct bench b;
	static const uint8_t key[32] = { 7 };
	uint8_t *data = malloc(LEN_MAX);
	struct bundle bundle;
	uint64_t read_bytes = 0, records = 0;

	b.kept.bytes = malloc(KEPT_MAX);
	cr_assert(data != NULL && b.kept.bytes != NULL);
	b.kept.port = (struct port){ .self = &b.kept, .has = kept_has, .put = kept_put };
	const struct uploader_opts up = {
		.port = &b.kept.port, .k_mle = key, .check = RECORD_CHECK_OPEN
	};
	cr_assert(eq(int, uploader_new(&up, &b.uploader, NULL), 0));
	cr_assert(eq(int, record_opener_new(&b.opener, NULL), 0));
	chunker_init(&b.chunker, key, (size_t)1 << 14);
	bundle_init(&bundle, key);
	struct backup_file_opts opts = { .chunker = &b.chunker,
		.uploader = b.uploader,
		.bundle = &bundle,
		.read_bytes = &read_bytes };
	cr_assert(eq(int, backup_file_new(&opts, &b.file, NULL), 0));
	fake_source_init(&fake, NULL, 0);
	b.source = fake.source;
	b.source.read = read_some;
	for (unsigned round = 0; round < 40; round++) {
		static const size_t pieces[] = { 1 << 20, 9000, 4096, 70000 };
		piece_max = pieces[round % 4];
		expect_file(&b, data, draw_file(data));
		records += b.kept.count;
	}
	cr_expect(ge(u64, records, 1000));
	backup_file_free(b.file);
	uploader_free(b.uploader);
	record_opener_free(b.opener);
	bundle_done(&bundle);
	free(data);
	free(b.kept.bytes);
}

static int closing;

static int close_fails(void *arg, struct err *err)
{
	backup_file_sum(*(struct backup_file **)arg);
	closing++;
	return err_set(err, ERR_IO, "the bundle cannot be given away");
}

/* Four small files wait in the bundle when the fifth finds no room in it and the run fails; one
 * more waits at the end. */
Test(backup_file, what_waits_for_its_digest_is_hashed_once_and_let_go_whatever_fails)
{
	static uint8_t data[BUNDLE_FILE_BYTES - 1];
	static const uint8_t key[32] = { 7 };
	struct fake_file files[6];
	struct content *contents[6] = { NULL };
	struct chunker chunker;
	struct bundle bundle;
	struct backup_file *file = NULL;
	struct source_item item;
	struct err err = ERR_INIT;
	uint64_t read_bytes = 0;
	uint8_t want[HASH_BYTES];
	char names[6][2];
	chunker_init(&chunker, key, CHUNKER_AVERAGE_BYTES);
	bundle_init(&bundle, key);
	const struct backup_file_opts opts = { .chunker = &chunker,
		.bundle = &bundle,
		.arg = &file,
		.close_bundle = close_fails,
		.read_bytes = &read_bytes };
	cr_assert(eq(int, backup_file_new(&opts, &file, NULL), 0));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(chunker_cases_random(&x) | 1);
	for (size_t i = 0; i < 6; i++) {
		names[i][0] = (char)('a' + i);
		names[i][1] = '\0';
		files[i] = (struct fake_file){
			.path = names[i], .kind = ENTRY_FILE, .data = data, .len = sizeof(data) - i
		};
	}
	fake_source_init(&fake, files, 6);
	for (size_t i = 0; i < 5; i++) {
		cr_assert(eq(int, fake.source.next(&fake, &item, &err), 1));
		int rc = backup_file_read(file, &fake.source, &item, &contents[i], &err);
		cr_assert(eq(int, rc, i < 4 ? 1 : -ERR_IO), "file %zu: %s", i, err.msg);
	}
	cr_expect(eq(int, closing, 1));
	for (size_t i = 0; i < 4; i++) {
		hash_sha256(data, sizeof(data) - i, want);
		cr_expect(
			eq(int, memcmp(contents[i]->digest, want, sizeof(want)), 0), "file %zu", i);
		cr_expect(eq(uint, contents[i]->users, 1), "file %zu", i);
		content_free(contents[i]);
	}
	bundle_clear(&bundle);
	cr_assert(eq(int, fake.source.next(&fake, &item, &err), 1));
	cr_assert(eq(int, backup_file_read(file, &fake.source, &item, &contents[5], &err), 1));
	cr_expect(eq(uint, contents[5]->users, 2), "it waits");
	backup_file_free(file);
	cr_expect(eq(uint, contents[5]->users, 1));
	content_free(contents[5]);
	bundle_done(&bundle);
}
