#include "cmd/content_stream.h"

#include <string.h>

#include "base/err.h"
#include "cmd/stop.h"
#include "vault/digest.h"
#include "vault/extent_bytes.h"
#include "vault/tree_reader.h"

#define ZERO_BYTES 65536

struct stream {
	struct extent_bytes bytes;
	struct digest *digest;
	uint64_t length;
	content_stream_fn fn;
	void *arg;
};

static int give_zeros(struct stream *s, uint64_t length, struct err *err)
{
	static const uint8_t zeros[ZERO_BYTES];
	digest_add_zeros(s->digest, length);
	while (length > 0) {
		size_t n = length > sizeof(zeros) ? sizeof(zeros) : (size_t)length;
		int rc = s->fn(s->arg, zeros, n, err);
		if (rc != 0)
			return rc;
		length -= n;
	}
	return 0;
}

static int give_extent(void *arg, const struct extent *x, struct err *err)
{
	struct stream *s = arg;
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "reading was stopped");
	s->length += x->length;
	if (x->is_hole)
		return give_zeros(s, x->length, err);
	const uint8_t *data = NULL;
	int rc = extent_bytes_get(&s->bytes, x, &data, err);
	if (rc != 0)
		return rc;
	digest_add(s->digest, data, (size_t)x->length);
	return s->fn(s->arg, data, (size_t)x->length, err);
}

int content_stream_run(const struct record_source *source, struct tree_reader *r,
	const struct entry *e, content_stream_fn fn, void *arg, struct err *err)
{
	struct stream s = { .fn = fn, .arg = arg };
	uint8_t digest[32];
	int rc = digest_new(e->digest_kind, &s.digest, err);
	if (rc != 0)
		return rc;
	extent_bytes_init(&s.bytes, source);
	rc = tree_reader_extents(r, e, give_extent, &s, err);
	int ended = digest_end(s.digest, digest, rc == 0 ? err : NULL);
	if (rc == 0)
		rc = ended;
	digest_free(s.digest);
	extent_bytes_done(&s.bytes);
	if (rc == 0 && s.length != e->size)
		rc = err_set(err, ERR_CORRUPT, "its extents hold %llu bytes instead of %llu",
			(unsigned long long)s.length, (unsigned long long)e->size);
	if (rc == 0 && e->digest_kind != ENTRY_DIGEST_NONE &&
		memcmp(digest, e->digest, sizeof(digest)) != 0)
		rc = err_set(
			err, ERR_CORRUPT, "its content does not have the digest taken at backup");
	return rc;
}
