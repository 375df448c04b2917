#include "agents/agent_state.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/ed25519.h"
#include "vault/domain.h"

static char dir[] = "/tmp/agent-state-XXXXXX";
static char file[64];
static const uint8_t officer_seed[32] = { 5 };
static const struct msg_token token = { .ca_hash = { 1 }, .secret = { 2 }, .address = "host:1" };

static void set_up(void)
{
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(file, sizeof(file), "%s/" AGENT_STATE_FILE, dir);
}

static void tear_down(void)
{
	(void)unlink(file);
	(void)rmdir(dir);
}

TestSuite(agent_state, .init = set_up, .fini = tear_down);

static void make(struct agent_state *s, enum msg_role role)
{
	cr_assert(eq(int, agent_state_make(&token, role, "agent-1", s, NULL), 0));
}

static void make_config(uint32_t epoch, const uint8_t domain_id[16], struct buf *out)
{
	struct domain d = { .epoch = epoch, .officer_count = 1, .recovery_count = 1 };
	ed25519_public(officer_seed, d.officer_pk[0]);
	memset(d.recovery_pk[0], 9, 32);
	memcpy(d.domain_id, domain_id, 16);
	cr_assert(eq(int, domain_encode(&d, officer_seed, out, NULL), 0));
	domain_done(&d);
}

static void enrol(struct agent_state *s)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(65536);
	int is_new = 0;
	ed25519_public(officer_seed, s->answer.officer);
	memset(s->answer.agent_id, 3, 16);
	memset(s->keys.k_mle, 4, 32);
	s->keys.kv_epoch = 1;
	make_config(7, s->answer.domain_id, &config);
	cr_assert(eq(int, agent_state_take_config(s, config.data, config.len, &is_new, NULL), 0));
	cr_assert(eq(int, is_new, 1));
	(void)strcpy(s->agents, "host:2");
	(void)strcpy(s->ca, "-----BEGIN a");
	(void)strcpy(s->certificate, "-----BEGIN b");
	s->stage = AGENT_STAGE_ENROLLED;
}

Test(agent_state, keys_come_back_from_the_first_step_on_and_are_for_us_alone)
{
	struct agent_state s;
	struct agent_state back;
	struct stat st;
	make(&s, MSG_ROLE_SANDBOX);
	cr_assert(eq(int, agent_state_save(dir, &s, NULL), 0));
	cr_assert(eq(int, stat(file, &st), 0));
	cr_expect(eq(int, (int)(st.st_mode & 0777), 0600));
	cr_assert(eq(int, agent_state_load(dir, &back, NULL), 0));
	cr_expect(eq(int, back.stage, AGENT_STAGE_NEW));
	cr_expect(eq(int, memcmp(&s.request, &back.request, sizeof(s.request)), 0));
	cr_expect(eq(int, memcmp(s.ik_seed, back.ik_seed, 32), 0));
	cr_expect_str_eq(s.tls_key, back.tls_key);
	cr_expect_str_eq(back.people, "host:1");
	agent_state_done(&s);
	agent_state_done(&back);
}

Test(agent_state, an_enrolled_agent_comes_back_whole)
{
	struct agent_state s;
	struct agent_state back;
	make(&s, MSG_ROLE_CAPTURE);
	enrol(&s);
	cr_assert(eq(int, agent_state_save(dir, &s, NULL), 0));
	cr_assert(eq(int, agent_state_load(dir, &back, NULL), 0));
	cr_expect(eq(u32, back.keys.config_epoch, 7));
	cr_expect(eq(int, memcmp(back.keys.k_mle, s.keys.k_mle, 32), 0));
	cr_expect(eq(int, memcmp(back.keys.agent_id, s.answer.agent_id, 16), 0));
	cr_expect(eq(sz, back.config_len, s.config_len));
	cr_expect_str_eq(back.certificate, s.certificate);
	agent_state_done(&s);
	agent_state_done(&back);
}

