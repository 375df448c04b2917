/*
 * INVARIANTS
 * 1. A run depends on its bytes alone: the same bytes find the same fault again.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "vault/sealed.h"

static struct {
	char dir[512];
	unsigned count;
} seeds;
static size_t taken;

void fuzz_check(bool holds, const char *claim, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
	abort();
}

void fuzz_took(void)
{
	taken++;
}

size_t fuzz_taken(void)
{
	return taken;
}

void fuzz_verdict(int rc, const struct err *err)
{
	FUZZ_CHECK(rc <= 0);
	if (rc == 0) {
		fuzz_took();
		return;
	}
	FUZZ_CHECK(err->code == -rc);
	FUZZ_CHECK(err->msg[0] != '\0');
}

void fuzz_codec(fuzz_codec_fn fn, const void *data, size_t len, bool is_exact)
{
	struct buf once = BUF_INIT((size_t)64 << 20);
	struct buf twice = BUF_INIT((size_t)64 << 20);
	struct err err = ERR_INIT;
	int rc = fn(data, len, &once, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0 && is_exact) {
		FUZZ_CHECK(once.len == len);
		FUZZ_CHECK(len == 0 || memcmp(once.data, data, len) == 0);
	} else if (rc == 0) {
		FUZZ_CHECK(fn(once.data, once.len, &twice, &err) == 0);
		FUZZ_CHECK(once.len == twice.len);
		FUZZ_CHECK(once.len == 0 || memcmp(once.data, twice.data, once.len) == 0);
	}
	buf_done(&once);
	buf_done(&twice);
}

void fuzz_seed(const void *data, size_t len)
{
	char path[600];
	FUZZ_CHECK(len <= FUZZ_MAX_BYTES);
	snprintf(path, sizeof(path), "%s/%02u", seeds.dir, seeds.count++);
	FILE *f = fopen(path, "wb");
	FUZZ_CHECK(f != NULL);
	FUZZ_CHECK(len == 0 || fwrite(data, len, 1, f) == 1);
	FUZZ_CHECK(fclose(f) == 0);
}

void fuzz_write_seeds(const char *dir)
{
	for (size_t i = 0; fuzz_targets[i] != NULL; i++) {
		snprintf(seeds.dir, sizeof(seeds.dir), "%s/%s", dir, fuzz_targets[i]->name);
		FUZZ_CHECK(mkdir(seeds.dir, 0777) == 0 || errno == EEXIST);
		seeds.count = 0;
		fuzz_targets[i]->seeds();
		FUZZ_CHECK(seeds.count > 0);
	}
}

void fuzz_fill(void *out, size_t len, uint8_t from)
{
	uint8_t *p = out;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(from + i);
}

const struct sealed_key *fuzz_key(void)
{
	static struct sealed_key key;
	uint8_t id[16], k_vault[32];
	if (key.kv_epoch == 0) {
		fuzz_fill(id, sizeof(id), 0x70);
		fuzz_fill(k_vault, sizeof(k_vault), 0x20);
		sealed_key_init(&key, id, 1, k_vault);
	}
	return &key;
}
