#include "store/s3/s3_list.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/s3/s3_location.h"
#include "store/s3/s3_wire.h"
#include "tests/lib/s3_stub.h"

static struct err err;
static struct s3_stub *stub;
static struct s3_location place;
static struct s3_wire *wire;

static void setup(void)
{
	const struct s3_stub_kind kind = { .page = 3, .has_empty_pages = true };
	char text[256];
	stub = s3_stub_new(&kind);
	s3_stub_environment();
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(stub));
	cr_assert(eq(int, s3_location_parse(text, &place, &err), 0), "%s", err.msg);
	const struct s3_wire_opts opts = { .place = &place };
	cr_assert(eq(int, s3_wire_new(&opts, &wire, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	s3_wire_free(wire);
	s3_location_done(&place);
	s3_stub_free(stub);
}

TestSuite(s3_list, .init = setup, .fini = teardown, .timeout = 60);

struct seen {
	char text[256];
	int left; /* so many calls are good */
};

static int see(void *arg, const char *name, uint64_t size)
{
	struct seen *s = arg;
	char one[64];
	(void)snprintf(one, sizeof(one), "%s=%d ", name, (int)size);
	(void)strncat(s->text, one, sizeof(s->text) - strlen(s->text) - 1);
	return s->left-- > 0 ? 0 : 7;
}

Test(s3_list, tells_every_page_without_the_prefix_and_what_is_no_name_not)
{
	static const char *const keys[] = { "plant/pk/a", "plant/pk/b", "plant/pk/c", "plant/pk/d",
		"plant/pk/e", "plant/pk/ f", "plant/tmp/s3", "plant/rf/a", "other/pk/a" };
	struct seen s = { .left = 100 };
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		s3_stub_put(stub, keys[i], "12345", i % 5);
	cr_assert(eq(int, s3_list_each(wire, "plant/", "plant/pk/", see, &s, &err), 0), "%s",
		err.msg);
	cr_expect(eq(str, s.text, "pk/a=0 pk/b=1 pk/c=2 pk/d=3 pk/e=4 "));
	s = (struct seen){ .left = 100 };
	cr_assert(eq(int, s3_list_each(wire, "plant/", "plant/", see, &s, &err), 0));
	cr_expect(eq(str, s.text, "pk/a=0 pk/b=1 pk/c=2 pk/d=3 pk/e=4 rf/a=2 "));
	s = (struct seen){ .left = 1 };
	cr_expect(eq(int, s3_list_each(wire, "plant/", "plant/", see, &s, &err), 7), "it stops");
	cr_expect(eq(str, s.text, "pk/a=0 pk/b=1 "));
}
