/*
 * fuzz_keyfile: writer key files, their sum made right here, and drill key files (docs/FORMAT.md
 * section 1).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "fuzz/fuzz.h"
#include "vault/keyring.h"

static int writer(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct keyring_writer w;
	int rc = keyring_writer_decode(data, len, &w, err);
	return rc != 0 ? rc : keyring_writer_encode(&w, again, err);
}

static int drill(const void *data, size_t len, struct buf *again, struct err *err)
{
	char group[KEYRING_GROUP_BYTES];
	uint8_t sk[32];
	int rc = keyring_drill_decode(data, len, group, sk, err);
	return rc != 0 ? rc : keyring_drill_encode(group, sk, again, err);
}

static void run(const uint8_t *data, size_t len)
{
	uint8_t all[KEYRING_WRITER_BYTES];
	fuzz_codec(writer, data, len, true);
	fuzz_codec(drill, data, len, true);
	if (len < sizeof(all))
		return;
	memcpy(all, data, sizeof(all));
	hash_sha256(all, sizeof(all) - 32, all + sizeof(all) - 32);
	fuzz_codec(writer, all, sizeof(all), true);
}

static void seeds(void)
{
	static const struct keyring_writer w = { .kv_epoch = 1, .config_epoch = 2, .k_fp = { 7 } };
	static const uint8_t sk[32] = { 5 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(keyring_writer_encode(&w, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_clear(&out);
	FUZZ_CHECK(keyring_drill_encode("line-3", sk, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_keyfile = { "keyfile", run, seeds };
