/*
 * forge_acts: what somebody does to a vault (forge_vault.h); who that is and how it is refused says
 * the list in tests/prove/forged.c.
 */
#ifndef TESTS_LIB_FORGE_ACTS_H
#define TESTS_LIB_FORGE_ACTS_H

#include "tests/lib/forge_vault.h"

void forge_acts_drill_only(struct forge_vault *w);
void forge_acts_envelope_for_stranger(struct forge_vault *w);
void forge_acts_envelope_of_other_root(struct forge_vault *w);
void forge_acts_envelope_of_bad_key(struct forge_vault *w);
void forge_acts_signed_by_stranger(struct forge_vault *w);
void forge_acts_signed_by_stranger_only(struct forge_vault *w);
void forge_acts_receipt_of_other_time(struct forge_vault *w);
void forge_acts_fork_beside(struct forge_vault *w);
void forge_acts_rubbish_snapshot(struct forge_vault *w);
void forge_acts_rubbish_pack(struct forge_vault *w);
void forge_acts_rubbish_index(struct forge_vault *w);
void forge_acts_rubbish_config(struct forge_vault *w);
void forge_acts_rubbish_order(struct forge_vault *w);
void forge_acts_rubbish_list(struct forge_vault *w);
void forge_acts_rubbish_dead(struct forge_vault *w);
void forge_acts_rubbish_slot(struct forge_vault *w);
void forge_acts_rubbish_mark(struct forge_vault *w);
void forge_acts_config_of_stranger(struct forge_vault *w);
void forge_acts_config_of_stranger_alone(struct forge_vault *w);
void forge_acts_config_changed(struct forge_vault *w);
void forge_acts_configs_gone(struct forge_vault *w);
void forge_acts_configs_gone_and_signed_anew(struct forge_vault *w);
void forge_acts_slot_of_stranger(struct forge_vault *w);
void forge_acts_vault_of_stranger(struct forge_vault *w);
void forge_acts_vault_of_stranger_unsigned(struct forge_vault *w);
void forge_acts_poisoned_pack(struct forge_vault *w);
void forge_acts_poisoned_pack_alone(struct forge_vault *w);
void forge_acts_poisoned_index(struct forge_vault *w);
void forge_acts_all_dead(struct forge_vault *w);
void forge_acts_pruned_link(struct forge_vault *w);
void forge_acts_mark_under_other_name(struct forge_vault *w);
void forge_acts_envelopes_as_refs(struct forge_vault *w);
void forge_acts_sealed_by_stranger(struct forge_vault *w);
void forge_acts_packs_gone(struct forge_vault *w);
void forge_acts_refs_gone(struct forge_vault *w);
void forge_acts_envelopes_gone(struct forge_vault *w);
void forge_acts_header_gone(struct forge_vault *w);
void forge_acts_slots_gone(struct forge_vault *w);
void forge_acts_all_gone(struct forge_vault *w);
void forge_acts_newest_gone(struct forge_vault *w);
void forge_acts_oldest_gone(struct forge_vault *w);
void forge_acts_middle_gone(struct forge_vault *w);
void forge_acts_snapshots_gone(struct forge_vault *w);
void forge_acts_older_copy(struct forge_vault *w);
void forge_acts_older_copy_that_went_on(struct forge_vault *w);
void forge_acts_both_histories(struct forge_vault *w);
void forge_acts_newest_unreadable_and_older_back(struct forge_vault *w);
void forge_acts_header_stranger(struct forge_vault *w);
void forge_acts_header_major(struct forge_vault *w);
void forge_acts_header_incompat(struct forge_vault *w);
void forge_acts_header_ro(struct forge_vault *w);
void forge_acts_header_suites(struct forge_vault *w);
void forge_acts_header_id(struct forge_vault *w);
void forge_acts_header_epoch(struct forge_vault *w);

#endif
