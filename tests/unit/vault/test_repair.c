#include "vault/repair.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/parity.h"
#include "vault/parity_cover.h"
#include "vault/repair_back.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

static struct vault_fixture f;
static uint8_t noise[3][280000];
static struct store_image whole; /* the vault before anything happened to it */

static struct fake_file files[] = {
	{ .path = "a.arc", .kind = ENTRY_FILE, .mtime_s = 1 },
	{ .path = "b.arc", .kind = ENTRY_FILE, .mtime_s = 2 },
	{ .path = "c.arc", .kind = ENTRY_FILE, .mtime_s = 3 },
};

static void backup(size_t count)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, files, count, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 3; i++) {
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
		files[i].data = noise[i];
		files[i].len = sizeof(noise[i]);
	}
	backup(2);
	backup(3);
	store_image_take(f.store, "", &whole);
}

static void teardown(void)
{
	store_image_done(&whole);
	vault_fixture_done(&f);
}

TestSuite(repair, .init = setup, .fini = teardown);

static void cover(unsigned rows)
{
	struct err err = ERR_INIT;
	struct parity_cover_opts opts = { .rows = rows };
	struct parity_cover_result r;
	cr_assert(eq(int, parity_cover_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	store_image_done(&whole);
	store_image_take(f.store, "", &whole);
}

struct told {
	size_t objects, snapshots, files;
	char file[4][64];
	char last[STORE_MAX_NAME_BYTES + 1];
	enum repair_state state;
};
static struct told told;

static void on_object(void *arg, const struct repair_object *o)
{
	struct told *t = arg;
	t->objects++;
	t->state = o->state;
	(void)snprintf(t->last, sizeof(t->last), "%s", o->name);
}

static void on_loss(void *arg, const struct repair_loss *l)
{
	struct told *t = arg;
	if (l->path == NULL)
		t->snapshots++;
	else if (t->files < 4)
		(void)snprintf(t->file[t->files++], sizeof(t->file[0]), "%s", l->path);
}

static struct repair_opts options(void)
{
	memset(&told, 0, sizeof(told));
	return (struct repair_opts){ .arg = &told, .on_object = on_object, .on_loss = on_loss };
}

static struct repair_result must_repair(struct vault *v, const struct repair_opts *opts)
{
	struct err err = ERR_INIT;
	struct repair_result r;
	cr_assert(eq(int, repair_run(f.store, v, opts, &r, &err), 0), "%s", err.msg);
	return r;
}

static struct repair_result repair(void)
{
	struct repair_opts opts = options();
	return must_repair(f.vault, &opts);
}

static int problems(void)
{
	return vault_fixture_problems(f.store, f.rk_sk);
}

static void rot(const char *name, uint64_t bit)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(f.mem, name, bit, &err), 0), "%s", err.msg);
}

/* Take the vault back to the image. */
static void reset(void)
{
	struct store_image now;
	store_image_take(f.store, "", &now);
	for (size_t i = 0; i < now.count; i++) {
		if (store_image_find(&whole, now.at[i].name) == NULL)
			store_image_remove(f.store, now.at[i].name);
	}
	for (size_t i = 0; i < whole.count; i++)
		store_image_restore(f.store, &whole.at[i]);
	store_image_done(&now);
}

static bool is_class(const struct store_image_object *o, const char *prefix)
{
	return strncmp(o->name, prefix, strlen(prefix)) == 0;
}

/* The nth object of a class with at least ${len} bytes. */
static const struct store_image_object *nth(const char *prefix, size_t n, size_t len)
{
	for (size_t i = 0; i < whole.count; i++) {
		if (is_class(&whole.at[i], prefix) && whole.at[i].len >= len && n-- == 0)
			return &whole.at[i];
	}
	cr_assert(prefix == NULL, "no such object: %s", prefix);
	return NULL;
}

