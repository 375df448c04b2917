#include "vault/extent_bytes.h"

#include "base/err.h"

/*
 * INVARIANTS
 * (1) Nothing outside the opened record is ever given.
 */

void extent_bytes_init(struct extent_bytes *b, const struct record_source *source)
{
	*b = (struct extent_bytes){ .source = source, .raw = BUF_INIT(RECORD_MAX_RAW_BYTES) };
}

void extent_bytes_done(struct extent_bytes *b)
{
	if (b->source->rest != NULL)
		b->source->rest(b->source->self);
	buf_wipe(&b->raw);
}

bool extent_bytes_keep(struct extent_bytes *b, size_t bytes)
{
	const struct record_source *s = b->source;
	if (s->borrow == NULL || s->keep == NULL)
		return false;
	s->keep(s->self, bytes);
	return true;
}

/* The raw bytes of the record and their number. */
static int record_bytes(struct extent_bytes *b, const struct ref *ref, const uint8_t **raw,
	size_t *len, struct err *err)
{
	const struct record_source *s = b->source;
	*len = ref->raw_len;
	if (s->borrow != NULL)
		return s->borrow(s->self, ref, RECORD_DATA, raw, err);
	buf_clear(&b->raw);
	int rc = s->get(s->self, ref, RECORD_DATA, &b->raw, err);
	*raw = b->raw.data;
	*len = b->raw.len;
	return rc;
}

int extent_bytes_get(
	struct extent_bytes *b, const struct extent *x, const uint8_t **out, struct err *err)
{
	const uint8_t *raw = NULL;
	size_t len = 0;
	int rc = record_bytes(b, &x->ref, &raw, &len, err);
	if (rc != 0)
		return rc;
	if (x->offset > len || x->length > len - x->offset)
		return err_set(err, ERR_CORRUPT, "an extent lies outside its record");
	*out = raw + x->offset;
	return 0;
}
