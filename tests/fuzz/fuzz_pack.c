/*
 * fuzz_pack: a pack's footer, sealed here (docs/FORMAT.md section 6).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "fuzz/fuzz.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/pack.h"
#include "vault/record.h"

/* Input: what the pack holds before its footer, u32; the footer in the clear. */
static void footer_key(const uint8_t *salt, uint8_t out[AEAD_KEY_BYTES])
{
	const struct sealed_key *k = fuzz_key();
	hmac_kdf(k->k_vault, sizeof(k->k_vault), salt, 32, "hf1/pack-footer", k->vault_id,
		sizeof(k->vault_id), out, AEAD_KEY_BYTES);
}

static int on_place(void *arg, const struct pack_place *place, struct err *err)
{
	uint64_t *end = arg;
	(void)err;
	FUZZ_CHECK(place->offset == *end);
	FUZZ_CHECK(place->cr_len > RECORD_HEADER_BYTES && place->cr_len <= RECORD_MAX_BYTES);
	*end += place->cr_len - RECORD_HEADER_BYTES;
	return 0;
}

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	size_t need = 0;
	fuzz_verdict(pack_footer_need(data, len, &need, &err), &err);
	if (len < 4)
		return;
	size_t plain = len - 4, total = plain + AEAD_TAG_BYTES + PACK_TAIL_BYTES;
	uint8_t *tail = calloc(1, total), *end = tail + total - PACK_TAIL_BYTES;
	uint8_t key[AEAD_KEY_BYTES];
	uint64_t bytes = 0;
	int class = -1;
	FUZZ_CHECK(tail != NULL);
	bytes_put32(end + 32, fuzz_key()->kv_epoch);
	bytes_put32(end + 36, (uint32_t)(plain + AEAD_TAG_BYTES));
	memcpy(end + 40, "HFPACK01", 8);
	footer_key(end, key);
	FUZZ_CHECK(aead_seal(AEAD_AES256GCM, key, NULL, end, PACK_TAIL_BYTES, data + 4, plain, tail,
			   &err) == 0);
	FUZZ_CHECK(pack_footer_need(end, PACK_TAIL_BYTES, &need, &err) != 0 || need == total);
	int rc = pack_footer_open(fuzz_key(), tail, total, bytes_get32(data) + (uint64_t)total,
		&class, on_place, &bytes, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(rc != 0 || bytes == bytes_get32(data));
	FUZZ_CHECK(rc != 0 || class == PACK_DATA || class == PACK_METADATA);
	free(tail);
}

static void seeds(void)
{
	uint8_t cr[64] = { 0 }, id[32] = { 7 }, key[AEAD_KEY_BYTES], *out = NULL;
	char name[FETCH_PACK_NAME_BYTES];
	struct buf all = BUF_INIT(PACK_MAX_BYTES);
	struct err err = ERR_INIT;
	struct store_mem *mem = NULL;
	struct store *store = NULL;
	struct pack_made made;
	struct pack *p = NULL;
	FUZZ_CHECK(store_mem_new(&mem, &err) == 0);
	FUZZ_CHECK(store_new(&store_mem_driver, mem, NULL, &store, &err) == 0);
	FUZZ_CHECK(pack_new(store, PACK_METADATA, &p, &err) == 0);
	for (uint8_t i = 0; i < 3; i++) {
		id[0] = i;
		record_header(AEAD_AES256GCM, RECORD_NODE, sizeof(cr), cr);
		FUZZ_CHECK(pack_add(p, id, cr, sizeof(cr), &err) == 0);
	}
	uint32_t body = (uint32_t)pack_bytes(p);
	FUZZ_CHECK(pack_put(p, fuzz_key(), id, &made, &err) == 0);
	fetch_pack_name(made.hash, name);
	FUZZ_CHECK(store_barrier(store, &err) == 0 && store_get(store, name, &all, &err) == 0);
	const uint8_t *end = all.data + all.len - PACK_TAIL_BYTES;
	size_t plain = all.len - body - AEAD_TAG_BYTES - PACK_TAIL_BYTES;
	footer_key(end, key);
	out = malloc(plain + 4);
	FUZZ_CHECK(out != NULL);
	bytes_put32(out, body);
	FUZZ_CHECK(aead_open(AEAD_AES256GCM, key, NULL, end, PACK_TAIL_BYTES, all.data + body,
			   plain + AEAD_TAG_BYTES, out + 4, &err) == 0);
	fuzz_seed(out, plain + 4);
	free(out);
	pack_free(p);
	store_free(store);
	buf_done(&all);
}

const struct fuzz_target fuzz_pack = { "pack", run, seeds };
