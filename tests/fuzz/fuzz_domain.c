/*
 * fuzz_domain: the domain config, signed here (docs/FORMAT.md section 1).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "fuzz/fuzz.h"
#include "vault/domain.h"

#define SIGN_LABEL "hf1/config" /* with its 00 */

static const uint8_t officer[32] = { 6 };

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct domain d = { .epoch = 0 };
	int rc = domain_decode(data, len, NULL, &d, err);
	if (rc == 0)
		rc = domain_encode(&d, officer, again, err);
	domain_done(&d);
	return rc;
}

/* Input: the config up to the signer. */
static void run(const uint8_t *data, size_t len)
{
	struct buf all = BUF_INIT((size_t)1 << 20);
	struct err err = ERR_INIT;
	uint8_t sig[ED25519_SIG_BYTES], pk[32];
	ed25519_public(officer, pk);
	FUZZ_CHECK(buf_add(&all, SIGN_LABEL, sizeof(SIGN_LABEL), &err) == 0);
	FUZZ_CHECK(buf_add(&all, data, len, &err) == 0);
	FUZZ_CHECK(buf_add(&all, pk, sizeof(pk), &err) == 0);
	ed25519_sign(officer, all.data, all.len, sig);
	FUZZ_CHECK(buf_add(&all, sig, sizeof(sig), &err) == 0);
	fuzz_codec(codec, all.data + sizeof(SIGN_LABEL), all.len - sizeof(SIGN_LABEL), true);
	buf_done(&all);
	struct domain d = { .epoch = 0 };
	err_clear(&err);
	fuzz_verdict(domain_decode(data, len, pk, &d, &err), &err);
	domain_done(&d);
}

static void seeds(void)
{
	static const uint8_t id[16] = { 1 }, ik[32] = { 2 };
	struct domain d = { .epoch = 1, .recovery_count = 1, .officer_count = 1, .group_count = 1 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	ed25519_public(officer, d.officer_pk[0]);
	strcpy(d.groups[0].name, "line-3");
	FUZZ_CHECK(domain_add_agent(&d, id, ik, &err) == 0);
	FUZZ_CHECK(domain_encode(&d, officer, &out, &err) == 0);
	fuzz_seed(out.data, out.len - 32 - ED25519_SIG_BYTES);
	domain_done(&d);
	buf_done(&out);
}

const struct fuzz_target fuzz_domain = { "domain", run, seeds };
