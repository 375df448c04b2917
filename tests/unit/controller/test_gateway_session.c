#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/gateway_session.h"
#include "crypto/hpke.h"
#include "msg/msg_vault.h"
#include "store/store.h"
#include "tests/lib/gateway_fixture.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/record.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

static struct gateway_fixture f;
static struct gateway_session_readers readers;

static void setup(void)
{
	gateway_fixture_init(&f);
	gateway_session_readers(&f.domain, &readers);
}

static void teardown(void)
{
	gateway_fixture_done(&f);
}

TestSuite(gateway_session, .init = setup, .fini = teardown);

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const uint8_t text[] = "batch 4711 complete\n";
static const struct fake_file files[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt", .kind = ENTRY_FILE, .data = text, .len = sizeof(text) },
};

static struct gateway_session *open_session(struct port_base *base)
{
	struct gateway_session *s = NULL;
	struct err err = ERR_INIT;
	struct gateway_session_opts opts = { .vault = &f.vault, .source = "a", .max_list = 4096 };
	memcpy(opts.agent_id, f.agent.agent_id, 16);
	cr_assert(eq(int, gateway_session_new(&opts, &s, base, &err), 0), "%s", err.msg);
	return s;
}

static int note(void *arg, const struct snapshot *s, struct err *err)
{
	(void)err;
	struct snapshot_body *last = arg;
	memcpy(last->record, s->body.record, SNAPREC_BYTES);
	memcpy(last->gateway, s->body.gateway, 16);
	last->receipt_ns = s->body.receipt_ns;
	last->log_index++;
	return 0;
}

Test(gateway_session, an_agent_without_the_vault_key_backs_up_twice_into_one_chain)
{
	struct backup_result one, two;
	struct err err = ERR_INIT;
	struct snapshot_body last = { .log_index = 0 };
	size_t damaged = 9;
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &one, &err), 0),
		"%s", err.msg);
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &two, &err), 0),
		"%s", err.msg);
	cr_expect(eq(u64, one.seq, 1));
	cr_expect(eq(u64, two.seq, 2));
	cr_expect(eq(u64, two.sent_data_records, 0));

	cr_assert(eq(int, gateway_vault_snapshots(&f.vault, note, &last, &damaged, &err), 0));
	cr_expect(eq(sz, damaged, 0));
	cr_expect(eq(u64, last.log_index, 2));
	cr_expect(eq(int, memcmp(last.gateway, f.keys.gateway, 16), 0));
}

/* What opening the newest snapshot with ${sk} says; the number of its envelopes. */
static int open_newest(const uint8_t sk[32], size_t *envelopes)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .count = 0 };
	struct snapshot_opened o = { .envelopes = 0 };
	const struct snapshot *newest = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_vault_open(&f.vault, true, &store, &vault, &err), 0));
	cr_assert(eq(int, snapshot_list(vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, snapshot_pick(&list, "latest", NULL, &newest, &err), 0), "%s", err.msg);
	cr_assert(eq(int, fetch_new(vault, &fetch, &err), 0), "%s", err.msg);
	int rc = snapshot_open(vault, fetch, newest, sk, &o, &err);
	*envelopes = o.envelopes;
	fetch_free(fetch);
	snapshot_list_done(&list);
	vault_close(vault);
	store_free(store);
	return rc;
}

Test(gateway_session, both_sandboxes_of_a_group_open_what_is_sealed_to_both)
{
	struct backup_result made;
	struct err err = ERR_INIT;
	uint8_t second[32];
	size_t n = 0;
	struct domain_group *g = &f.domain.groups[f.domain.group_count++];
	strcpy(g->name, f.domain.groups[0].name);
	cr_assert(eq(int, hpke_generate(second, g->dk_pk, &err), 0));
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &made, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, open_newest(f.init.dk_sk, &n), 0));
	cr_expect(eq(int, open_newest(second, &n), 0));
	cr_expect(eq(sz, n, 3)); /* and the recovery key */
	cr_expect(eq(int, open_newest(f.rk_sk, &n), 0));
}

