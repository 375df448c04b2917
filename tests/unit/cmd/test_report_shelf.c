#include "cmd/report_shelf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "restore/report.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "tests/lib/report_fixture.h"

static const uint8_t agent_seed[32] = { 1 }, controller_seed[32] = { 2 }, other_seed[32] = { 3 };
static char agent[DSSE_KEYID_BYTES], controller[DSSE_KEYID_BYTES], other[DSSE_KEYID_BYTES];
static char dir[] = "/tmp/report-shelf-XXXXXX";
static struct report_shelf_paths paths;

static void keyid_of(const uint8_t seed[32], char out[DSSE_KEYID_BYTES])
{
	uint8_t pk[32];
	ed25519_public(seed, pk);
	dsse_keyid(pk, out);
}

static void setup(void)
{
	keyid_of(agent_seed, agent);
	keyid_of(controller_seed, controller);
	keyid_of(other_seed, other);
	cr_assert(mkdtemp(dir) != NULL);
}

static void teardown(void)
{
	(void)unlink(paths.json);
	(void)unlink(paths.html);
	cr_expect(eq(int, rmdir(dir), 0));
}

TestSuite(report_shelf, .init = setup, .fini = teardown);

/* Put a report that an agent ran for the controller on the shelf, signed by the agent and then by
 * ${second}; the page is appended to ${page}. */
static void keep(bool is_ordered, const uint8_t second[32], char page[1 << 20])
{
	struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
	struct report_check check = { .report = NULL };
	struct err err = ERR_INIT;
	struct report *r = report_fixture_good();
	r->environment.agent = (struct report_agent){
		.name = "sandbox1", .agent_id = "00112233445566778899aabbccddeeff", .keyid = agent
	};
	if (is_ordered)
		r->environment.controller =
			(struct report_controller){ .name = "plant3", .keyid = controller };
	report_judge_run(r);
	cr_assert(eq(int, report_json_seal(r, agent_seed, &one, &err), 0), "%s", err.msg);
	cr_assert(eq(int,
		dsse_add_signature(one.data, one.len, REPORT_JSON_PAYLOAD_TYPE, second, &two, &err),
		0));
	cr_assert(eq(int, report_check_envelope(two.data, two.len, NULL, &check, &err), 0), "%s",
		err.msg);
	cr_assert(eq(int, report_shelf_keep(dir, &check, two.data, two.len, &paths, &err), 0), "%s",
		err.msg);
	FILE *f = fopen(paths.html, "r");
	cr_assert(f != NULL);
	page[fread(page, 1, (1 << 20) - 1, f)] = '\0';
	(void)fclose(f);
	report_check_done(&check);
	report_free(r);
	buf_done(&one);
	buf_done(&two);
}

Test(report_shelf, the_controller_that_signed_is_shown_as_the_controller)
{
	static char page[1 << 20];
	keep(true, controller_seed, page);
	cr_expect(eq(str, paths.keyid, agent));
	cr_expect(eq(str, paths.controller_keyid, controller));
	cr_expect(ne(ptr, strstr(page, controller), NULL));
}

Test(report_shelf, whoever_else_signed_is_not_shown_as_the_controller)
{
	static char page[1 << 20];
	keep(true, other_seed, page);
	cr_expect(eq(str, paths.keyid, agent));
	cr_expect(eq(str, paths.controller_keyid, ""));
	cr_expect(eq(ptr, strstr(page, other), NULL));
}

Test(report_shelf, a_drill_that_no_controller_ordered_shows_none)
{
	static char page[1 << 20];
	keep(false, other_seed, page);
	cr_expect(eq(str, paths.controller_keyid, ""));
	cr_expect(eq(ptr, strstr(page, other), NULL));
}
