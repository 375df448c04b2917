/*
 * forged: vaults that were forged, poisoned, rolled back or forked, each by somebody who has
 * certain keys, and each refused in a certain way (docs/PROOF.md has the list as this program
 * prints it). Every way of looking at a vault is tried on the vault before it was forged as well,
 * so that what refuses is the forgery.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/forge_acts.h"
#include "tests/lib/prove_slice.h"
#include "vault/fetch.h"
#include "vault/verify.h"

/* Ways of looking; each returns 0 or the error by which the vault is refused. */
enum door {
	OPEN,    /* by a writer key file */
	RECOVER, /* by the recovery key, nothing else known */
	LIST,    /* the snapshots */
	RESTORE, /* the newest snapshot, whole, by the recovery key */
	VERIFY,  /* without a data key: a finding is ERR_CORRUPT */
	DATA,    /* with the recovery key */
	BACKUP,  /* by the writer, who remembers its newest snapshot */
	WARN,    /* a restore, which says that no signer is known: ERR_AUTH */
	RIGHT,   /* restored to the byte, the forgery is not believed */
};
static const char *const door_names[] = { "open", "open by recovery key", "list", "restore",
	"verify", "verify --data", "backup", "restore warns of the signer", "restore is right" };

enum { REFUSED, BELIEVED_NOT };
static const char *const labels[] = { "refused", "not believed, restored right", NULL };

static struct prove_slice p;

/* ---- the doors ------------------------------------------------------------------------------ */

static int open_writer(struct forge_vault *w, struct vault **out, struct err *err)
{
	struct vault_keys keys;
	vault_keys_of_writer(&w->plant.f.keys.writer, &keys);
	return vault_open(w->store, &keys, out, err);
}

static int is_found(struct vault *v, const uint8_t *sk, struct err *err)
{
	struct verify_opts opts = { .sk = sk };
	struct verify_result result;
	int rc = verify_run(v, &opts, &result, err);
	if (rc == 0 && result.problems > 0)
		rc = err_set(
			err, ERR_CORRUPT, "%llu findings", (unsigned long long)result.problems);
	return rc;
}

static int list_all(struct forge_vault *w, struct err *err)
{
	struct vault *v = NULL;
	struct snapshot_list list = { .at = NULL };
	int rc = open_writer(w, &v, err);
	if (rc == 0)
		rc = snapshot_list(v, NULL, NULL, &list, err);
	snapshot_list_done(&list);
	vault_close(v);
	return rc;
}

/* As a stranger with the recovery file.  Whether the signer could be checked goes to ${*signed}. */
static int restore_newest(struct forge_vault *w, bool *is_signed, struct err *err)
{
	struct vault *v = NULL;
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .at = NULL };
	struct snapshot_opened opened;
	int rc = vault_fixture_open(w->store, w->plant.f.rk_sk, &v, err);
	if (rc == 0)
		rc = fetch_new(v, &fetch, err);
	if (rc == 0)
		rc = snapshot_list(v, NULL, NULL, &list, err);
	if (rc == 0 && list.count == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no snapshot");
	if (rc == 0)
		*is_signed = list.at[list.count - 1].is_signer_known;
	if (rc == 0)
		rc = snapshot_open(
			v, fetch, &list.at[list.count - 1], w->plant.f.rk_sk, &opened, err);
	snapshot_list_done(&list);
	fetch_free(fetch);
	vault_close(v);
	if (rc != 0)
		return rc;
	const char *why = plant_model_check(&w->plant, w->store, PLANT_MODEL_COMPARED);
	return why == NULL ? 0 : err_set(err, ERR_FAILED, "nothing was told, and %s", why);
}

static int back_up(struct forge_vault *w, struct err *err)
{
	plant_model_change(&w->plant);
	int rc = plant_model_backup(&w->plant, err);
	plant_model_done(&w->plant);
	return rc;
}

