#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/store_scratch.h"
#include "tests/lib/vault_fixture.h"
#include "vault/chunker.h"
#include "vault/fetch.h"
#include "vault/snapshot.h"

static struct vault_fixture f;

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(backup, .init = setup, .fini = teardown);

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_equal(size_t nth, const struct fake_file *files, size_t count)
{
	const char *why = vault_fixture_differs(f.store, f.rk_sk, nth, files, count);
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(backup, sizes_around_every_boundary_come_back)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65536, 262143, 262144, 262145,
		1048576, 4194304, 4194305, 5000000 };
	static struct fake_file files[COUNT(sizes)];
	static char names[COUNT(sizes)][16];
	static uint8_t data[5000000];
	struct err err = ERR_INIT;
	struct backup_result r;
	vault_fixture_noise(data, sizeof(data), 7);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%03d", (int)i);
		files[i] = (struct fake_file){ .path = names[i],
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizes[i],
			.mtime_s = -5 };
	}
	cr_assert(
		eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.files, COUNT(sizes)));
	expect_equal(0, files, COUNT(files));
}

Test(backup, holes_and_zero_runs_cost_nothing_and_come_back_as_zeros)
{
	static uint8_t data[3000000];
	struct err err = ERR_INIT;
	struct backup_result r;
	vault_fixture_noise(data, sizeof(data), 9);
	memset(data + 100000, 0, 1500000); /* a long run, not aligned */
	memset(data + 2000000, 0, 60000);  /* a short one: data */
	const struct fake_file files[] = {
		{ .path = "a",
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizeof(data),
			.hole = 1u << 30 >> 5 },
		{ .path = "b",
			.kind = ENTRY_FILE,
			.data = data + 100000,
			.len = 200000,
			.hole = 4096 },
		{ .path = "c", .kind = ENTRY_FILE, .hole = 1 },
		{ .path = "d", .kind = ENTRY_FILE, .data = data + 100000, .len = 1000000 },
	};
	cr_assert(
		eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0), "%s", err.msg);
	expect_equal(0, files, COUNT(files));
	cr_expect(lt(u64, r.sent_bytes, 1700000));
}

Test(backup, hard_links_share_content_and_group)
{
	static const uint8_t data[] = "one file, three names";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a",
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizeof(data),
			.ino = 77,
			.links = 3 },
		{ .path = "b", .kind = ENTRY_FIFO, .ino = 88, .links = 2 },
		{ .path = "c",
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizeof(data),
			.ino = 77,
			.links = 3 },
		{ .path = "d", .kind = ENTRY_FIFO, .ino = 88, .links = 2 },
		{ .path = "e",
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizeof(data),
			.ino = 77,
			.links = 3 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.opened, 1), "the content is read once");
	expect_equal(0, files, COUNT(files));
}

struct told {
	int count;
	char last[128];
};

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	(void)why;
	struct told *t = arg;
	t->count++;
	(void)snprintf(t->last, sizeof(t->last), "%.*s", (int)len, path);
}

Test(backup, another_file_in_a_freed_inode_gets_its_own_content)
{
	static const uint8_t one[] = "first", two[] = "other";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ "a", ENTRY_FILE, one, sizeof(one), .ino = 77, .links = 2, .btime_s = 5 },
		{ "b", ENTRY_FILE, two, sizeof(two), .ino = 77, .links = 2, .btime_s = 6 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.opened, 2));
	expect_equal(0, files, COUNT(files));
}

Test(backup, a_file_that_grew_is_noted_when_its_beginning_reads_otherwise)
{
	static const uint8_t one[] = "the beginning", two[] = "The beginning";
	for (int i = 0; i < 2; i++) {
		struct err err = ERR_INIT;
		struct backup_result r;
		const struct fake_file files[] = {
			{ "a", ENTRY_FILE, one, sizeof(one), .again = i == 0 ? one : two },
		};
		struct fake_source source;
		struct backup_opts opts = { .source_name = "plant" };
		fake_source_init(&source, files, COUNT(files));
		cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s",
			err.msg);
		cr_expect(eq(u32, source.last_notes, i == 0 ? 0 : ENTRY_NOTE_CHANGED));
		expect_equal((size_t)i, files, COUNT(files));
	}
}

