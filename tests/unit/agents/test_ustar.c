#include "agents/sources/ustar.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

TestSuite(ustar, .timeout = 60);

/* What the callbacks saw, as text: "f path mode size [bytes]" and so on. */
static char seen[4096];
static size_t seen_len;

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	seen_len += (size_t)vsnprintf(seen + seen_len, sizeof(seen) - seen_len, fmt, ap);
	va_end(ap);
}

static int on_entry(void *self, const struct ustar_entry *e, struct err *err)
{
	(void)err;
	note("%c %s%s%s %o %llu [", "fdl"[e->kind], e -> path, e -> target[0] == '\0' ? "" : ">",
		e->target, e->mode, (unsigned long long)e->size);
	return self != NULL && strcmp(e->path, self) == 0 ? err_set(err, ERR_IO, "no") : 0;
}

static int on_data(void *self, const void *data, size_t len, struct err *err)
{
	(void)self;
	(void)err;
	note("%.*s", (int)len, (const char *)data);
	return 0;
}

static int on_end(void *self, struct err *err)
{
	(void)self;
	(void)err;
	note("]\n");
	return 0;
}

static const struct ustar_ops ops = { on_entry, on_data, on_end };

static void set_sum(char block[USTAR_BLOCK])
{
	unsigned sum = 0;
	memset(block + 148, ' ', 8);
	for (int i = 0; i < USTAR_BLOCK; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
}

static void make_header(char block[USTAR_BLOCK], const char *path, char type, size_t size)
{
	memset(block, 0, USTAR_BLOCK);
	(void)snprintf(block, 100, "%s", path);
	(void)snprintf(block + 100, 8, "%07o", 0640U);
	(void)snprintf(block + 124, 12, "%011o", (unsigned)size & 07777777777U);
	(void)snprintf(block + 136, 12, "%011o", 1000000U);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	set_sum(block);
}

static void add_file(struct buf *out, const char *path, const char *content)
{
	char block[USTAR_BLOCK];
	size_t len = strlen(content);
	make_header(block, path, '0', len);
	(void)buf_add(out, block, sizeof(block), NULL);
	(void)buf_add(out, content, len, NULL);
	(void)buf_add_zero(out, -len & (USTAR_BLOCK - 1), NULL);
}

static void make_archive(struct buf *out)
{
	char block[USTAR_BLOCK];
	add_file(out, "backup_label", "START");
	make_header(block, "base/", '5', 0);
	(void)buf_add(out, block, sizeof(block), NULL);
	make_header(block, "./base/1", '2', 0);
	memcpy(block + 157, "/else", 5);
	set_sum(block);
	(void)buf_add(out, block, sizeof(block), NULL);
	add_file(out, "empty", "");
	(void)buf_add_zero(out, 1024, NULL);
}

static const char expected[] = "f backup_label 640 5 [START]\nd base 640 0 []\n"
			       "l base/1>/else 640 0 []\nf empty 640 0 []\n";

Test(ustar, pieces_of_any_size_give_the_same_entries)
{
	struct buf tar = BUF_INIT(65536);
	make_archive(&tar);
	for (size_t step = 1; step < 1200; step += step < 8 ? 1 : 173) {
		struct ustar u;
		struct err err = ERR_INIT;
		ustar_init(&u, &ops, NULL);
		seen_len = 0;
		seen[0] = '\0';
		/* byte by byte the data arrives in pieces, too: join what the notes split */
		for (size_t at = 0; at < tar.len; at += step) {
			size_t n = tar.len - at < step ? tar.len - at : step;
			cr_assert(
				eq(int, ustar_feed(&u, tar.data + at, n, &err), 0), "%s", err.msg);
		}
		cr_expect(eq(int, ustar_finish(&u, &err), 0));
		cr_expect(eq(str, seen, (char *)expected), "step %zu", step);
	}
	buf_done(&tar);
}

Test(ustar, a_stream_that_breaks_off_inside_an_entry_is_noticed)
{
	struct buf tar = BUF_INIT(65536);
	make_archive(&tar);
	for (size_t len = 1; len < 1024; len++) {
		struct ustar u;
		struct err err = ERR_INIT;
		ustar_init(&u, &ops, NULL);
		seen_len = 0;
		cr_assert(eq(int, ustar_feed(&u, tar.data, len, &err), 0));
		cr_expect(eq(int, ustar_finish(&u, &err), -ERR_CORRUPT), "length %zu", len);
	}
	buf_done(&tar);
}

static int feed_one(const char block[USTAR_BLOCK], struct err *err)
{
	struct ustar u;
	ustar_init(&u, &ops, NULL);
	seen_len = 0;
	seen[0] = '\0';
	return ustar_feed(&u, block, USTAR_BLOCK, err);
}

Test(ustar, paths_that_could_lead_elsewhere_are_refused)
{
	static const char *const bad[] = { "../x", "/etc/passwd", "a/../b", "a//b", "a/./b", "..",
		"a/..", "" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char block[USTAR_BLOCK];
		struct err err = ERR_INIT;
		make_header(block, bad[i], '0', 0);
		cr_expect(eq(int, feed_one(block, &err), -ERR_CORRUPT), "'%s'", bad[i]);
		cr_expect(eq(str, seen, ""), "'%s'", bad[i]);
	}
}

Test(ustar, damaged_headers_and_unknown_types_are_refused)
{
	char block[USTAR_BLOCK];
	struct err err = ERR_INIT;
	for (int i = 0; i < USTAR_BLOCK; i += 7) {
		make_header(block, "file", '0', 0);
		block[i] ^= 1;
		cr_expect(eq(int, feed_one(block, &err), -ERR_CORRUPT), "byte %d", i);
	}
	make_header(block, "device", '3', 0);
	cr_expect(eq(int, feed_one(block, &err), -ERR_CORRUPT));
	make_header(block, "file", '0', 0);
	memcpy(block + 124, "12x45678901", 11);
	set_sum(block);
	cr_expect(eq(int, feed_one(block, &err), -ERR_CORRUPT));
}

Test(ustar, sizes_over_8_gib_are_read_from_base_256)
{
	char block[USTAR_BLOCK];
	struct err err = ERR_INIT;
	make_header(block, "big", '0', 0);
	memset(block + 124, 0, 12);
	block[124] = (char)0x80;
	block[124 + 6] = 0x12; /* 0x12 << 40 */
	set_sum(block);
	cr_assert(eq(int, feed_one(block, &err), 0), "%s", err.msg);
	cr_expect(eq(str, seen, "f big 640 19791209299968 ["));
	block[124 + 2] = 1; /* beyond 63 bits */
	set_sum(block);
	cr_expect(eq(int, feed_one(block, &err), -ERR_CORRUPT));
}

Test(ustar, a_callback_s_error_stops_the_stream)
{
	struct buf tar = BUF_INIT(65536);
	struct ustar u;
	struct err err = ERR_INIT;
	char stop[] = "base";
	make_archive(&tar);
	ustar_init(&u, &ops, stop);
	seen_len = 0;
	cr_expect(eq(int, ustar_feed(&u, tar.data, tar.len, &err), -ERR_IO));
	cr_expect(eq(str, seen, "f backup_label 640 5 [START]\nd base 640 0 ["));
	buf_done(&tar);
}

Test(ustar, data_after_the_end_mark_is_refused)
{
	struct buf tar = BUF_INIT(65536);
	struct ustar u;
	struct err err = ERR_INIT;
	make_archive(&tar);
	add_file(&tar, "late", "x");
	ustar_init(&u, &ops, NULL);
	cr_expect(eq(int, ustar_feed(&u, tar.data, tar.len, &err), -ERR_CORRUPT));
	buf_done(&tar);
}
