#include "msg/msg_enrol_token.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "msg/msg_enrol.h"

/*
 * INVARIANTS
 * (1) An address that passed can stand in a URL: host and port are all it can name.
 */

#define TOKEN_PREFIX "hfe1-"
#define TOKEN_HEAD_BYTES (32 + MSG_TOKEN_SECRET_BYTES)
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define SPACE " \t\r\n"

bool msg_enrol_token_is_address(const char *address)
{
	const char *port = strrchr(address, ':');
	if (port == NULL || strlen(address) >= MSG_ADDRESS_BYTES)
		return false;
	size_t host = (size_t)(port - address);
	bool is_v6 = host > 2 && address[0] == '[' && address[host - 1] == ']';
	if (is_v6 && strspn(address + 1, "0123456789abcdefABCDEF:.") != host - 2)
		return false;
	if (!is_v6 && (host == 0 || strspn(address, HOST_CHARS) != host || address[0] == '-'))
		return false;
	size_t digits = strspn(port + 1, "0123456789");
	return digits > 0 && digits <= 5 && port[1 + digits] == '\0' && port[1] != '0' &&
	       strtol(port + 1, NULL, 10) <= 65535;
}

int msg_enrol_token_format(
	const struct msg_token *t, char out[MSG_TOKEN_TEXT_BYTES], struct err *err)
{
	CLEANUP(buf_wipe) struct buf bytes = BUF_INIT(TOKEN_HEAD_BYTES + MSG_ADDRESS_BYTES);
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(MSG_TOKEN_TEXT_BYTES);
	if (!msg_enrol_token_is_address(t->address))
		return err_set(err, ERR_USAGE, "the address '%s' is not HOST:PORT", t->address);
	int rc = buf_add(&bytes, t->ca_hash, sizeof(t->ca_hash), err);
	if (rc == 0)
		rc = buf_add(&bytes, t->secret, sizeof(t->secret), err);
	if (rc == 0)
		rc = buf_add(&bytes, t->address, strlen(t->address), err);
	if (rc == 0)
		rc = buf_add(&text, TOKEN_PREFIX, strlen(TOKEN_PREFIX), err);
	if (rc == 0)
		rc = text_base32(bytes.data, bytes.len, &text, err);
	if (rc == 0)
		rc = buf_add8(&text, 0, err);
	if (rc == 0)
		memcpy(out, text.data, text.len);
	return rc;
}

static int bad(struct err *err, const char *why)
{
	int rc = err_set(err, ERR_USAGE, "the enrolment token %s", why);
	(void)err_hint(err,
		"copy it whole as it was printed: %s and one line of letters and digits 2 to 7",
		TOKEN_PREFIX); /* err may be NULL */
	return rc;
}

int msg_enrol_token_parse(const char *text, struct msg_token *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf bytes = BUF_INIT(TOKEN_HEAD_BYTES + MSG_ADDRESS_BYTES - 1);
	struct msg_token t = { .address = "" };
	text += strspn(text, SPACE);
	size_t len = strcspn(text, SPACE);
	if (text[len + strspn(text + len, SPACE)] != '\0')
		return bad(err, "has white space inside");
	if (len < strlen(TOKEN_PREFIX) || strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
		return bad(err, "does not begin with " TOKEN_PREFIX);
	if (len >= MSG_TOKEN_TEXT_BYTES)
		return bad(err, "is too long");
	int rc =
		text_unbase32(text + strlen(TOKEN_PREFIX), len - strlen(TOKEN_PREFIX), &bytes, err);
	if (rc == -ERR_NOMEM)
		return rc;
	if (rc != 0)
		return bad(err, "is damaged");
	if (bytes.len <= TOKEN_HEAD_BYTES)
		return bad(err, "is cut short");
	memcpy(t.ca_hash, bytes.data, sizeof(t.ca_hash));
	memcpy(t.secret, bytes.data + 32, sizeof(t.secret));
	memcpy(t.address, bytes.data + TOKEN_HEAD_BYTES, bytes.len - TOKEN_HEAD_BYTES);
	if (strlen(t.address) != bytes.len - TOKEN_HEAD_BYTES ||
		!msg_enrol_token_is_address(t.address))
		rc = bad(err, "holds no address");
	else
		*out = t;
	secret_wipe(&t, sizeof(t));
	return rc;
}
