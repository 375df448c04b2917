#include "vault/store_text.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/text.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) The last line is LINE, 64 hex digits and a newline: of one length, so that nothing has to be
 *     searched for.
 */

#define LINE "SHA-256 of all above this line: "
#define LINE_BYTES (sizeof(LINE) - 1 + 2 * HASH_BYTES + 1)

/* docs/FORMAT.md as it is, with a final NUL (the Makefile knows the dependency). */
__asm__(".pushsection .rodata\n"
	".global store_text_format\n"
	".type store_text_format, @object\n"
	"store_text_format:\n"
	".incbin \"docs/FORMAT.md\"\n"
	".byte 0\n"
	".size store_text_format, . - store_text_format\n"
	".popsection\n");

const char store_text_readme[] =
	"HOLDFAST VAULT, FORMAT hf1 (text 1)\n"
	"\n"
	"This directory or bucket is a backup vault.  Do not delete, rename or edit anything in "
	"it:\n"
	"every object is written once, and its name ends in the SHA-256 of its bytes (texts and "
	"session marks apart).\n"
	"\n"
	"Nothing here can be read without the recovery key.  It is in the recovery file\n"
	"(holdfast-recovery-...) that was made together with this vault, under a passphrase; or it "
	"is\n"
	"in ks/ here, when the owner chose so.\n"
	"\n"
	"To get data back on any Linux machine with Holdfast installed:\n"
	"\n"
	"  holdfast snapshot list --vault THIS --recovery-file FILE\n"
	"  holdfast restore latest --to NEW-DIRECTORY --vault THIS --recovery-file FILE\n"
	"\n"
	"Without Holdfast: FORMAT.txt beside this text describes every byte, so that a reader can "
	"be\n"
	"written with any library that has SHA-256, AES-256-GCM, X25519, HKDF, scrypt and zstd.\n"
	"\n"
	"To see whether everything is still whole, without any passphrase but with the writer "
	"key:\n"
	"\n"
	"  holdfast verify --vault THIS\n";

static void make_line(const void *text, size_t len, char out[LINE_BYTES + 1])
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	hash_sha256(text, len, hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(out, LINE_BYTES + 1, LINE "%s\n", hex); /* fits */
}

int store_text_seal(const char *text, struct buf *out, struct err *err)
{
	char line[LINE_BYTES + 1];
	make_line(text, strlen(text), line);
	int rc = buf_add(out, text, strlen(text), err);
	return rc != 0 ? rc : buf_add(out, line, LINE_BYTES, err);
}

enum store_text_verdict store_text_check(const void *data, size_t len, const char *text)
{
	char line[LINE_BYTES + 1];
	if (len < LINE_BYTES)
		return STORE_TEXT_DAMAGED;
	const size_t above = len - LINE_BYTES;
	make_line(data, above, line);
	if (memcmp((const char *)data + above, line, LINE_BYTES) != 0)
		return STORE_TEXT_DAMAGED;
	return above == strlen(text) && memcmp(data, text, above) == 0 ? STORE_TEXT_OURS
								       : STORE_TEXT_OTHER;
}
