#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/index.h"
#include "vault/record.h"
#include "vault/session.h"
#include "vault/snapshot.h"

#ifdef __SANITIZE_ADDRESS__ /* slow: lane-unit tries every operation */
#define STRIDE 5
#else
#define STRIDE 1
#endif

static struct vault_fixture f;

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(session, .init = setup, .fini = teardown);

static const uint8_t small[] = "batch 4711 complete\n";
static const uint8_t other[] = "batch 4712 complete\n";

static const struct fake_file day1[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = small,
		.len = sizeof(small),
		.mtime_s = 5 },
	{ .path = "plant/b.evt",
		.kind = ENTRY_FILE,
		.data = other,
		.len = sizeof(other),
		.mtime_s = 6 },
};
static const struct fake_file day2[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 200 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = small,
		.len = sizeof(small),
		.mtime_s = 5 },
	{ .path = "plant/c.evt",
		.kind = ENTRY_FILE,
		.data = other,
		.len = sizeof(other),
		.mtime_s = 9 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(session, two_backups_make_a_chain_that_reads_back_and_verifies)
{
	struct err err = ERR_INIT;
	struct backup_result one;
	struct backup_result two;

	cr_assert(
		eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &one, &err), 0), "%s", err.msg);
	cr_assert(
		eq(int, vault_fixture_backup(&f, day2, COUNT(day2), &two, &err), 0), "%s", err.msg);

	cr_expect(eq(u64, one.seq, 1));
	cr_expect(eq(u64, two.seq, 2));
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, day1, COUNT(day1));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	why = vault_fixture_differs(f.store, f.rk_sk, 1, day2, COUNT(day2));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(session, same_content_again_stores_no_data_record)
{
	struct err err = ERR_INIT;
	struct backup_result r;

	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.sent_data_records, 1));
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.sent_data_records, 0));
}

Test(session, drill_key_opens_the_snapshot_and_recomputes_the_recovery_envelope)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	struct snapshot_opened opened;
	struct fetch *fetch = NULL;

	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(
		eq(int, snapshot_open(f.vault, fetch, &list.at[0], f.keys.dk_sk, &opened, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, opened.recipient, SNAPREC_DRILL));
	cr_expect(eq(sz, opened.envelopes, 2));
	cr_expect(opened.is_recovery_recomputed);

	uint8_t stranger[32] = { 9 };
	cr_expect(eq(int, snapshot_open(f.vault, fetch, &list.at[0], stranger, &opened, &err),
		-ERR_AUTH));
	fetch_free(fetch);
	snapshot_list_done(&list);
}

/* Every operation of a backup fails once, with three faces: the run fails, nothing is harmed. */
static void fail_each_operation(enum err_code code, bool is_torn)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	store_fault_reset(f.fault);
	cr_assert(eq(int, vault_fixture_backup(&f, day2, COUNT(day2), &r, &err), 0), "%s", err.msg);
	uint64_t ops = store_fault_count(f.fault, STORE_FAULT_ANY);
	cr_assert(ge(u64, ops, 11));
	int before = vault_fixture_snapshots(f.store, f.rk_sk);

	for (uint64_t n = 1; n <= ops; n += STRIDE) {
		store_fault_reset(f.fault);
		if (is_torn)
			store_fault_tear(f.fault, STORE_FAULT_ANY, n, code);
		else
			store_fault_fail(f.fault, STORE_FAULT_ANY, n, 4, code);
		int rc = vault_fixture_backup(&f, n % 2 == 0 ? day1 : day2, 3, &r, &err);
		store_fault_reset(f.fault);
		int after = vault_fixture_snapshots(f.store, f.rk_sk);
		/* acknowledged means there; not acknowledged may be there only if the very last
		 * steps (looking for a fence, end mark) failed */
		if (rc == 0)
			cr_expect(eq(int, after, before + 1), "operation %d", (int)n);
		else
			cr_expect(after == before || after == before + 1, "operation %d", (int)n);
		const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, day1, COUNT(day1));
		cr_expect(eq(ptr, (void *)why, NULL), "operation %d: %s", (int)n, why);
		before = after;
	}
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	cr_assert(eq(int, vault_fixture_backup(&f, day2, COUNT(day2), &r, &err), 0), "%s", err.msg);
}

