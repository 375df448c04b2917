#include "vault/header_loss.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/vault_header.h"

static struct vault_fixture f;
static char header[128];

static const uint8_t data[] = "x";
static const struct fake_file files[] = {
	{ .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 },
};

static int keep(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)snprintf(arg, 128, "%s", name);
	return 0;
}

static void backup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	struct err err = ERR_INIT;
	vault_fixture_init(&f);
	cr_assert(eq(int, store_list(f.store, "vh/", keep, header, &err), 0));
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(header_loss, .init = setup, .fini = teardown);

static void remove_object(const char *name)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
}

/* What must hold however the header was lost. */
static void expect_readable(enum err_code code)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct keyring_root root;
	struct keyring_writer w;
	struct vault_keys keys;
	uint8_t id[16];
	cr_expect(eq(int, vault_peek_id(f.store, id, &err), 0), "%s", err.msg);
	cr_expect(memcmp(id, f.keys.writer.vault_id, sizeof(id)) == 0);
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, files, 1);
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 1));

	vault_fixture_reopen(&f);
	const struct err *loss = vault_no_header(f.vault);
	cr_assert(ne(ptr, (void *)loss, NULL));
	cr_expect(eq(int, loss->code, code));
	cr_expect(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), -ERR_CORRUPT));
	cr_expect(strstr(err.hint, "vh/") != NULL, "%s", err.hint);
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	cr_expect(eq(int, vault_add_writer(f.vault, &root, &w, &err), -ERR_CORRUPT));
	cr_expect(eq(int, vault_add_recovery(f.vault, "x", 1, &err), -ERR_CORRUPT));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 1));
}

Test(header_loss, a_rotten_header_stops_writing_and_no_reading)
{
	struct err err = ERR_INIT;
	backup();
	cr_assert(eq(int, store_mem_flip(f.mem, header, 100, &err), 0));
	expect_readable(ERR_CORRUPT);
}

Test(header_loss, a_missing_header_stops_writing_and_no_reading)
{
	backup();
	remove_object(header);
	expect_readable(ERR_NOT_FOUND);
}

Test(header_loss, and_without_a_config_a_snapshot_proves_the_key)
{
	struct err err = ERR_INIT;
	char name[128] = "";
	backup();
	cr_assert(eq(int, store_list(f.store, "cf/", keep, name, &err), 0));
	remove_object(name);
	remove_object(header);
	vault_fixture_reopen(&f);
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, files, 1);
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
}

Test(header_loss, wrong_keys_open_nothing_either_way)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	struct vault *v = NULL;
	backup();
	vault_keys_of_writer(&f.keys.writer, &keys);
	keys.k_vault[0] ^= 1;
	cr_assert(eq(int, store_mem_flip(f.mem, header, 100, &err), 0));
	cr_expect(eq(int, vault_open(f.store, &keys, &v, &err), -ERR_CORRUPT));
	remove_object(header);
	cr_expect(eq(int, vault_open(f.store, &keys, &v, &err), -ERR_NOT_FOUND));
	cr_expect(eq(ptr, v, NULL));
}

Test(header_loss, an_init_that_broke_off_is_no_vault)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	struct keyring_root root;
	struct vault *v = NULL;
	uint8_t id[16];
	remove_object(header);
	cr_expect(eq(int, vault_peek_id(f.store, id, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, header_loss_id(f.store, id, &err), -ERR_NOT_FOUND));
	cr_expect(eq(
		int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), -ERR_NOT_FOUND));
	vault_keys_of_writer(&f.keys.writer, &keys);
	cr_expect(eq(int, vault_open(f.store, &keys, &v, &err), -ERR_NOT_FOUND));
}

Test(header_loss, slots_of_two_vaults_tell_no_id)
{
	struct err err = ERR_INIT;
	uint8_t slot[140] = "HFKV";
	uint8_t hash[32];
	uint8_t id[16];
	char name[68] = "ks/";
	backup();
	hash_sha256(slot, sizeof(slot), hash);
	text_hex(hash, sizeof(hash), name + 3);
	cr_assert(eq(int, store_put(f.store, name, slot, sizeof(slot), &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	remove_object(header);
	cr_expect(eq(int, vault_peek_id(f.store, id, &err), -ERR_NOT_FOUND));
}

Test(header_loss, a_header_that_lets_only_newer_versions_write_is_read_and_not_written)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct vault_header h = {
		.major = 1, .generation = 2, .ro_compat = 4, .suites = 2, .kv_epoch = 1
	};
	uint8_t raw[VAULT_HEADER_BYTES];
	uint8_t hash[32];
	char hex[65];
	char name[128];
	backup();
	memcpy(h.vault_id, f.keys.writer.vault_id, sizeof(h.vault_id));
	vault_header_encode(&h, f.keys.writer.k_vault, raw);
	hash_sha256(raw, sizeof(raw), hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(name, sizeof(name), "vh/00000002-%s", hex);
	cr_assert(eq(int, store_put(f.store, name, raw, sizeof(raw), &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	vault_fixture_reopen(&f);
	cr_expect(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), -ERR_UNSUPPORTED));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}
