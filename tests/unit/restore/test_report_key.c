#include "restore/report_key.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

TestSuite(report_key);

static const uint8_t pk[32] = { 0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41, 0xba,
	0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50, 0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c,
	0x38, 0xad, 0x70, 0x31, 0x66, 0xe1 };
static const char line[] =
	"holdfast-report-key ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n";
/* the public key printed in section 10.1 of RFC 8410 */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
			  "-----END PUBLIC KEY-----\n";

static void expect_key(const char *text)
{
	char expected[DSSE_KEYID_BYTES], keyid[DSSE_KEYID_BYTES] = "";
	struct err err = ERR_INIT;
	dsse_keyid(pk, expected);
	cr_expect(eq(int, report_key_parse(text, strlen(text), keyid, &err), 0), "%s", err.msg);
	cr_expect(eq(str, keyid, expected));
}

static void expect_refused(const char *text)
{
	char keyid[DSSE_KEYID_BYTES] = "untouched";
	struct err err = ERR_INIT;
	cr_expect(eq(int, report_key_parse(text, strlen(text), keyid, &err), -ERR_CONFIG), "%s",
		text);
	cr_expect(eq(str, err.msg, "not a report key"));
	cr_expect(ne(chr, err.hint[0], '\0'));
	cr_expect(eq(str, keyid, "untouched"));
}

Test(report_key, a_line_and_a_pem_of_one_key_have_one_fingerprint)
{
	expect_key(line);
	expect_key(pem);
}

Test(report_key, white_space_around_and_line_breaks_in_pem_do_not_matter)
{
	expect_key("\r\n  holdfast-report-key ed25519 "
		   "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE= \r\n");
	expect_key("-----BEGIN PUBLIC KEY-----\r\nMCowBQYDK2VwAyEAGb9ECWmEzf6F\r\n"
		   "QbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\r\n-----END PUBLIC KEY-----");
}

Test(report_key, what_is_written_is_what_is_read)
{
	struct buf out = BUF_INIT(REPORT_KEY_FILE_MAX);
	cr_assert(eq(int, report_key_format(pk, &out, NULL), 0));
	cr_expect(eq(str, (char *)buf_cstr(&out), (char *)line));
	buf_done(&out);
}

Test(report_key, anything_else_is_refused)
{
	char longer[REPORT_KEY_FILE_MAX + 2];
	memset(longer, ' ', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	expect_refused("");
	expect_refused(longer);
	expect_refused("holdfast-report-key ed25519 ");
	expect_refused("holdfast-report-key ed448 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
	/* one bit outside the 32 bytes, one byte short, two keys */
	expect_refused("holdfast-report-key ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuF=");
	expect_refused("holdfast-report-key ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZg==");
	expect_refused("holdfast-report-key ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		       "holdfast-report-key ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
	/* X25519, a private key, no end */
	expect_refused("-----BEGIN PUBLIC KEY-----\n"
		       "MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		       "-----END PUBLIC KEY-----\n");
	expect_refused("-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n");
	expect_refused("-----BEGIN PUBLIC KEY-----\n"
		       "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n");
	expect_refused("-----BEGIN PUBLIC KEY-----");
}

Test(report_key, only_a_whole_lower_case_fingerprint_is_one)
{
	char expected[DSSE_KEYID_BYTES], keyid[DSSE_KEYID_BYTES] = "untouched";
	dsse_keyid(pk, expected);
	cr_expect(eq(int, report_key_fingerprint(expected, keyid), 0));
	cr_expect(eq(str, keyid, expected));
	cr_expect(eq(int, report_key_fingerprint("0123456789abcdef", keyid), -1));
	expected[0] = 'G';
	cr_expect(eq(int, report_key_fingerprint(expected, keyid), -1));
	cr_expect(ne(chr, keyid[0], 'G'));
}
