#include "vault/record_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "vault/node_codec.h"

/*
 * INVARIANTS
 * (1) frames[0..depth) are nodes that are being read, each named by the one before it: what is left
 *     of the last comes first.
 * (2) In a frame at <= wished <= count: before at was asked for or passed over, from at to wished
 *     was given out by record_plan_next().
 * (3) window is 0 until data of the frames is asked for: a walk that wants no content plans none.
 */

#define MAX_FRAMES (2 * NODE_CODEC_MAX_HEIGHT) /* a tree, and an extent tree below it */
#define LOOK_RECORDS 64                        /* how far behind at something is looked for */
#define FIRST_BYTES ((size_t)1 << 20)

struct frame {
	uint8_t *refs; /* owned, wiped */
	size_t count, at, wished;
};

struct record_plan {
	struct frame frames[MAX_FRAMES];
	size_t depth;
	size_t window; /* bytes */
};

int record_plan_new(struct record_plan **out, struct err *err)
{
	struct record_plan *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = p;
	return 0;
}

/* Drop the frames from ${depth} on; if something of them was given out in vain, begin anew. */
static void cut(struct record_plan *p, size_t depth)
{
	while (p->depth > depth) {
		struct frame *f = &p->frames[--p->depth];
		if (f->wished > f->at)
			p->window = 0;
		explicit_bzero(f->refs, f->count * REF_BYTES);
		free(f->refs);
	}
}

void record_plan_free(struct record_plan *p)
{
	if (p == NULL)
		return;
	cut(p, 0);
	free(p);
}

/* Where ${ref} is among the next of the frame; its count: it is not. */
static size_t find(const struct frame *f, const struct ref *ref)
{
	size_t end = f->count - f->at > LOOK_RECORDS ? f->at + LOOK_RECORDS : f->count;
	for (size_t i = f->at; i < end; i++) {
		if (memcmp(f->refs + i * REF_BYTES, ref->id, REF_ID_BYTES) == 0)
			return i;
	}
	return f->count;
}

static void widen(struct record_plan *p)
{
	p->window = p->window == 0 ? FIRST_BYTES : p->window * 2;
	if (p->window > RECORD_PLAN_MAX_BYTES)
		p->window = RECORD_PLAN_MAX_BYTES;
}

void record_plan_ask(struct record_plan *p, const struct ref *ref, enum record_type type)
{
	for (size_t i = p->depth; i > 0; i--) {
		struct frame *f = &p->frames[i - 1];
		size_t found = find(f, ref);
		if (found == f->count)
			continue;
		cut(p, i);
		if (found > f->at && f->wished > f->at)
			p->window = 0;
		f->at = found + 1;
		if (f->wished < f->at)
			f->wished = f->at;
		if (type == RECORD_DATA)
			widen(p);
		return;
	}
	if (type == RECORD_NODE)
		cut(p, 0); /* another tree */
}

void record_plan_enter(struct record_plan *p, const uint8_t *refs, size_t count)
{
	if (count == 0 || p->depth == MAX_FRAMES)
		return;
	uint8_t *copy = malloc(count * REF_BYTES);
	if (copy == NULL)
		return; /* a guess may be missed */
	memcpy(copy, refs, count * REF_BYTES);
	p->frames[p->depth++] = (struct frame){ .refs = copy, .count = count };
}

bool record_plan_next(struct record_plan *p, struct ref *out)
{
	size_t records = 0, bytes = 0;
	if (p->window == 0)
		return false;
	for (size_t i = p->depth; i > 0; i--) {
		struct frame *f = &p->frames[i - 1];
		for (size_t k = f->at; k < f->wished; k++) {
			ref_decode(f->refs + k * REF_BYTES, out);
			bytes += out->raw_len;
		}
		records += f->wished - f->at;
		if (f->wished == f->count)
			continue;
		ref_decode(f->refs + f->wished * REF_BYTES, out);
		if (records >= RECORD_PLAN_MAX_RECORDS ||
			(records > 0 && bytes + out->raw_len > p->window))
			return false;
		f->wished++;
		return true;
	}
	return false;
}
