#include "vault/parity.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"

/*
 * The trailer: head, members, stripe hashes, then the tail: SHA-256 of the trailer before it, the
 * length of the trailer with its tail, magic.
 *
 * INVARIANTS
 * (1) Equal groups have equal bytes: members ascend by slot, nothing else is in the head.
 */

#define MAGIC "HFPA"
#define TAIL_MAGIC "HFPARI01"
#define VERSION 1
#define HEAD_BYTES 16
#define MEMBER_BYTES 6 /* without its name */

/* The classes that may be in a group, and what of the name stands before the hash. */
static const struct {
	const char *prefix;
	size_t between; /* characters between the prefix and the hash */
	bool is_pack;
} classes[] = {
	{ "pk/", 3, true }, /* "hh/" */
	{ "vh/", 9, false },
	{ "ks/", 0, false },
	{ "cf/", 0, false },
	{ "rf/", 0, false },
	{ "ev/", 0, false },
	{ "rw/", 0, false },
	{ "sn/", 13, false },
	{ "hs/", 0, false },
};

static bool has_shape(const char *name, size_t i)
{
	size_t prefix = strlen(classes[i].prefix);
	if (strncmp(name, classes[i].prefix, prefix) != 0 ||
		strlen(name) != prefix + classes[i].between + 64)
		return false;
	for (size_t k = 0; k + 1 < classes[i].between; k++) {
		if (strchr("0123456789abcdef", name[prefix + k]) == NULL)
			return false;
	}
	if (classes[i].is_pack)
		return strncmp(name + prefix, name + prefix + 3, 2) == 0 && name[prefix + 2] == '/';
	return classes[i].between == 0 || name[prefix + classes[i].between - 1] == '-';
}

bool parity_is_member(const char *name, uint8_t hash[32], bool *is_pack)
{
	uint8_t mine[HASH_BYTES];
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!has_shape(name, i) || text_unhex(name + strlen(name) - 64, 32, mine) != 0)
			continue;
		if (hash != NULL)
			memcpy(hash, mine, sizeof(mine));
		if (is_pack != NULL)
			*is_pack = classes[i].is_pack;
		return true;
	}
	return false;
}

size_t parity_stripes(size_t len)
{
	return (len + PARITY_STRIPE_BYTES - 1) / PARITY_STRIPE_BYTES;
}

size_t parity_stripe_bytes(size_t len, size_t stripe)
{
	size_t at = stripe * PARITY_STRIPE_BYTES;
	if (at >= len)
		return 0;
	return len - at < PARITY_STRIPE_BYTES ? len - at : PARITY_STRIPE_BYTES;
}

size_t parity_hash_count(const struct parity *p)
{
	size_t count = parity_stripes(p->len);
	for (size_t i = 0; i < p->count; i++)
		count += parity_stripes(p->at[i].len);
	return count;
}

const uint8_t *parity_stripe_hash(const struct parity *p, size_t member, size_t stripe)
{
	for (size_t i = 0; i < member; i++)
		stripe += parity_stripes(p->at[i].len);
	return p->hashes + stripe * HASH_BYTES;
}

static void encode_member(const struct parity_member *m, uint8_t out[MEMBER_BYTES])
{
	out[0] = m->slot;
	out[1] = (uint8_t)strlen(m->name);
	bytes_put32(out + 2, m->len);
}

void parity_settle(struct parity *p)
{
	uint8_t bytes[4 + PARITY_MAX_MEMBERS * (MEMBER_BYTES + PARITY_NAME_BYTES)];
	size_t at = 0;
	p->len = 0;
	bytes[at++] = p->rows;
	bytes[at++] = p->class;
	bytes[at++] = (uint8_t)p->count;
	for (size_t i = 0; i < p->count; i++) {
		size_t name = strlen(p->at[i].name);
		encode_member(&p->at[i], bytes + at);
		at += MEMBER_BYTES;
		memcpy(bytes + at, p->at[i].name, name);
		at += name;
		p->len = p->at[i].len > p->len ? p->at[i].len : p->len;
	}
	hash_sha256(bytes, at, p->group);
}

void parity_name(const uint8_t hash[32], char name[PARITY_NAME_BYTES])
{
	char hex[2 * HASH_BYTES + 1];
	text_hex(hash, HASH_BYTES, hex);
	(void)snprintf(name, PARITY_NAME_BYTES, PARITY_PREFIX "%.2s/%s", hex, hex); /* fits */
}

