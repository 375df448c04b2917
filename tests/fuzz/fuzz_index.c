/*
 * fuzz_index: the body of an index segment (docs/FORMAT.md section 6).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/index.h"

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct index *x = NULL;
	FUZZ_CHECK(index_new(&x, err) == 0);
	int rc = index_add_segment(x, data, len, err);
	if (rc == 0)
		rc = index_settle(x, err);
	if (rc == 0)
		rc = index_encode(x, 0, again, err);
	index_free(x);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(codec, data, len, false); /* a segment may name a pack twice */
}

static void seeds(void)
{
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	struct index *x = NULL;
	struct pack_place places[4];
	uint8_t name[32];
	FUZZ_CHECK(index_new(&x, &err) == 0);
	for (uint8_t p = 0; p < 2; p++) {
		fuzz_fill(name, sizeof(name), (uint8_t)(9 - p));
		for (uint8_t i = 0; i < 4; i++) {
			places[i] = (struct pack_place){ .suite = 1,
				.type = (uint8_t)(p + 1),
				.offset = i * 100u,
				.cr_len = 112 };
			fuzz_fill(places[i].id, 32, (uint8_t)(i * 31 + p));
		}
		FUZZ_CHECK(index_add_pack(x, name, 8192, places, 4, &err) == 0);
	}
	FUZZ_CHECK(index_settle(x, &err) == 0 && index_encode(x, 0, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	index_free(x);
	buf_done(&out);
}

const struct fuzz_target fuzz_index = { "index", run, seeds };