Test(backup, a_file_that_changes_between_two_of_its_names_is_named)
{
	static const uint8_t one[] = "first";
	struct err err = ERR_INIT;
	struct backup_result r;
	struct fake_file files[] = {
		{ "a", ENTRY_FILE, one, sizeof(one), .ino = 77, .links = 2, .mtime_s = 10 },
		{ "b", ENTRY_FILE, one, sizeof(one), .ino = 77, .links = 2, .mtime_s = 20 },
	};
	struct told told = { .count = 0 };
	struct fake_source source;
	struct backup_opts opts = {
		.source_name = "plant", .arg = &told, .on_warning = on_warning
	};
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, told.count, 1));
	cr_expect(eq(str, told.last, "/b"));
	files[1].mtime_s = 10; /* the content's time is that of its reading */
	expect_equal(0, files, COUNT(files));
}

Test(backup, a_file_that_cannot_be_read_is_left_out_and_the_rest_saved)
{
	static const uint8_t data[] = "readable";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = sizeof(data) },
		{ .path = "b", .kind = ENTRY_FILE, .is_unreadable = true },
		{ .path = "c", .kind = ENTRY_FILE, .data = data, .len = sizeof(data) },
	};
	cr_assert(
		eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.left_out, 1));
	cr_expect(eq(u64, r.files, 2));
	expect_equal(0, files, COUNT(files));
}

static unsigned newest_flags(void)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	cr_assert(ge(sz, list.count, 1));
	unsigned flags = list.at[list.count - 1].record.flags;
	snapshot_list_done(&list);
	return flags;
}

Test(backup, names_that_the_source_lost_make_the_snapshot_partial)
{
	static const uint8_t data[] = "readable";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = sizeof(data) },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	fake_source_init(&source, files, COUNT(files));
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	cr_expect(eq(u64, r.left_out, 0));
	cr_expect(eq(uint, newest_flags() & SNAPREC_PARTIAL, 0));
	fake_source_init(&source, files, COUNT(files));
	source.lost = 2;
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	cr_expect(eq(u64, r.left_out, 2));
	cr_expect(eq(uint, newest_flags() & SNAPREC_PARTIAL, SNAPREC_PARTIAL));
}

Test(backup, a_source_that_breaks_makes_no_snapshot)
{
	static const uint8_t data[] = "x";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
		{ .path = "b", .kind = ENTRY_FILE, .data = data, .len = 1 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	fake_source_init(&source, files, COUNT(files));
	source.fail_next_at = 2;
	cr_expect(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), -ERR_IO));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 0));
}

Test(backup, the_cache_spares_reading_and_a_changed_time_reads_one_file)
{
	static uint8_t a[300000];
	static uint8_t b[5000];
	struct err err = ERR_INIT;
	struct backup_result r;
	char path[4200];
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/cache", dir);
	vault_fixture_noise(a, sizeof(a), 1);
	vault_fixture_noise(b, sizeof(b), 2);
	struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = a, .len = sizeof(a), .mtime_s = 5 },
		{ .path = "b", .kind = ENTRY_FILE, .data = b, .len = sizeof(b), .mtime_s = 5 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant", .cache_path = path };
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.opened, 2));
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.opened, 0));
	cr_expect(eq(u64, r.unchanged_files, 2));
	cr_expect(eq(u64, r.read_bytes, 0));
	files[1].mtime_s = 6;
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.opened, 1));
	expect_equal(2, files, COUNT(files));

	/* a content that changed behind its times is found by a re-read, and stored */
	struct told told = { .count = 0 };
	a[5] ^= 1;
	opts.is_reread = true;
	opts.arg = &told;
	opts.on_warning = on_warning;
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, told.count, 1));
	cr_expect(eq(str, told.last, (char *)"/a"));
	expect_equal(3, files, COUNT(files));
	store_scratch_done();
}

