#include "restore/report_secret.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"

#define REPORT_SECRET_WORDS "holdfast-report-secret ed25519 "
#define REPORT_SECRET_SEED_BYTES 32

int report_secret_format(const uint8_t seed[32], struct buf *out, struct err *err)
{
	int rc = buf_add(out, REPORT_SECRET_WORDS, strlen(REPORT_SECRET_WORDS), err);
	if (rc == 0)
		rc = text_base64(seed, REPORT_SECRET_SEED_BYTES, out, err);
	return rc == 0 ? buf_add8(out, '\n', err) : rc;
}

int report_secret_parse(const char *text, size_t len, uint8_t seed[32], struct err *err)
{
	static const char public_word[] = "holdfast-report-key ";
	const size_t head = strlen(REPORT_SECRET_WORDS);
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(REPORT_SECRET_SEED_BYTES + 3);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	if (len >= strlen(public_word) && memcmp(text, public_word, strlen(public_word)) == 0)
		return err_set(err, ERR_CONFIG, "this is the public key, which cannot sign");
	if (len < head || memcmp(text, REPORT_SECRET_WORDS, head) != 0 ||
		text_unbase64(text + head, len - head, &raw, NULL) != 0 ||
		raw.len != REPORT_SECRET_SEED_BYTES)
		return err_set(err, ERR_CONFIG, "this is no report key");
	memcpy(seed, raw.data, REPORT_SECRET_SEED_BYTES);
	return 0;
}
