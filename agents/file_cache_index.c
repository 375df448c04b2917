#include "agents/file_cache_index.h"

#include <stdbool.h>
#include <stdlib.h>

#include "agents/file_cache_form.h"
#include "agents/file_cache_places.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/fdio.h"

/*
 * INVARIANTS
 * (1) fences[b] is the first key of block b; blocks are BLOCK_PLACES places, the last one shorter.
 * (2) Nothing outside the index is read, whatever the places in it say.
 */

#define BLOCK_PLACES 170 /* 4080 bytes */

struct file_cache_index {
	int fd; /* borrowed */
	uint64_t at, count;
	struct file_cache_key *fences; /* owned */
	uint64_t blocks;
	uint64_t block; /* the one in ${data}; blocks = none */
	uint64_t held;  /* places in it */
	uint8_t data[BLOCK_PLACES * FILE_CACHE_PLACE_BYTES];
};

static struct file_cache_key key_at(const uint8_t *place)
{
	return (struct file_cache_key){ .fs_id = bytes_get64(place),
		.ino = bytes_get64(place + 8) };
}

/* Bring block ${b} into memory. */
static bool load(struct file_cache_index *x, uint64_t b)
{
	if (x->block == b)
		return true;
	uint64_t first = b * BLOCK_PLACES, left = x->count - first;
	x->held = left < BLOCK_PLACES ? left : BLOCK_PLACES;
	size_t len = (size_t)x->held * FILE_CACHE_PLACE_BYTES;
	off_t at = (off_t)(x->at + first * FILE_CACHE_PLACE_BYTES);
	bool is_read = fdio_pread_full(x->fd, x->data, len, at) == (ssize_t)len;
	x->block = is_read ? b : x->blocks;
	return is_read;
}

int file_cache_index_open(
	int fd, uint64_t at, uint64_t count, struct file_cache_index **out, struct err *err)
{
	struct file_cache_index *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->fd = fd;
	x->at = at;
	x->count = count;
	x->blocks = count / BLOCK_PLACES + (count % BLOCK_PLACES > 0);
	x->block = x->blocks;
	x->fences = calloc(x->blocks + 1, sizeof(*x->fences));
	int rc = x->fences == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	for (uint64_t b = 0; rc == 0 && b < x->blocks; b++) {
		if (load(x, b))
			x->fences[b] = key_at(x->data);
		else
			rc = err_sys(err, ERR_IO, "unable to read the cache");
	}
	if (rc != 0) {
		file_cache_index_free(x);
		return rc;
	}
	*out = x;
	return 0;
}

void file_cache_index_free(struct file_cache_index *x)
{
	if (x == NULL)
		return;
	free(x->fences);
	free(x);
}

int file_cache_index_find(struct file_cache_index *x, uint64_t fs_id, uint64_t ino, uint64_t *at)
{
	struct file_cache_key wanted = { .fs_id = fs_id, .ino = ino };
	uint64_t low = 0, high = x->blocks; /* the last block that does not begin behind it */
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		if (file_cache_places_compare(&x->fences[mid], &wanted) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || !load(x, low - 1))
		return 0;
	low = 0;
	high = x->held;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		const uint8_t *place = x->data + mid * FILE_CACHE_PLACE_BYTES;
		struct file_cache_key key = key_at(place);
		int c = file_cache_places_compare(&key, &wanted);
		if (c == 0) {
			*at = bytes_get64(place + 16);
			return 1;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

int file_cache_index_get(
	struct file_cache_index *x, uint64_t i, struct file_cache_key *key, uint64_t *at)
{
	if (!load(x, i / BLOCK_PLACES))
		return 0;
	const uint8_t *place = x->data + i % BLOCK_PLACES * FILE_CACHE_PLACE_BYTES;
	*key = key_at(place);
	*at = bytes_get64(place + 16);
	return 1;
}
