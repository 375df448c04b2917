#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/parity_cover.h"
#include "vault/verify_internal.h"

static struct vault_fixture f;
static struct store_image whole;
static struct err err;

static void setup(void)
{
	const struct parity_cover_opts opts = { .rows = 2 };
	struct parity_cover_result c;
	struct backup_result b;
	struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = (const uint8_t *)"4711", .len = 4
	};
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &b, &err), 0));
	cr_assert(eq(int, parity_cover_run(f.vault, &opts, &c, &err), 0));
	store_image_take(f.store, "", &whole);
}

static void teardown(void)
{
	store_image_done(&whole);
	vault_fixture_done(&f);
}

TestSuite(verify_parity, .init = setup, .fini = teardown);

struct said {
	unsigned problems, yes, no;
	char object[STORE_MAX_NAME_BYTES + 1];
};

static void on_finding(void *arg, const struct verify_finding *x)
{
	struct said *s = arg;
	s->problems += !x->is_warning;
	(void)strncpy(s->object, x->object, sizeof(s->object) - 1);
}

static void on_repair(void *arg, const char *object, bool is_repairable)
{
	struct said *s = arg;
	(void)object;
	s->yes += is_repairable;
	s->no += !is_repairable;
}

static struct verify_result verify(struct said *s)
{
	const struct verify_opts opts = {
		.arg = s, .on_finding = on_finding, .on_repair = on_repair
	};
	struct verify_result r;
	memset(s, 0, sizeof(*s));
	cr_assert(eq(int, verify_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	return r;
}

static const struct store_image_object *first(const char *prefix)
{
	for (size_t i = 0; i < whole.count; i++) {
		if (strncmp(whole.at[i].name, prefix, strlen(prefix)) == 0)
			return &whole.at[i];
	}
	cr_assert(prefix == NULL, "no %s", prefix);
	return NULL;
}

Test(verify_parity, a_lost_member_is_told_once_however_many_rows_know_it)
{
	struct said s;
	struct verify_result r = verify(&s);
	cr_expect(eq(u64, r.problems, 0));
	cr_expect(ge(u64, r.parity_objects, 3));
	store_image_remove(f.store, first("ks/")->name);
	r = verify(&s);
	cr_expect(eq(uint, s.yes, 1));
	cr_expect(eq(uint, s.no, 0));
	cr_expect(eq(u64, r.repairable, 1));
	cr_expect(le(u64, r.problems, 2)); /* the slot, and that a key opens nothing without it */
	cr_expect(ge(u64, r.problems, 1));
}

Test(verify_parity, more_than_the_rows_give_back_is_said_to_be_so)
{
	struct said s;
	static const char *const gone[] = { "vh/", "rf/", "ev/" };
	for (size_t i = 0; i < 3; i++)
		cr_assert(eq(int, store_mem_flip(f.mem, first(gone[i])->name, 100, &err), 0));
	vault_fixture_reopen(&f);
	(void)verify(&s);
	cr_expect(eq(uint, s.no, 3));
	cr_expect(eq(uint, s.yes, 0));
	cr_assert(eq(int, store_mem_flip(f.mem, first("vh/")->name, 100, &err), 0));
	vault_fixture_reopen(&f);
	(void)verify(&s);
	cr_expect(eq(uint, s.yes, 2));
}

/* The object's hash is right, what it says of itself is not: a program made it so. */
Test(verify_parity, stripes_and_trailer_of_an_object_must_agree)
{
	struct verify_result result = { .problems = 0 };
	const struct verify_opts opts = { .sk = NULL };
	struct verify v = { .vault = f.vault, .opts = &opts, .result = &result };
	const struct store_image_object *o = first("pa/");
	struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	cr_assert(eq(int, id_set_new(&v.told, &err), 0));
	cr_assert(eq(int, buf_add(&object, o->data, o->len, &err), 0));
	cr_expect(eq(int, verify_parity_object(&v, o->name, &object, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, result.parity_objects, 1));
	object.data[5] ^= 1;
	cr_expect(eq(int, verify_parity_object(&v, o->name, &object, &err), -ERR_CORRUPT));
	cr_expect(strstr(err.msg, "stripe") != NULL, "%s", err.msg);
	object.data[5] ^= 1;
	cr_expect(eq(int, verify_parity_object(&v, "pa/00/short", &object, &err), -ERR_CORRUPT));
	object.data[object.len - 1] ^= 1;
	cr_expect(eq(int, verify_parity_object(&v, o->name, &object, &err), -ERR_CORRUPT));
	object.len = 10;
	cr_expect(eq(int, verify_parity_object(&v, o->name, &object, &err), -ERR_CORRUPT));
	cr_expect(eq(u64, result.parity_objects, 1));
	id_set_free(v.told);
	buf_done(&object);
}
