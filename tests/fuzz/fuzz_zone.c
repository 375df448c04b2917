/*
 * fuzz_zone: zone files (RFC 8536), and what their rules say of moments near and far.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fdio.h"
#include "fuzz/fuzz.h"
#include "plans/zone_rules.h"

#define DAY INT64_C(86400)

static void run(const uint8_t *data, size_t len)
{
	static const int64_t moments[] = { INT64_C(-4000000000), -1, 0, INT64_C(1000000000),
		INT64_C(1800000000), INT64_C(4102444800), INT64_C(9000000000) };
	struct err err = ERR_INIT;
	struct zone_rules *z = NULL;
	int rc = zone_rules_parse("Plant/Here", data, len, &z, &err);
	fuzz_verdict(rc, &err);
	for (size_t i = 0; rc == 0 && i < sizeof(moments) / sizeof(moments[0]); i++) {
		const char *name = NULL;
		int32_t offset = zone_rules_offset(z, moments[i], &name);
		FUZZ_CHECK(offset > -2 * DAY && offset < 2 * DAY && name != NULL);
		/* the first moment that shows this time is not behind the one that did */
		int64_t shown = moments[i] + offset;
		int64_t first = zone_rules_utc(z, shown);
		FUZZ_CHECK(first <= moments[i]);
		FUZZ_CHECK(zone_rules_utc(z, shown + 1) >= first);
	}
	zone_rules_free(z);
}

static void seeds(void)
{
	/* the footer's three forms, and a table of changes */
	static const char *const footers[] = { "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30",
		"XXX3YYY2,J60/0,300/26" };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
		/* version 2: an empty first part, then one change of one type */
		static const uint8_t head1[44] = { 'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4 };
		static const uint8_t type[10] = { 0, 0, 0x0e, 0x10, 0, 0, 'C', 'E', 'T', 0 };
		static const uint8_t head2[44] = { 'T', 'Z', 'i', 'f',
			'2', [35] = 1, [39] = 1, [43] = 4 };
		static const uint8_t change[9] = { 0, 0, 0, 0, 0x40, 0, 0, 0, 0 };
		buf_clear(&out);
		FUZZ_CHECK(buf_add(&out, head1, sizeof(head1), &err) == 0);
		FUZZ_CHECK(buf_add(&out, type, sizeof(type), &err) == 0);
		FUZZ_CHECK(buf_add(&out, head2, sizeof(head2), &err) == 0);
		FUZZ_CHECK(buf_add(&out, change, sizeof(change), &err) == 0);
		FUZZ_CHECK(buf_add(&out, type, sizeof(type), &err) == 0);
		FUZZ_CHECK(buf_addf(&out, &err, "\n%s\n", footers[i]) == 0);
		fuzz_seed(out.data, out.len);
	}
	buf_done(&out);
}

const struct fuzz_target fuzz_zone = { "zone", run, seeds };
