/*
 * fuzz_table: the targets; a line each.
 */
#include "fuzz/fuzz.h"

extern const struct fuzz_target fuzz_calendar;
extern const struct fuzz_target fuzz_col1;
extern const struct fuzz_target fuzz_collect_list;
extern const struct fuzz_target fuzz_conf;
extern const struct fuzz_target fuzz_controller_keys;
extern const struct fuzz_target fuzz_domain;
extern const struct fuzz_target fuzz_dsse;
extern const struct fuzz_target fuzz_envelope;
extern const struct fuzz_target fuzz_evidence;
extern const struct fuzz_target fuzz_file_cache;
extern const struct fuzz_target fuzz_filter;
extern const struct fuzz_target fuzz_header;
extern const struct fuzz_target fuzz_http_head;
extern const struct fuzz_target fuzz_index;
extern const struct fuzz_target fuzz_keyfile;
extern const struct fuzz_target fuzz_label;
extern const struct fuzz_target fuzz_memory;
extern const struct fuzz_target fuzz_msg;
extern const struct fuzz_target fuzz_pack;
extern const struct fuzz_target fuzz_parity;
extern const struct fuzz_target fuzz_pg_manifest;
extern const struct fuzz_target fuzz_plan;
extern const struct fuzz_target fuzz_prune_order;
extern const struct fuzz_target fuzz_record;
extern const struct fuzz_target fuzz_refs;
extern const struct fuzz_target fuzz_report;
extern const struct fuzz_target fuzz_rewrap;
extern const struct fuzz_target fuzz_root;
extern const struct fuzz_target fuzz_s3_reply;
extern const struct fuzz_target fuzz_sandbox_wire;
extern const struct fuzz_target fuzz_sealed;
extern const struct fuzz_target fuzz_slot;
extern const struct fuzz_target fuzz_snapshot;
extern const struct fuzz_target fuzz_text;
extern const struct fuzz_target fuzz_tree;
extern const struct fuzz_target fuzz_truth;
extern const struct fuzz_target fuzz_words;
extern const struct fuzz_target fuzz_x509;
extern const struct fuzz_target fuzz_zone;

const struct fuzz_target *const fuzz_targets[] = {
	&fuzz_calendar,
	&fuzz_col1,
	&fuzz_collect_list,
	&fuzz_conf,
	&fuzz_controller_keys,
	&fuzz_domain,
	&fuzz_dsse,
	&fuzz_envelope,
	&fuzz_evidence,
	&fuzz_file_cache,
	&fuzz_filter,
	&fuzz_header,
	&fuzz_http_head,
	&fuzz_index,
	&fuzz_keyfile,
	&fuzz_label,
	&fuzz_memory,
	&fuzz_msg,
	&fuzz_pack,
	&fuzz_parity,
	&fuzz_pg_manifest,
	&fuzz_plan,
	&fuzz_prune_order,
	&fuzz_record,
	&fuzz_refs,
	&fuzz_report,
	&fuzz_rewrap,
	&fuzz_root,
	&fuzz_s3_reply,
	&fuzz_sandbox_wire,
	&fuzz_sealed,
	&fuzz_slot,
	&fuzz_snapshot,
	&fuzz_text,
	&fuzz_tree,
	&fuzz_truth,
	&fuzz_words,
	&fuzz_x509,
	&fuzz_zone,
	NULL,
};