Test(agent_state, a_file_that_others_may_read_is_not_used)
{
	struct agent_state s;
	struct err err = ERR_INIT;
	make(&s, MSG_ROLE_CAPTURE);
	cr_assert(eq(int, agent_state_save(dir, &s, NULL), 0));
	cr_assert(eq(int, chmod(file, 0640), 0));
	agent_state_done(&s);
	cr_expect(eq(int, agent_state_load(dir, &s, &err), -ERR_AUTH));
	cr_expect(ne(sz, strlen(err.hint), 0));
}

Test(agent_state, a_changed_or_cut_file_is_told_and_an_absent_one_too)
{
	struct agent_state s;
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	cr_expect(eq(int, agent_state_load(dir, &s, NULL), -ERR_NOT_FOUND));
	make(&s, MSG_ROLE_CAPTURE);
	enrol(&s);
	cr_assert(eq(int, agent_state_save(dir, &s, NULL), 0));
	agent_state_done(&s);
	cr_assert(eq(int, fdio_read_file(AT_FDCWD, file, &b, NULL), 0));
	for (size_t i = 0; i < b.len; i += 97) {
		int fd = open(file, O_WRONLY | O_TRUNC);
		b.data[i] ^= 1;
		size_t len = i % 2 == 0 ? b.len : i;
		cr_assert(eq(sz, (size_t)write(fd, b.data, len), len));
		(void)close(fd);
		b.data[i] ^= 1;
		cr_expect(eq(int, agent_state_load(dir, &s, NULL), -ERR_CORRUPT), "%zu", i);
	}
}

Test(agent_state, an_older_config_another_officers_and_another_domains_are_refused)
{
	struct agent_state s;
	int is_new = 0;
	uint8_t other[16] = { 77 };
	make(&s, MSG_ROLE_CAPTURE);
	enrol(&s);
	for (uint32_t epoch = 6; epoch <= 8; epoch++) {
		CLEANUP(buf_done) struct buf config = BUF_INIT(65536);
		make_config(epoch, s.answer.domain_id, &config);
		int rc = agent_state_take_config(&s, config.data, config.len, &is_new, NULL);
		cr_expect(eq(int, rc, epoch == 6 ? -ERR_ROLLBACK : 0));
		cr_expect(eq(int, is_new, epoch == 8));
	}
	CLEANUP(buf_done) struct buf config = BUF_INIT(65536);
	make_config(9, other, &config);
	cr_expect(eq(int, agent_state_take_config(&s, config.data, config.len, &is_new, NULL),
		-ERR_CORRUPT));
	s.answer.officer[0] ^= 1;
	cr_expect(eq(int, agent_state_take_config(&s, config.data, config.len, &is_new, NULL),
		-ERR_AUTH));
	agent_state_done(&s);
}

Test(agent_state, a_name_outside_the_grammar_is_told_before_keys_are_made)
{
	struct agent_state s;
	struct err err = ERR_INIT;
	cr_expect(
		eq(int, agent_state_make(&token, MSG_ROLE_CAPTURE, "A b", &s, &err), -ERR_CONFIG));
	cr_expect(ne(sz, strlen(err.hint), 0));
}

Test(agent_state, one_agent_at_a_time_runs_on_it)
{
	struct err err = ERR_INIT;
	int first = -1, second = -1;
	cr_assert(eq(int, agent_state_lock(dir, &first, &err), 0), "%s", err.msg);
	cr_expect(eq(int, agent_state_lock(dir, &second, &err), -ERR_BUSY));
	cr_expect(ne(ptr, strstr(err.msg, "another agent"), NULL));
	(void)close(first);
	cr_assert(eq(int, agent_state_lock(dir, &second, &err), 0), "%s", err.msg);
	(void)close(second);
	cr_expect(eq(int, agent_state_lock("/nonexistent/agent", &first, &err), -ERR_NOT_FOUND));
}
