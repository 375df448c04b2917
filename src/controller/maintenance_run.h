/*
 * maintenance_run: what the controller does with its vault by itself, once: retention, collection,
 * scrub, a copy to a replica; and the preview of retention.  Each opens the vault for itself.
 * Knows: when nothing may be taken away.  Threading: any thread; stop() and what is atomic from
 * others.
 */
#ifndef CONTROLLER_MAINTENANCE_RUN_H
#define CONTROLLER_MAINTENANCE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/replica_conf.h"
#include "controller/retention_conf.h"
#include "msg/msg_work.h"

struct collect_sights;
struct err;
struct gateway_vault;

#define MAINTENANCE_RUN_APPROVAL_BYTES 1024
#define MAINTENANCE_RUN_TEXT_BYTES 512

/* The newest snapshot of a source that this controller knows of. */
struct maintenance_run_known {
	uint8_t source[32]; /* agent_id || source_id */
	uint64_t seq;
};

/* What becomes of a snapshot by the rules. */
struct maintenance_run_row {
	uint8_t hash[32];
	uint8_t agent_id[16];
	char source[256], host[256]; /* may be cut */
	uint64_t seq;
	int64_t receipt_ms;
	bool has_rule; /* false: it stays, whatever why says */
	unsigned why;  /* enum retention_why bits; 0 = it goes */
};

struct maintenance_run {
	enum msg_verb verb;
	const char *ages; /* path of the memory of verifications; borrowed */
	/* A store that shows less than this is refused. */
	struct maintenance_run_known *known; /* owned */
	size_t known_count;
	/* retention */
	struct retention_conf_list rules; /* owned */
	bool is_preview;
	char approval[MAINTENANCE_RUN_APPROVAL_BYTES]; /* "" = none */
	int64_t since_ns; /* of the last run: a source may lose as many as it gained since */
	/* collect */
	int64_t grace_ns;
	struct collect_sights *sights; /* borrowed */
	/* scrub */
	int64_t older_than_ns; /* as verify_opts */
	unsigned percent;
	/* copy */
	struct replica_conf replica; /* owned */
	bool is_begin;               /* a person wants the replica begun where nothing is */
	/* to and from the thread while it runs */
	atomic_bool is_stopped;
	atomic_ullong done_bytes, total_bytes; /* total 0 = not known */
	atomic_ullong done_items, total_items; /* copy: references */
	/* results */
	char summary[MAINTENANCE_RUN_TEXT_BYTES]; /* for people, also after an error */
	int64_t warnings;
	struct maintenance_run_row *rows; /* owned; retention: every snapshot */
	size_t row_count;
	uint8_t (*pruned)[32]; /* owned; snapshots that are gone, also after an error */
	size_t pruned_count;
	bool is_waiting; /* it failed for want of an approval alone: all that needs none was done */
	char guards[RETENTION_GUARDS_BYTES]; /* what asks for an approval, or "" */
};

/* Return 0, -ERR_CORRUPT (damage was found), -ERR_ROLLBACK, -ERR_FAILED (an approval is wanted:
 * what needed none was done), -ERR_INTERRUPTED (is_stopped; the next run carries on) or as the
 * vault. */
int maintenance_run_do(struct maintenance_run *r, const struct gateway_vault *g, struct err *err);
/* Ends what it owns; not ${r} itself. */
void maintenance_run_done(struct maintenance_run *r);

#endif
