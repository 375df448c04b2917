/*
 * fuzz_col1: the column filter: parameters, and that it turns back (docs/FORMAT.md section 3.1).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/col1.h"
#include "fuzz/fuzz.h"

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct col1 f;
	size_t used = 0;
	uint8_t params[COL1_MAX_PARAM_BYTES];
	int rc = col1_decode(data, len, &f, &used, &err);
	fuzz_verdict(rc, &err);
	if (rc != 0)
		return;
	FUZZ_CHECK(used <= len);
	FUZZ_CHECK(col1_encode(&f, params) == used && memcmp(params, data, used) == 0);
	size_t n = len - used;
	if (n <= f.phase)
		return;
	uint8_t *out = malloc(n), *back = malloc(n);
	FUZZ_CHECK(out != NULL && back != NULL);
	col1_forward(&f, data + used, out, n);
	col1_inverse(&f, out, back, n);
	FUZZ_CHECK(memcmp(back, data + used, n) == 0);
	/* and every payload is the filtered form of something */
	col1_inverse(&f, data + used, back, n);
	col1_forward(&f, back, out, n);
	FUZZ_CHECK(memcmp(out, data + used, n) == 0);
	free(out);
	free(back);
}

static void seeds(void)
{
	struct col1 f = { .stride = 24, .phase = 3, .mode = { 0, 1, 2 } };
	uint8_t out[400];
	fuzz_fill(out, sizeof(out), 0);
	(void)col1_encode(&f, out); /* the length is the input's */
	fuzz_seed(out, sizeof(out));
	f = (struct col1){ .stride = 4, .phase = 0, .mode = { 2 } };
	size_t n = col1_encode(&f, out);
	fuzz_seed(out, n + 100);
}

const struct fuzz_target fuzz_col1 = { "col1", run, seeds };
