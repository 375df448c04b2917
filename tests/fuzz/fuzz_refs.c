/*
 * fuzz_refs: the reference list of a snapshot (docs/FORMAT.md section 5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/snaprec_refs.h"

static int on_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	return snaprec_refs_add(arg, id, cr_len, err);
}

/* A list that is taken is the one list of its references. */
static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct snaprec_refs *r = NULL;
	const uint8_t *body = NULL;
	uint8_t root[32], made[32];
	uint64_t count = 0, again_count = 0;
	size_t body_len = 0;
	FUZZ_CHECK(snaprec_refs_new(&r, err) == 0);
	int rc = snaprec_refs_walk(data, len, NULL, on_ref, r, root, &count, err);
	if (rc == 0 && count > 0) {
		FUZZ_CHECK(snaprec_refs_finish(r, &body, &body_len, &again_count, made, err) == 0);
		FUZZ_CHECK(count == again_count && memcmp(root, made, 32) == 0);
		rc = buf_add(again, body, body_len, err);
	}
	snaprec_refs_free(r);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(codec, data, len, true);
}

static void seed_of(unsigned n)
{
	struct err err = ERR_INIT;
	struct snaprec_refs *r = NULL;
	const uint8_t *body = NULL;
	uint8_t id[32], root[32];
	uint64_t count = 0;
	size_t len = 0;
	FUZZ_CHECK(snaprec_refs_new(&r, &err) == 0);
	for (unsigned i = 0; i < n; i++) {
		fuzz_fill(id, sizeof(id), (uint8_t)i);
		id[0] = (uint8_t)(i >> 8);
		if (i == 520)
			id[30] = id[31] = 0; /* a segment ends here */
		FUZZ_CHECK(snaprec_refs_add(r, id, 100 + i, &err) == 0);
	}
	FUZZ_CHECK(snaprec_refs_finish(r, &body, &len, &count, root, &err) == 0);
	fuzz_seed(body, len);
	snaprec_refs_free(r);
}

static void seeds(void)
{
	seed_of(3);
	seed_of(530);
}

const struct fuzz_target fuzz_refs = { "refs", run, seeds };
