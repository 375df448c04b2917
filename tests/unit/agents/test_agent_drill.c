#include "agents/agent_drill.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "agents/agent_conf.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "restore/report_json.h"

static int64_t now_ns;

static int64_t fake_mono(void)
{
	return now_ns;
}

/* The plan is read, the grant asked for, an index opened: all of it is after the disruption. */
Test(agent_drill, what_goes_by_before_the_drill_begins_is_after_its_t0)
{
	struct env_ops ops = *env_real();
	const struct msg_order order = { .since_declared_ms = 700 };
	ops.mono_ns = fake_mono;
	const struct env_ops *before = env_swap(&ops);
	now_ns = INT64_C(5000000000);
	const int64_t received_ns = env_mono_ns();
	cr_expect(eq(i64, agent_drill_since(&order, received_ns), 700));
	now_ns += INT64_C(58000000000);
	cr_expect(eq(i64, agent_drill_since(&order, received_ns), 58700));
	(void)env_swap(before);
}

Test(agent_drill, a_work_directory_that_is_not_there_is_named)
{
	static char missing[] = "/nowhere/at/all", there[] = "/tmp";
	struct err err = ERR_INIT;
	struct agent_conf_values conf = { .work = missing };
	cr_expect(eq(int, agent_drill_check(&conf, &err), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, missing), NULL), "%s", err.msg);
	conf.work = there;
	cr_expect(eq(int, agent_drill_check(&conf, &err), 0));
}

static const uint8_t agent_seed[32] = { 1 }, controller_seed[32] = { 2 }, other_seed[32] = { 3 };

/* ${text} signed by ${first} and, when it is not NULL, by ${second}. */
static struct buf sign(const char *text, const uint8_t *first, const uint8_t *second)
{
	struct buf one = BUF_INIT(4096), two = BUF_INIT(4096);
	const char *type = REPORT_JSON_PAYLOAD_TYPE;
	cr_assert(eq(int, dsse_seal(first, type, text, strlen(text), &one, NULL), 0));
	if (second == NULL)
		return one;
	cr_assert(eq(int, dsse_add_signature(one.data, one.len, type, second, &two, NULL), 0));
	buf_done(&one);
	return two;
}

static int answer(struct buf back)
{
	struct err err = ERR_INIT;
	uint8_t agent[32], controller[32];
	struct buf sent = sign("{\"verdict\":\"fail\"}", agent_seed, NULL);
	ed25519_public(agent_seed, agent);
	ed25519_public(controller_seed, controller);
	int rc = agent_drill_check_answer(&sent, &back, agent, controller, &err);
	buf_done(&sent);
	buf_done(&back);
	return rc;
}

/* A controller that wants another record than the agent's does not get it kept. */
Test(agent_drill, of_the_answer_its_own_report_is_kept_and_no_other)
{
	static const char ours[] = "{\"verdict\":\"fail\"}", theirs[] = "{\"verdict\":\"pass\"}";
	cr_expect(eq(int, answer(sign(ours, agent_seed, controller_seed)), 0));
	cr_expect(eq(int, answer(sign(ours, agent_seed, NULL)), -ERR_AUTH));
	cr_expect(eq(int, answer(sign(ours, agent_seed, other_seed)), -ERR_AUTH));
	cr_expect(eq(int, answer(sign(theirs, controller_seed, NULL)), -ERR_CORRUPT));
	cr_expect(eq(int, answer(sign(theirs, agent_seed, controller_seed)), -ERR_CORRUPT));
	cr_expect(eq(int, answer(sign(ours, controller_seed, agent_seed)), -ERR_CORRUPT));
}
