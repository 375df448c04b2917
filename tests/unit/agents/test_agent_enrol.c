#include "agents/agent_enrol.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/agent_state.h"
#include "base/err.h"
#include "crypto/x509.h"
#include "lib/fake_controller.h"

static struct fake_controller control;
static char dir[] = "/tmp/agent-enrol-XXXXXX";
static char token[MSG_TOKEN_TEXT_BYTES];
static char shown[MSG_FINGERPRINT_BYTES];
static int waits, stop_after;

static void set_up(void)
{
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	stop_after = 1000;
	fake_controller_start(&control);
	cr_assert(eq(int, msg_enrol_token_format(&control.token, token, NULL), 0));
}

static void tear_down(void)
{
	char path[64];
	fake_controller_stop(&control);
	(void)snprintf(path, sizeof(path), "%s/" AGENT_STATE_FILE, dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void on_fingerprint(void *arg, const char *fingerprint, const char *name)
{
	(void)arg;
	cr_expect_str_eq(name, "agent-1");
	(void)snprintf(shown, sizeof(shown), "%s", fingerprint);
}

static void on_wait(void *arg, int ms)
{
	(void)arg;
	(void)ms;
	waits++;
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return waits >= stop_after;
}

static int enrol(const char *text, struct err *err)
{
	struct agent_enrol_opts o = { .dir = dir,
		.token = text,
		.role = MSG_ROLE_CAPTURE,
		.name = "agent-1",
		.on_fingerprint = on_fingerprint,
		.on_wait = on_wait,
		.is_stopped = is_stopped };
	return agent_enrol_run(&o, err);
}

TestSuite(agent_enrol, .init = set_up, .fini = tear_down);

Test(agent_enrol, a_token_an_approval_and_the_agent_has_all_it_needs)
{
	struct agent_state s;
	struct x509_info info;
	struct err err = ERR_INIT;
	char want[MSG_FINGERPRINT_BYTES];
	control.refuse_collects = 2;
	cr_assert(eq(int, enrol(token, &err), 0), "%s", err.msg);
	cr_expect(eq(int, waits, 2));
	cr_assert(eq(int, agent_state_load(dir, &s, NULL), 0));
	cr_expect(eq(int, s.stage, AGENT_STAGE_ENROLLED));
	cr_expect(eq(u8, s.keys.k_mle[0], 1));
	cr_expect(eq(u32, s.keys.config_epoch, 3));
	for (size_t i = 0; i < sizeof(s.request.secret); i++)
		cr_expect(eq(u8, s.request.secret[i], 0));
	/* the approver computes the same from what the controller knows */
	cr_assert(eq(int, x509_inspect(control.request.csr, &info, NULL), 0));
	msg_enrol_fingerprint(
		&control.request, &control.answer, info.key_hash, control.token.ca_hash, want);
	cr_expect_str_eq(shown, want);
	agent_state_done(&s);
	cr_expect(eq(int, enrol(token, &err), -ERR_EXISTS));
}

Test(agent_enrol, what_was_cut_off_goes_on_without_a_token_and_with_the_same_keys)
{
	struct msg_enrol first;
	char fingerprint[MSG_FINGERPRINT_BYTES];
	struct err err = ERR_INIT;
	control.refuse_collects = 3;
	stop_after = 1;
	cr_assert(eq(int, enrol(token, &err), -ERR_INTERRUPTED), "%s", err.msg);
	cr_expect(ne(sz, strlen(err.hint), 0));
	first = control.request;
	memcpy(fingerprint, shown, sizeof(shown));
	stop_after = 1000;
	cr_assert(eq(int, enrol(NULL, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(first.ik, control.request.ik, 32), 0));
	cr_expect_str_eq(shown, fingerprint);
}

Test(agent_enrol, a_controller_with_another_ca_is_not_told_the_secret)
{
	struct err err = ERR_INIT;
	control.token.ca_hash[0] ^= 1;
	cr_assert(eq(int, msg_enrol_token_format(&control.token, token, NULL), 0));
	cr_expect(eq(int, enrol(token, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "token"), NULL));
	cr_expect(eq(sz, strlen(control.request.name), 0));
}

Test(agent_enrol, a_token_that_the_controller_does_not_know_says_what_to_do)
{
	struct err err = ERR_INIT;
	struct msg_token other = control.token;
	other.secret[0] ^= 1;
	cr_assert(eq(int, msg_enrol_token_format(&other, token, NULL), 0));
	cr_expect(eq(int, enrol(token, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.hint, "token"), NULL));
	cr_expect(ne(ptr, strstr(err.hint, "compare name and role in agent.conf"), NULL));
}

Test(agent_enrol, a_good_token_after_a_bad_one_is_taken)
{
	struct err err = ERR_INIT;
	struct msg_token other = control.token;
	char bad[MSG_TOKEN_TEXT_BYTES];
	other.ca_hash[0] ^= 1;
	cr_assert(eq(int, msg_enrol_token_format(&other, bad, NULL), 0));
	cr_expect(eq(int, enrol(bad, &err), -ERR_AUTH));
	cr_expect(eq(int, enrol(NULL, &err), -ERR_AUTH)); /* what was begun is the bad one */
	other = control.token;
	other.secret[0] ^= 1;
	cr_assert(eq(int, msg_enrol_token_format(&other, bad, NULL), 0));
	cr_expect(eq(int, enrol(bad, &err), -ERR_AUTH));
	cr_expect(eq(int, enrol(token, &err), 0), "%s", err.msg);
}

Test(agent_enrol, a_name_that_was_set_right_is_used_with_the_same_token)
{
	struct agent_state s;
	struct err err = ERR_INIT;
	cr_assert(eq(
		int, agent_state_make(&control.token, MSG_ROLE_CAPTURE, "agent-2", &s, NULL), 0));
	cr_assert(eq(int, agent_state_save(dir, &s, NULL), 0));
	agent_state_done(&s);
	cr_expect(eq(int, enrol(NULL, &err), 0), "%s", err.msg);
	cr_expect_str_eq(control.request.name, "agent-1");
}

Test(agent_enrol, an_agent_that_waits_refuses_another_token_and_takes_its_own)
{
	struct err err = ERR_INIT;
	struct msg_token other = control.token;
	char text[MSG_TOKEN_TEXT_BYTES];
	control.refuse_collects = 3;
	stop_after = 1;
	cr_assert(eq(int, enrol(token, &err), -ERR_INTERRUPTED), "%s", err.msg);
	stop_after = 1000;
	other.secret[0] ^= 1;
	cr_assert(eq(int, msg_enrol_token_format(&other, text, NULL), 0));
	cr_expect(eq(int, enrol(text, &err), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "agent-1"), NULL), "%s", err.msg);
	cr_expect(ne(sz, strlen(err.hint), 0));
	cr_expect(eq(int, enrol(token, &err), 0), "%s", err.msg);
}

Test(agent_enrol, a_config_that_does_not_list_the_agent_is_not_taken)
{
	struct agent_state s;
	struct err err = ERR_INIT;
	control.wrong_domain = true;
	cr_expect(eq(int, enrol(token, &err), -ERR_AUTH));
	cr_assert(eq(int, agent_state_load(dir, &s, NULL), 0));
	cr_expect(eq(int, s.stage, AGENT_STAGE_WAITING));
	agent_state_done(&s);
}

Test(agent_enrol, without_a_token_nothing_begins)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, enrol(NULL, &err), -ERR_USAGE));
	cr_expect(eq(int, enrol("hfe1-XYZ", &err), -ERR_USAGE));
}
