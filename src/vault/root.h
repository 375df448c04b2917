/*
 * root: the type-3 record of a snapshot: how it was made, and the ref of the top node
 * (docs/FORMAT.md section 4).
 */
#ifndef VAULT_ROOT_H
#define VAULT_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "vault/ref.h"

struct buf;
struct err;

enum root_consistency {
	ROOT_FUZZY = 1,       /* plain copy, each file stable on its own */
	ROOT_QUIESCED = 2,    /* stopped or frozen by the source */
	ROOT_CRASH = 3,       /* one instant, needs recovery */
	ROOT_APPLICATION = 4, /* the application's own online method */
};

struct root {
	uint8_t nonce[32];
	uint8_t chunker_id;     /* 1 vcdc1, 2 fixed */
	uint32_t chunker_bytes; /* average, or fixed size */
	uint8_t check;          /* enum record_check: verify level used */
	uint8_t consistency;    /* enum root_consistency */
	bool has_truth;
	struct ref truth;       /* type-4 record: truth manifest (JSON) of the source */
	uint8_t label_hash[32]; /* SHA-256 of the label in the snapshot object */
	char tool[64];          /* "holdfast 0.1.0" */
	struct ref top;         /* top node of the tree */
};

/* Append the payload.  Return as buf_add(). */
int root_encode(const struct root *r, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED (an unknown tag below 128). */
int root_decode(const uint8_t *data, size_t len, struct root *out, struct err *err);
/* SHA-256("hf1/root-commit\0" || ref of the root record). */
void root_commit(const struct ref *root, uint8_t out[32]);
/* "application", "crash", "quiesced", "fuzzy"; "unknown" for another value. */
const char *root_consistency_name(uint8_t consistency);

#endif
