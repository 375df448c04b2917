#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "msg/msg_enrol.h"

static struct msg_keys sample(void)
{
	struct msg_keys k = { .kv_epoch = 1, .config_epoch = 0x01020304 };
	memset(k.vault_id, 1, 16);
	memset(k.domain_id, 2, 16);
	memset(k.agent_id, 3, 16);
	memset(k.rk_pk, 4, 32);
	memset(k.k_mle, 5, 32);
	memset(k.k_cdc, 6, 32);
	return k;
}

Test(msg_enrol_keys, come_back_for_the_agent_they_are_for)
{
	uint8_t sk[32];
	uint8_t pk[32];
	struct msg_keys k = sample();
	struct msg_keys back;
	memset(&back, 0, sizeof(back));
	CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
	cr_assert(eq(int, hpke_generate(sk, pk, NULL), 0));
	cr_assert(eq(int, msg_enrol_keys_seal(&k, pk, &b, NULL), 0));
	cr_assert(eq(int,
		msg_enrol_keys_open(b.data, b.len, sk, k.domain_id, k.agent_id, &back, NULL), 0));
	cr_expect(eq(int, memcmp(&k, &back, sizeof(k)), 0));
}

Test(msg_enrol_keys, open_with_no_other_key_domain_agent_or_bytes)
{
	uint8_t sk[32];
	uint8_t pk[32];
	uint8_t other[16] = { 99 };
	struct msg_keys k = sample();
	struct msg_keys back;
	CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
	cr_assert(eq(int, hpke_generate(sk, pk, NULL), 0));
	cr_assert(eq(int, msg_enrol_keys_seal(&k, pk, &b, NULL), 0));
	cr_expect(eq(int, msg_enrol_keys_open(b.data, b.len, sk, other, k.agent_id, &back, NULL),
		-ERR_CORRUPT));
	cr_expect(eq(int, msg_enrol_keys_open(b.data, b.len, sk, k.domain_id, other, &back, NULL),
		-ERR_CORRUPT));
	cr_expect(eq(int,
		msg_enrol_keys_open(b.data, b.len, pk, k.domain_id, k.agent_id, &back, NULL),
		-ERR_CORRUPT));
	for (size_t len = 0; len < b.len; len++)
		cr_expect(eq(int,
			msg_enrol_keys_open(b.data, len, sk, k.domain_id, k.agent_id, &back, NULL),
			-ERR_CORRUPT));
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		cr_expect(ne(int,
			msg_enrol_keys_open(
				b.data, b.len, sk, k.domain_id, k.agent_id, &back, NULL),
			0));
		b.data[i] ^= 1;
	}
}
