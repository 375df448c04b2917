/*
 * fuzz_controller_keys: the controller's key file, its sum made right here, and the officer's key
 * file; the first byte says which (docs/CONTROLLER.md).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "controller/controller_keys.h"
#include "crypto/hash.h"
#include "fuzz/fuzz.h"

static int keys(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct controller_keys k;
	int rc = controller_keys_decode(data, len, &k, err);
	return rc != 0 ? rc : controller_keys_encode(&k, again, err);
}

static int officer(const void *data, size_t len, struct buf *again, struct err *err)
{
	uint8_t seed[32];
	int rc = controller_keys_officer_parse(data, len, seed, err);
	return rc != 0 ? rc : controller_keys_officer_format(seed, again, err);
}

static void run(const uint8_t *data, size_t len)
{
	uint8_t all[CONTROLLER_KEYS_BYTES];
	if (len == 0)
		return;
	if (data[0] % 2 != 0) {
		fuzz_codec(officer, data + 1, len - 1, false); /* the line end may be missing */
		return;
	}
	fuzz_codec(keys, data + 1, len - 1, true);
	if (len - 1 < sizeof(all))
		return;
	memcpy(all, data + 1, sizeof(all));
	hash_sha256(all, sizeof(all) - 32, all + sizeof(all) - 32);
	fuzz_codec(keys, all, sizeof(all), true);
}

static void seeds(void)
{
	static const struct controller_keys k = {
		.kv_epoch = 2, .vault_id = { 1 }, .k_vault = { 7 }, .officer_pk = { 9 }
	};
	static const uint8_t seed[32] = { 5 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(buf_add8(&out, 'B', &err) == 0 && controller_keys_encode(&k, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_clear(&out);
	FUZZ_CHECK(buf_add8(&out, 'A', &err) == 0 &&
		   controller_keys_officer_format(seed, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_controller_keys = { "controller_keys", run, seeds };
