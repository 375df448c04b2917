/*
 * wire: bounded reading of bytes, minimal LEB128 varints and tag-length-value lists
 * (docs/FORMAT.md section 0).
 */
#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* A reader over borrowed bytes: every take checks the bound. */
struct wire {
	const uint8_t *p;
	size_t left;
};

/* Take ${len} bytes; *${out} is borrowed.  Return 0 or -ERR_CORRUPT ("cut short"). */
int wire_take(struct wire *w, size_t len, const uint8_t **out, struct err *err);
int wire_take8(struct wire *w, uint8_t *out, struct err *err);
int wire_take16(struct wire *w, uint16_t *out, struct err *err);
int wire_take32(struct wire *w, uint32_t *out, struct err *err);
int wire_take64(struct wire *w, uint64_t *out, struct err *err);

/* Take one minimal varint.  Return 0 or -ERR_CORRUPT (cut short, over 64 bits, not minimal). */
int wire_take_varint(struct wire *w, uint64_t *out, struct err *err);

/* Append a varint.  Return as buf_add(). */
int wire_add_varint(struct buf *b, uint64_t v, struct err *err);

/* The bytes wire_add_varint() would write: 1..10. */
size_t wire_varint_len(uint64_t v);

/* Append tag, length, value.  Return as buf_add(). */
int wire_add_tlv(struct buf *b, uint8_t tag, const void *value, size_t len, struct err *err);

/**
 * wire_next_tlv(w, last_tag, tag, value, err):
 * Take the next TLV; *${last_tag} (begin with 0) enforces ascending tags; equal tags are let
 * through, the caller knows which may repeat.  Return 1, 0 at the end, or -ERR_CORRUPT.
 */
int wire_next_tlv(
	struct wire *w, uint8_t *last_tag, uint8_t *tag, struct wire *value, struct err *err);

/* Return 0 if everything was taken, else -ERR_CORRUPT. */
int wire_end(const struct wire *w, struct err *err);

#endif