static bool has_leftovers(void)
{
	struct store_image s;
	store_image_take(f.store, REPAIR_BACK_LOG, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n > 0;
}

Test(repair, a_whole_vault_is_left_alone)
{
	struct repair_result r = repair();
	cr_expect(eq(u64, r.damaged + r.lost + r.open + r.packs_listed, 0));
	cr_expect(eq(u64, r.objects, whole.count - 4)); /* session marks have no hash */
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
}

Test(repair, parity_brings_back_any_bit_of_what_it_covers_with_and_without_keys)
{
	cover(1);
	for (size_t i = 0; i < whole.count; i++) {
		const struct store_image_object *o = &whole.at[i];
		bool is_covered = parity_is_member(o->name, NULL, NULL);
		for (uint64_t k = 0; is_covered && k < 3; k++) {
			uint64_t bit = k * (o->len * 8 - 1) / 2;
			struct repair_opts opts = options();
			rot(o->name, bit);
			struct repair_result r = must_repair(k == 1 ? f.vault : NULL, &opts);
			cr_expect(eq(u64, r.from_parity, 1), "%s bit %d", o->name, (int)bit);
			cr_expect(eq(u64, r.open, 0), "%s bit %d", o->name, (int)bit);
			cr_expect(eq(u64, r.snapshots_hurt, 0));
		}
	}
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
	cr_expect(not(has_leftovers()));
	cr_expect(eq(int, problems(), 0));
}

Test(repair, what_parity_does_not_cover_is_made_anew)
{
	cover(1);
	for (size_t i = 0; i < whole.count; i++) {
		const struct store_image_object *o = &whole.at[i];
		bool is_other = is_class(o, "ix/") || is_class(o, "pa/") || is_class(o, "README") ||
				is_class(o, "FORMAT");
		for (uint64_t k = 0; is_other && k < 3; k++) {
			rot(o->name, k * (o->len * 8 - 1) / 2);
			struct repair_result r = repair();
			cr_expect(eq(u64, r.damaged, 1), "%s", o->name);
			cr_expect(eq(u64, r.open + r.snapshots_hurt, 0), "%s place %d", o->name,
				(int)k);
			cr_expect(eq(int, problems(), 0), "%s place %d", o->name, (int)k);
			reset();
		}
	}
}

Test(repair, lost_members_come_back_but_never_what_was_deleted_on_purpose)
{
	static const char *const classes[] = { "pk/", "rf/", "ev/", "sn/", "cf/", "ks/" };
	cover(1);
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		const struct store_image_object *o = nth(classes[i], 0, 0);
		store_image_remove(f.store, o->name);
		struct repair_result r = repair();
		cr_expect(eq(u64, r.lost, 1), "%s", o->name);
		cr_expect(eq(u64, r.from_parity, 1), "%s", o->name);
		cr_expect(store_image_lacks(f.store, &whole) == NULL);
	}
	/* without a key nobody knows whether a snapshot was pruned */
	struct repair_opts opts = options();
	store_image_remove(f.store, nth("sn/", 0, 0)->name);
	cr_expect(eq(u64, must_repair(NULL, &opts).lost, 0));
	store_image_restore(f.store, nth("sn/", 0, 0));
	store_image_remove(f.store, nth("pk/", 0, 0)->name);
	cr_expect(eq(u64, must_repair(NULL, &opts).from_parity, 1));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
}

Test(repair, a_dry_run_says_the_same_and_changes_nothing)
{
	struct repair_opts opts = options();
	cover(1); /* frees what nth() lent before */
	const struct store_image_object *text = nth("README", 0, 0);
	rot(nth("pk/", 0, 200000)->name, 5);
	rot(nth("ix/", 0, 0)->name, 5);
	rot(text->name, 5);
	struct store_image damaged;
	store_image_take(f.store, "", &damaged);
	opts.is_dry_run = true;
	struct repair_result dry = must_repair(f.vault, &opts);
	struct store_image after;
	store_image_take(f.store, "", &after);
	cr_expect(eq(sz, after.count, damaged.count));
	cr_expect(store_image_lacks(f.store, &damaged) == NULL);
	struct repair_result real = repair();
	cr_expect(eq(u64, dry.from_parity, 1));
	cr_expect(eq(u64, dry.from_parity, real.from_parity));
	cr_expect(eq(u64, dry.remade, real.remade));
	cr_expect(eq(u64, dry.open + real.open, 0));
	cr_expect(eq(u64, dry.snapshots_hurt + real.snapshots_hurt, 0));
	store_image_done(&damaged);
	store_image_done(&after);
}

/* A pack of data without parity: one record of it rots. */
static struct repair_result salvage(const struct store_image_object *pack, bool has_keys)
{
	struct repair_opts opts = options();
	opts.sk = has_keys ? f.rk_sk : NULL;
	rot(pack->name, 1000 * 8); /* in its first record */
	return must_repair(f.vault, &opts);
}

