#include "vault/hold.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"

static struct vault_fixture f;
static struct store_driver shared;

static void keep(void *self)
{
	(void)self; /* the fixture's */
}

static struct store *second_store(bool is_read_only)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct store_opts opts = { .is_read_only = is_read_only };
	shared = *store_fault_driver(f.fault);
	shared.free = keep;
	cr_assert(eq(int, store_new(&shared, f.fault, &opts, &s, &err), 0));
	return s;
}

static size_t open_sessions(void)
{
	struct err err = ERR_INIT;
	struct collect_sessions s;
	struct collect_view view = { .count = 0 };
	size_t open = 0;
	cr_assert(eq(int, collect_sessions_load(f.vault, &s, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < s.count; i++)
		open += s.at[i].is_restore && collect_sessions_is_open(&s.at[i], &view);
	collect_sessions_done(&s);
	return open;
}

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(hold, .init = setup, .fini = teardown);

Test(hold, is_an_open_session_of_a_restore_until_its_end)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	uint8_t hash[32] = { 7 };
	cr_assert(eq(int, hold_begin(f.vault, second_store(false), hash, &h, &err), 0));
	cr_expect(eq(sz, open_sessions(), 1));
	hold_beat(h);
	cr_expect(eq(sz, open_sessions(), 1));
	hold_end(h);
	cr_expect(eq(sz, open_sessions(), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(hold, a_store_that_cannot_be_written_to_is_left_alone)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	uint8_t hash[32] = { 7 };
	cr_expect(eq(int, hold_begin(f.vault, second_store(true), hash, &h, &err), -ERR_READONLY));
	cr_expect(eq(ptr, (void *)h, NULL));
	hold_beat(NULL);
	hold_end(NULL);
	cr_expect(eq(sz, open_sessions(), 0));
}
