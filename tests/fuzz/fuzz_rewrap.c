/*
 * fuzz_rewrap: the body of an object of envelopes made later (docs/FORMAT.md section 5, "Rewrap").
 */
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/rewrap.h"

#define ENVELOPE_BYTES 192

/* What is taken is whole and in order, and lies inside. */
static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	const uint8_t *first = NULL;
	size_t count = 0;
	int rc = rewrap_decode(data, len, &first, &count, &err);
	fuzz_verdict(rc, &err);
	if (rc != 0)
		return;
	FUZZ_CHECK(count > 0 && first == data + 12 && 12 + count * ENVELOPE_BYTES == len);
	for (size_t i = 1; i < count; i++)
		FUZZ_CHECK(memcmp(first + (i - 1) * ENVELOPE_BYTES + 8,
				   first + i * ENVELOPE_BYTES + 8, 64) < 0);
}

static void seeds(void)
{
	uint8_t body[12 + 3 * ENVELOPE_BYTES] = { 'H', 'F', 'R', 'W', 1 };
	bytes_put32(body + 8, 3);
	for (size_t i = 0; i < 3; i++) {
		fuzz_fill(body + 12 + i * ENVELOPE_BYTES, ENVELOPE_BYTES, 5);
		body[12 + i * ENVELOPE_BYTES + 8] = (uint8_t)i;
	}
	fuzz_seed(body, sizeof(body));
	bytes_put32(body + 8, 1);
	fuzz_seed(body, 12 + ENVELOPE_BYTES);
}

const struct fuzz_target fuzz_rewrap = { "rewrap", run, seeds };
