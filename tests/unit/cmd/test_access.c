#include "cmd/access.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/cmd_backup.h"
#include "cmd/cmd_copy.h"
#include "cmd/cmd_ls.h"
#include "cmd/cmd_restore.h"
#include "cmd/cmd_verify.h"
#include "store/store_pace.h"
#include "tests/lib/vault_fixture.h"

#define BPS (INT64_C(1) << 20)
#define MS INT64_C(1000000)

static struct err err;

static const struct cli_verb *const verbs[] = { &cmd_backup_verb, &cmd_restore_verb,
	&cmd_verify_verb, &cmd_copy_verb, &cmd_ls_verb, NULL };

static int parse(struct cli *cli, const char *verb, const char *up, const char *down)
{
	const char *argv[] = { "holdfast", verb, "--vault", "/nonexistent", "--limit-upload", up,
		"--limit-download", down, "x", NULL };
	memset(cli, 0, sizeof(*cli));
	return cli_parse(cli, verbs, strcmp(verb, "verify") == 0 ? 8 : 9, argv, &err);
}

Test(access, the_verbs_that_move_much_take_limits)
{
	struct cli cli;
	struct drivers_limits limits;
	for (size_t i = 0; i < 4; i++) {
		cr_assert(eq(int, parse(&cli, verbs[i]->name, "64KiB", "3MiB"), 0), "%s", err.msg);
		access_limits(&cli, &limits);
		cr_expect(eq(i64, limits.upload_bps, 65536), "%s", verbs[i]->name);
		cr_expect(eq(i64, limits.download_bps, 3 * BPS));
		cli_done(&cli);
		/* one that nobody means is refused before anything is opened */
		struct access a = ACCESS_INIT;
		cr_assert(eq(int, parse(&cli, verbs[i]->name, "63KiB", "3MiB"), 0), "%s", err.msg);
		cr_expect(eq(
			int, access_open(&cli, ACCESS_LIST, DRIVERS_READ, &a, &err), -ERR_USAGE));
		cr_expect(ne(ptr, strstr(err.msg, "at least 64KiB a second"), NULL), "%s", err.msg);
		access_done(&a);
		cli_done(&cli);
	}
	cr_expect(eq(int, parse(&cli, "ls", "64KiB", "3MiB"), -ERR_USAGE), "it has none");
	access_limits(&cli, &limits);
	cr_expect(eq(i64, limits.upload_bps + limits.download_bps, 0));
	cli_done(&cli);
}

/* ---- a vault behind a limit, and a clock that only rests move ------------------------------- */

static struct env_ops ops;
static int64_t mono_ns, slept_ms;

static int64_t fake_mono(void)
{
	return __atomic_load_n(&mono_ns, __ATOMIC_SEQ_CST);
}

static void fake_sleep(unsigned ms)
{
	(void)__atomic_add_fetch(&mono_ns, ms * MS, __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&slept_ms, ms, __ATOMIC_SEQ_CST);
}

static int weigh(void *arg, const char *name, uint64_t size)
{
	if (strncmp(name, "pk/", 3) == 0)
		*(uint64_t *)arg += size;
	return 0;
}

/* What was slept for, in bytes of the limit, and nothing is left of it. */
static uint64_t slept_bytes(void)
{
	return (uint64_t)(__atomic_exchange_n(&slept_ms, 0, __ATOMIC_SEQ_CST) * BPS / 1000);
}

Test(access, a_backup_a_verify_and_a_restore_take_as_long_as_their_bytes)
{
	static uint8_t noise[6 << 20];
	static const struct store_pace_opts limit = {
		.upload_bps = BPS, .download_bps = BPS, .sleep_ms = fake_sleep
	};
	struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = noise, .len = sizeof(noise)
	};
	struct vault_fixture f;
	struct backup_result b;
	uint64_t packs = 0;
	vault_fixture_noise(noise, sizeof(noise), 1);
	vault_fixture_init(&f);
	ops = *env_real();
	ops.mono_ns = fake_mono;
	(void)env_swap(&ops);
	cr_assert(eq(int, store_pace_add(f.store, &limit, &err), 0), "%s", err.msg);
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &b, &err), 0), "%s", err.msg);
	uint64_t sent = slept_bytes();
	cr_assert(eq(int, store_list(f.store, "pk/", weigh, &packs, &err), 0));
	cr_expect(ge(u64, packs, sizeof(noise)));
	/* beside packs there are lists, marks, a snapshot, and what a session reads */
	cr_expect(ge(u64, sent, packs - packs / 100), "%llu", (unsigned long long)sent);
	cr_expect(le(u64, sent, packs + packs / 4), "%llu", (unsigned long long)sent);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	uint64_t read = slept_bytes(); /* whole, and its content once more */
	cr_expect(ge(u64, read, packs - packs / 100), "%llu", (unsigned long long)read);
	cr_expect(le(u64, read, 3 * packs), "%llu", (unsigned long long)read);
	const char *differs = vault_fixture_differs(f.store, f.rk_sk, 0, &file, 1);
	cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s", differs);
	read = slept_bytes();
	cr_expect(ge(u64, read, packs - packs / 100), "%llu", (unsigned long long)read);
	cr_expect(le(u64, read, packs + packs / 4), "%llu", (unsigned long long)read);
	vault_fixture_done(&f);
	(void)env_swap(NULL);
}
