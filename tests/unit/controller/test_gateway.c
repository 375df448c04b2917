#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/gateway.h"
#include "net/loop.h"
#include "tests/lib/gateway_fixture.h"
#include "vault/record.h"
#include "vault/snapshot.h"

static struct gateway_fixture f;
static struct loop *loop;
static struct gateway *gate;
static const struct domain *struck; /* what counts once a commit is asked for, or NULL */
static int commits, refusals;
static char committed_job[MSG_ID_HEX], committed_source[64];

static void on_commit(void *arg, const char *job, const struct snapshot *made)
{
	(void)arg;
	cr_assert(ne(ptr, (void *)(uintptr_t)made, NULL));
	commits++;
	(void)snprintf(committed_source, sizeof(committed_source), "%s", made->label.source);
	(void)snprintf(committed_job, sizeof(committed_job), "%s", job);
}

static void on_refused(void *arg, const uint8_t agent_id[16], const char *grant, const char *why)
{
	(void)arg, (void)agent_id, (void)grant, (void)why;
	refusals++;
}

static void setup(void)
{
	struct err err = ERR_INIT;
	gateway_fixture_init(&f);
	cr_assert(eq(int, loop_new(&loop, &err), 0), "%s", err.msg);
	const struct gateway_opts opts = { .loop = loop,
		.vault = f.vault,
		.on_commit = on_commit,
		.on_refused = on_refused,
		.max_sessions = 3,
		.max_grants = 2 };
	cr_assert(eq(int, gateway_new(&opts, &gate, &err), 0), "%s", err.msg);
	gateway_set_readers(gate, &f.domain);
}

static void teardown(void)
{
	gateway_free(gate);
	loop_free(loop);
	gateway_fixture_done(&f);
}

TestSuite(gateway, .init = setup, .fini = teardown);

/* One answer, waited for. */
struct answer {
	int rc;
	struct err err;
	struct buf data;
	bool is_there;
};

static void on_answer(void *arg, int rc, const struct err *why, const void *data, size_t len)
{
	struct answer *a = arg;
	a->rc = rc;
	if (why != NULL)
		a->err = *why;
	cr_assert(eq(int, buf_add(&a->data, data, len, NULL), 0));
	a->is_there = true;
	loop_stop(loop);
}

static struct answer fresh(void)
{
	struct answer a = { .rc = 1, .data = BUF_INIT((size_t)64 << 20) };
	return a;
}

static int wait_for(struct answer *a, int handed, struct err *err)
{
	if (handed != 0)
		return handed;
	while (!a->is_there)
		cr_assert(eq(int, loop_run(loop, NULL), 0));
	if (a->rc != 0 && err != NULL)
		*err = a->err;
	return a->rc;
}

static const char job_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  job_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static int begin(const char *source, const char *job, char session[MSG_ID_HEX], struct err *err)
{
	struct answer a = fresh();
	struct msg_begun m = { .config = NULL };
	struct msg_begin ask = { .attempt = 1 };
	const struct gateway_begin b = { .ask = &ask, .config = "config", .config_len = 6 };
	(void)snprintf(ask.source, sizeof(ask.source), "%s", source);
	(void)snprintf(ask.job, sizeof(ask.job), "%s", job);
	int rc = wait_for(&a, gateway_begin(gate, f.agent.agent_id, &b, on_answer, &a, err), err);
	if (rc == 0)
		rc = msg_vault_begun_decode(a.data.data, a.data.len, &m, err);
	if (rc == 0)
		memcpy(session, m.session, MSG_ID_HEX);
	msg_vault_begun_done(&m);
	buf_done(&a.data);
	return rc;
}

static int has(const uint8_t agent_id[16], const char *session, struct err *err)
{
	static const uint8_t id[32];
	struct answer a = fresh();
	int rc =
		wait_for(&a, gateway_has(gate, agent_id, session, id, 32, on_answer, &a, err), err);
	buf_done(&a.data);
	return rc;
}

/* ---- a port over the gateway ---- */

static char port_session[MSG_ID_HEX];

static int port_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err)
{
	(void)agent_id, (void)source_id;
	memset(base, 0, sizeof(*base));
	return begin(self, job_a, port_session, err);
}

static int port_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	struct answer a = fresh();
	(void)self;
	int rc = wait_for(&a,
		gateway_has(gate, f.agent.agent_id, port_session, &ids[0][0], count * 32, on_answer,
			&a, err),
		err);
	if (rc == 0)
		memcpy(present, a.data.data, count);
	buf_done(&a.data);
	return rc;
}