Test(repair, good_records_of_a_rotten_pack_are_saved_and_the_losses_named)
{
	const struct store_image_object *pack = nth("pk/", 0, 500000); /* of a and b */
	struct repair_result r = salvage(pack, true);
	uint64_t size;
	cr_expect(eq(u64, r.salvaged, 1));
	cr_expect(ge(u64, r.records_saved, 1));
	cr_expect(eq(u64, r.records_lost, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 2));
	cr_expect(eq(u64, r.files_hurt, 2)); /* one file of each snapshot */
	cr_expect(eq(sz, told.files, 2));
	cr_expect(eq(str, told.file[0], told.file[1]));
	cr_expect(eq(int, told.state, REPAIR_SALVAGED));
	cr_expect(eq(int, store_stat(f.store, pack->name, &size, NULL), -ERR_NOT_FOUND));
	/* the rotten bytes are kept */
	struct store_image aside;
	store_image_take(f.store, REPAIR_BACK_QUARANTINE, &aside);
	cr_assert(eq(sz, aside.count, 1));
	cr_expect(eq(sz, aside.at[0].len, pack->len));
	store_image_done(&aside);
	/* a further run has nothing to do, and still names the loss */
	struct repair_result again = repair();
	cr_expect(eq(u64, again.damaged + again.lost + again.open, 0));
	cr_expect(eq(u64, again.snapshots_hurt, 2));
	/* any host's next backup stores anew what is lost: nothing remembered is needed */
	backup(3);
	cr_expect(eq(u64, repair().snapshots_hurt, 0));
	cr_expect(eq(int, problems(), 0));
	struct err err = ERR_INIT;
	uint64_t count = 0;
	cr_assert(eq(int, repair_back_discard(f.store, &count, &err), 0));
	cr_expect(eq(u64, count, 1));
	cr_expect(eq(int, problems(), 0));
}

Test(repair, the_index_knows_what_a_pack_without_a_footer_held)
{
	const struct store_image_object *pack = nth("pk/", 0, 500000);
	rot(pack->name, pack->len * 8 - 1);
	struct repair_result r = repair();
	cr_expect(eq(u64, r.salvaged, 1));
	cr_expect(eq(u64, r.records_lost + r.snapshots_hurt, 0));
	cr_expect(eq(int, problems(), 0));
	/* cut in its middle */
	reset();
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_truncate(f.mem, pack->name, pack->len / 2, &err), 0));
	r = repair();
	cr_expect(eq(u64, r.salvaged, 1));
	cr_expect(ge(u64, r.records_saved, 1));
	cr_expect(ge(u64, r.records_lost, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 2));
	/* without index and footer nothing is known */
	reset();
	rot(pack->name, pack->len * 8 - 1);
	rot(nth("ix/", 0, 0)->name, 50);
	rot(nth("ix/", 1, 0)->name, 50);
	r = repair();
	cr_expect(eq(u64, r.records_saved, 0));
	cr_expect(eq(u64, r.salvaged, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 2));
}

/* A run under which ${times} reads from the ${nth} on fail.  True: so many were made. */
static bool repair_in_outage(enum store_fault_verb verb, uint64_t nth, uint64_t times)
{
	struct repair_opts opts = options();
	struct err err = ERR_INIT;
	struct repair_result r;
	store_fault_reset(f.fault);
	store_fault_fail(f.fault, verb, nth, times, ERR_IO);
	(void)repair_run(f.store, f.vault, &opts, &r, &err); /* it may end there */
	bool is_hit = store_fault_count(f.fault, verb) >= nth;
	store_fault_reset(f.fault);
	return is_hit;
}

Test(repair, an_outage_takes_nothing_whole_away)
{
	for (uint64_t nth = 1; repair_in_outage(STORE_FAULT_GET, nth, 4); nth++) {
		for (size_t i = 0; i < whole.count; i++) {
			uint64_t size;
			cr_expect(eq(int, store_stat(f.store, whole.at[i].name, &size, NULL), 0),
				"read %d: %s", (int)nth, whole.at[i].name);
		}
	}
	cr_expect(eq(u64, repair().damaged, 0));
}

Test(repair, an_outage_costs_a_rotten_pack_no_good_record)
{
	const struct store_image_object *pack = nth("pk/", 0, 500000); /* of a and b */
	for (bool is_hit = true; is_hit; reset()) {
		static uint64_t read;
		rot(pack->name, 1000 * 8);
		is_hit = repair_in_outage(STORE_FAULT_GET_RANGE, ++read, 1);
		struct repair_opts opts = options();
		opts.sk = f.rk_sk;
		cr_expect(eq(u64, must_repair(f.vault, &opts).files_hurt, 2), "read %d", (int)read);
	}
}

