#include "tests/lib/fake_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"

struct fake_record {
	struct fake_record *next;
	uint8_t id[REF_ID_BYTES];
	bool is_there; /* false: used only */
	size_t len;
	uint8_t bytes[];
};

static struct fake_record *find(struct fake_records *f, const uint8_t *id)
{
	struct fake_record *r = f->buckets[bytes_get32(id) % FAKE_RECORDS_BUCKETS];
	while (r != NULL && memcmp(r->id, id, REF_ID_BYTES) != 0)
		r = r->next;
	return r;
}

static void insert(
	struct fake_records *f, const uint8_t *id, bool is_there, const void *raw, size_t len)
{
	struct fake_record **bucket = &f->buckets[bytes_get32(id) % FAKE_RECORDS_BUCKETS];
	struct fake_record *r = malloc(sizeof(*r) + len);
	if (r == NULL)
		abort();
	r->next = *bucket;
	memcpy(r->id, id, REF_ID_BYTES);
	r->is_there = is_there;
	r->len = len;
	if (len > 0)
		memcpy(r->bytes, raw, len);
	*bucket = r;
}

static void name(int type, const void *raw, size_t len, struct ref *ref)
{
	uint8_t head = (uint8_t)type;
	struct hash *h = hash_new();
	hash_add(h, &head, 1);
	hash_add(h, raw, len);
	hash_end(h, ref->id);
	hash_free(h);
	hash_sha256(ref->id, sizeof(ref->id), ref->key);
	ref->raw_len = (uint32_t)len;
	ref->cr_len = (uint32_t)len + 40;
}

void fake_records_put(
	struct fake_records *f, int type, const void *raw, size_t len, struct ref *ref)
{
	name(type, raw, len, ref);
	if (find(f, ref->id) == NULL) {
		insert(f, ref->id, true, raw, len);
		f->new_puts++;
	}
}

static void check_noted(struct fake_records *f, const uint8_t *node, size_t len)
{
	uint32_t count = bytes_get32(node + 8);
	for (uint32_t i = 0; i < count && 16 + (i + 1) * (size_t)REF_BYTES <= len; i++) {
		if (find(f, node + 16 + i * (size_t)REF_BYTES) == NULL)
			f->unnoted++;
	}
}

static int put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct fake_records *f = self;
	uint8_t head[5];

	f->puts++;
	if (f->puts == f->fail_put)
		return err_set(err, ERR_IO, "the fake fails put %zu", f->puts);
	if (class != RECORD_CLASS_META)
		return err_set(err, ERR_FAILED, "the tree puts class %d", (int)class);
	if (type == RECORD_NODE)
		check_noted(f, raw, len);
	head[0] = (uint8_t)type;
	bytes_put32(head + 1, (uint32_t)len);
	hash_add(f->all, head, sizeof(head));
	hash_add(f->all, raw, len);
	fake_records_put(f, type, raw, len, ref);
	return 0;
}

static int use(void *self, const struct ref *ref, struct err *err)
{
	struct fake_records *f = self;
	(void)err; /* cannot fail */
	if (find(f, ref->id) == NULL)
		insert(f, ref->id, false, NULL, 0);
	return 0;
}

static int get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	struct fake_records *f = self;
	struct fake_record *r = find(f, ref->id);

	(void)type; /* a real source checks it; this one tests what is left */
	f->gets++;
	if (f->gets == f->fail_get)
		return err_set(err, ERR_IO, "the fake fails get %zu", f->gets);
	if (r == NULL || !r->is_there)
		return err_set(err, ERR_NOT_FOUND, "record not there");
	return buf_add(raw, r->bytes, f->is_short ? r->len - 1 : r->len, err);
}

struct fake_records *fake_records_new(void)
{
	struct fake_records *f = calloc(1, sizeof(*f));
	if (f == NULL)
		abort();
	f->sink = (struct record_sink){ .self = f, .put = put, .use = use };
	f->source = (struct record_source){ .self = f, .get = get };
	f->all = hash_new();
	return f;
}

void fake_records_free(struct fake_records *f)
{
	for (size_t i = 0; i < FAKE_RECORDS_BUCKETS; i++) {
		while (f->buckets[i] != NULL) {
			struct fake_record *r = f->buckets[i];
			f->buckets[i] = r->next;
			free(r);
		}
	}
	hash_free(f->all);
	free(f);
}

const char *fake_records_hex(const uint8_t *bytes, size_t len, char *hex)
{
	for (size_t i = 0; i < len; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

const char *fake_records_digest(struct fake_records *f, char hex[65])
{
	uint8_t digest[HASH_BYTES];
	hash_end(f->all, digest);
	return fake_records_hex(digest, sizeof(digest), hex);
}

const uint8_t *fake_records_find(struct fake_records *f, const struct ref *ref, size_t *len)
{
	struct fake_record *r = find(f, ref->id);
	if (r == NULL || !r->is_there)
		return NULL;
	*len = r->len;
	return r->bytes;
}

struct ref fake_records_data(uint32_t n)
{
	uint8_t message[8] = "data";
	struct ref ref = { .raw_len = 1u << 20, .cr_len = (1u << 20) + 40 };

	bytes_put32(message + 4, n);
	hash_sha256(message, sizeof(message), ref.id);
	hash_sha256(ref.id, sizeof(ref.id), ref.key);
	return ref;
}

struct ref fake_records_use(struct fake_records *f, uint32_t n)
{
	struct ref ref = fake_records_data(n);
	(void)use(f, &ref, NULL); /* cannot fail */
	return ref;
}
