#include "agents/demo_writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/demo_historian.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Between start and join the thread alone uses conn, signals and err.
 * (2) rows counts what the server has acknowledged, nothing else.
 * (3) A tag occurs at most once in a transaction, and times only grow, so (tagid, t_stamp) is
 *     unique.
 */

#define DEMO_WRITER_STEP_MS 100
#define DEMO_WRITER_DAY_MS 86400000
#define DEMO_WRITER_SQL_BYTES 16384

struct demo_writer {
	PGconn *conn; /* owned */
	pthread_t thread;
	bool is_running;
	int stop[2]; /* closing [1] ends the thread */
	unsigned rows_per_step;
	unsigned next_tag;
	int64_t last_ms;
	int64_t day; /* since 1970, for which table is known */
	char table[DEMO_HISTORIAN_NAME_BYTES];
	_Atomic uint64_t rows;
	struct demo_signal signals[DEMO_SIGNAL_TAGS];
	struct err err;
};

static int make_insert(struct demo_writer *w, struct buf *sql, struct err *err)
{
	int64_t t_ms = env_now_ns() / 1000000;
	if (t_ms <= w->last_ms)
		t_ms = w->last_ms + 1; /* the clock was set back */
	w->last_ms = t_ms;
	int rc = 0;
	if (w->day != t_ms / DEMO_WRITER_DAY_MS)
		rc = demo_historian_partition(w->conn, t_ms, w->table, err);
	w->day = t_ms / DEMO_WRITER_DAY_MS;
	if (rc == 0)
		rc = buf_addf(sql, err,
			"INSERT INTO %s (tagid, intvalue, floatvalue, dataintegrity, t_stamp) "
			"VALUES",
			w->table);
	for (unsigned i = 0; i < w->rows_per_step && rc == 0; i++) {
		unsigned tag = w->next_tag++ % DEMO_SIGNAL_TAGS;
		struct demo_sample s = demo_signal_next(&w->signals[tag]);
		const char *comma = i == 0 ? "" : ",";
		if (s.is_float)
			rc = buf_addf(sql, err, "%s(%u,NULL,%" PRId64 ".%02d,%d,%" PRId64 ")",
				comma, tag + 1, s.value / 100, (int)llabs(s.value % 100), s.quality,
				t_ms);
		else
			rc = buf_addf(sql, err, "%s(%u,%" PRId64 ",NULL,%d,%" PRId64 ")", comma,
				tag + 1, s.value, s.quality, t_ms);
	}
	return rc;
}

static int write_step(struct demo_writer *w, struct buf *sql, struct err *err)
{
	buf_clear(sql);
	int rc = make_insert(w, sql, err);
	if (rc != 0)
		return rc;
	const char *text = buf_cstr(sql);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	PGresult *res = libpq.PQexec(w->conn, text);
	if (libpq.PQresultStatus(res) == PGRES_COMMAND_OK)
		atomic_fetch_add(&w->rows, strtoull(libpq.PQcmdTuples(res), NULL, 10));
	else
		rc = err_set(err, ERR_FAILED, "unable to write samples: %.*s",
			(int)strcspn(libpq.PQerrorMessage(w->conn), "\n"),
			libpq.PQerrorMessage(w->conn));
	libpq_clear(res);
	return rc;
}

static void *write_samples(void *arg)
{
	struct demo_writer *w = arg;
	CLEANUP(buf_done) struct buf sql = BUF_INIT(DEMO_WRITER_SQL_BYTES);
	struct pollfd stop = { .fd = w->stop[0], .events = POLLIN };
	do {
		if (write_step(w, &sql, &w->err) != 0)
			break;
	} while (poll(&stop, 1, DEMO_WRITER_STEP_MS) == 0);
	return NULL;
}

DEFINE_CLEANUP(struct demo_writer *, demo_writer_free)

int demo_writer_start(struct demo_postgres *p, uint64_t seed, unsigned rate,
	struct demo_writer **out, struct err *err)
{
	if (rate == 0 || rate > DEMO_WRITER_MAX_RATE)
		return err_set(err, ERR_LIMIT, "a rate is 1 to %u rows/s", DEMO_WRITER_MAX_RATE);
	CLEANUP(demo_writer_free_p) struct demo_writer *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	w->stop[0] = w->stop[1] = -1;
	w->rows_per_step = (rate * DEMO_WRITER_STEP_MS + 999) / 1000;
	for (unsigned tag = 0; tag < DEMO_SIGNAL_TAGS; tag++)
		demo_signal_init(&w->signals[tag], seed, tag + 1);
	int rc = demo_historian_connect(p, &w->conn, err);
	if (rc != 0)
		return rc;
	if (pipe2(w->stop, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, "unable to make a pipe");
	/* signals are for the thread that asked for them */
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	w->is_running = pthread_create(&w->thread, NULL, write_samples, w) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!w->is_running)
		return err_set(err, ERR_NOMEM, "unable to start a thread");
	*out = TAKE(w);
	return 0;
}

uint64_t demo_writer_rows(const struct demo_writer *w)
{
	return atomic_load(&w->rows);
}

int demo_writer_stop(struct demo_writer *w, struct err *err)
{
	if (w->is_running) {
		(void)close(w->stop[1]); /* this is the signal */
		w->stop[1] = -1;
		(void)pthread_join(w->thread, NULL); /* ours, joined once */
		w->is_running = false;
	}
	if (w->err.code == 0)
		return 0;
	if (err != NULL)
		*err = w->err;
	return -w->err.code;
}

void demo_writer_free(struct demo_writer *w)
{
	if (w == NULL)
		return;
	(void)demo_writer_stop(w, NULL); /* its error does not matter any more */
	for (int i = 0; i < 2; i++) {
		if (w->stop[i] >= 0)
			(void)close(w->stop[i]); /* a pipe end */
	}
	libpq_finish(w->conn);
	free(w);
}
