#include "vault/file_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/extent_map.h"
#include "vault/record_cache.h"

/*
 * INVARIANTS
 * (1) lock covers the map and what is known of the order of reads; records are opened and bytes
 *     copied without it.
 * (2) Nothing is given from a record that its extent does not lie in.
 */
#define AHEAD_BYTES (4u << 20)
#define AHEAD_RECORDS 8
/* Two reads in order are no habit yet; who reads a little before or behind is still in order: a
 * kernel that reads ahead itself asks with several threads. */
#define STREAK_MIN 2
#define STREAK_SLACK_BYTES (1u << 20)

struct file_reader {
	struct record_cache *cache; /* borrowed */
	pthread_mutex_t lock;
	struct extent_map *map; /* owned */
	uint64_t expected;      /* offset at which a reader in order would go on */
	unsigned streak;        /* reads in order so far */
	uint64_t ahead_until;   /* what lies before was asked for */
};

DEFINE_CLEANUP(struct file_reader *, file_reader_free)

int file_reader_new(struct record_cache *cache, const struct entry *e, struct file_reader **out,
	struct err *err)
{
	CLEANUP(file_reader_free_p) struct file_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&r->lock, NULL); /* with default attributes: cannot fail */
	r->cache = cache;
	int rc = extent_map_new(record_cache_source(cache), e, &r->map, err);
	if (rc == 0)
		*out = TAKE(r);
	return rc;
}

void file_reader_free(struct file_reader *r)
{
	if (r == NULL)
		return;
	extent_map_free(r->map);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

uint64_t file_reader_size(const struct file_reader *r)
{
	return extent_map_size(r->map);
}

static int find(
	struct file_reader *r, uint64_t offset, struct extent_map_spot *spot, struct err *err)
{
	(void)pthread_mutex_lock(&r->lock); /* fails for bad locks only, here and below */
	int rc = extent_map_find(r->map, offset, spot, err);
	(void)pthread_mutex_unlock(&r->lock);
	return rc;
}

/* Copy ${len} bytes from ${skip} on in the extent. */
static int copy(struct file_reader *r, const struct extent *x, uint64_t skip, uint8_t *out,
	size_t len, struct err *err)
{
	const struct record_cache_held *held;
	if (x->is_hole) {
		memset(out, 0, len);
		return 0;
	}
	int rc = record_cache_hold(r->cache, &x->ref, RECORD_DATA, &held, err);
	if (rc != 0)
		return rc;
	if (x->offset > held->len || x->length > held->len - x->offset)
		rc = err_set(err, ERR_CORRUPT, "an extent lies outside its record");
	else
		memcpy(out, held->data + x->offset + skip, len);
	record_cache_release(r->cache, held);
	return rc;
}

/* Ask for the records of the next bytes; with the lock. */
static void ask_ahead(struct file_reader *r, uint64_t from)
{
	uint64_t size = extent_map_size(r->map);
	size_t window = record_cache_max_bytes(r->cache) / 4;
	uint64_t until = from + (window < AHEAD_BYTES ? window : AHEAD_BYTES);
	uint64_t at = r->ahead_until > from ? r->ahead_until : from;
	for (unsigned i = 0; i < AHEAD_RECORDS && at < until && at < size; i++) {
		struct extent_map_spot spot;
		if (extent_map_find(r->map, at, &spot, NULL) != 0)
			break; /* whoever reads there is told why */
		if (!spot.extent.is_hole)
			record_cache_ahead(r->cache, &spot.extent.ref, RECORD_DATA);
		at = spot.start + spot.extent.length;
	}
	r->ahead_until = at;
}

/* Note a read, and read ahead of one that goes on where others ended. */
static void note_read(struct file_reader *r, uint64_t offset, size_t len)
{
	(void)pthread_mutex_lock(&r->lock);
	bool is_next = offset + STREAK_SLACK_BYTES >= r->expected &&
		       offset <= r->expected + STREAK_SLACK_BYTES;
	if (!is_next) {
		r->streak = 0;
		r->expected = 0;
		r->ahead_until = 0;
	} else if (r->streak < STREAK_MIN) {
		r->streak++;
	}
	if (offset + len > r->expected)
		r->expected = offset + len;
	if (r->streak >= STREAK_MIN)
		ask_ahead(r, r->expected);
	(void)pthread_mutex_unlock(&r->lock);
}

int file_reader_read(
	struct file_reader *r, uint64_t offset, void *out, size_t len, size_t *got, struct err *err)
{
	uint64_t size = extent_map_size(r->map);
	*got = 0;
	if (offset >= size || len == 0)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	note_read(r, offset, len);
	while (*got < len) {
		struct extent_map_spot spot;
		int rc = find(r, offset + *got, &spot, err);
		if (rc != 0)
			return rc;
		uint64_t skip = offset + *got - spot.start;
		uint64_t there = spot.extent.length - skip;
		size_t n = len - *got < there ? len - *got : (size_t)there;
		rc = copy(r, &spot.extent, skip, (uint8_t *)out + *got, n, err);
		if (rc != 0)
			return rc;
		*got += n;
	}
	return 0;
}

int file_reader_seek(
	struct file_reader *r, uint64_t offset, bool wants_hole, uint64_t *out, struct err *err)
{
	uint64_t size = extent_map_size(r->map);
	if (offset >= size)
		return err_set(err, ERR_NOT_FOUND, "the offset is behind the end of the file");
	while (offset < size) {
		struct extent_map_spot spot;
		int rc = find(r, offset, &spot, err);
		if (rc != 0)
			return rc;
		if (spot.extent.is_hole == wants_hole)
			break;
		offset = spot.start + spot.extent.length;
	}
	if (offset >= size && !wants_hole)
		return err_set(err, ERR_NOT_FOUND, "there is no more data");
	*out = offset;
	return 0;
}
