/*
 * fuzz_collect_list: the lists of a collection, sealed here under the name that their body tells
 * (docs/FORMAT.md section 10.2).  The first byte says which of the two kinds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/text.h"
#include "fuzz/fuzz.h"
#include "vault/collect_list.h"

static void name_of(bool is_dead, const uint8_t *body, size_t len, const char *hex, char *name)
{
	char run[33] = "";
	uint8_t head[28] = { 0 };
	memcpy(head, body, len < sizeof(head) ? len : sizeof(head));
	text_hex(head + 8, 16, run);
	if (is_dead)
		snprintf(name, COLLECT_LIST_NAME_BYTES, "dd/%s", hex);
	else
		snprintf(name, COLLECT_LIST_NAME_BYTES, "gc/%s-%08x-%s", run,
			bytes_get32(head + 24), hex);
}

static void run(const uint8_t *data, size_t len)
{
	struct buf object = BUF_INIT(SEALED_MAX_BYTES), again = BUF_INIT(SEALED_MAX_BYTES);
	struct buf plain = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	struct collect_list l;
	char hex[SEALED_NAME_BYTES], name[COLLECT_LIST_NAME_BYTES], told[COLLECT_LIST_NAME_BYTES];
	if (len == 0)
		return;
	bool is_dead = data[0] % 2 != 0;
	enum sealed_kind kind = is_dead ? SEALED_DEAD : SEALED_GC;
	FUZZ_CHECK(sealed_seal(fuzz_key(), kind, data + 1, len - 1, NULL, &object, hex, &err) == 0);
	name_of(is_dead, data + 1, len - 1, hex, name);
	int rc = collect_list_open(fuzz_key(), name, object.data, object.len, &l, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(collect_list_seal(&l, fuzz_key(), &again, told, &err) == 0);
		FUZZ_CHECK(sealed_open(fuzz_key(), kind, again.data, again.len, &plain, &err) == 0);
		FUZZ_CHECK(plain.len == len - 1 && memcmp(plain.data, data + 1, len - 1) == 0);
		FUZZ_CHECK(strncmp(told, name, is_dead ? 3 : 45) == 0);
		collect_list_done(&l);
	}
	buf_done(&object);
	buf_done(&again);
	buf_done(&plain);
}

static void seeds(void)
{
	struct collect_list_item items[] = {
		{ { 1 }, 4096, COLLECT_LIST_PACK, COLLECT_LIST_UNUSED },
		{ { 2 }, 90, COLLECT_LIST_REFS, COLLECT_LIST_REPACK },
	};
	uint8_t sessions[2][16] = { { 3 }, { 4 } };
	struct collect_list_verdict verdicts[] = { { { 3 }, { 9 } } };
	struct err err = ERR_INIT;
	for (int type = COLLECT_LIST_CONDEMNED; type <= COLLECT_LIST_DEAD; type++) {
		struct collect_list l = { .type = (enum collect_list_type)type,
			.run = { 8 },
			.number = 2,
			.items = items,
			.count = 2,
			.sessions = sessions,
			.session_count = type == COLLECT_LIST_FENCE ? 1 : 2,
			.verdicts = verdicts,
			.verdict_count = 1 };
		struct buf out = BUF_INIT(FUZZ_MAX_BYTES), seed = BUF_INIT(FUZZ_MAX_BYTES);
		char name[COLLECT_LIST_NAME_BYTES];
		bool is_dead = type == COLLECT_LIST_DEAD;
		FUZZ_CHECK(collect_list_seal(&l, fuzz_key(), &out, name, &err) == 0);
		FUZZ_CHECK(buf_add8(&seed, is_dead ? 'A' : 'B', &err) == 0);
		FUZZ_CHECK(sealed_open(fuzz_key(), is_dead ? SEALED_DEAD : SEALED_GC, out.data,
				   out.len, &seed, &err) == 0);
		fuzz_seed(seed.data, seed.len);
		buf_done(&out);
		buf_done(&seed);
	}
}

const struct fuzz_target fuzz_collect_list = { "collect_list", run, seeds };
