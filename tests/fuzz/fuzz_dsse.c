/*
 * fuzz_dsse: signed reports: the envelope, and a payload signed here (docs/REPORT.md).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/dsse.h"
#include "fuzz/fuzz.h"
#include "restore/report_json.h"

static const uint8_t seed[32] = { 4 };

static void run(const uint8_t *data, size_t len)
{
	struct buf envelope = BUF_INIT(DSSE_MAX_BYTES), payload = BUF_INIT(DSSE_MAX_BYTES);
	struct err err = ERR_INIT;
	struct dsse_opened o;
	fuzz_verdict(
		dsse_open(data, len, REPORT_JSON_PAYLOAD_TYPE, NULL, &payload, &o, &err), &err);
	buf_clear(&payload);
	err_clear(&err);
	FUZZ_CHECK(dsse_seal(seed, REPORT_JSON_PAYLOAD_TYPE, data, len, &envelope, &err) == 0);
	FUZZ_CHECK(dsse_open(envelope.data, envelope.len, REPORT_JSON_PAYLOAD_TYPE, NULL, &payload,
			   &o, &err) == 0);
	FUZZ_CHECK(o.count == 1 && payload.len == len);
	FUZZ_CHECK(len == 0 || memcmp(payload.data, data, len) == 0);
	buf_done(&envelope);
	buf_done(&payload);
}

static void seeds(void)
{
	struct buf one = BUF_INIT(FUZZ_MAX_BYTES), two = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	static const uint8_t other[32] = { 5 };
	FUZZ_CHECK(dsse_seal(seed, REPORT_JSON_PAYLOAD_TYPE, "{}", 2, &one, &err) == 0);
	FUZZ_CHECK(dsse_add_signature(
			   one.data, one.len, REPORT_JSON_PAYLOAD_TYPE, other, &two, &err) == 0);
	fuzz_seed(one.data, one.len);
	fuzz_seed(two.data, two.len);
	buf_done(&one);
	buf_done(&two);
}

const struct fuzz_target fuzz_dsse = { "dsse", run, seeds };
