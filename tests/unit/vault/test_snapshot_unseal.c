#include "vault/snapshot_unseal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/point_bodies.h"
#include "tests/lib/vault_fixture.h"
#include "vault/domain.h"
#include "vault/fetch.h"
#include "vault/record_io.h"

/* A vault with two snapshots; the bodies are of the first, ${domain} comes from the bodies alone.
 */
static struct vault_fixture f;
static struct snapshot_list list;
static struct point_bodies bodies, other;
static struct domain domain;
static struct fetch *fetch;
static struct err err;

static const uint8_t content[] = "batch 4711 complete\n";
static const struct fake_file files[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = content,
		.len = sizeof(content),
		.mtime_s = 5 },
};

static void setup(void)
{
	struct backup_result r;
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	point_bodies_read(f.vault, &list.at[0], &bodies);
	point_bodies_read(f.vault, &list.at[1], &other);
	cr_assert(eq(
		int, domain_decode(bodies.config.data, bodies.config.len, NULL, &domain, &err), 0));
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
}

static void teardown(void)
{
	fetch_free(fetch);
	domain_done(&domain);
	point_bodies_done(&bodies);
	point_bodies_done(&other);
	snapshot_list_done(&list);
	vault_fixture_done(&f);
}

TestSuite(snapshot_unseal, .init = setup, .fini = teardown);

static int open_with(const struct buf *sn, const struct buf *ev, const uint8_t sk[32],
	struct snapshot_opened *out)
{
	struct snapshot s = { .is_signer_known = false };
	int rc = snapshot_unseal_body(&domain, sn->data, sn->len, &s, &err);
	if (rc != 0)
		return rc;
	const struct snapshot_unseal_opts opts = { .domain = &domain,
		.snapshot = &s,
		.envelopes = ev->data,
		.envelopes_len = ev->len,
		.name = "ev",
		.sk = sk,
		.source = fetch_source(fetch) };
	rc = snapshot_unseal_open(&opts, out, &err);
	if (rc == 0)
		rc = snapshot_unseal_check(&opts, &err);
	snapshot_unseal_done(&s);
	return rc;
}

Test(snapshot_unseal, a_writer_is_revoked_when_the_config_lists_no_other_key_of_it)
{
	for (int i = 0; i < 2; i++) {
		struct snapshot s = { .is_signer_known = false };
		for (size_t k = 0; k < domain.agent_count; k++)
			domain.agents[k].is_revoked = i == 1;
		cr_assert(eq(int,
				  snapshot_unseal_body(&domain, bodies.snapshot.data,
					  bodies.snapshot.len, &s, &err),
				  0),
			"%s", err.msg);
		cr_expect(eq(int, s.is_writer_revoked, i));
		snapshot_unseal_done(&s);
	}
}

Test(snapshot_unseal, opens_a_point_from_bodies_and_config_alone)
{
	struct snapshot_opened opened, near;
	cr_assert(eq(int, open_with(&bodies.snapshot, &bodies.envelopes, f.keys.dk_sk, &opened), 0),
		"%s", err.msg);
	cr_expect(eq(int, opened.recipient, SNAPREC_DRILL));
	cr_expect(opened.is_recovery_recomputed);
	cr_assert(
		eq(int, snapshot_open(f.vault, fetch, &list.at[0], f.keys.dk_sk, &near, &err), 0));
	cr_expect(eq(int, memcmp(&near.root_ref, &opened.root_ref, sizeof(near.root_ref)), 0));
	cr_assert(eq(int, open_with(&bodies.snapshot, &bodies.envelopes, f.rk_sk, &opened), 0));
	cr_expect(eq(int, opened.recipient, SNAPREC_RECOVERY));
}

Test(snapshot_unseal, a_strangers_key_opens_nothing)
{
	struct snapshot_opened opened;
	const uint8_t stranger[32] = { 9 };
	cr_expect(eq(
		int, open_with(&bodies.snapshot, &bodies.envelopes, stranger, &opened), -ERR_AUTH));
}

Test(snapshot_unseal, envelopes_of_another_snapshot_are_refused)
{
	struct snapshot_opened opened;
	cr_expect(eq(int, open_with(&bodies.snapshot, &other.envelopes, f.keys.dk_sk, &opened),
		-ERR_CORRUPT));
}

/* Everything signed or bound: record, envelopes, label.  What is the vault's own word (receipt,
 * session, where segments lie) is not. */