static int port_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct answer a = fresh();
	(void)self;
	int rc = wait_for(&a,
		gateway_put(gate, f.agent.agent_id, port_session, batch, len, on_answer, &a, err),
		err);
	buf_done(&a.data);
	return rc;
}

/* Puts that fill a pack: the last of them waits at the store's door until it is let in, and so does
 * what is asked for next. */
#define AHEAD 5
#define AHEAD_BYTES (8u << 20)
static struct answer ahead[AHEAD];
static uint8_t ahead_of[AHEAD][AHEAD_BYTES];
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_t outside;
static atomic_int knocks;

static int openat_behind_door(int dirfd, const char *path, int flags, mode_t mode)
{
	if (!pthread_equal(pthread_self(), outside)) {
		knocks++;
		(void)pthread_mutex_lock(&door);
		(void)pthread_mutex_unlock(&door);
	}
	return env_real()->openat(dirfd, path, flags, mode);
}

static void keep_busy(void)
{
	for (size_t i = 0; i < AHEAD; i++) {
		uint8_t *cr = ahead_of[i];
		record_header(1, RECORD_DATA, AHEAD_BYTES, cr);
		cr[RECORD_HEADER_BYTES] = (uint8_t)i;
		ahead[i] = fresh();
		cr_assert(eq(int,
			gateway_put(gate, f.agent.agent_id, port_session, cr, AHEAD_BYTES,
				on_answer, &ahead[i], NULL),
			0));
	}
}

/* A newer session of the source begins while a commit is at the store's door: that ends the older
 * one, and its thread closes it before the loop hears of the commit. */
static bool is_overtaken;
static struct answer newer;

static void overtake(void)
{
	struct msg_begin ask = { .attempt = 2, .source = "hist" };
	const struct gateway_begin b = { .ask = &ask, .config = "config", .config_len = 6 };
	const int before = __atomic_load_n(&f.opened, __ATOMIC_SEQ_CST);
	(void)snprintf(ask.job, sizeof(ask.job), "%032d", 2);
	newer = fresh();
	while (knocks == 0)
		(void)sched_yield();
	cr_assert(eq(int, gateway_begin(gate, f.agent.agent_id, &b, on_answer, &newer, NULL), 0));
	(void)pthread_mutex_unlock(&door);
	while (__atomic_load_n(&f.opened, __ATOMIC_SEQ_CST) == before)
		(void)sched_yield();
}

static int ask_commit(const struct buf *body, struct answer *a, struct err *err)
{
	static struct env_ops ops;
	ops = *env_real();
	ops.openat = openat_behind_door;
	outside = pthread_self();
	if (struck != NULL || is_overtaken) {
		(void)env_swap(&ops);
		(void)pthread_mutex_lock(&door);
	}
	if (struck != NULL)
		keep_busy();
	int rc = gateway_commit(
		gate, f.agent.agent_id, port_session, body->data, body->len, on_answer, a, err);
	if (struck != NULL) {
		gateway_set_readers(gate, struck);
		(void)pthread_mutex_unlock(&door);
	}
	if (is_overtaken)
		overtake();
	return rc;
}

static int port_commit(
	void *self, const struct port_commit *c, struct port_receipt *receipt, struct err *err)
{
	struct answer list = fresh(), a = fresh();
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);
	(void)self;
	int rc = wait_for(&list,
		gateway_list(gate, f.agent.agent_id, port_session, 0, c->segments, c->segments_len,
			on_answer, &list, err),
		err);
	if (rc == 0)
		rc = msg_vault_commit_encode(c, &body, err);
	if (rc == 0)
		rc = wait_for(&a, ask_commit(&body, &a, err), err);
	if (rc == 0)
		rc = msg_vault_receipt_decode(a.data.data, a.data.len, receipt, err);
	buf_done(&a.data);
	buf_done(&list.data);
	return rc;
}

static void port_abort(void *self)
{
	(void)self;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const uint8_t text[] = "batch 4711 complete\n";
static const struct fake_file files[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt", .kind = ENTRY_FILE, .data = text, .len = sizeof(text) },
};

static int try_back_up(const char *source, struct err *err)
{
	struct backup_result out;
	const struct port port = { .self = (void *)(uintptr_t)source,
		.begin = port_begin,
		.has = port_has,
		.put = port_put,
		.commit = port_commit,
		.abort = port_abort };
	return gateway_fixture_backup(&f, &port, source, files, COUNT(files), &out, err);
}

static void back_up(const char *source)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, try_back_up(source, &err), 0), "%s", err.msg);
}

Test(gateway, a_backup_through_threads_is_told_with_its_job)
{
	back_up("hist");
	cr_expect(eq(int, commits, 1));
	cr_expect(eq(str, committed_job, (char *)(uintptr_t)job_a));
}