Test(repair, a_lost_index_is_made_again_from_the_packs)
{
	struct store_image s;
	store_image_remove(f.store, nth("ix/", 0, 0)->name);
	rot(nth("ix/", 1, 0)->name, 77);
	struct repair_result r = repair();
	cr_expect(ge(u64, r.packs_listed, 3));
	cr_expect(eq(u64, r.remade, 1));
	store_image_take(f.store, "ix/", &s);
	cr_expect(eq(sz, s.count, 1));
	store_image_done(&s);
	cr_expect(eq(u64, repair().packs_listed, 0));
	cr_expect(eq(int, problems(), 0));
}

/* A second store with the image's objects. */
static struct store *copy_of_whole(struct store_mem **mem)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	cr_assert(eq(int, store_mem_new(mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, *mem, NULL, &s, &err), 0));
	for (size_t i = 0; i < whole.count; i++)
		cr_assert(eq(int,
			store_put(s, whole.at[i].name, whole.at[i].data, whole.at[i].len, &err),
			0));
	cr_assert(eq(int, store_barrier(s, &err), 0));
	return s;
}

Test(repair, another_copy_brings_back_what_is_damaged_and_what_is_lost)
{
	struct store_mem *mem = NULL;
	struct store *copy = copy_of_whole(&mem);
	struct repair_opts opts = options();
	struct err err = ERR_INIT;
	opts.copies = &copy;
	opts.copy_count = 1;
	const struct store_image_object *pack = nth("pk/", 0, 500000);
	bool is_first = nth("pk/", 0, 0) == pack;
	rot(pack->name, 1000);
	rot(nth("sn/", 0, 0)->name, 1000);
	store_image_remove(f.store, nth("ev/", 0, 0)->name);
	store_image_remove(f.store, nth("pk/", is_first ? 1 : 0, 0)->name);
	struct repair_result r = must_repair(f.vault, &opts);
	cr_expect(eq(u64, r.from_copy, 4));
	cr_expect(eq(u64, r.open, 0));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
	/* what is damaged in the copy as well does not come from there */
	rot(pack->name, 1000);
	cr_assert(eq(int, store_mem_flip(mem, pack->name, 2000, &err), 0));
	opts.is_dry_run = true;
	cr_expect(eq(u64, must_repair(f.vault, &opts).from_copy, 0));
	/* a pack that was salvaged is fetched later for what it held */
	opts.is_dry_run = false;
	r = must_repair(f.vault, &opts);
	cr_expect(eq(u64, r.salvaged, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 2));
	cr_assert(eq(int, store_mem_flip(mem, pack->name, 2000, &err), 0));
	r = must_repair(f.vault, &opts);
	cr_expect(eq(u64, r.packs_fetched, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 0));
	cr_expect(eq(int, problems(), 0));
	store_free(copy);
}

/* The vault opened again, as another process finds it. */
static void reopen(void)
{
	vault_fixture_reopen(&f);
}

Test(repair, without_any_config_it_is_named_and_comes_back_from_parity_or_a_copy)
{
	struct store_mem *mem = NULL;
	struct store *copy = copy_of_whole(&mem);
	struct repair_opts opts = options();
	const char *config = nth("cf/", 0, 0)->name;
	store_image_remove(f.store, config);
	reopen();
	struct repair_result r = repair();
	cr_expect(eq(u64, r.open, 1));
	cr_expect(eq(str, told.last, "cf/"));
	/* a config that does not open with the vault's key is none of it */
	store_image_replace(copy, config, "x", 1);
	opts.copies = &copy;
	opts.copy_count = 1;
	cr_expect(eq(u64, must_repair(f.vault, &opts).from_copy, 0));
	store_image_restore(copy, nth("cf/", 0, 0));
	r = must_repair(f.vault, &opts);
	cr_expect(eq(u64, r.from_copy, 1));
	cr_expect(eq(u64, r.open, 0));
	reopen();
	cr_expect(eq(int, problems(), 0));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
	store_free(copy);
	cover(1);
	store_image_remove(f.store, nth("cf/", 0, 0)->name);
	reopen();
	r = repair();
	cr_expect(eq(u64, r.from_parity, 1));
	cr_expect(eq(u64, r.open, 0));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
}

