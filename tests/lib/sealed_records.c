#include "tests/lib/sealed_records.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/aead.h"

static int put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct sealed_records *s = self;
	struct buf *cr = &s->cr[s->count];
	if (s->count == SEALED_RECORDS_MAX)
		abort();
	cr->max = RECORD_MAX_BYTES;
	int rc = record_seal(s->sealer, type, class, raw, len, cr, ref, err);
	if (rc == 0)
		s->ref[s->count++] = *ref;
	return rc;
}

static int bring(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	struct sealed_records *s = self;
	(void)__atomic_add_fetch(&s->asked, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < s->count; i++) {
		if (memcmp(s->ref[i].id, id, 32) == 0)
			return buf_add(cr, s->cr[i].data, s->cr[i].len, err);
	}
	return err_set(err, ERR_NOT_FOUND, "no such record");
}

struct sealed_records *sealed_records_new(void)
{
	const uint8_t k_mle[32] = { 9 };
	struct sealed_records *s = calloc(1, sizeof(*s));
	if (s == NULL ||
		record_sealer_new(AEAD_CHACHA20, k_mle, RECORD_CHECK_OPEN, &s->sealer, NULL) != 0)
		abort();
	s->sink = (struct record_sink){ .self = s, .put = put };
	s->store = (struct record_store){ .self = s, .get = bring };
	return s;
}

void sealed_records_free(struct sealed_records *s)
{
	for (size_t i = 0; i < s->count; i++)
		buf_done(&s->cr[i]);
	record_sealer_free(s->sealer);
	free(s);
}

size_t sealed_records_put(struct sealed_records *s, const void *raw, size_t len)
{
	struct ref ref;
	if (put(s, RECORD_DATA, RECORD_CLASS_STREAM, raw, len, &ref, NULL) != 0)
		abort();
	return s->count - 1;
}

void sealed_records_flip(struct sealed_records *s, size_t nth)
{
	s->cr[nth].data[s->cr[nth].len / 2] ^= 1;
}