static int look(struct forge_vault *w, enum door door, struct err *err)
{
	struct vault *v = NULL;
	bool is_signed = true;
	int rc = 0;
	switch (door) {
	case OPEN:
		rc = open_writer(w, &v, err);
		break;
	case RECOVER:
		rc = vault_fixture_open(w->store, w->plant.f.rk_sk, &v, err);
		break;
	case LIST:
		return list_all(w, err);
	case RESTORE:
	case RIGHT:
		return restore_newest(w, &is_signed, err);
	case WARN:
		(void)restore_newest(w, &is_signed, err); /* what it says counts */
		return is_signed ? 0 : err_set(err, ERR_AUTH, "no signer is known");
	case VERIFY:
		rc = open_writer(w, &v, err);
		rc = rc != 0 ? rc : is_found(v, NULL, err);
		break;
	case DATA:
		rc = vault_fixture_open(w->store, w->plant.f.rk_sk, &v, err);
		rc = rc != 0 ? rc : is_found(v, w->plant.f.rk_sk, err);
		break;
	case BACKUP:
		return back_up(w, err);
	}
	vault_close(v);
	return rc;
}

/* ---- a record changed by who cannot sign, by a stranger, by its writer ------------------------
 */

#define RECORD_EDIT(name, statement)                                                               \
	static void name(struct snaprec *r, const struct forge_vault *w)                           \
	{                                                                                          \
		(void)w;                                                                           \
		statement;                                                                         \
	}
RECORD_EDIT(edit_seq, r->seq++)
RECORD_EDIT(edit_seq_far, r->seq += 5)
RECORD_EDIT(edit_seq_back, r->seq--)
RECORD_EDIT(edit_prev, r->prev[3] ^= 1)
RECORD_EDIT(edit_prev_own, memcpy(r->prev, w->newest->hash, 32))
RECORD_EDIT(edit_root_id, r->root_id[5] ^= 1)
RECORD_EDIT(edit_commit, r->root_commit[5] ^= 1)
RECORD_EDIT(edit_refs_root, r->refs_root[5] ^= 1)
RECORD_EDIT(edit_ref_count, r->ref_count++)
RECORD_EDIT(edit_raw_bytes, r->raw_bytes += 7)
RECORD_EDIT(edit_start, r->t_start_ns -= 1000000000)
RECORD_EDIT(edit_end, r->t_end_ns += 1000000000)
RECORD_EDIT(edit_domain, r->domain_id[0] ^= 1)
RECORD_EDIT(edit_agent, r->agent_id[0] ^= 1)
RECORD_EDIT(edit_source, r->source_id[0] ^= 1)
RECORD_EDIT(edit_config, r->config_epoch += 9)
RECORD_EDIT(edit_flags, r->flags ^= SNAPREC_PARTIAL)
RECORD_EDIT(edit_kid, r->kid[0] ^= 1)
RECORD_EDIT(edit_sig, r->sig[0] ^= 1)
RECORD_EDIT(edit_first, r->seq = 1; memset(r->prev, 0, 32))

#define BODY_EDIT(name, statement)                                                                 \
	static void name(struct snapshot_body *b, const struct forge_vault *w)                     \
	{                                                                                          \
		(void)w;                                                                           \
		statement;                                                                         \
	}
BODY_EDIT(body_other_envelopes, memcpy(b->ev, w->list.at[0].body.ev, 32))
BODY_EDIT(body_no_envelopes, b->ev[0] ^= 1)
BODY_EDIT(body_other_segments, b->segments = w->list.at[0].body.segments;
	  b->segment_count = w->list.at[0].body.segment_count)
BODY_EDIT(body_segment_offset, b->segments[0].offset += 4)
BODY_EDIT(body_segment_missing, b->segments[0].rf[0] ^= 1)
BODY_EDIT(body_label, b->label[b->label_len - 1] ^= 1)
BODY_EDIT(body_label_of_other, b->label = w->list.at[0].body.label;
	  b->label_len = w->list.at[0].body.label_len)