Test(session, an_io_error_at_every_operation_harms_nothing)
{
	fail_each_operation(ERR_IO, false);
}

Test(session, a_full_store_at_every_operation_harms_nothing)
{
	fail_each_operation(ERR_NOSPACE, false);
}

Test(session, a_torn_operation_at_every_step_harms_nothing)
{
	fail_each_operation(ERR_IO, true);
}

Test(session, a_crash_at_every_operation_leaves_every_earlier_snapshot_and_a_usable_vault)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	store_fault_reset(f.fault);
	cr_assert(eq(int, vault_fixture_backup(&f, day2, COUNT(day2), &r, &err), 0), "%s", err.msg);
	uint64_t ops = store_fault_count(f.fault, STORE_FAULT_ANY);

	for (uint64_t n = 1; n <= ops; n += STRIDE) {
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		(void)vault_fixture_backup(&f, day2, COUNT(day2), &r, &err);
		/* what a power cut leaves: any subset of what was staged */
		for (uint64_t kept = 0; kept < 16; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			const char *why =
				vault_fixture_differs(store, f.rk_sk, 1, day2, COUNT(day2));
			cr_expect(eq(ptr, (void *)why, NULL), "operation %d: %s", (int)n, why);
			cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0),
				"operation %d, kept %d", (int)n, (int)kept);
			store_free(store);
		}
		store_fault_reset(f.fault);
	}
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

/* Open ${store} with the fixture's keys and back up a table into it. */
static int backup_into(struct store *store, const struct fake_file *files, size_t count)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct vault_keys keys;
	struct vault_fixture g = f;
	g.store = store;
	g.vault = NULL;
	vault_keys_of_writer(&f.keys.writer, &keys);
	cr_assert(eq(int, vault_open(store, &keys, &g.vault, &err), 0), "%s", err.msg);
	int rc = vault_fixture_backup(&g, files, count, &r, &err);
	vault_close(g.vault);
	return rc;
}

Test(session, a_backup_after_a_crash_at_every_operation_holds_all_it_acknowledges)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	uint64_t ops = 1;

	for (uint64_t n = 1; n <= ops; n += STRIDE) {
		vault_fixture_done(&f);
		vault_fixture_init(&f);
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		bool is_done = vault_fixture_backup(&f, day1, COUNT(day1), &r, &err) == 0;
		ops += is_done ? 0 : STRIDE;
		/* a crash inside the barrier may have named the index but not its packs */
		for (uint64_t kept = 0; kept < 64; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			cr_expect(eq(int, backup_into(store, day1, COUNT(day1)), 0));
			cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0),
				"operation %d, kept %d", (int)n, (int)kept);
			store_free(store);
		}
		store_fault_reset(f.fault);
	}
	cr_expect(ge(u64, ops, 11));
}

static int remove_object(void *arg, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	(void)size;
	return store_remove(arg, name, &err);
}

/* A label that says nothing but the source's name, "plant". */
static const uint8_t plant_label[] = { 1, 5, 'p', 'l', 'a', 'n', 't' };
#define PLANT_LABEL_BYTES sizeof(plant_label)

/* A hostile agent speaks to the port itself. */
struct hostile {
	struct session *session;
	const struct port *port;
	uint8_t source_id[16];
};

static void hostile_begin(struct hostile *h)
{
	struct err err = ERR_INIT;
	struct port_base base;
	keyring_source_id(f.keys.writer.domain_id, f.keys.writer.agent_id, "plant", h->source_id);
	cr_assert(eq(int, session_new(f.vault, NULL, &h->session, &err), 0), "%s", err.msg);
	h->port = session_port(h->session);
	cr_assert(eq(int,
			  h->port->begin(
				  h->port->self, f.keys.writer.agent_id, h->source_id, &base, &err),
			  0),
		"%s", err.msg);
}

