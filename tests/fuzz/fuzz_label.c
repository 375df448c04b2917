/*
 * fuzz_label: the label of a snapshot (docs/FORMAT.md section 5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/label.h"

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct label l;
	int rc = label_decode(data, len, &l, err);
	if (rc != 0)
		return rc;
	rc = label_encode(&l, again, err);
	label_done(&l);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(codec, data, len, false);
}

static void seeds(void)
{
	char source[] = "s", host[] = "h", tool[] = "t", a[] = "/a", b[] = "/b", x[] = "x";
	char *paths[] = { a, b }, *tags[] = { x };
	struct label l = { .source = source,
		.host = host,
		.tool = tool,
		.paths = paths,
		.path_count = 2,
		.tags = tags,
		.tag_count = 1,
		.files = 1,
		.dirs = 2,
		.others = 3,
		.new_bytes = 4 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(label_encode(&l, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_label = { "label", run, seeds };