Test(backup, what_the_cache_knows_of_attributes_is_not_asked_for_again)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char path[4200];
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/cache", dir);
	const struct entry_xattr x = { "user.tag", 8, (const uint8_t *)"line 3", 6 };
	struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .mtime_s = 5, .flags = 0x40, .xattrs = &x },
		{ .path = "b", .kind = ENTRY_FILE, .mtime_s = 5, .ino = 7, .links = 2 },
		{ .path = "c", .kind = ENTRY_FILE, .mtime_s = 5, .ino = 7, .links = 2 },
		{ .path = "d", .kind = ENTRY_FILE, .mtime_s = 5 },
	};
	files[0].xattr_count = 1;
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant", .cache_path = path };
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(not(source.is_brief), "nothing is known yet");
	expect_equal(0, files, COUNT(files));

	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(source.is_brief);
	cr_expect(eq(u64, source.detailed, 0));
	cr_expect(eq(u64, source.opened, 0));
	expect_equal(1, files, COUNT(files));

	/* another time of change: all of it is looked at; unreadable: left out */
	files[0].mtime_s = 6;
	files[0].flags = 0x80;
	files[3].mtime_s = 6;
	files[3].is_unreadable = true;
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, source.detailed, 2));
	cr_expect(eq(u64, source.opened, 1));
	cr_expect(eq(u64, r.left_out, 1));
	expect_equal(2, files, COUNT(files));
	store_scratch_done();
}

Test(backup, a_file_that_changed_after_the_look_is_not_taken_for_one_that_changed_behind_its_times)
{
	enum { FILES = 64 }; /* of which each run reads one */
	static char names[FILES][8];
	static uint8_t data[100];
	struct fake_file files[FILES];
	struct err err = ERR_INIT;
	struct backup_result r;
	char path[4200];
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/cache", dir);
	for (size_t i = 0; i < FILES; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "f%02zu", i);
		files[i] = (struct fake_file){ .path = names[i],
			.kind = ENTRY_FILE,
			.data = data,
			.len = sizeof(data),
			.mtime_s = 5 };
	}
	struct told told = { .count = 0 };
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant",
		.cache_path = path,
		.is_recheck = true,
		.arg = &told,
		.on_warning = on_warning };
	for (int run = 0; run < 3; run++) {
		fake_source_init(&source, files, FILES);
		if (run == 2) {
			data[7] = 1;
			source.late_mtime_s = 6;
		}
		cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s",
			err.msg);
		if (run > 0) {
			cr_expect(eq(u64, source.detailed, 1));
			cr_expect(eq(u64, source.opened, 1));
			cr_expect(eq(u64, r.new_files, run == 2));
		}
	}
	cr_expect(eq(int, told.count, 0), "%s", told.last);
	store_scratch_done();
}

/* ---- the day after: what is known by its fingerprint --------------------------------------- */

#define IMAGE_BYTES ((size_t)12 << 20)

struct days {
	uint8_t *image; /* room for IMAGE_BYTES and 1 MiB before and behind it */
	struct fake_file files[3];
	char cache[4200];
};

static void days_init(struct days *d)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	d->image = malloc(IMAGE_BYTES + (2u << 20));
	cr_assert(d->image != NULL);
	(void)snprintf(d->cache, sizeof(d->cache), "%s/cache", dir);
	vault_fixture_noise(d->image, IMAGE_BYTES + (2u << 20), 11);
	d->files[0] = (struct fake_file){ .path = "a.img",
		.kind = ENTRY_FILE,
		.data = d->image + (1u << 20),
		.len = IMAGE_BYTES,
		.mtime_s = 5 };
	d->files[1] = (struct fake_file){ .path = "b.xml",
		.kind = ENTRY_FILE,
		.data = d->image,
		.len = 5000,
		.ino = 90,
		.mtime_s = 5 };
}

