/*
 * label: what a snapshot is called, readable with K_vault so that listing needs no passphrase
 * (docs/FORMAT.md section 5).  The root holds its SHA-256.
 */
#ifndef VAULT_LABEL_H
#define VAULT_LABEL_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define LABEL_MAX_TEXT 4096  /* one text */
#define LABEL_MAX_ITEMS 1024 /* paths, tags */

struct label {
	char *source; /* owned texts; "" when absent */
	char *host;
	char *tool;
	char **paths; /* owned, path_count of them; bytes as given */
	size_t path_count;
	char **tags;
	size_t tag_count;
	uint64_t files, dirs, others; /* entries at capture */
	uint64_t new_bytes;           /* record bytes this backup stored */
	uint64_t left_out;            /* names that should be in it and are not */
};

/* Append the TLVs.  Return 0, -ERR_LIMIT or as buf_add(). */
int label_encode(const struct label *l, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT or -ERR_LIMIT. */
int label_decode(const uint8_t *data, size_t len, struct label *out, struct err *err);
void label_done(struct label *l);

#endif
