/*
 * store_text: the plain texts that lie on every store, so that whoever finds it knows what it is
 * and how to get the data back without us.  On the store each ends with a line that carries the
 * SHA-256 of all before it, so that a changed byte shows without a key and in any version.
 */
#ifndef VAULT_STORE_TEXT_H
#define VAULT_STORE_TEXT_H

#include <stddef.h>

struct buf;
struct err;

extern const char store_text_readme[];
/* docs/FORMAT.md, word for word (the build embeds it). */
extern const char store_text_format[];

/* Append ${text} as it lies on a store. */
int store_text_seal(const char *text, struct buf *out, struct err *err);

enum store_text_verdict {
	STORE_TEXT_OURS,    /* byte for byte */
	STORE_TEXT_OTHER,   /* as its writer left it: of another version of the program */
	STORE_TEXT_DAMAGED, /* its last line does not fit the rest */
};

/* Compare ${len} bytes from a store with what ${text} would be there. */
enum store_text_verdict store_text_check(const void *data, size_t len, const char *text);

#endif
