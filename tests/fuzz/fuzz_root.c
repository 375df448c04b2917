/*
 * fuzz_root: the root record of a snapshot (docs/FORMAT.md section 4.6).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/record.h"
#include "vault/root.h"

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct root r;
	int rc = root_decode(data, len, &r, err);
	return rc != 0 ? rc : root_encode(&r, again, err);
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(codec, data, len, false);
}

static void seeds(void)
{
	struct root r = { .chunker_id = 1,
		.chunker_bytes = 1u << 20,
		.check = RECORD_CHECK_FULL,
		.consistency = ROOT_APPLICATION,
		.has_truth = true,
		.truth = { .raw_len = 9, .cr_len = 52 },
		.tool = "holdfast 0.1.0",
		.top = { .raw_len = 99, .cr_len = 140 } };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(root_encode(&r, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_clear(&out);
	r.has_truth = false;
	r.chunker_id = 2;
	r.chunker_bytes = 65536;
	FUZZ_CHECK(root_encode(&r, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_root = { "root", run, seeds };