Test(gateway, a_commit_that_waits_goes_by_the_keys_that_count_when_it_runs)
{
	struct err err = ERR_INIT;
	struct domain newest = f.domain;
	newest.recovery_count = 0; /* its envelope is left out, which no vault takes */
	struck = &newest;
	cr_expect(eq(int, try_back_up("hist", &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "no envelope for a recovery key"), NULL), "%s", err.msg);
	cr_expect(eq(int, commits, 0));
	for (size_t i = 0; i < AHEAD; i++) {
		cr_expect(eq(int, ahead[i].rc, 0), "%s", ahead[i].err.msg);
		buf_done(&ahead[i].data);
	}
	(void)env_swap(NULL);
}

Test(gateway, what_a_commit_made_is_told_after_its_session_was_closed)
{
	is_overtaken = true;
	back_up("hist");
	cr_expect(eq(int, commits, 1));
	cr_expect(eq(str, committed_source, "hist"));
	cr_expect(eq(int, wait_for(&newer, 0, NULL), 0), "%s", newer.err.msg);
	buf_done(&newer.data);
	(void)env_swap(NULL);
}

Test(gateway, a_session_is_known_to_its_own_agent_only)
{
	static const uint8_t other[16] = { 9 };
	struct err err = ERR_INIT;
	char session[MSG_ID_HEX];
	int64_t attempt = 0;
	cr_assert(eq(int, begin("hist", job_a, session, &err), 0), "%s", err.msg);
	cr_expect(eq(int, has(f.agent.agent_id, session, &err), 0), "%s", err.msg);
	struct err strange = ERR_INIT, unknown = ERR_INIT;
	cr_expect(eq(int, has(other, session, &strange), -ERR_INTERRUPTED));
	cr_expect(eq(int, has(f.agent.agent_id, "00000000000000000000000000000000", &unknown),
		-ERR_INTERRUPTED));
	cr_expect(eq(str, strange.msg, unknown.msg));
	cr_expect(eq(ptr, (void *)(uintptr_t)gateway_job(gate, other, session, &attempt), NULL));
	cr_expect(eq(str, (char *)(uintptr_t)gateway_job(gate, f.agent.agent_id, session, &attempt),
		(char *)(uintptr_t)job_a));
}

Test(gateway, a_store_that_went_behind_what_the_catalog_knows_is_told)
{
	struct err err = ERR_INIT;
	struct msg_begin ask = { .attempt = 1, .source = "hist" };
	struct gateway_begin b = { .ask = &ask, .config = "config", .config_len = 6 };
	(void)snprintf(ask.job, sizeof(ask.job), "%s", job_b);
	back_up("hist");
	b.memory = (struct session_base_memory){ .seq = 2, .hash = { 7 } };
	for (int64_t seq = 1; seq <= 2; seq++) { /* another one of this number; a later one */
		struct answer a = fresh();
		b.memory.seq = (uint64_t)seq;
		cr_expect(eq(int,
			wait_for(&a, gateway_begin(gate, f.agent.agent_id, &b, on_answer, &a, &err),
				&err),
			-ERR_ROLLBACK));
		cr_expect(ne(ptr, strstr(err.msg, "the store went back"), NULL), "%s", err.msg);
		buf_done(&a.data);
	}
}

