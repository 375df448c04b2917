/*
 * verify: prove that what the vault holds is what was put there.
 * Keyless (K_vault only): every object opens or hashes to its name, every pack, record ID,
 * reference, chain and signature.  With data: everything decrypted, decompressed, trees walked,
 * whole-file digests compared.
 */
#ifndef VAULT_VERIFY_H
#define VAULT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct vault;
struct verify_ages;

struct verify_finding {
	bool is_warning; /* true: odd, nothing lost */
	const char *object;
	const char *what;
};

struct verify_opts {
	const uint8_t *sk; /* recovery or drill key: verify content too; NULL = keyless */
	void *arg;
	void (*on_finding)(void *arg, const struct verify_finding *f);
	/* OPTIONAL: at the end, of each damaged object that parity may cover: does it bring the
	 * object back whole? */
	void (*on_repair)(void *arg, const char *object, bool is_repairable);
	/* OPTIONAL progress: bytes checked of bytes in all. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total);
	/* OPTIONAL: return true to stop early (-ERR_INTERRUPTED). */
	bool (*is_stopped)(void *arg);
	/* OPTIONAL: when packs and contents were read last; kept up to date, also by a run that is
	 * broken off.  With the next three a pack may be left for another time
	 * (verify_ages_choose): then it must be there with a footer that opens, and its records
	 * count as good. */
	struct verify_ages *ages;
	int64_t older_than_ns;   /* leave what was read within; contents of snapshots, too; 0 = none
				  */
	uint64_t budget_bytes;   /* of packs to be read; 0 = no limit */
	unsigned budget_percent; /* the same as a part of all packs, 1 to 100; 0 = no limit */
};

struct verify_result {
	uint64_t objects, packs, records, snapshots, files, bytes;
	uint64_t problems, warnings;
	uint64_t parity_objects;
	uint64_t repairable; /* damaged objects that parity brings back; with on_repair */
	uint64_t left_packs, left_bytes; /* whose bytes were not read this time */
	uint64_t left_snapshots;         /* whose content was not */
};

/* Findings are reported as they come; the run goes on.  Return 0 when it could run to the end
 * (look at result->problems), or an error that stopped it. */
int verify_run(struct vault *v, const struct verify_opts *opts, struct verify_result *out,
	struct err *err);

#endif