static void make_record(const char *text, uint8_t key_seed, struct buf *cr, struct ref *ref)
{
	struct err err = ERR_INIT;
	struct record_sealer *sealer = NULL;
	uint8_t key[32];
	memset(key, key_seed, sizeof(key));
	cr_assert(eq(int, record_sealer_new(1, key, RECORD_CHECK_FULL, &sealer, &err), 0));
	cr_assert(eq(int,
			  record_seal(sealer, RECORD_DATA, RECORD_CLASS_BUNDLE, text, strlen(text),
				  cr, ref, &err),
			  0),
		"%s", err.msg);
	record_sealer_free(sealer);
}

/* What a hostile agent lets a commit say: one record, its refs, a label. */
struct hostile_commit {
	uint64_t seq;
	const struct snapshot *prev;
	struct ref ref;
	const void *label;
	size_t label_len;
};

static int hostile_commit(struct hostile *h, const struct hostile_commit *x, struct err *err)
{
	struct snaprec rec = { .suite = 1, .config_epoch = 1, .seq = x->seq };
	struct snaprec_refs *refs = NULL;
	uint8_t raw[SNAPREC_BYTES];
	uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
	uint8_t hash[32];
	struct port_receipt receipt;
	struct port_commit c = { .record = raw,
		.envelopes = envelope,
		.envelope_count = 1,
		.label = x->label,
		.label_len = x->label_len };
	cr_assert(eq(int, snaprec_refs_new(&refs, err), 0));
	cr_assert(eq(int, snaprec_refs_add(refs, x->ref.id, x->ref.cr_len, err), 0));
	memcpy(rec.domain_id, f.keys.writer.domain_id, 16);
	memcpy(rec.agent_id, f.keys.writer.agent_id, 16);
	memcpy(rec.source_id, h->source_id, 16);
	memcpy(rec.root_id, x->ref.id, 32);
	if (x->prev != NULL)
		memcpy(rec.prev, x->prev->hash, 32);
	cr_assert(eq(int,
		snaprec_refs_finish(
			refs, &c.segments, &c.segments_len, &rec.ref_count, rec.refs_root, err),
		0));
	snaprec_sign(&rec, f.keys.writer.ik_seed, raw);
	snaprec_hash(raw, hash);
	cr_assert(eq(int,
		snaprec_envelope(SNAPREC_RECOVERY, rec.domain_id, hash, f.keys.writer.rk_pk,
			&x->ref, envelope, err),
		0));
	int rc = h->port->commit(h->port->self, &c, &receipt, err);
	snaprec_refs_free(refs);
	return rc;
}

/* A first snapshot through the port; then one that only uses its record again, as for an unchanged
 * file, after every object under ${prefix} is gone. */
static int use_again_without(const char *prefix, struct err *err)
{
	struct hostile h;
	struct snapshot_list list;
	struct hostile_commit x = {
		.seq = 1, .label = plant_label, .label_len = PLANT_LABEL_BYTES
	};
	CLEANUP(buf_done) struct buf cr = BUF_INIT(1u << 20);
	make_record("unchanged", 1, &cr, &x.ref);
	hostile_begin(&h);
	cr_assert(eq(int, h.port->put(h.port->self, cr.data, cr.len, err), 0));
	cr_assert(eq(int, hostile_commit(&h, &x, err), 0), "%s", err->msg);
	session_free(h.session);

	cr_assert(eq(int, store_list(f.store, prefix, remove_object, f.store, err), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, err), 0));
	x.seq = 2;
	x.prev = &list.at[0];
	hostile_begin(&h);
	int rc = hostile_commit(&h, &x, err);
	session_free(h.session);
	snapshot_list_done(&list);
	return rc;
}

Test(session, a_commit_that_uses_a_record_whose_pack_is_gone_is_refused)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, use_again_without("pk/", &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.hint, "--no-cache"), NULL));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 1));
}

Test(session, a_commit_that_uses_a_record_no_index_lists_finds_it_in_a_footer)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, use_again_without("ix/", &err), 0), "%s", err.msg);
}

