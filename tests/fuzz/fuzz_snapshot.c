/*
 * fuzz_snapshot: the body of a snapshot object, its record and its label (docs/FORMAT.md section
 * 5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/domain.h"
#include "vault/label.h"
#include "vault/snapshot.h"
#include "vault/snapshot_unseal.h"

static const uint8_t ik_seed[32] = { 8 };

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct snapshot_body b;
	int rc = snapshot_body_decode(data, len, &b, err);
	if (rc != 0)
		return rc;
	rc = snapshot_body_encode(&b, again, err);
	snapshot_body_done(&b);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	const struct domain nobody = { .epoch = 0 };
	struct err err = ERR_INIT;
	struct snapshot s;
	fuzz_codec(codec, data, len, true);
	int rc = snapshot_unseal_body(&nobody, data, len, &s, &err);
	fuzz_verdict(rc, &err);
	if (rc != 0)
		return;
	/* whoever signs what was taken makes a record that is taken */
	uint8_t record[SNAPREC_BYTES];
	struct snaprec again;
	snaprec_sign(&s.record, ik_seed, record);
	FUZZ_CHECK(snaprec_decode(record, &again, &err) == 0);
	FUZZ_CHECK(memcmp(record, s.body.record, 272) == 0);
	snapshot_unseal_done(&s);
}

static void seeds(void)
{
	char source[] = "historian", host[] = "plant7", path[] = "/srv/data", tag[] = "nightly";
	char tool[] = "holdfast 0.1.0", *paths[] = { path }, *tags[] = { tag };
	struct label label = { .source = source,
		.host = host,
		.tool = tool,
		.paths = paths,
		.path_count = 1,
		.tags = tags,
		.tag_count = 1,
		.files = 12,
		.new_bytes = 3456 };
	struct snaprec r = { .suite = 1, .config_epoch = 1, .seq = 1, .ref_count = 2 };
	struct snapshot_segment segment = { .offset = 0, .length = 80 };
	struct snapshot_body b = {
		.log_index = SNAPSHOT_BODY_NO_LOG, .segments = &segment, .segment_count = 1
	};
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES), text = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	snaprec_sign(&r, ik_seed, b.record);
	FUZZ_CHECK(label_encode(&label, &text, &err) == 0);
	b.label = text.data;
	b.label_len = text.len;
	FUZZ_CHECK(snapshot_body_encode(&b, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
	buf_done(&text);
}

const struct fuzz_target fuzz_snapshot = { "snapshot", run, seeds };