Test(gateway_session, a_key_that_is_struck_during_a_backup_gets_nothing_of_it)
{
	struct backup_result made;
	struct err err = ERR_INIT;
	uint8_t second[32];
	size_t n = 0;
	struct domain newest = f.domain;
	struct domain_group *g = &f.domain.groups[f.domain.group_count++];
	strcpy(g->name, f.domain.groups[0].name);
	cr_assert(eq(int, hpke_generate(second, g->dk_pk, &err), 0));
	newest.groups[0] = *g; /* instead of the first one, not beside it */
	f.newest = &newest;
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &made, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, open_newest(f.init.dk_sk, &n), -ERR_AUTH));
	cr_expect(eq(int, open_newest(second, &n), 0));
	cr_expect(eq(sz, n, 2)); /* and the recovery key */
	cr_expect(eq(int, open_newest(f.rk_sk, &n), 0));
	/* a list without the recovery key makes no snapshot */
	newest.recovery_count = 0;
	cr_expect(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &made, &err),
		-ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "no envelope for a recovery key"), NULL), "%s", err.msg);
}

Test(gateway_session, an_old_record_replayed_into_a_new_session_is_refused)
{
	struct backup_result made;
	struct err err = ERR_INIT;
	struct port_base base;
	struct port_receipt receipt;
	struct snapshot *snap;
	struct snapshot_body last = { .log_index = 0 };
	size_t damaged;
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &made, &err), 0));
	struct gateway_session *s = open_session(&base);
	cr_assert(base.is_there);
	cr_assert(eq(int, gateway_vault_snapshots(&f.vault, note, &last, &damaged, &err), 0));
	const struct port_commit c = { .record = last.record };
	cr_assert(eq(int, msg_vault_commit_encode(&c, &body, &err), 0), "%s", err.msg);
	cr_expect(eq(int,
		gateway_session_commit(s, &readers, body.data, body.len, &receipt, &snap, &err),
		-ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "does not continue the chain"), NULL), "%s", err.msg);
	gateway_session_free(s);
}