Test(session, a_label_that_no_reader_takes_or_of_another_source_is_refused)
{
	/* each would otherwise lie in the vault for good and stop every list of snapshots, or
	 * stand in for another source's latest */
	static const struct {
		const char *label;
		size_t len;
	} bad[] = { { "", 0 }, { "\1\5plan", 6 }, { "\1\5plans", 7 }, { "\x7f\1x", 3 },
		{ "\1\5plant\6\1", 9 } };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;
		struct hostile h;
		struct hostile_commit x = {
			.seq = 1, .label = bad[i].label, .label_len = bad[i].len
		};
		CLEANUP(buf_done) struct buf cr = BUF_INIT(1u << 20);
		make_record("poison", 1, &cr, &x.ref);
		hostile_begin(&h);
		cr_assert(eq(int, h.port->put(h.port->self, cr.data, cr.len, &err), 0));
		cr_expect(lt(int, hostile_commit(&h, &x, &err), 0), "label %d", (int)i);
		session_free(h.session);
	}
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 0));
}

Test(session, a_session_begins_once)
{
	struct err err = ERR_INIT;
	struct hostile h;
	struct port_base base;
	uint8_t stranger[16] = { 0xee };
	hostile_begin(&h);
	cr_expect(eq(
		int, h.port->begin(h.port->self, stranger, h.source_id, &base, &err), -ERR_FAILED));
	session_free(h.session);
}

Test(session, has_never_tells_of_records_that_another_agent_stored)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct hostile h;
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);

	/* the same vault, another agent's identity: it asks for every record there is */
	uint8_t stranger[16] = { 0xee };
	struct port_base base;
	memset(h.source_id, 7, sizeof(h.source_id));
	cr_assert(eq(int, session_new(f.vault, NULL, &h.session, &err), 0));
	h.port = session_port(h.session);
	cr_assert(eq(int, h.port->begin(h.port->self, stranger, h.source_id, &base, &err), 0));
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	uint8_t present[1] = { 9 };
	cr_assert(eq(int,
		h.port->has(h.port->self, (const uint8_t(*)[32])list.at[0].record.root_id, 1,
			present, &err),
		0));
	cr_expect(eq(u8, present[0], 0));
	snapshot_list_done(&list);
	session_free(h.session);
}

/* Fill a pack to its brink and put one record more.  Return how many packs were written. */
static uint64_t packs_after(const struct buf *last)
{
	enum { FILLERS = 4, FILLER_BYTES = 8u << 20 };
	static uint8_t run; /* what a session that broke off put is stored: others each time */
	struct err err = ERR_INIT;
	struct hostile h;
	struct port_base base;
	uint8_t stranger[16] = { 0xee };
	CLEANUP(cleanup_free_p) uint8_t *filler = calloc(1, FILLER_BYTES);
	cr_assert(ne(ptr, filler, NULL));
	memset(h.source_id, 7, sizeof(h.source_id));
	cr_assert(eq(int, session_new(f.vault, NULL, &h.session, &err), 0));
	h.port = session_port(h.session);
	cr_assert(eq(int, h.port->begin(h.port->self, stranger, h.source_id, &base, &err), 0));
	for (int i = 0; i < FILLERS; i++) {
		record_header(1, RECORD_DATA, FILLER_BYTES, filler);
		filler[RECORD_HEADER_BYTES] = (uint8_t)i;
		filler[RECORD_HEADER_BYTES + 1] = run;
		cr_assert(eq(int, h.port->put(h.port->self, filler, FILLER_BYTES, &err), 0), "%s",
			err.msg);
	}
	cr_assert(eq(u64, session_stats(h.session)->packs, 0)); /* full, and not written yet */
	cr_assert(
		eq(int, h.port->put(h.port->self, last->data, last->len, &err), 0), "%s", err.msg);
	const uint64_t packs = session_stats(h.session)->packs;
	session_free(h.session);
	run++;
	return packs;
}

