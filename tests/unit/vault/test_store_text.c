#include "vault/store_text.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/verify.h"

Test(store_text, every_changed_byte_and_every_lost_one_is_damage)
{
	struct err err = ERR_INIT;
	static const char text[] = "HOLDFAST VAULT\nthe rest\n";
	CLEANUP(buf_done) struct buf b = BUF_INIT(1u << 16);
	cr_assert(eq(int, store_text_seal(text, &b, &err), 0));
	cr_expect(eq(int, store_text_check(b.data, b.len, text), STORE_TEXT_OURS));
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 0x01;
		cr_expect(eq(int, store_text_check(b.data, b.len, text), STORE_TEXT_DAMAGED), "%d",
			(int)i);
		b.data[i] ^= 0x01;
		cr_expect(eq(int, store_text_check(b.data, i, text), STORE_TEXT_DAMAGED), "%d",
			(int)i);
	}
}

static void on_finding(void *arg, const struct verify_finding *x)
{
	*(int *)arg += x->is_warning ? 1 : 1000;
}

Test(store_text, an_intact_text_of_another_version_only_warns)
{
	struct err err = ERR_INIT;
	struct vault_fixture f;
	int told = 0;
	struct verify_opts opts = { .arg = &told, .on_finding = on_finding };
	struct verify_result result;
	CLEANUP(buf_done) struct buf b = BUF_INIT(1u << 16);
	vault_fixture_init(&f);
	cr_assert(eq(int, store_text_seal("HOLDFAST VAULT, of another day\n", &b, &err), 0));
	cr_assert(eq(int, store_remove(f.store, "README.txt", &err), 0));
	cr_assert(eq(int, store_put(f.store, "README.txt", b.data, b.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_assert(eq(int, verify_run(f.vault, &opts, &result, &err), 0));
	cr_expect(eq(int, told, 1));
	vault_fixture_done(&f);
}

Test(store_text, the_last_line_is_what_FORMAT_says)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf b = BUF_INIT(1u << 16);
	cr_assert(eq(int, store_text_seal("abc", &b, &err), 0));
	cr_assert(eq(int, buf_add8(&b, 0, &err), 0));
	cr_expect(eq(str, (char *)b.data,
		"abcSHA-256 of all above this line: "
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"));
}