Test(gateway_session, asks_of_a_wrong_length_are_refused)
{
	struct port_base base;
	struct err err = ERR_INIT;
	uint8_t ids[33] = { 0 }, present[PORT_HAS_IDS];
	size_t n = 0;
	struct gateway_session *s = open_session(&base);
	cr_expect(not(base.is_there));
	cr_expect(eq(int, gateway_session_has(s, ids, 0, present, &n, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_session_has(s, ids, 33, present, &n, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_session_has(s, ids, 32, present, &n, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, n, 1));
	cr_expect(eq(int, present[0], 0));
	gateway_session_free(s);
}

Test(gateway_session, a_broken_put_is_told_by_every_later_call)
{
	struct port_base base;
	struct err err = ERR_INIT;
	uint8_t ids[32] = { 0 }, present[PORT_HAS_IDS];
	size_t n = 0;
	struct gateway_session *s = open_session(&base);
	int rc = gateway_session_put(s, (const uint8_t *)"garbage that is no record", 25, &err);
	cr_expect(ne(int, rc, 0));
	struct err later = ERR_INIT;
	cr_expect(eq(int, gateway_session_has(s, ids, 32, present, &n, &later), rc));
	cr_expect(eq(str, later.msg, err.msg));
	gateway_session_free(s);
}

Test(gateway_session, pieces_of_the_list_fit_together_or_are_refused)
{
	struct port_base base;
	struct err err = ERR_INIT;
	static const uint8_t big[5000];
	struct gateway_session *s = open_session(&base);
	cr_expect(eq(int, gateway_session_list(s, 0, (const uint8_t *)"abcd", 4, &err), 0));
	cr_expect(eq(int, gateway_session_list(s, 2, (const uint8_t *)"cdef", 4, &err), 0));
	cr_expect(
		eq(int, gateway_session_list(s, 2, (const uint8_t *)"cX", 2, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_session_list(s, 7, (const uint8_t *)"h", 1, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_session_list(s, 6, big, sizeof(big), &err), -ERR_LIMIT));
	cr_expect(ne(str, err.hint, ""));
	gateway_session_free(s);
}

static int64_t wrong_clock(void)
{
	return env_real()->now_ns() + INT64_C(2) * 86400 * 1000000000;
}

Test(gateway_session, a_record_from_a_wrong_clock_is_refused_with_the_difference)
{
	struct env_ops ops = *env_real();
	struct err err = ERR_INIT;
	struct port_base base;
	struct gateway_session *s = open_session(&base);
	/* an agent's record whose end lies two days ahead */
	struct snaprec r = { .suite = 1, .config_epoch = f.domain.epoch, .seq = 1 };
	uint8_t record[SNAPREC_BYTES];
	memcpy(r.domain_id, f.agent.domain_id, 16);
	memcpy(r.agent_id, f.agent.agent_id, 16);
	ops.now_ns = wrong_clock;
	r.t_start_ns = r.t_end_ns = ops.now_ns();
	snaprec_sign(&r, f.agent.ik_seed, record);
	const struct port_commit c = { .record = record };
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	struct port_receipt receipt;
	struct snapshot *made;
	cr_assert(eq(int, msg_vault_commit_encode(&c, &body, &err), 0), "%s", err.msg);
	cr_expect(eq(int,
		gateway_session_commit(s, &readers, body.data, body.len, &receipt, &made, &err),
		-ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "ahead of the controller's clock"), NULL), "%s", err.msg);
	gateway_session_free(s);
}

/* One session of the agent that puts a record and breaks off; or asks for it. */
static uint8_t ask_after(struct id_set *known, const struct buf *put, const uint8_t id[32])
{
	struct port_base base;
	struct err err = ERR_INIT;
	struct gateway_session *s = NULL;
	uint8_t present[PORT_HAS_IDS] = { 9 };
	size_t n = 0;
	struct gateway_session_opts opts = {
		.vault = &f.vault, .source = "a", .max_list = 4096, .known = known
	};
	memcpy(opts.agent_id, f.agent.agent_id, 16);
	cr_assert(eq(int, gateway_session_new(&opts, &s, &base, &err), 0), "%s", err.msg);
	if (put != NULL)
		cr_assert(eq(int, gateway_session_put(s, put->data, put->len, &err), 0), "%s",
			err.msg);
	cr_assert(eq(int, gateway_session_has(s, id, 32, present, &n, &err), 0), "%s", err.msg);
	cr_expect(not(gateway_session_is_committed(s)));
	gateway_session_free(s);
	return present[0];
}

Test(gateway_session, what_a_session_that_broke_off_put_need_not_be_sent_again)
{
	static uint8_t noise[6000000];
	static const uint8_t k_mle[32] = { 5 };
	struct record_sealer *sealer = NULL;
	struct buf cr = BUF_INIT(RECORD_MAX_WRITE_BYTES);
	struct ref ref;
	struct err err = ERR_INIT;
	struct id_set *known = NULL, *nothing = NULL;
	vault_fixture_noise(noise, sizeof(noise), 3);
	cr_assert(eq(int, record_sealer_new(1, k_mle, RECORD_CHECK_OPEN, &sealer, &err), 0));
	cr_assert(eq(int,
		record_seal(sealer, RECORD_DATA, RECORD_CLASS_STREAM, noise, sizeof(noise), &cr,
			&ref, &err),
		0));
	cr_assert(eq(int, id_set_new(&known, &err), 0));
	cr_assert(eq(int, id_set_new(&nothing, &err), 0));
	cr_expect(eq(int, ask_after(known, &cr, ref.id), 1), "it was put in this very session");
	cr_expect(eq(int, ask_after(NULL, NULL, ref.id), 0), "a guess is not answered");
	cr_expect(eq(int, ask_after(nothing, NULL, ref.id), 0));
	cr_expect(eq(int, ask_after(known, NULL, ref.id), 1));
	cr_expect(eq(int, ask_after(known, NULL, ref.id), 1), "and once more");
	const uint8_t other[32] = { 1 };
	cr_assert(eq(int, id_set_add(known, other, 100, NULL, &err), 0));
	cr_expect(eq(int, ask_after(known, NULL, other), 0), "what the store lost is not there");
	id_set_free(known);
	id_set_free(nothing);
	record_sealer_free(sealer);
	buf_done(&cr);
}

Test(gateway_session, another_agents_records_are_never_there)
{
	/* the same content under another agent's id: "have you" says no although it lies in a pack
	 */
	struct backup_result made;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", files, COUNT(files), &made, &err), 0));
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct snapshot_list list = { .count = 0 };
	struct gateway_session *s = NULL;
	struct port_base base;
	struct gateway_session_opts opts = { .vault = &f.vault, .source = "a", .max_list = 4096 };
	memset(opts.agent_id, 0xee, 16);
	cr_assert(eq(int, gateway_session_new(&opts, &s, &base, &err), 0), "%s", err.msg);
	cr_expect(not(base.is_there));
	cr_assert(eq(int, gateway_vault_open(&f.vault, true, &store, &vault, &err), 0));
	cr_assert(eq(int, snapshot_list(vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(sz, list.count, 1));
	uint8_t present[PORT_HAS_IDS];
	size_t n;
	cr_expect(eq(
		int, gateway_session_has(s, list.at[0].record.root_id, 32, present, &n, &err), 0));
	cr_expect(eq(int, present[0], 0));
	snapshot_list_done(&list);
	vault_close(vault);
	store_free(store);
	gateway_session_free(s);
}