Test(session, when_a_pack_is_written_tells_nothing_of_what_another_agent_stored)
{
	struct err err = ERR_INIT;
	struct hostile h;
	struct hostile_commit x = {
		.seq = 1, .label = plant_label, .label_len = PLANT_LABEL_BYTES
	};
	struct ref ref;
	CLEANUP(buf_done) struct buf known = BUF_INIT(1u << 20);
	CLEANUP(buf_done) struct buf unknown = BUF_INIT(1u << 20);
	make_record("the other agent's", 1, &known, &x.ref);
	make_record("nobody has this", 1, &unknown, &ref);
	hostile_begin(&h);
	cr_assert(eq(int, h.port->put(h.port->self, known.data, known.len, &err), 0));
	cr_assert(eq(int, hostile_commit(&h, &x, &err), 0), "%s", err.msg);
	session_free(h.session);

	cr_expect(eq(u64, packs_after(&unknown), 1));
	cr_expect(eq(u64, packs_after(&known), 1));
}

Test(session, batches_of_garbage_are_refused_and_end_the_session)
{
	struct err err = ERR_INIT;
	struct hostile h;
	uint8_t garbage[4096];
	vault_fixture_noise(garbage, sizeof(garbage), 3);
	hostile_begin(&h);
	cr_expect(lt(int, h.port->put(h.port->self, garbage, sizeof(garbage), &err), 0));
	cr_expect(eq(int, h.port->put(h.port->self, garbage, 0, &err), -ERR_FAILED));
	session_free(h.session);

	CLEANUP(buf_done) struct buf cr = BUF_INIT(1u << 20);
	struct ref ref;
	make_record("hello", 1, &cr, &ref);
	hostile_begin(&h);
	cr_expect(eq(int, h.port->put(h.port->self, cr.data, cr.len - 1, &err), -ERR_CORRUPT));
	session_free(h.session);
}

Test(session, commit_refuses_what_breaks_a_rule_of_the_format)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf cr = BUF_INIT(1u << 20);
	struct ref ref;
	make_record("root of evil", 1, &cr, &ref);

	for (int fault = 0; fault <= 8; fault++) {
		struct hostile h;
		struct snaprec rec = { .suite = 1, .config_epoch = 1, .seq = 1 };
		struct snaprec_refs *refs = NULL;
		uint8_t raw[SNAPREC_BYTES];
		uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
		uint8_t hash[32];
		struct port_commit c = { .record = raw,
			.envelopes = envelope,
			.envelope_count = 1,
			.label = plant_label,
			.label_len = PLANT_LABEL_BYTES };
		struct port_receipt receipt;

		hostile_begin(&h);
		cr_assert(eq(int, h.port->put(h.port->self, cr.data, cr.len, &err), 0), "%s",
			err.msg);
		cr_assert(eq(int, snaprec_refs_new(&refs, &err), 0));
		if (fault == 1) { /* a record that nobody put */
			uint8_t guess[32] = { 1 };
			cr_assert(eq(int, snaprec_refs_add(refs, guess, 100, &err), 0));
		}
		uint32_t len = fault == 2 ? ref.cr_len + 1 : ref.cr_len;
		cr_assert(eq(int, snaprec_refs_add(refs, ref.id, len, &err), 0));
		memcpy(rec.domain_id, f.keys.writer.domain_id, 16);
		memcpy(rec.agent_id, f.keys.writer.agent_id, 16);
		memcpy(rec.source_id, h.source_id, 16);
		memcpy(rec.root_id, ref.id, 32);
		cr_assert(eq(int,
			snaprec_refs_finish(refs, &c.segments, &c.segments_len, &rec.ref_count,
				rec.refs_root, &err),
			0));
		if (fault == 3)
			rec.seq = 2;
		if (fault == 4)
			rec.prev[0] = 1;
		if (fault == 5)
			rec.root_id[0] ^= 1;
		if (fault == 6)
			rec.config_epoch = 2;
		uint8_t seed[32];
		memcpy(seed, f.keys.writer.ik_seed, sizeof(seed));
		if (fault == 7)
			seed[0] ^= 1;
		snaprec_sign(&rec, seed, raw);
		snaprec_hash(raw, hash);
		cr_assert(eq(int,
			snaprec_envelope(fault == 8 ? SNAPREC_DRILL : SNAPREC_RECOVERY,
				rec.domain_id, hash, f.keys.writer.rk_pk, &ref, envelope, &err),
			0));
		int rc = h.port->commit(h.port->self, &c, &receipt, &err);
		if (fault == 0)
			cr_expect(eq(int, rc, 0), "%s", err.msg);
		else
			cr_expect(lt(int, rc, 0), "fault %d was let through", fault);
		snaprec_refs_free(refs);
		session_free(h.session);
		if (fault == 0) { /* begin again from an empty vault */
			vault_fixture_done(&f);
			vault_fixture_init(&f);
		}
	}
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 0));
}

