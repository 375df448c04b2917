/*
 * fuzz_sealed: sealed objects as they lie on the store, and session marks sealed here (sections 6
 * and 8).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/session_mark.h"

#define MARK_BYTES 104

/* The name that the body of a mark tells. */
static void name_of(const uint8_t *b, char name[SESSION_MARK_NAME_BYTES])
{
	size_t n = 0;
	n += (size_t)snprintf(name, SESSION_MARK_NAME_BYTES, "se/");
	for (int i = 0; i < 16; i++)
		n += (size_t)snprintf(name + n, SESSION_MARK_NAME_BYTES - n, "%02x", b[8 + i]);
	snprintf(name + n, SESSION_MARK_NAME_BYTES - n, "-%08llx",
		(unsigned long long)bytes_get64(b + 56));
}

static void run_mark(const uint8_t *body, size_t len)
{
	struct buf object = BUF_INIT(SEALED_MAX_BYTES), again = BUF_INIT(SEALED_MAX_BYTES);
	struct buf plain = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	struct session_mark m;
	char hex[SEALED_NAME_BYTES], name[SESSION_MARK_NAME_BYTES] = "se/",
				     told[SESSION_MARK_NAME_BYTES];
	if (len >= MARK_BYTES)
		name_of(body, name);
	FUZZ_CHECK(
		sealed_seal(fuzz_key(), SEALED_SESSION, body, len, NULL, &object, hex, &err) == 0);
	int rc = session_mark_open(fuzz_key(), name, object.data, object.len, &m, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(session_mark_seal(&m, fuzz_key(), &again, told, &err) == 0);
		FUZZ_CHECK(strcmp(name, told) == 0);
		FUZZ_CHECK(sealed_open(fuzz_key(), SEALED_SESSION, again.data, again.len, &plain,
				   &err) == 0);
		FUZZ_CHECK(plain.len == len && memcmp(plain.data, body, len) == 0);
	}
	buf_done(&object);
	buf_done(&again);
	buf_done(&plain);
}

static void run(const uint8_t *data, size_t len)
{
	struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	for (int kind = SEALED_INDEX; kind <= SEALED_DEAD; kind++) {
		err_clear(&err);
		fuzz_verdict(
			sealed_open(fuzz_key(), (enum sealed_kind)kind, data, len, &body, &err),
			&err);
	}
	buf_done(&body);
	run_mark(data, len);
}

static void seeds(void)
{
	static const uint8_t random[16] = { 0xb0 };
	struct session_mark m = { .state = SESSION_MARK_OPEN, .session = { 1 }, .number = 0 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES), body = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	char name[SESSION_MARK_NAME_BYTES], hex[SEALED_NAME_BYTES];
	FUZZ_CHECK(session_mark_seal(&m, fuzz_key(), &out, name, &err) == 0);
	FUZZ_CHECK(sealed_open(fuzz_key(), SEALED_SESSION, out.data, out.len, &body, &err) == 0);
	fuzz_seed(body.data, body.len);
	buf_clear(&out);
	FUZZ_CHECK(sealed_seal(fuzz_key(), SEALED_INDEX, "hello, vault", 12, random, &out, hex,
			   &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
	buf_done(&body);
}

const struct fuzz_target fuzz_sealed = { "sealed", run, seeds };
