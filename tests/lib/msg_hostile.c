#include "msg_hostile.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define MUTATIONS 3000
#define MAX_BYTES ((size_t)32 << 20)

/* Ends the test where it stands, by a signal that the runner tells. */
#define MUST(claim, what)                                                                          \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			(void)fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, what, \
				#claim);                                                           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* A copy that ends where the memory ends, so that ASan sees every byte too far. */
static int decode_copy(
	msg_hostile_fn decode, const uint8_t *data, size_t len, struct buf *again, struct err *err)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	MUST(copy != NULL, "memory");
	memcpy(copy, data, len);
	int rc = decode(copy, len, again, err);
	free(copy);
	return rc;
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void expect_sane(msg_hostile_fn decode, const uint8_t *data, size_t len)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT(MAX_BYTES);
	CLEANUP(buf_done) struct buf twice = BUF_INIT(MAX_BYTES);
	struct err err = ERR_INIT;
	int rc = decode_copy(decode, data, len, &once, &err);
	if (rc != 0) {
		MUST(rc < 0 && err.code == -rc && err.msg[0] != '\0', err.msg);
		return;
	}
	rc = decode_copy(decode, once.data, once.len, &twice, &err);
	MUST(rc == 0, err.msg);
	MUST(is_same(&once, &twice), "decoded and encoded twice");
}

static size_t mutate(uint8_t *data, size_t len, uint64_t *seed)
{
	static const char chars[] = "\"{}[]:,0123456789abcdefnulltrue-=+/\\ \x01\xff";
	size_t changes = 1 + next_random(seed) % 4;
	for (size_t i = 0; i < changes && len > 2; i++) {
		size_t at = next_random(seed) % len;
		size_t n = 1 + next_random(seed) % 8;
		switch (next_random(seed) % 4) {
		case 0:
			data[at] = (uint8_t)next_random(seed);
			break;
		case 1:
			data[at] = (uint8_t)chars[next_random(seed) % (sizeof(chars) - 1)];
			break;
		case 2: /* take out */
			n = n < len - at ? n : len - at;
			memmove(data + at, data + at + n, len - at - n);
			len -= n;
			break;
		default: /* say twice; there is room for 4 * 8 more */
			n = n < len - at ? n : len - at;
			memmove(data + at + n, data + at, len - at);
			len += n;
			break;
		}
	}
	return len;
}

void msg_hostile_run(msg_hostile_fn decode, const struct buf *message)
{
	CLEANUP(buf_done) struct buf again = BUF_INIT(MAX_BYTES);
	struct err err = ERR_INIT;
	int rc = decode_copy(decode, message->data, message->len, &again, &err);
	MUST(rc == 0, err.msg);
	MUST(is_same(&again, message), "round trip");
	for (size_t len = 0; len < message->len; len++) {
		CLEANUP(buf_done) struct buf none = BUF_INIT(MAX_BYTES);
		rc = decode_copy(decode, message->data, len, &none, &err);
		MUST(rc < 0, "cut");
	}
	uint64_t seed = 0x9e3779b97f4a7c15u;
	uint8_t *data = malloc(message->len + 64);
	MUST(data != NULL, "memory");
	for (size_t i = 0; i < MUTATIONS; i++) {
		memcpy(data, message->data, message->len);
		expect_sane(decode, data, mutate(data, message->len, &seed));
	}
	free(data);
}

/* What the decoder says of ${o}, which is taken. */
static int verdict(msg_hostile_fn decode, json_t *o)
{
	CLEANUP(buf_done) struct buf none = BUF_INIT(MAX_BYTES);
	struct err err = ERR_INIT;
	char *text = json_dumps(o, JSON_COMPACT);
	MUST(text != NULL, "memory");
	int rc = decode(text, strlen(text), &none, &err);
	free(text);
	json_decref(o);
	return rc;
}

static json_t *with(const struct buf *message, const char *key, json_t *value)
{
	json_t *o = json_loadb((const char *)message->data, message->len, 0, NULL);
	MUST(o != NULL, "memory");
	int rc = value == NULL ? json_object_del(o, key) : json_object_set_new(o, key, value);
	MUST(rc == 0, key);
	return o;
}

/* Of what another type is it?  A text is tried as a number, everything else as a text. */
static json_t *other_type(const struct buf *message, const char *key)
{
	json_t *o = json_loadb((const char *)message->data, message->len, 0, NULL);
	json_t *other =
		json_is_string(json_object_get(o, key)) ? json_integer(7) : json_string("x");
	json_decref(o);
	return other;
}

void msg_hostile_members(
	msg_hostile_fn decode, const struct buf *message, const char *const *required)
{
	for (; *required != NULL; required++) {
		const char *key = *required;
		CLEANUP(buf_done) struct buf twice = BUF_INIT(MAX_BYTES);
		CLEANUP(buf_done) struct buf none = BUF_INIT(MAX_BYTES);
		MUST(verdict(decode, with(message, key, NULL)) == -ERR_CORRUPT, key);
		MUST(verdict(decode, with(message, key, json_null())) == -ERR_CORRUPT, key);
		MUST(verdict(decode, with(message, key, other_type(message, key))) == -ERR_CORRUPT,
			key);
		int rc = buf_addf(&twice, NULL, "{\"%s\":1,", key);
		if (rc == 0)
			rc = buf_add(&twice, message->data + 1, message->len - 1, NULL);
		MUST(rc == 0, "memory");
		MUST(decode(twice.data, twice.len, &none, NULL) == -ERR_CORRUPT, key);
	}
}