int parity_encode(const struct parity *p, struct buf *out, struct err *err)
{
	uint8_t head[HEAD_BYTES] = {
		[4] = VERSION, [5] = p->row, [6] = p->rows, [7] = p->class, [8] = (uint8_t)p->count
	};
	uint8_t hash[HASH_BYTES];
	size_t before = out->len;
	memcpy(head, MAGIC, 4);
	bytes_put32(head + 12, p->len);
	int rc = buf_add(out, head, sizeof(head), err);
	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		uint8_t member[MEMBER_BYTES];
		encode_member(&p->at[i], member);
		rc = buf_add(out, member, sizeof(member), err);
		if (rc == 0)
			rc = buf_add(out, p->at[i].name, strlen(p->at[i].name), err);
	}
	if (rc == 0)
		rc = buf_add(out, p->hashes, parity_hash_count(p) * HASH_BYTES, err);
	if (rc == 0) {
		hash_sha256(out->data + before, out->len - before, hash);
		rc = buf_add(out, hash, sizeof(hash), err);
	}
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)(out->len - before + 12), err);
	return rc != 0 ? rc : buf_add(out, TAIL_MAGIC, 8, err);
}

int parity_need(const uint8_t tail[PARITY_TAIL_BYTES], size_t *need, struct err *err)
{
	size_t len = bytes_get32(tail + 32);
	if (memcmp(tail + 36, TAIL_MAGIC, 8) != 0 || len < HEAD_BYTES + PARITY_TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "a parity object without its end");
	*need = len;
	return 0;
}

/* One member from ${at} on, which moves behind it. */
static int decode_member(
	const uint8_t *trailer, size_t end, size_t *at, struct parity *p, struct err *err)
{
	struct parity_member *m = &p->at[p->count];
	bool is_pack;
	if (end - *at < MEMBER_BYTES)
		return err_set(err, ERR_CORRUPT, "a parity trailer that ends in its members");
	size_t name = trailer[*at + 1];
	m->slot = trailer[*at];
	m->len = bytes_get32(trailer + *at + 2);
	*at += MEMBER_BYTES;
	if (name >= sizeof(m->name) || end - *at < name)
		return err_set(err, ERR_CORRUPT, "a parity member's name of %zu bytes", name);
	memcpy(m->name, trailer + *at, name);
	m->name[name] = '\0';
	*at += name;
	if (strlen(m->name) != name || !parity_is_member(m->name, NULL, &is_pack) ||
		is_pack != (p->class != PARITY_OTHERS))
		return err_set(err, ERR_CORRUPT, "a parity member that cannot be one");
	if (m->len == 0 || m->len > PARITY_MEMBER_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "a parity member of %u bytes", m->len);
	if (m->slot >= PARITY_CODE_SLOTS || (p->count > 0 && m->slot <= m[-1].slot))
		return err_set(err, ERR_CORRUPT, "parity members out of order");
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->at[i].name, m->name) == 0)
			return err_set(err, ERR_CORRUPT, "a parity member that is there twice");
	}
	p->count++;
	return 0;
}

static int decode_head(const uint8_t *head, struct parity *p, struct err *err)
{
	if (memcmp(head, MAGIC, 4) != 0)
		return err_set(err, ERR_CORRUPT, "a parity trailer without its begin");
	if (head[4] != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "parity of version %u", head[4]);
	p->row = head[5];
	p->rows = head[6];
	p->class = head[7];
	p->len = bytes_get32(head + 12);
	if (p->rows > PARITY_CODE_ROWS || p->class > PARITY_OTHERS)
		return err_set(
			err, ERR_UNSUPPORTED, "parity of %u rows, class %u", p->rows, p->class);
	if (p->row >= p->rows || head[8] == 0 || head[8] > PARITY_MAX_MEMBERS || head[9] != 0 ||
		head[10] != 0 || head[11] != 0)
		return err_set(err, ERR_CORRUPT, "a parity trailer whose head cannot be");
	return 0;
}

int parity_decode(const uint8_t *trailer, size_t len, uint64_t object_len, struct parity *out,
	struct err *err)
{
	struct parity p = { .count = 0 };
	uint8_t hash[HASH_BYTES];
	size_t need;
	if (len < HEAD_BYTES + PARITY_TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "a parity trailer of %zu bytes", len);
	size_t end = len - PARITY_TAIL_BYTES;
	int rc = parity_need(trailer + end, &need, err);
	if (rc != 0)
		return rc;
	hash_sha256(trailer, end, hash);
	if (need != len || memcmp(hash, trailer + end, sizeof(hash)) != 0)
		return err_set(err, ERR_CORRUPT, "a parity trailer is damaged");
	rc = decode_head(trailer, &p, err);
	size_t at = HEAD_BYTES;
	for (size_t i = 0; rc == 0 && i < trailer[8]; i++)
		rc = decode_member(trailer, end, &at, &p, err);
	if (rc != 0)
		return rc;
	uint32_t told = p.len;
	parity_settle(&p);
	if (told != p.len || (end - at) != parity_hash_count(&p) * HASH_BYTES ||
		object_len != (uint64_t)p.len + len)
		return err_set(err, ERR_CORRUPT, "parity whose lengths do not fit");
	p.hashes = trailer + at;
	*out = p;
	return 0;
}
