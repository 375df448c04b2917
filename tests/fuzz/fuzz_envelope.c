/*
 * fuzz_envelope: the envelopes of a snapshot, sealed here (docs/FORMAT.md section 5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "fuzz/fuzz.h"
#include "vault/snaprec.h"

static const uint8_t domain_id[16] = { 4 }, sk[32] = { 5 };

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct ref root, back;
	uint8_t hash[32] = { 0 }, pk[32], box[SNAPREC_ENVELOPE_BYTES];
	const uint8_t *snap = NULL, *rkid = NULL;
	int kind = 0;
	if (len >= SNAPREC_ENVELOPE_BYTES) {
		fuzz_verdict(snaprec_envelope_peek(data, &kind, &snap, &rkid, &err), &err);
		err_clear(&err);
		fuzz_verdict(snaprec_envelope_open(data, domain_id, sk, &root, &err), &err);
	}
	if (len < REF_BYTES)
		return;
	/* any ref comes back; one changed byte of the envelope is found */
	ref_decode(data, &root);
	hpke_public(sk, pk);
	FUZZ_CHECK(snaprec_envelope(SNAPREC_RECOVERY, domain_id, hash, pk, &root, box, &err) == 0);
	FUZZ_CHECK(snaprec_envelope_open(box, domain_id, sk, &back, &err) == 0);
	FUZZ_CHECK(memcmp(&back, &root, sizeof(root)) == 0);
	size_t at = len > REF_BYTES ? data[REF_BYTES] % SNAPREC_ENVELOPE_BYTES : 0;
	box[at] ^= 0x20;
	FUZZ_CHECK(at == 5 || snaprec_envelope_open(box, domain_id, sk, &back, &err) != 0);
}

static void seeds(void)
{
	struct err err = ERR_INIT;
	struct ref root = { .raw_len = 100, .cr_len = 140 };
	uint8_t hash[32] = { 0 }, pk[32], box[SNAPREC_ENVELOPE_BYTES];
	hpke_public(sk, pk);
	FUZZ_CHECK(snaprec_envelope(SNAPREC_RECOVERY, domain_id, hash, pk, &root, box, &err) == 0);
	fuzz_seed(box, sizeof(box));
}

const struct fuzz_target fuzz_envelope = { "envelope", run, seeds };