static void days_done(struct days *d)
{
	free(d->image);
	store_scratch_done();
}

static void days_run(struct days *d, size_t count, const char *cache, struct backup_result *r)
{
	struct fake_source source;
	struct err err = ERR_INIT;
	struct backup_opts opts = { .source_name = "plant", .cache_path = cache };
	fake_source_init(&source, d->files, count);
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, r, &err), 0), "%s", err.msg);
}

/* The top of the newest snapshot's tree: it names every record below it. */
static struct ref newest_top(void)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct snapshot_opened opened;
	struct fetch *fetch = NULL;
	vault_fixture_reopen(&f);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	cr_assert(ge(sz, list.count, 1));
	int rc = snapshot_open(f.vault, fetch, &list.at[list.count - 1], f.rk_sk, &opened, &err);
	cr_assert(eq(int, rc, 0), "%s", err.msg);
	snapshot_list_done(&list);
	fetch_free(fetch);
	return opened.root.top;
}

/* The day's backup knows what it can, and is what a backup without any cache makes. */
static void days_expect(struct days *d, size_t count, uint64_t least_known, uint64_t most_known)
{
	struct backup_result r;
	days_run(d, count, d->cache, &r);
	const struct ref with = newest_top();
	cr_expect(ge(u64, r.known_bytes, least_known));
	cr_expect(le(u64, r.known_bytes, most_known));
	days_run(d, count, NULL, &r);
	const struct ref without = newest_top();
	cr_expect(eq(u64, r.known_bytes, 0));
	cr_expect(eq(u64, r.unchanged_files, 0));
	cr_expect(eq(int, memcmp(&with, &without, sizeof(with)), 0), "not one byte differs");
	expect_equal(1, d->files, count);
}

Test(backup, what_an_append_left_as_it_was_is_not_sealed_again)
{
	struct days d;
	struct backup_result r;
	days_init(&d);
	days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.known_bytes, 0));
	d.files[0].len += 1u << 20;
	d.files[0].mtime_s = 6;
	days_expect(&d, 2, IMAGE_BYTES - CHUNKER_AVERAGE_BYTES * 4, IMAGE_BYTES - 1);
	days_done(&d);
}

Test(backup, what_an_insertion_at_the_front_moved_is_not_sealed_again)
{
	struct days d;
	struct backup_result r;
	days_init(&d);
	days_run(&d, 2, d.cache, &r);
	d.files[0].data -= 1000;
	d.files[0].len += 1000;
	d.files[0].mtime_s = 6;
	days_expect(&d, 2, IMAGE_BYTES / 2, IMAGE_BYTES - 1);
	days_done(&d);
}

Test(backup, what_was_renamed_and_touched_is_not_sealed_again)
{
	struct days d;
	struct backup_result r;
	days_init(&d);
	days_run(&d, 2, d.cache, &r);
	d.files[0].path = "aa.img";
	d.files[0].ino = 91;
	d.files[0].mtime_s = 7;
	d.files[1].mtime_s = 7;
	days_expect(&d, 2, IMAGE_BYTES + 5000, IMAGE_BYTES + 5000); /* the bundle, too */
	days_done(&d);
}

Test(backup, a_new_copy_of_a_known_file_is_not_sealed_again)
{
	struct days d;
	struct backup_result r;
	days_init(&d);
	days_run(&d, 2, d.cache, &r);
	d.files[2] = d.files[0];
	d.files[2].path = "c.img";
	d.files[2].ino = 92;
	days_expect(&d, 3, IMAGE_BYTES, IMAGE_BYTES);
	days_done(&d);
}

