#include "restore/pg_manifest.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"

TestSuite(pg_manifest, .timeout = 60);

DEFINE_CLEANUP(struct pg_manifest *, pg_manifest_free)

#define SUM_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" /* "a" */
#define SUM_B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d" /* "b" */

static const char body[] =
	"{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
	"{ \"Path\": \"global/pg_control\", \"Size\": 1, \"Checksum-Algorithm\": \"SHA256\", "
	"\"Checksum\": \"" SUM_B "\" },\n"
	"{ \"Encoded-Path\": \"626173652fff\", \"Size\": 1, \"Checksum-Algorithm\": \"SHA256\", "
	"\"Checksum\": \"" SUM_A "\" }\n],\n"
	"\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", "
	"\"End-LSN\": \"16/B374D848\" }\n],\n";

/* ${text} with its checksum line. */
static void close_manifest(const char *text, struct buf *out)
{
	uint8_t sum[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	hash_sha256(text, strlen(text), sum);
	text_hex(sum, sizeof(sum), hex);
	buf_clear(out);
	(void)buf_addf(out, NULL, "%s\"Manifest-Checksum\": \"%s\"}\n", text, hex);
}

static int parse(const char *text, struct pg_manifest **out, struct err *err)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	close_manifest(text, &b);
	return pg_manifest_parse(b.data, b.len, out, err);
}

static void see(struct pg_manifest_list *list, const char *path, const char *content)
{
	char own[64];
	(void)snprintf(own, sizeof(own), "%s", path);
	struct pg_manifest_file f = { .path = own, .size = strlen(content) };
	hash_sha256(content, strlen(content), f.sha256);
	(void)pg_manifest_list_add(list, &f, NULL);
}

Test(pg_manifest, files_and_wal_ranges_are_read)
{
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, parse(body, &m, &err), 0), "%s", err.msg);
	cr_assert(eq(sz, m->list.count, 2));
	cr_expect(eq(str, m->list.files[0].path, "base/\xff"));
	cr_expect(eq(str, m->list.files[1].path, "global/pg_control"));
	cr_assert(eq(sz, m->wal_count, 1));
	cr_expect(eq(u64, m->wal[0].start, 0x2000028));
	cr_expect(eq(u64, m->wal[0].end, 0x16B374D848));
}

Test(pg_manifest, any_changed_byte_is_seen)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	close_manifest(body, &b);
	/* the last three bytes, quote brace newline, are no part of what is hashed or hash */
	for (size_t i = 0; i + 3 < b.len; i++) {
		struct pg_manifest *m = NULL;
		b.data[i] ^= 1;
		cr_expect(eq(int, pg_manifest_parse(b.data, b.len, &m, NULL), -ERR_CORRUPT),
			"byte %zu", i);
		b.data[i] ^= 1;
	}
	for (size_t len = 0; len + 3 < b.len; len += 5) {
		struct pg_manifest *m = NULL;
		cr_expect(eq(int, pg_manifest_parse(b.data, len, &m, NULL), -ERR_CORRUPT),
			"length %zu", len);
	}
}

static int parse_changed(const char *from, const char *to, struct err *err)
{
	char text[sizeof(body) + 64];
	const char *at = strstr(body, from);
	cr_assert(at != NULL, "%s", from);
	(void)snprintf(
		text, sizeof(text), "%.*s%s%s", (int)(at - body), body, to, at + strlen(from));
	struct pg_manifest *m = NULL;
	int rc = parse(text, &m, err);
	pg_manifest_free(m);
	return rc;
}

Test(pg_manifest, what_it_cannot_vouch_for_is_refused)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, parse_changed("Version\": 1", "Version\": 9", &err), -ERR_UNSUPPORTED));
	cr_expect(eq(int, parse_changed("SHA256", "CRC32C", &err), -ERR_UNSUPPORTED));
	cr_expect(eq(str, err.msg, "backup_manifest: 'global/pg_control' has no SHA-256 checksum"));
	cr_expect(eq(int, parse_changed("\"Size\": 1", "\"Size\": -1", &err), -ERR_CORRUPT));
	cr_expect(eq(int, parse_changed(SUM_B, "00", &err), -ERR_CORRUPT));
	cr_expect(eq(int, parse_changed("626173652fff", "6", &err), -ERR_CORRUPT));
	cr_expect(eq(int, parse_changed("626173652fff", "", &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "backup_manifest: a file has no path"));
	cr_expect(eq(int, parse_changed("0/2000028", "x", &err), -ERR_CORRUPT));
	cr_expect(eq(int, parse_changed("0/2000028", "99/0", &err), -ERR_CORRUPT));
	cr_expect(eq(int, parse_changed("\"WAL-Ranges\"", "\"Other\"", &err), -ERR_CORRUPT));
}

Test(pg_manifest, the_first_file_that_does_not_match_is_named)
{
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, parse(body, &m, &err), 0), "%s", err.msg);

	struct pg_manifest_list good = { .count = 0 };
	see(&good, "pg_wal/000000010000000000000002", "wal");
	see(&good, "global/pg_control", "b");
	see(&good, "base/\xff", "a");
	see(&good, "backup_manifest", "m");
	cr_expect(eq(int, pg_manifest_match(m, &good, &err), 0), "%s", err.msg);
	see(&good, "base/2", "x");
	cr_expect(eq(int, pg_manifest_match(m, &good, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "base backup: 'base/2' is not in the server's manifest"));
	pg_manifest_list_done(&good);

	struct pg_manifest_list few = { .count = 0 };
	see(&few, "base/\xff", "a");
	cr_expect(eq(int, pg_manifest_match(m, &few, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "base backup: 'global/pg_control' is missing"));
	see(&few, "global/pg_control", "bb");
	cr_expect(eq(int, pg_manifest_match(m, &few, &err), -ERR_CORRUPT));
	cr_expect(eq(
		str, err.msg, "base backup: 'global/pg_control' has 2 bytes, the server sent 1"));
	pg_manifest_list_done(&few);

	struct pg_manifest_list other = { .count = 0 };
	see(&other, "base/\xff", "a");
	see(&other, "global/pg_control", "a");
	cr_expect(eq(int, pg_manifest_match(m, &other, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg,
		"base backup: 'global/pg_control' differs from the server's checksum"));
	pg_manifest_list_done(&other);

	struct pg_manifest_list none = { .count = 0 };
	cr_expect(eq(int, pg_manifest_match(m, &none, &err), -ERR_CORRUPT));
}