Test(snapshot_unseal, a_changed_byte_of_record_or_envelopes_is_refused)
{
	struct snapshot_opened opened;
	for (size_t i = 0; i < SNAPREC_BYTES; i++) {
		bodies.snapshot.data[i] ^= 1;
		int rc = open_with(&bodies.snapshot, &bodies.envelopes, f.keys.dk_sk, &opened);
		cr_expect(ne(int, rc, 0), "record, byte %zu", i);
		bodies.snapshot.data[i] ^= 1;
	}
	for (size_t i = 0; i < bodies.envelopes.len; i++) {
		bodies.envelopes.data[i] ^= 1;
		int rc = open_with(&bodies.snapshot, &bodies.envelopes, f.keys.dk_sk, &opened);
		cr_expect(ne(int, rc, 0), "envelopes, byte %zu", i);
		bodies.envelopes.data[i] ^= 1;
	}
	bodies.snapshot.data[bodies.snapshot.len - 1] ^= 1; /* of the label */
	cr_expect(
		ne(int, open_with(&bodies.snapshot, &bodies.envelopes, f.keys.dk_sk, &opened), 0));
}

Test(snapshot_unseal, an_identity_that_the_config_does_not_list_is_refused)
{
	struct snapshot s;
	cr_assert(eq(sz, domain.agent_count, 1));
	domain.agents[0].kid[0] ^= 1;
	cr_expect(eq(int,
		snapshot_unseal_body(&domain, bodies.snapshot.data, bodies.snapshot.len, &s, &err),
		-ERR_CORRUPT));
	domain.agents[0].kid[0] ^= 1;
	domain.epoch = 0; /* a stranger's restore */
	cr_assert(eq(int,
		snapshot_unseal_body(&domain, bodies.snapshot.data, bodies.snapshot.len, &s, &err),
		0));
	cr_expect(not(s.is_signer_known));
	snapshot_unseal_done(&s);
}

Test(snapshot_unseal, a_recovery_envelope_that_is_left_out_shows)
{
	struct snapshot_opened opened;
	struct buf ev = BUF_INIT(4096);
	/* the hash, a count of one, and the drill group's envelope, whichever it is */
	for (size_t i = 0; i < 2; i++) {
		buf_clear(&ev);
		cr_assert(eq(int, buf_add(&ev, bodies.envelopes.data, 32, NULL), 0));
		cr_assert(eq(int, buf_add16(&ev, 1, NULL), 0));
		cr_assert(eq(int,
			buf_add(&ev, bodies.envelopes.data + 34 + i * SNAPREC_ENVELOPE_BYTES,
				SNAPREC_ENVELOPE_BYTES, NULL),
			0));
		struct snapshot s;
		cr_assert(eq(int,
			snapshot_unseal_body(
				&domain, bodies.snapshot.data, bodies.snapshot.len, &s, &err),
			0));
		const struct snapshot_unseal_opts opts = { .domain = &domain,
			.snapshot = &s,
			.envelopes = ev.data,
			.envelopes_len = ev.len,
			.name = "ev",
			.sk = f.keys.dk_sk,
			.source = fetch_source(fetch) };
		int rc = snapshot_unseal_open(&opts, &opened, &err);
		if (rc == 0) {
			cr_expect(not(opened.is_recovery_recomputed));
			cr_expect(eq(int, snapshot_unseal_check(&opts, &err), -ERR_CORRUPT));
		} else {
			cr_expect(eq(int, rc, -ERR_AUTH));
		}
		snapshot_unseal_done(&s);
	}
	buf_done(&ev);
}

Test(snapshot_unseal, what_an_envelope_says_of_itself_makes_nobody_a_recovery_key)
{
	struct snapshot s;
	cr_assert(eq(int,
		snapshot_unseal_body(&domain, bodies.snapshot.data, bodies.snapshot.len, &s, &err),
		0));
	const struct snapshot_unseal_opts opts = { .domain = &domain,
		.snapshot = &s,
		.envelopes = bodies.envelopes.data,
		.envelopes_len = bodies.envelopes.len,
		.name = "ev" };
	cr_expect(eq(int, snapshot_unseal_check(&opts, &err), 0));
	/* the same, and the config lists another key in its place; with drill groups and without */
	domain.recovery_pk[0][0] ^= 1;
	cr_expect(eq(int, snapshot_unseal_check(&opts, &err), -ERR_CORRUPT));
	domain.group_count = 0;
	cr_expect(eq(int, snapshot_unseal_check(&opts, &err), -ERR_CORRUPT));
	domain.recovery_pk[0][0] ^= 1;
	cr_expect(eq(int, snapshot_unseal_check(&opts, &err), 0));
	snapshot_unseal_done(&s);
}

/* Received by a clock that was behind, the end of the chain is listed before what came earlier. */
Test(snapshot_unseal, the_latest_is_the_end_of_the_chain_whatever_the_clock_said)
{
	const struct snapshot *found = NULL;
	struct snapshot end = list.at[1];
	list.at[1] = list.at[0];
	list.at[0] = end;
	for (int revoked = 0; revoked < 2; revoked++) {
		list.at[0].is_writer_revoked = list.at[1].is_writer_revoked = revoked > 0;
		cr_assert(eq(int, snapshot_pick(&list, "latest", NULL, &found, &err), 0), "%s",
			err.msg);
		cr_expect(eq(u64, found->record.seq, 2));
	}
}
