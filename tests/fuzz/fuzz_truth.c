/*
 * fuzz_truth: truth manifests.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/truth.h"
#include "codec/truth_json.h"
#include "fuzz/fuzz.h"

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct truth *t = NULL;
	int rc = truth_json_parse(data, len, &t, err);
	if (rc == 0)
		rc = truth_json_format(t, again, err);
	truth_free(t);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(codec, data, len, false);
}

static void seeds(void)
{
	char schema[] = "public", table[] = "samples", path[] = "batch/1\xff.csv", id[] = "B1";
	char version[] = "15.18";
	struct truth_table t = { .schema = schema,
		.name = table,
		.rows = 3,
		.min_ms = 1,
		.max_ms = 9,
		.fingerprint = "123" };
	struct truth_file f = { .path = path, .size = 10, .is_append = true };
	struct truth_batch b = { .id = id, .is_running = true };
	struct truth *all = truth_new();
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(all != NULL);
	all->has_database = all->has_files = all->has_batches = true;
	all->newest_ms = all->database.newest_ms = 9;
	all->database.server_version = strdup(version);
	FUZZ_CHECK(truth_add_table(all, &t, &err) == 0 && truth_add_file(all, &f, &err) == 0);
	FUZZ_CHECK(truth_add_batch(all, &b, &err) == 0 && truth_seal(all, &err) == 0);
	FUZZ_CHECK(truth_json_format(all, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	truth_free(all);
	buf_done(&out);
}

const struct fuzz_target fuzz_truth = { "truth", run, seeds };