Test(gateway, a_newer_session_of_the_source_ends_the_older_one)
{
	struct err err = ERR_INIT;
	char one[MSG_ID_HEX], two[MSG_ID_HEX];
	cr_assert(eq(int, begin("hist", job_a, one, &err), 0), "%s", err.msg);
	cr_assert(eq(int, begin("hist", job_b, two, &err), 0), "%s", err.msg);
	cr_expect(eq(int, has(f.agent.agent_id, one, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, has(f.agent.agent_id, two, &err), 0), "%s", err.msg);
}

static atomic_llong ahead_ns;

static int64_t mono_ahead(void)
{
	return env_real()->mono_ns() + ahead_ns;
}

Test(gateway, an_idle_session_ends_unless_its_job_says_that_it_lives)
{
	struct env_ops ops = *env_real();
	struct err err = ERR_INIT;
	char silent[MSG_ID_HEX], alive[MSG_ID_HEX];
	ops.mono_ns = mono_ahead;
	const struct env_ops *before = env_swap(&ops);
	cr_assert(eq(int, begin("a", job_a, silent, &err), 0));
	cr_assert(eq(int, begin("b", job_b, alive, &err), 0));
	for (int i = 0; i < 4; i++) {
		ahead_ns += GATEWAY_IDLE_MS * 1000000LL / 2;
		gateway_touch_job(gate, job_b);
		(void)gateway_tick(gate, 0);
	}
	cr_expect(eq(int, has(f.agent.agent_id, silent, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, has(f.agent.agent_id, alive, &err), 0), "%s", err.msg);
	(void)env_swap(before);
}

Test(gateway, sessions_end_with_their_job_and_are_limited)
{
	struct err err = ERR_INIT;
	char s[4][MSG_ID_HEX];
	cr_assert(eq(int, begin("a", job_a, s[0], &err), 0));
	cr_assert(eq(int, begin("b", job_a, s[1], &err), 0));
	cr_assert(eq(int, begin("c", job_b, s[2], &err), 0));
	cr_expect(eq(int, begin("d", job_b, s[3], &err), -ERR_BUSY));
	gateway_end_job(gate, job_a);
	cr_expect(eq(int, has(f.agent.agent_id, s[0], &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, has(f.agent.agent_id, s[2], &err), 0));
	cr_expect(eq(int, begin("d", job_b, s[3], &err), 0), "%s", err.msg);
	cr_expect(eq(int, gateway_abort(gate, f.agent.agent_id, s[3], &err), 0));
	cr_expect(eq(int, has(f.agent.agent_id, s[3], &err), -ERR_INTERRUPTED));
}

Test(gateway, a_grant_reads_what_it_covers_and_a_refusal_is_told)
{
	static const uint8_t drill_agent[16] = { 3 };
	static const char *const sources[] = { "hist" };
	static const uint8_t unknown[32] = { 1 };
	struct err err = ERR_INIT;
	const struct gateway_grant_of of = {
		.at_ms = INT64_MAX, .sources = sources, .source_count = 1
	};
	struct answer open = fresh(), points = fresh(), record = fresh();
	back_up("hist");
	cr_assert(eq(int,
			  wait_for(&open,
				  gateway_open_grant(
					  gate, drill_agent, job_b, &of, on_answer, &open, &err),
				  &err),
			  0),
		"%s", err.msg);
	cr_expect(eq(int,
		wait_for(&points,
			gateway_points(gate, drill_agent, job_b, on_answer, &points, &err), &err),
		0));
	cr_expect(eq(int,
		wait_for(&record,
			gateway_records(
				gate, drill_agent, job_b, unknown, 32, on_answer, &record, &err),
			&err),
		-ERR_NOT_FOUND));
	cr_expect(eq(int, refusals, 1));
	gateway_end_agent(gate, drill_agent);
	cr_expect(eq(int, gateway_points(gate, drill_agent, job_b, on_answer, &points, &err),
		-ERR_INTERRUPTED));
	buf_done(&open.data);
	buf_done(&points.data);
	buf_done(&record.data);
}

Test(gateway, what_is_asked_of_a_grant_that_does_not_open_is_answered)
{
	static const uint8_t drill_agent[16] = { 3 };
	static const uint8_t id[32] = { 1 };
	struct err err = ERR_INIT;
	const struct gateway_grant_of none = { .at_ms = INT64_MAX };
	struct answer open = fresh(), points = fresh(), record = fresh();
	cr_assert(eq(int,
		gateway_open_grant(gate, drill_agent, job_b, &none, on_answer, &open, &err), 0));
	/* before the loop hears of it: the grant is known by its job's id */
	cr_assert(eq(int, gateway_points(gate, drill_agent, job_b, on_answer, &points, &err), 0));
	cr_assert(eq(int,
		gateway_records(gate, drill_agent, job_b, id, 32, on_answer, &record, &err), 0));
	cr_expect(eq(int, wait_for(&open, 0, &err), -ERR_LIMIT));
	cr_expect(eq(int, wait_for(&points, 0, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, wait_for(&record, 0, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, refusals, 0));
	buf_done(&open.data);
	buf_done(&points.data);
	buf_done(&record.data);
}

Test(gateway, ends_with_requests_in_work_and_answers_each)
{
	/* teardown frees the gateway while these wait: each is answered, none leaks */
	struct err err = ERR_INIT;
	char session[MSG_ID_HEX];
	static struct answer waiting[8];
	static const uint8_t id[32];
	cr_assert(eq(int, begin("hist", job_a, session, &err), 0));
	for (size_t i = 0; i < 8; i++) {
		waiting[i] = fresh();
		cr_assert(eq(int,
			gateway_has(gate, f.agent.agent_id, session, id, 32, on_answer, &waiting[i],
				&err),
			0));
	}
	gateway_free(gate);
	gate = NULL;
	for (size_t i = 0; i < 8; i++) {
		cr_expect(waiting[i].is_there);
		buf_done(&waiting[i].data);
	}
}