Test(backup, what_was_not_read_for_some_days_is_still_known_and_what_is_gone_is_not)
{
	struct days d;
	struct backup_result r;
	days_init(&d);
	for (int day = 0; day < 3; day++)
		days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.unchanged_files, 2));
	d.files[0].mtime_s = 8;
	days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.known_bytes, IMAGE_BYTES));
	const struct fake_file image = d.files[0];
	d.files[0] = d.files[1];
	days_run(&d, 1, d.cache, &r); /* without the image */
	d.files[1] = d.files[0];
	d.files[0] = image;
	days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.known_bytes, 0), "no snapshot of this chain's end needs it");
	cr_expect(eq(u64, r.sent_data_records, 0), "but the vault has it");
	expect_equal(5, d.files, 2);
	days_done(&d);
}

Test(backup, a_chunk_cache_of_another_snapshot_or_a_damaged_one_is_not_believed)
{
	char chunks[4300];
	struct days d;
	struct backup_result r;
	days_init(&d);
	days_run(&d, 2, d.cache, &r);
	days_run(&d, 2, NULL, &r); /* the chain goes on without the cache */
	d.files[0].mtime_s = 6;
	days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.known_bytes, 0));
	(void)snprintf(chunks, sizeof(chunks), "%s.chunks", d.cache);
	FILE *file = fopen(chunks, "r+e");
	cr_assert(file != NULL);
	for (long at = 88; at < 2000; at += 8) /* every entry, behind the header */
		cr_assert(fseek(file, at, SEEK_SET) == 0 && fputc(0x55, file) == 0x55);
	cr_assert(eq(int, fclose(file), 0));
	d.files[0].mtime_s = 7;
	days_run(&d, 2, d.cache, &r);
	cr_expect(eq(u64, r.known_bytes, 0));
	expect_equal(3, d.files, 2);
	days_done(&d);
}

#define SMALL_FILES 60
#define SMALL_BYTES 20000

/* Files that share bundles; ${changed} of every ten get new bytes and a new time. */
static void small_files(
	struct fake_file *files, char names[][8], uint8_t *data, int day, int changed)
{
	for (int i = 0; i < SMALL_FILES; i++) {
		if (day > 1 && i % 10 >= changed)
			continue;
		uint8_t *bytes = data + (size_t)i * SMALL_BYTES;
		vault_fixture_noise(bytes, SMALL_BYTES, (unsigned)(day * 1000 + i));
		(void)snprintf(names[i], sizeof(names[i]), "f%02d", i);
		files[i] = (struct fake_file){ .path = names[i],
			.kind = ENTRY_FILE,
			.data = bytes,
			.len = SMALL_BYTES,
			.mtime_s = day };
	}
}

Test(backup, what_is_left_of_wasteful_bundles_is_bundled_anew)
{
	static struct fake_file files[SMALL_FILES];
	static char names[SMALL_FILES][8];
	static uint8_t data[SMALL_FILES * SMALL_BYTES];
	const uint64_t left = SMALL_FILES / 5 * SMALL_BYTES;
	struct days d;
	struct backup_result r;
	days_init(&d);
	for (int day = 1; day <= 5; day++) {
		struct err err = ERR_INIT;
		struct fake_source source;
		struct backup_opts opts = { .source_name = "plant", .cache_path = d.cache };
		if (day <= 2)
			small_files(files, names, data, day, 8);
		files[9].is_unreadable = day == 3; /* it did not change: it stays as it was */
		fake_source_init(&source, files, SMALL_FILES);
		cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s",
			err.msg);
		files[9].is_unreadable = false;
		cr_expect(eq(u64, r.left_out, 0));
		expect_equal((size_t)day - 1, files, SMALL_FILES);
		if (day == 2) /* what changed, and nothing else yet */
			cr_expect(eq(u64, r.read_bytes, SMALL_FILES * SMALL_BYTES - left));
		if (day == 3) { /* what did not, but for the one that cannot be read, and the last
				 * two when the cut leaves them in a small bundle of their own */
			cr_expect(le(u64, r.read_bytes, left - SMALL_BYTES));
			cr_expect(ge(u64, r.read_bytes, left - 3 * SMALL_BYTES));
			cr_expect(eq(
				u64, r.unchanged_files, SMALL_FILES - r.read_bytes / SMALL_BYTES));
		}
		if (day == 5)
			cr_expect(eq(u64, r.read_bytes, 0), "and then there is peace");
	}
	days_done(&d);
}

