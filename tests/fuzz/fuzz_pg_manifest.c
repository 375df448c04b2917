/*
 * fuzz_pg_manifest: the manifest of a PostgreSQL base backup, its sum made right here: the first
 * byte says whether the text is closed with its own checksum or taken as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "fuzz/fuzz.h"
#include "restore/pg_manifest.h"

static void parse(const void *data, size_t len)
{
	struct pg_manifest *m = NULL;
	struct pg_manifest_list seen = { .count = 0 };
	struct err err = ERR_INIT;
	int rc = pg_manifest_parse(data, len, &m, &err);
	fuzz_verdict(rc, &err);
	for (size_t i = 0; rc == 0 && i < m->list.count; i++) {
		FUZZ_CHECK(m->list.files[i].path[0] != '\0');
		FUZZ_CHECK(pg_manifest_list_add(&seen, &m->list.files[i], &err) == 0);
	}
	if (rc == 0) /* what it lists is what it lists */
		FUZZ_CHECK(pg_manifest_match(m, &seen, &err) == 0);
	pg_manifest_list_done(&seen);
	pg_manifest_free(m);
}

static void run(const uint8_t *data, size_t len)
{
	struct buf all = BUF_INIT(2 * FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	uint8_t sum[32];
	char hex[65];
	if (len == 0)
		return;
	if (data[0] % 2 != 0) {
		parse(data + 1, len - 1);
		return;
	}
	hash_sha256(data + 1, len - 1, sum);
	text_hex(sum, sizeof(sum), hex);
	FUZZ_CHECK(buf_add(&all, data + 1, len - 1, &err) == 0);
	FUZZ_CHECK(buf_addf(&all, &err, "\"Manifest-Checksum\": \"%s\"}\n", hex) == 0);
	parse(all.data, all.len);
	buf_done(&all);
}

#define SUM "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

static void seeds(void)
{
	static const char body[] =
		"B{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
		"{ \"Path\": \"global/pg_control\", \"Size\": 1, \"Checksum-Algorithm\": "
		"\"SHA256\", \"Checksum\": \"" SUM "\" },\n"
		"{ \"Encoded-Path\": \"626173652fff\", \"Size\": 1, \"Checksum-Algorithm\": "
		"\"SHA256\", \"Checksum\": \"" SUM "\" }\n],\n"
		"\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", "
		"\"End-LSN\": \"16/B374D848\" }\n],\n";
	static const char as_it_is[] = "A{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
				       "\"System-Identifier\": 7,\n\"Files\": [],\n"
				       "\"Manifest-Checksum\": \"" SUM "\"}\n";
	fuzz_seed(body, sizeof(body) - 1);
	fuzz_seed(as_it_is, sizeof(as_it_is) - 1);
}

const struct fuzz_target fuzz_pg_manifest = { "pg_manifest", run, seeds };
