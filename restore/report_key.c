#include "restore/report_key.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"

/*
 * INVARIANTS
 * (1) Only canonical base64 of exactly 32 bytes, in PEM behind exactly the one header that names
 *     Ed25519, is a key.
 */

#define KEY_LINE "holdfast-report-key ed25519 "
#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----"
#define PEM_END "-----END PUBLIC KEY-----"
#define PK_BYTES 32

/* SubjectPublicKeyInfo of an Ed25519 key up to the key (RFC 8410). */
static const uint8_t spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21,
	0x00 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank((*text)[0])) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		(*len)--;
}

static bool takes(const char **text, size_t *len, const char *prefix)
{
	size_t n = strlen(prefix);
	if (*len < n || memcmp(*text, prefix, n) != 0)
		return false;
	*text += n;
	*len -= n;
	return true;
}

static int unknown(struct err *err)
{
	(void)err_set(err, ERR_CONFIG, "not a report key");
	return err_hint(err, "a key file is one line '" KEY_LINE "<base64>', or a PEM public key "
			     "of type Ed25519");
}

int report_key_fingerprint(const char *text, char keyid[DSSE_KEYID_BYTES])
{
	uint8_t bytes[(DSSE_KEYID_BYTES - 1) / 2];
	if (strlen(text) != DSSE_KEYID_BYTES - 1 || text_unhex(text, sizeof(bytes), bytes) != 0)
		return -1;
	memcpy(keyid, text, DSSE_KEYID_BYTES);
	return 0;
}

int report_key_parse(const char *text, size_t len, char keyid[DSSE_KEYID_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf joined = BUF_INIT(REPORT_KEY_FILE_MAX);
	CLEANUP(buf_done) struct buf der = BUF_INIT(REPORT_KEY_FILE_MAX);
	size_t skip = 0;

	if (len > REPORT_KEY_FILE_MAX)
		return unknown(err);
	trim(&text, &len);
	if (takes(&text, &len, PEM_BEGIN)) {
		size_t tail = strlen(PEM_END);
		if (len < tail || memcmp(text + len - tail, PEM_END, tail) != 0)
			return unknown(err);
		len -= tail;
		skip = sizeof(spki);
	} else if (!takes(&text, &len, KEY_LINE)) {
		return unknown(err);
	}
	trim(&text, &len);
	for (size_t i = 0; i < len; i++) {
		/* PEM breaks its lines; the one-line form has no blank inside */
		if (is_blank(text[i]) && skip > 0)
			continue;
		int rc = buf_add8(&joined, (uint8_t)text[i], err);
		if (rc != 0)
			return rc;
	}
	if (joined.len == 0 ||
		text_unbase64((const char *)joined.data, joined.len, &der, NULL) != 0 ||
		der.len != skip + PK_BYTES || memcmp(der.data, spki, skip) != 0)
		return unknown(err);
	dsse_keyid(der.data + skip, keyid);
	return 0;
}

int report_key_format(const uint8_t pk[32], struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "%s", KEY_LINE);
	if (rc == 0)
		rc = text_base64(pk, PK_BYTES, out, err);
	return rc == 0 ? buf_add8(out, '\n', err) : rc;
}