BODY_EDIT(body_record_of_other, memcpy(b->record, w->list.at[0].body.record, SNAPREC_BYTES))

typedef void (*record_fn)(struct snaprec *r, const struct forge_vault *w);
typedef void (*body_fn)(struct snapshot_body *b, const struct forge_vault *w);

/* ---- the list ---------------------------------------------------------------------------------
 */

#define STORE "whoever can write to the store"
#define KVAULT "whoever can write to the store and has K_vault"
#define WRITER "the writer itself, hijacked"
#define PUBLIC "whoever can write to the store and knows the public recovery key"

struct forgery {
	const char *what, *who;
	enum door door;
	enum err_code code; /* 0 with RIGHT */
	void (*forge)(struct forge_vault *w);
	/* or the newest snapshot made again */
	record_fn record;
	body_fn body;
};

static const struct forgery forgeries[] = {
	/* the record, its signature kept */
	{ "another number in the chain", KVAULT, LIST, ERR_CORRUPT, NULL, edit_seq, NULL },
	{ "another predecessor", KVAULT, LIST, ERR_CORRUPT, NULL, edit_prev, NULL },
	{ "said to be the first of its chain", KVAULT, LIST, ERR_CORRUPT, NULL, edit_first, NULL },
	{ "another root", KVAULT, LIST, ERR_CORRUPT, NULL, edit_root_id, NULL },
	{ "another commitment to the root", KVAULT, LIST, ERR_CORRUPT, NULL, edit_commit, NULL },
	{ "another list of records", KVAULT, LIST, ERR_CORRUPT, NULL, edit_refs_root, NULL },
	{ "another count of records", KVAULT, LIST, ERR_CORRUPT, NULL, edit_ref_count, NULL },
	{ "another size", KVAULT, LIST, ERR_CORRUPT, NULL, edit_raw_bytes, NULL },
	{ "another time of its begin", KVAULT, LIST, ERR_CORRUPT, NULL, edit_start, NULL },
	{ "another time of its end", KVAULT, LIST, ERR_CORRUPT, NULL, edit_end, NULL },
	{ "another domain", KVAULT, LIST, ERR_CORRUPT, NULL, edit_domain, NULL },
	{ "another agent", KVAULT, LIST, ERR_CORRUPT, NULL, edit_agent, NULL },
	{ "another source", KVAULT, LIST, ERR_CORRUPT, NULL, edit_source, NULL },
	{ "another config epoch", KVAULT, LIST, ERR_ROLLBACK, NULL, edit_config, NULL },
	{ "whole said to be partial", KVAULT, LIST, ERR_CORRUPT, NULL, edit_flags, NULL },
	{ "another signer named", KVAULT, LIST, ERR_CORRUPT, NULL, edit_kid, NULL },
	{ "another signature", KVAULT, LIST, ERR_CORRUPT, NULL, edit_sig, NULL },
	/* what stands around the record */
	{ "envelopes of another snapshot", KVAULT, RESTORE, ERR_CORRUPT, NULL, NULL,
		body_other_envelopes },
	{ "envelopes that are not there", KVAULT, VERIFY, ERR_CORRUPT, NULL, NULL,
		body_no_envelopes },
	{ "the list of another snapshot", KVAULT, VERIFY, ERR_CORRUPT, NULL, NULL,
		body_other_segments },
	{ "a list that begins elsewhere", KVAULT, VERIFY, ERR_CORRUPT, NULL, NULL,
		body_segment_offset },
	{ "a list that is not there", KVAULT, VERIFY, ERR_CORRUPT, NULL, NULL,
		body_segment_missing },
	{ "another label", KVAULT, RESTORE, ERR_CORRUPT, NULL, NULL, body_label },
	{ "the label of another snapshot", KVAULT, RESTORE, ERR_CORRUPT, NULL, NULL,
		body_label_of_other },
	{ "an old record replayed under a new receipt", KVAULT, VERIFY, ERR_CORRUPT, NULL, NULL,
		body_record_of_other },
	{ "a receipt of another time in the name", KVAULT, VERIFY, ERR_CORRUPT,
		forge_acts_receipt_of_other_time, NULL, NULL },
	{ "signed by a stranger", KVAULT, LIST, ERR_CORRUPT, forge_acts_signed_by_stranger, NULL,
		NULL },
	{ "envelopes kept, signed anew by a stranger", KVAULT, LIST, ERR_CORRUPT,
		forge_acts_signed_by_stranger_only, NULL, NULL },
	/* signed by its writer */
	{ "a number is left out of the chain", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_seq_far,
		NULL },
	{ "a number a second time", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_seq_back, NULL },
	{ "a predecessor that is not there", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_prev, NULL },
	{ "itself as its predecessor", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_prev_own, NULL },
	{ "a root that its list does not end with", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_root_id,
		NULL },
	{ "a commitment to another root", WRITER, RESTORE, ERR_CORRUPT, NULL, edit_commit, NULL },
	{ "a list that is not the signed one", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_refs_root,
		NULL },
	{ "more records than the list has", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_ref_count,
		NULL },
	{ "of another domain", WRITER, LIST, ERR_CORRUPT, NULL, edit_domain, NULL },
	{ "in the name of another agent", WRITER, LIST, ERR_CORRUPT, NULL, edit_agent, NULL },
	{ "a source that never began", WRITER, VERIFY, ERR_CORRUPT, NULL, edit_source, NULL },
	{ "under a config that is not there yet", WRITER, BACKUP, ERR_ROLLBACK, NULL, edit_config,
		NULL },
	{ "no envelope for the recovery key", WRITER, VERIFY, ERR_CORRUPT, forge_acts_drill_only,
		NULL, NULL },
	{ "the recovery envelope for a stranger", WRITER, VERIFY, ERR_CORRUPT,
		forge_acts_envelope_for_stranger, NULL, NULL },
	{ "an envelope with the ref of a node", WRITER, RESTORE, ERR_CORRUPT,
		forge_acts_envelope_of_other_root, NULL, NULL },
	{ "an envelope with a key that opens nothing", WRITER, RESTORE, ERR_CORRUPT,
		forge_acts_envelope_of_bad_key, NULL, NULL },
	{ "a second snapshot with the same number", WRITER, BACKUP, ERR_FORK,
		forge_acts_fork_beside, NULL, NULL },
	{ "the same, looked at by verify", WRITER, VERIFY, ERR_CORRUPT, forge_acts_fork_beside,
		NULL, NULL },
	/* rubbish under right names */
	{ "rubbish for a snapshot", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_snapshot, NULL,
		NULL },
	{ "rubbish for a pack", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_pack, NULL, NULL },
	{ "rubbish for an index", STORE, RIGHT, 0, forge_acts_rubbish_index, NULL, NULL },
	{ "rubbish for an index, looked at by verify", STORE, VERIFY, ERR_CORRUPT,
		forge_acts_rubbish_index, NULL, NULL },
	{ "rubbish for a config", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_config, NULL,
		NULL },
	{ "rubbish for a prune order", STORE, LIST, ERR_CORRUPT, forge_acts_rubbish_order, NULL,
		NULL },
	{ "rubbish for a list of a collection", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_list,
		NULL, NULL },
	{ "rubbish for dead objects", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_dead, NULL,
		NULL },
	{ "rubbish for a key slot", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_slot, NULL,
		NULL },
	{ "rubbish for a session mark", STORE, VERIFY, ERR_CORRUPT, forge_acts_rubbish_mark, NULL,
		NULL },
	{ "an object of one class among another's", STORE, VERIFY, ERR_CORRUPT,
		forge_acts_envelopes_as_refs, NULL, NULL },
	{ "an object sealed by a stranger", STORE, VERIFY, ERR_CORRUPT,
		forge_acts_sealed_by_stranger, NULL, NULL },
	/* configs, headers, slots */
	{ "a next config signed by a stranger", KVAULT, VERIFY, ERR_AUTH,
		forge_acts_config_of_stranger, NULL, NULL },
	{ "no config but a stranger's", KVAULT, OPEN, ERR_AUTH, forge_acts_config_of_stranger_alone,
		NULL, NULL },
	{ "a next config with a broken signature", KVAULT, VERIFY, ERR_CORRUPT,
		forge_acts_config_changed, NULL, NULL },
	{ "every config gone", STORE, BACKUP, ERR_CORRUPT, forge_acts_configs_gone, NULL, NULL },
	{ "every config gone, the newest snapshot signed by a stranger", KVAULT, WARN, ERR_AUTH,
		forge_acts_configs_gone_and_signed_anew, NULL, NULL },
	{ "a header with another HMAC", STORE, VERIFY, ERR_CORRUPT, forge_acts_header_stranger,
		NULL, NULL },
	{ "a header of a newer version", KVAULT, OPEN, ERR_UNSUPPORTED, forge_acts_header_major,
		NULL, NULL },
	{ "a header with a feature nobody knows", KVAULT, OPEN, ERR_UNSUPPORTED,
		forge_acts_header_incompat, NULL, NULL },
	{ "the same, that only forbids writing", KVAULT, BACKUP, ERR_UNSUPPORTED,
		forge_acts_header_ro, NULL, NULL },
	{ "a header without a suite we know", KVAULT, OPEN, ERR_UNSUPPORTED,
		forge_acts_header_suites, NULL, NULL },
	{ "the header of another vault", KVAULT, OPEN, ERR_CONFIG, forge_acts_header_id, NULL,
		NULL },
	{ "a header of a later key", KVAULT, OPEN, ERR_AUTH, forge_acts_header_epoch, NULL, NULL },
	{ "the header gone", STORE, BACKUP, ERR_CORRUPT, forge_acts_header_gone, NULL, NULL },
	{ "the header gone, looked at by verify", STORE, VERIFY, ERR_CORRUPT,
		forge_acts_header_gone, NULL, NULL },
	{ "a key slot with another vault key", PUBLIC, RECOVER, ERR_CORRUPT,
		forge_acts_slot_of_stranger, NULL, NULL },
	{ "the key slots gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_slots_gone, NULL, NULL },
	{ "another vault in its place, sealed to the recovery key", PUBLIC, RECOVER, ERR_AUTH,
		forge_acts_vault_of_stranger, NULL, NULL },
	{ "the same without a config", PUBLIC, WARN, ERR_AUTH,
		forge_acts_vault_of_stranger_unsigned, NULL, NULL },
	{ "the same, met by the writer", PUBLIC, BACKUP, ERR_CORRUPT, forge_acts_vault_of_stranger,
		NULL, NULL },
	/* packs, index, lists */
	{ "a pack with zeros under known IDs", KVAULT, VERIFY, ERR_CORRUPT,
		forge_acts_poisoned_pack, NULL, NULL },
	{ "the same, beside the true packs", KVAULT, RIGHT, 0, forge_acts_poisoned_pack, NULL,
		NULL },
	{ "the same, in place of the true packs", KVAULT, DATA, ERR_CORRUPT,
		forge_acts_poisoned_pack_alone, NULL, NULL },
	{ "an index that leads nowhere", KVAULT, RIGHT, 0, forge_acts_poisoned_index, NULL, NULL },
	{ "live packs said to be dead", KVAULT, VERIFY, ERR_CORRUPT, forge_acts_all_dead, NULL,
		NULL },
	{ "a pruned link that nobody signed", KVAULT, VERIFY, ERR_CORRUPT, forge_acts_pruned_link,
		NULL, NULL },
	{ "a session mark under another name", KVAULT, VERIFY, ERR_CORRUPT,
		forge_acts_mark_under_other_name, NULL, NULL },
	{ "the packs gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_packs_gone, NULL, NULL },
	{ "the reference lists gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_refs_gone, NULL,
		NULL },
	{ "the envelopes gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_envelopes_gone, NULL, NULL },
	/* rollback and fork */
	{ "the newest snapshot gone", STORE, BACKUP, ERR_ROLLBACK, forge_acts_newest_gone, NULL,
		NULL },
	{ "all snapshots gone", STORE, BACKUP, ERR_ROLLBACK, forge_acts_snapshots_gone, NULL,
		NULL },
	{ "the oldest snapshot gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_oldest_gone, NULL,
		NULL },
	{ "a snapshot in the middle gone", STORE, VERIFY, ERR_CORRUPT, forge_acts_middle_gone, NULL,
		NULL },
	{ "an older copy of the whole store", STORE, BACKUP, ERR_ROLLBACK, forge_acts_older_copy,
		NULL, NULL },
	{ "an older copy that went on without the host", STORE, BACKUP, ERR_ROLLBACK,
		forge_acts_older_copy_that_went_on, NULL, NULL },
	{ "both histories at once", STORE, BACKUP, ERR_FORK, forge_acts_both_histories, NULL,
		NULL },
	{ "both histories at once, looked at by verify", STORE, VERIFY, ERR_CORRUPT,
		forge_acts_both_histories, NULL, NULL },
	{ "the newest snapshot unreadable, a newer one known", STORE, BACKUP, ERR_ROLLBACK,
		forge_acts_newest_unreadable_and_older_back, NULL, NULL },
	{ "an empty store", STORE, OPEN, ERR_NOT_FOUND, forge_acts_all_gone, NULL, NULL },
};

static void forge(struct forge_vault *w, const struct forgery *f)
{
	bool is_writer = strcmp(f->who, WRITER) == 0;
	if (f->forge != NULL) {
		f->forge(w);
		return;
	}
	forge_vault_remake(w, &(struct forge_vault_remake){ .record = f->record,
				      .body = f->body,
				      .ik_seed = is_writer ? w->plant.f.keys.writer.ik_seed : NULL,
				      .has_new_envelopes = is_writer });
}

static void try_forgery(const struct forgery *f)
{
	static struct forge_vault w;
	struct err err = ERR_INIT;
	int wanted = f->door == RIGHT ? 0 : -(int)f->code;
	forge_vault_begin(&w);
	forge(&w, f);
	int rc = look(&w, f->door, &err);
	if (rc == wanted) {
		p.counts[f->door == RIGHT ? BELIEVED_NOT : REFUSED]++;
		if (!p.is_quick)
			printf("  %-58s by %s; %s: %s\n", f->what, f->who, door_names[f->door],
				rc == 0 ? "ok" : err_id(f->code));
	} else {
		prove_slice_wrong(&p, "%s, by %s: %s gives %d (%s), not %d", f->what, f->who,
			door_names[f->door], rc, rc == 0 ? "" : err.msg, wanted);
	}
	forge_vault_done(&w);
}

/* The vault as it is passes every door. */
static void try_whole(void)
{
	static struct forge_vault w;
	for (enum door door = OPEN; door <= RIGHT; door++) {
		struct err err = ERR_INIT;
		forge_vault_begin(&w);
		if (look(&w, door, &err) != 0)
			prove_slice_wrong(
				&p, "the vault as it was: %s: %s", door_names[door], err.msg);
		forge_vault_done(&w);
	}
}

int main(int argc, char **argv)
{
	size_t count = sizeof(forgeries) / sizeof(forgeries[0]);
	prove_slice_begin(&p, "prove-forged", labels, count, count, argc, argv);
	p.at = 0; /* it takes a second: never gone on, always anew */
	memset(p.counts, 0, sizeof(p.counts));
	forge_vault_prepare(p.seed);
	try_whole();
	for (; p.at < count; p.at++)
		try_forgery(&forgeries[p.at]);
	forge_vault_end();
	return prove_slice_end(&p);
}