Test(session, a_second_session_that_commits_first_makes_the_other_fail_busy)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct hostile h;
	struct port_base base;
	struct port_receipt receipt;

	cr_assert(eq(int, session_new(f.vault, NULL, &h.session, &err), 0));
	h.port = session_port(h.session);
	keyring_source_id(f.keys.writer.domain_id, f.keys.writer.agent_id, "plant", h.source_id);
	cr_assert(eq(int,
		h.port->begin(h.port->self, f.keys.writer.agent_id, h.source_id, &base, &err), 0));
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);

	CLEANUP(buf_done) struct buf cr = BUF_INIT(1u << 20);
	struct ref ref;
	make_record("late", 1, &cr, &ref);
	cr_assert(eq(int, h.port->put(h.port->self, cr.data, cr.len, &err), 0));
	struct snaprec rec = { .suite = 1, .config_epoch = 1, .seq = 1 };
	struct snaprec_refs *refs = NULL;
	uint8_t raw[SNAPREC_BYTES];
	uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
	uint8_t hash[32];
	struct port_commit c = { .record = raw,
		.envelopes = envelope,
		.envelope_count = 1,
		.label = plant_label,
		.label_len = PLANT_LABEL_BYTES };
	cr_assert(eq(int, snaprec_refs_new(&refs, &err), 0));
	cr_assert(eq(int, snaprec_refs_add(refs, ref.id, ref.cr_len, &err), 0));
	memcpy(rec.domain_id, f.keys.writer.domain_id, 16);
	memcpy(rec.agent_id, f.keys.writer.agent_id, 16);
	memcpy(rec.source_id, h.source_id, 16);
	memcpy(rec.root_id, ref.id, 32);
	cr_assert(eq(int,
		snaprec_refs_finish(
			refs, &c.segments, &c.segments_len, &rec.ref_count, rec.refs_root, &err),
		0));
	snaprec_sign(&rec, f.keys.writer.ik_seed, raw);
	snaprec_hash(raw, hash);
	cr_assert(eq(int,
		snaprec_envelope(SNAPREC_RECOVERY, rec.domain_id, hash, f.keys.writer.rk_pk, &ref,
			envelope, &err),
		0));
	cr_expect(eq(int, h.port->commit(h.port->self, &c, &receipt, &err), -ERR_BUSY));
	snaprec_refs_free(refs);
	session_free(h.session);
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 1));
}

Test(session, a_fork_is_named_by_verify_and_holds_the_source)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct store_mem *left = NULL;
	struct store *clone = NULL;
	/* a writer is cloned: the same state commits twice, in two copies of the store ... */
	cr_assert(eq(int, store_mem_crash(f.mem, 0, &left, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, left, NULL, &clone, &err), 0));
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	struct vault_fixture g = f;
	struct vault_keys keys;
	g.store = clone;
	g.vault = NULL;
	vault_keys_of_writer(&f.keys.writer, &keys);
	cr_assert(eq(int, vault_open(clone, &keys, &g.vault, &err), 0));
	cr_assert(eq(int, vault_fixture_backup(&g, day2, COUNT(day2), &r, &err), 0), "%s", err.msg);
	/* ... and one gateway later sees both */
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	for (size_t i = 0; i < list.count; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		cr_assert(eq(int, store_get(f.store, list.at[i].object, &b, &err), 0));
		cr_assert(eq(int, store_put(clone, list.at[i].object, b.data, b.len, &err), 0));
	}
	cr_assert(eq(int, store_barrier(clone, &err), 0));
	snapshot_list_done(&list);
	cr_expect(eq(int, vault_fixture_backup(&g, day1, COUNT(day1), &r, &err), -ERR_FORK));
	cr_expect(ge(int, vault_fixture_problems(clone, f.rk_sk), 1));
	vault_close(g.vault);
	store_free(clone);
}
