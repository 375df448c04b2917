#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "msg/msg_enrol.h"

/*
 * INVARIANTS
 * (1) Keys that were opened were sealed for this agent of this domain, and say so themselves.
 */

#define PLAIN_BYTES (16 + 16 + 16 + 4 + 4 + 32 + 32 + 32)

static const char prefix[] = "hf1/kdom"; /* with its NUL */

#define INFO_BYTES (sizeof(prefix) + 32)

static void make_info(
	const uint8_t domain_id[16], const uint8_t agent_id[16], uint8_t out[INFO_BYTES])
{
	memcpy(out, prefix, sizeof(prefix));
	memcpy(out + sizeof(prefix), domain_id, 16);
	memcpy(out + sizeof(prefix) + 16, agent_id, 16);
}

int msg_enrol_keys_seal(
	const struct msg_keys *k, const uint8_t delivery_pk[32], struct buf *out, struct err *err)
{
	uint8_t info[INFO_BYTES];
	uint8_t plain[PLAIN_BYTES];
	uint8_t sealed[HPKE_KEY_BYTES + PLAIN_BYTES + HPKE_TAG_BYTES];
	uint8_t sk_e[HPKE_KEY_BYTES];
	uint8_t pk_e[HPKE_KEY_BYTES];
	int rc = hpke_generate(sk_e, pk_e, err);
	if (rc != 0)
		return rc;
	memcpy(plain, k->vault_id, 16);
	memcpy(plain + 16, k->domain_id, 16);
	memcpy(plain + 32, k->agent_id, 16);
	bytes_put32(plain + 48, k->kv_epoch);
	bytes_put32(plain + 52, k->config_epoch);
	memcpy(plain + 56, k->rk_pk, 32);
	memcpy(plain + 88, k->k_mle, 32);
	memcpy(plain + 120, k->k_cdc, 32);
	make_info(k->domain_id, k->agent_id, info);
	rc = hpke_seal(sk_e, delivery_pk, info, sizeof(info), NULL, 0, plain, sizeof(plain), sealed,
		sealed + HPKE_KEY_BYTES, err);
	if (rc == 0)
		rc = buf_add(out, sealed, sizeof(sealed), err);
	secret_wipe(plain, sizeof(plain));
	secret_wipe(sk_e, sizeof(sk_e));
	return rc;
}

static void take_plain(const uint8_t plain[PLAIN_BYTES], struct msg_keys *k)
{
	memcpy(k->vault_id, plain, 16);
	memcpy(k->domain_id, plain + 16, 16);
	memcpy(k->agent_id, plain + 32, 16);
	k->kv_epoch = bytes_get32(plain + 48);
	k->config_epoch = bytes_get32(plain + 52);
	memcpy(k->rk_pk, plain + 56, 32);
	memcpy(k->k_mle, plain + 88, 32);
	memcpy(k->k_cdc, plain + 120, 32);
}

int msg_enrol_keys_open(const void *data, size_t len, const uint8_t delivery_sk[32],
	const uint8_t domain_id[16], const uint8_t agent_id[16], struct msg_keys *out,
	struct err *err)
{
	const uint8_t *sealed = data;
	uint8_t info[INFO_BYTES];
	uint8_t plain[PLAIN_BYTES];
	if (len != HPKE_KEY_BYTES + PLAIN_BYTES + HPKE_TAG_BYTES)
		return err_set(err, ERR_CORRUPT, "the delivered keys have %zu bytes, not %d", len,
			HPKE_KEY_BYTES + PLAIN_BYTES + HPKE_TAG_BYTES);
	make_info(domain_id, agent_id, info);
	int rc = hpke_open(delivery_sk, sealed, info, sizeof(info), NULL, 0,
		sealed + HPKE_KEY_BYTES, len - HPKE_KEY_BYTES, plain, err);
	if (rc != 0) {
		(void)err_wrap(err, "the delivered keys cannot be opened"); /* err may be NULL */
		return rc;
	}
	if (memcmp(plain + 16, domain_id, 16) != 0 || memcmp(plain + 32, agent_id, 16) != 0)
		rc = err_set(err, ERR_CORRUPT, "the delivered keys are for another agent");
	else
		take_plain(plain, out);
	secret_wipe(plain, sizeof(plain));
	return rc;
}
