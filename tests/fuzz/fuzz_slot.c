/*
 * fuzz_slot: the key slots HFBG, HFKV, HFKP and HFKR (docs/FORMAT.md section 7).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "fuzz/fuzz.h"
#include "vault/keyring.h"
#include "vault/slot.h"

static const uint8_t sk[32] = { 3 }, vault[16] = { 1 }, k_vault[32] = { 2 };

/* A reader works as hard as the slot asks, up to its limits: keep that small here, and let what is
 * beyond the limits through. */
static void tame(uint8_t *slot)
{
	if (slot[6] > 4 && slot[6] <= 20)
		slot[6] = (uint8_t)(1 + slot[6] % 4);
	if (slot[7] > 2 && slot[7] <= 16)
		slot[7] = 1;
	if (slot[8] > 2 && slot[8] <= 4)
		slot[8] = 1;
}

/* What opens is the one slot that exists. */
static void run_root(const uint8_t *slot, size_t len)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	uint8_t again[SLOT_HFKR_BYTES];
	int rc = slot_hfkr_open(slot, len, vault, sk, &root, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(rc != 0 || (slot_hfkr_seal(vault, sk, &root, again, &err) == 0 &&
				      memcmp(again, slot, sizeof(again)) == 0));
}

/* What opens is the one slot that exists for what it says. */
static void run_hfkp(const uint8_t *slot, size_t len)
{
	struct err err = ERR_INIT;
	uint8_t before[32], again[SLOT_HFKP_BYTES];
	int rc = slot_hfkp_open(slot, len, vault, k_vault, before, &err);
	fuzz_verdict(rc, &err);
	if (len < SLOT_HFKP_BYTES)
		return;
	uint32_t epoch = slot_hfkp_epoch(slot);
	FUZZ_CHECK(rc != 0 || epoch >= 2);
	if (rc == 0) {
		FUZZ_CHECK(slot_hfkp_seal(vault, epoch, k_vault, before, again, &err) == 0);
		FUZZ_CHECK(len == sizeof(again) && memcmp(slot, again, len) == 0);
	}
}

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	uint8_t slot[256] = { 0 }, out[32], id[16];
	uint32_t epoch = 0;
	size_t n = len < sizeof(slot) ? len : sizeof(slot);
	if (n > 0)
		memcpy(slot, data, n);
	if (n > 8)
		tame(slot);
	fuzz_verdict(slot_hfbg_open(slot, n, "pass", 4, out, &err), &err);
	err_clear(&err);
	fuzz_verdict(slot_hfkv_open(slot, n, sk, id, &epoch, out, &err), &err);
	run_root(slot, n);
	run_hfkp(slot, n);
}

static void seeds(void)
{
	static const uint8_t salt[32] = { 6 }, before[32] = { 7 };
	static const struct keyring_root root = { .k_dom = { 7 } };
	struct err err = ERR_INIT;
	uint8_t kr[SLOT_HFKR_BYTES], kp[SLOT_HFKP_BYTES];
	uint8_t pk[32], bg[SLOT_HFBG_BYTES], kv[SLOT_HFKV_BYTES];
	FUZZ_CHECK(slot_hfbg_seal(sk, "pass", 4, 4, salt, bg, &err) == 0);
	fuzz_seed(bg, sizeof(bg));
	hpke_public(sk, pk);
	FUZZ_CHECK(slot_hfkv_seal(vault, 1, k_vault, pk, kv, &err) == 0);
	fuzz_seed(kv, sizeof(kv));
	FUZZ_CHECK(slot_hfkr_seal(vault, sk, &root, kr, &err) == 0);
	fuzz_seed(kr, sizeof(kr));
	FUZZ_CHECK(slot_hfkp_seal(vault, 2, k_vault, before, kp, &err) == 0);
	fuzz_seed(kp, sizeof(kp));
}

const struct fuzz_target fuzz_slot = { "slot", run, seeds };
