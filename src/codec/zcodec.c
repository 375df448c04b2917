#include "codec/zcodec.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) The library always compresses into room for the worst case: with less it may store a block
 *     plain that it would have compressed, and the bytes would depend on the room.  (Where only the
 *     length counts it may have less.)
 * (2) Decompression takes one frame that fills the input, and writes at most out_len bytes
 *     whatever the frame says.
 */
#define FRAME_MAGIC_BYTES 4
#define EDGE_BYTES 1024

struct zcodec {
	ZSTD_CCtx *compress;   /* owned */
	int effort;            /* whose parameters it has; -1 none */
	ZSTD_DCtx *decompress; /* owned */
	struct buf room;       /* owned */
	size_t used;           /* the longest since it was trimmed */
};

DEFINE_CLEANUP(struct zcodec *, zcodec_free)

int zcodec_new(struct zcodec **out, struct err *err)
{
	CLEANUP(zcodec_free_p) struct zcodec *z = calloc(1, sizeof(*z));
	if (z == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	z->effort = -1;
	z->compress = ZSTD_createCCtx();
	z->decompress = ZSTD_createDCtx();
	if (z->compress == NULL || z->decompress == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for zstd");
	*out = TAKE(z);
	return 0;
}

void zcodec_free(struct zcodec *z)
{
	if (z == NULL)
		return;
	(void)ZSTD_freeCCtx(z->compress);
	(void)ZSTD_freeDCtx(z->decompress);
	buf_done(&z->room);
	free(z);
}

/* Room for ${len} bytes, kept in ${z}; NULL when out of memory. */
static uint8_t *room_for(struct zcodec *z, size_t len)
{
	z->room.max = SIZE_MAX;
	if (buf_reserve(&z->room, len, NULL) != 0)
		return NULL;
	if (len > z->used)
		z->used = len;
	return z->room.data;
}

void zcodec_trim(struct zcodec *z, size_t keep)
{
	if (z->used > keep)
		buf_trim(&z->room, keep);
	z->used = 0;
}

/* The library's answer: a length or an error of its own. */
static size_t compress(struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len,
	void *room, size_t room_len)
{
	static const struct {
		ZSTD_cParameter name;
		int value[ZCODEC_EFFORTS];
	} parameters[] = {
		/* all that differs, so that each call leaves nothing of another */
		{ ZSTD_c_compressionLevel, { 1, 1, 3 } },
		{ ZSTD_c_windowLog, { 21, 21, 0 } }, /* 0: as the level has it */
		{ ZSTD_c_hashLog, { 14, 14, 0 } },
		{ ZSTD_c_minMatch, { 7, 5, 0 } },
		{ ZSTD_c_strategy, { ZSTD_fast, ZSTD_fast, 0 } },
	};
	if (z->effort != (int)effort) {
		z->effort = -1;
		/* after a run that found no room the library takes no parameters */
		(void)ZSTD_CCtx_reset(z->compress, ZSTD_reset_session_only);
		for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
			size_t set = ZSTD_CCtx_setParameter(
				z->compress, parameters[i].name, parameters[i].value[effort]);
			if (ZSTD_isError(set))
				return set;
		}
		z->effort = (int)effort;
	}
	return ZSTD_compress2(z->compress, room, room_len, in, in_len);
}

size_t zcodec_compress(struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len,
	void *out, size_t out_cap)
{
	size_t bound = ZSTD_compressBound(in_len);
	if (ZSTD_isError(bound))
		return 0;
	bool is_direct = out_cap >= bound;
	void *room = is_direct ? out : room_for(z, bound);
	if (room == NULL)
		return 0; /* out of memory: the caller keeps the bytes plain, which is never wrong
			   */
	size_t len = compress(z, effort, in, in_len, room, bound);
	if (ZSTD_isError(len) || len > out_cap)
		return 0;
	if (!is_direct)
		memcpy(out, room, len);
	return len;
}

size_t zcodec_size(struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len)
{
	size_t bound = ZSTD_compressBound(in_len);
	uint8_t *room = ZSTD_isError(bound) ? NULL : room_for(z, bound);
	if (room == NULL)
		return 0;
	size_t len = compress(z, effort, in, in_len, room, bound);
	return ZSTD_isError(len) ? 0 : len;
}

bool zcodec_is_below(
	struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len, size_t limit)
{
	/* the bytes are not kept, so the room may be short; at its edge the library is wasteful */
	size_t room_len = limit + EDGE_BYTES;
	uint8_t *room = room_for(z, room_len);
	if (room == NULL)
		return false;
	size_t len = compress(z, effort, in, in_len, room, room_len);
	return !ZSTD_isError(len) && len < limit;
}

int zcodec_decompress(
	struct zcodec *z, const void *in, size_t in_len, void *out, size_t out_len, struct err *err)
{
	static const uint8_t magic[FRAME_MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };
	/* keeps out skippable frames, and the formats of old versions with their old parsers */
	if (in_len < sizeof(magic) || memcmp(in, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a zstd frame");
	if (ZSTD_findFrameCompressedSize(in, in_len) != in_len)
		return err_set(err, ERR_CORRUPT, "zstd frame does not end where its bytes end");
	uint8_t none;
	size_t len =
		ZSTD_decompressDCtx(z->decompress, out_len == 0 ? &none : out, out_len, in, in_len);
	if (ZSTD_isError(len))
		return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(len));
	if (len != out_len)
		return err_set(err, ERR_CORRUPT, "zstd frame has %zu bytes, not %zu", len, out_len);
	return 0;
}
