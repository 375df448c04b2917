/*
 * snapshot_unseal: what the bodies of a snapshot's sn/ and ev/ objects say, checked against the
 * domain config, and the snapshot opened with a recipient's key: no store, no vault, no K_vault
 * (docs/FORMAT.md section 5).  Near callers use snapshot.h; a sandbox agent has only the bodies.
 * No state; thread-safe as far as the record source is.
 */
#ifndef VAULT_SNAPSHOT_UNSEAL_H
#define VAULT_SNAPSHOT_UNSEAL_H

#include <stddef.h>
#include <stdint.h>

#include "vault/snapshot.h"

struct domain;
struct err;
struct record_source;

/**
 * snapshot_unseal_body(d, body, len, out, err):
 * Decode the body of an sn/ object and check its record's signature against the config ${d}; one
 * with epoch 0 knows no identity, then is_signer_known is false.  ${out} (object name empty) is
 * ended by snapshot_unseal_done().
 * Return 0, -ERR_CORRUPT, -ERR_ROLLBACK (the record knows a newer config), -ERR_UNSUPPORTED,
 * -ERR_LIMIT or -ERR_NOMEM.
 */
int snapshot_unseal_body(const struct domain *d, const void *body, size_t len, struct snapshot *out,
	struct err *err);
void snapshot_unseal_done(struct snapshot *s);

/* Borrowed for the call. */
struct snapshot_unseal_opts {
	const struct domain *domain;
	const struct snapshot *snapshot;
	const void *envelopes; /* body of its ev/ object */
	size_t envelopes_len;
	const char *name; /* of that object, for errors */
	/* for snapshot_unseal_open() */
	const uint8_t *sk;                  /* 32: a recipient's secret key */
	const struct record_source *source; /* of the root record */
};

/**
 * snapshot_unseal_open(opts, out, err):
 * Open the envelope of the key, recompute every envelope whose public key the config knows and
 * compare, check root_commit, read the root, check the label.
 * Return 0, -ERR_AUTH (no envelope for this key), -ERR_CORRUPT or what the source says.
 */
int snapshot_unseal_open(
	const struct snapshot_unseal_opts *opts, struct snapshot_opened *out, struct err *err);

/* What can be said without a recipient's key; as snapshot_check_envelopes(). */
int snapshot_unseal_check(const struct snapshot_unseal_opts *opts, struct err *err);

#endif
