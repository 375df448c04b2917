#include "vault/bundle.h"

#include <string.h>

#include "base/err.h"
#include "vault/entry.h"

/*
 * INVARIANTS
 * (1) bytes.len <= BUNDLE_MAX_BYTES.
 */
#define CUT_TAG 42
#define CUT_MASK 0xfu

void bundle_init(struct bundle *b, const uint8_t k_tree[16])
{
	*b = (struct bundle){ .ordinal = 1, .bytes = BUF_INIT(BUNDLE_MAX_BYTES) };
	memcpy(b->k_tree, k_tree, sizeof(b->k_tree));
}

void bundle_done(struct bundle *b)
{
	buf_done(&b->bytes);
	explicit_bzero(b->k_tree, sizeof(b->k_tree));
}

bool bundle_must_close_before(const struct bundle *b, size_t len)
{
	return b->bytes.len > 0 && len > BUNDLE_MAX_BYTES - b->bytes.len;
}

int bundle_add(struct bundle *b, const void *data, size_t len, size_t *offset, struct err *err)
{
	size_t at = b->bytes.len;

	if (len == 0 || len >= BUNDLE_FILE_BYTES)
		return err_set(
			err, ERR_LIMIT, "a file of %zu bytes does not go into a bundle", len);
	int rc = buf_add(&b->bytes, data, len, err);
	if (rc == 0)
		*offset = at;
	return rc;
}

bool bundle_should_close_after(const struct bundle *b, const uint8_t *key, size_t key_len)
{
	return b->bytes.len >= BUNDLE_MIN_BYTES &&
	       (entry_key_prf(b->k_tree, CUT_TAG, key, key_len) & CUT_MASK) == 0;
}

void bundle_clear(struct bundle *b)
{
	buf_clear(&b->bytes);
	b->ordinal++;
}