Test(repair, what_nothing_helps_stays_as_it_is_and_is_named)
{
	const struct store_image_object *rf = nth("rf/", 0, 0);
	rot(rf->name, 999);
	struct repair_result r = repair();
	cr_expect(eq(u64, r.open, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 1));
	cr_expect(eq(str, told.last, (char *)rf->name));
	rot(rf->name, 999);
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
}

/* Break off at every operation; whatever the store holds then must be no worse than before. */
static void break_off(unsigned rows, void (*damage)(void), bool is_exact)
{
	struct err err = ERR_INIT;
	struct repair_result r;
	int rc = -1;
	uint64_t n;
	if (rows > 0)
		cover(rows);
	for (n = 1; rc != 0; n++) {
		struct repair_opts opts = options();
		damage();
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = repair_run(f.store, f.vault, &opts, &r, &err);
		store_fault_reset(f.fault);
		/* the next run carries on, whatever it finds */
		r = must_repair(f.vault, &opts);
		cr_assert(eq(u64, r.open + r.snapshots_hurt + r.lost, 0), "operation %d", (int)n);
		cr_assert(not(has_leftovers()), "operation %d", (int)n);
		if (is_exact)
			cr_assert(store_image_lacks(f.store, &whole) == NULL, "operation %d: %s",
				(int)n, store_image_lacks(f.store, &whole));
		if (n % 10 == 0 || rc == 0)
			cr_assert(eq(int, problems(), 0), "operation %d", (int)n);
		reset();
	}
	cr_expect(ge(u64, n, 26));
}

static void damage_two(void)
{
	rot(nth("pk/", 0, 500000)->name, 1000);
	rot(nth("sn/", 0, 0)->name, 1000);
}

Test(repair, broken_off_at_any_operation_the_next_run_brings_the_objects_back)
{
	break_off(1, damage_two, true);
}

static void damage_footer(void)
{
	const struct store_image_object *pack = nth("pk/", 0, 500000);
	rot(pack->name, pack->len * 8 - 1);
}

Test(repair, broken_off_at_any_operation_no_good_record_is_lost)
{
	break_off(0, damage_footer, false);
}

Test(repair, a_crash_may_keep_any_part_of_what_a_barrier_was_to_make_durable)
{
	struct err err = ERR_INIT;
	const struct store_image_object *pack = nth("pk/", 0, 0);
	cover(1);
	for (uint64_t n = 1; n < 6; n++) {
		for (uint64_t kept = 0; kept < 4; kept++) {
			struct store_mem *left = NULL;
			struct store *after = NULL;
			struct repair_opts opts = options();
			struct repair_result r;
			pack = nth("pk/", 0, 0);
			rot(pack->name, 9);
			store_fault_reset(f.fault);
			/* a power cut before the nth barrier came to anything */
			store_fault_fail(f.fault, STORE_FAULT_BARRIER, n, UINT64_MAX, ERR_IO);
			(void)repair_back_write(f.store, pack->name, pack->data, pack->len, &err);
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			store_fault_reset(f.fault);
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &after, &err), 0));
			cr_assert(eq(int, repair_run(after, NULL, &opts, &r, &err), 0), "%s",
				err.msg);
			cr_expect(eq(u64, r.open, 0));
			cr_expect(store_image_lacks(after, &whole) == NULL, "barrier %d, kept %d",
				(int)n, (int)kept);
			store_free(after);
			reset();
		}
	}
}

Test(repair, a_rotten_log_of_a_write_brings_nothing_back)
{
	struct err err = ERR_INIT;
	const struct store_image_object *pack = nth("pk/", 0, 0);
	char log[STORE_MAX_NAME_BYTES];
	uint64_t count;
	(void)snprintf(log, sizeof(log), "wb/%s", pack->name);
	log[strlen("wb/pk")] = '_';
	log[strlen("wb/pk_ab")] = '_';
	store_image_replace(f.store, log, pack->data, pack->len - 1);
	cr_expect(eq(int, repair_back_resume(f.store, &count, &err), 0));
	cr_expect(eq(u64, count, 1));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
	cr_expect(not(has_leftovers()));
	cr_expect(eq(int, repair_back_write(f.store, pack->name, "x", 1, &err), -ERR_FAILED));
	/* and a whole one does, also where the object is gone */
	store_image_remove(f.store, pack->name);
	store_image_replace(f.store, log, pack->data, pack->len);
	cr_expect(eq(int, repair_back_resume(f.store, &count, &err), 0));
	cr_expect(store_image_lacks(f.store, &whole) == NULL);
	cr_expect(not(has_leftovers()));
}
