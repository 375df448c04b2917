/*
 * repair_internal: what the parts of repair share.
 */
#ifndef VAULT_REPAIR_INTERNAL_H
#define VAULT_REPAIR_INTERNAL_H

#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/missing.h"
#include "vault/parity_set.h"
#include "vault/repair.h"

struct fetch_footer;
struct pack_out;

struct repair {
	struct store *store;
	struct vault *v; /* NULL = no key */
	const struct repair_opts *opts;
	struct repair_result r;
	struct repair_object *at; /* owned; damaged, then lost ones */
	size_t count, cap;
	struct collect_view view;
	struct missing missing;
	struct parity_set set;
	struct id_set *good; /* owned; records that can be read; with a vault */
	struct id_set *lost; /* owned; needed, and not in good at first; NULL = nobody looked */
	bool is_blind;       /* a snapshot or its reference list cannot be read: it may need more */
	bool has_parity;     /* there was some when it began */
	uint64_t done, total;
};

/* Count progress; return 0 or -ERR_INTERRUPTED. */
int repair_step(struct repair *r, uint64_t bytes, struct err *err);
/* The object of this name that is damaged or lost, or NULL. */
struct repair_object *repair_find(const struct repair *r, const char *name);

/* Find what is damaged and what is lost. */
int repair_scan_run(struct repair *r, struct err *err);

/* Add what r->missing names and is not known yet. */
int repair_scan_missing(struct repair *r, struct err *err);

/* Fill r->good with what whole packs hold that no list of a collection names. */
int repair_loss_good(struct repair *r, struct err *err);
/* Take records that snapshots need and r->good has not out of packs that collection has condemned
 * or buried, into ${to} (NULL: look only). */
int repair_take_own(struct repair *r, struct pack_out *to, struct err *err);
/* The same from copies: whole packs, or where the name is condemned here, records. */
int repair_take_copies(struct repair *r, struct pack_out *to, struct err *err);
/* Lost packs become REPAIR_REPLACED when no snapshot needs a record that is nowhere. */
int repair_take_spare(struct repair *r, struct err *err);
/* Add the records of a footer to r->good. */
int repair_loss_add(struct repair *r, const struct fetch_footer *f, struct err *err);
/* Tell which snapshots and files need records that are not in r->good. */
int repair_loss_tell(struct repair *r, struct err *err);

#endif