Test(backup, a_dry_run_opens_nothing_and_writes_nothing)
{
	static const uint8_t data[] = "x";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant", .is_dry_run = true };
	store_fault_reset(f.fault);
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.new_files, 1));
	cr_expect(eq(u64, r.read_bytes, 1));
	cr_expect(not(r.has_snapshot));
	cr_expect(eq(u64, source.opened, 0));
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_ANY), 0));
}

static bool stop_now(void *arg)
{
	(void)arg;
	return true;
}

static void count_failure(void *arg)
{
	(*(int *)arg)++;
}

Test(backup, a_run_that_fails_says_so_once_and_a_good_one_never)
{
	static const uint8_t data[] = "x";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
	};
	struct fake_source source;
	int failures = 0;
	struct backup_opts opts = {
		.source_name = "plant", .arg = &failures, .on_failed = count_failure
	};
	fake_source_init(&source, files, COUNT(files));
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	cr_expect(eq(int, failures, 0));
	opts.is_stopped = stop_now;
	fake_source_init(&source, files, COUNT(files));
	cr_expect(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, failures, 1));
}

Test(backup, it_stops_when_asked_without_a_snapshot)
{
	static const uint8_t data[] = "x";
	struct err err = ERR_INIT;
	struct backup_result r;
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
	};
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant", .is_stopped = stop_now };
	fake_source_init(&source, files, COUNT(files));
	cr_expect(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 0));
}

Test(backup, many_small_files_make_few_records_and_a_change_stores_little)
{
	enum { FILES = 3000 };
	static struct fake_file files[FILES];
	static char names[FILES][24];
	static uint8_t data[FILES][700];
	struct err err = ERR_INIT;
	struct backup_result r;
	for (size_t i = 0; i < FILES; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "b/%05d.xml", (int)i);
		vault_fixture_noise(data[i], sizeof(data[i]), i);
		files[i] = (struct fake_file){ .path = names[i],
			.kind = ENTRY_FILE,
			.data = data[i],
			.len = sizeof(data[i]) };
	}
	cr_assert(eq(int, vault_fixture_backup(&f, files, FILES, &r, &err), 0), "%s", err.msg);
	cr_expect(lt(u64, r.sent_data_records, 12));
	expect_equal(0, files, FILES);
	data[1500][0] ^= 1;
	cr_assert(eq(int, vault_fixture_backup(&f, files, FILES, &r, &err), 0), "%s", err.msg);
	cr_expect(le(u64, r.sent_data_records, 2), "only the bundle around the change is new");
	expect_equal(1, files, FILES);
}

Test(backup, an_entry_past_a_limit_of_the_format_is_left_out_and_named)
{
	static const uint8_t data[] = "x";
	static char long_name[4200];
	struct err err = ERR_INIT;
	struct backup_result r;
	struct told told = { .count = 0 };
	memset(long_name, 'n', 4097);
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
		{ .path = long_name,
			.kind = ENTRY_FILE,
			.data = data,
			.len = 1,
			.is_unreadable = false },
		{ .path = "z", .kind = ENTRY_FILE, .data = data, .len = 1 },
	};
	struct fake_source source;
	struct backup_opts opts = {
		.source_name = "plant", .arg = &told, .on_warning = on_warning
	};
	fake_source_init(&source, files, COUNT(files));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, told.count, 1));
	cr_expect(eq(u64, r.left_out, 1));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}
