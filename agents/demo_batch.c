#include "agents/demo_batch.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "agents/demo_file.h"
#include "agents/demo_pdf.h"
#include "agents/demo_rng.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Everything of a batch follows from seed, anchor and number, so that a later day finds it.
 * (2) A journal's times never decrease; a finished one ends with the end mark, a running one never
 *     holds it.
 */

#define DEMO_BATCH_FILE_BYTES 131072
#define DEMO_BATCH_TOOK_MS (150 * 60000)  /* a finished batch, at most */
#define DEMO_BATCH_BEGAN_MS (120 * 60000) /* the running one, before the anchor */
#define DEMO_BATCH_LATE_MS (170 * 60000)  /* later numbers, before the anchor */
#define DEMO_BATCH_EVENTS 96
#define DEMO_BATCH_LAB_ROWS 24

static const char *const products[] = { "Base coat 12", "Clear coat 4", "Primer 7", "Thinner 2" };
static const char *const phases[] = { "CHARGE", "HEAT", "REACT", "COOL", "TRANSFER", "CLEAN" };
static const char *const units[] = { "R101", "R102", "T201", "F301" };

struct batch {
	char id[DEMO_BATCH_ID_BYTES];
	char path[DEMO_BATCH_PATH_BYTES];
	struct demo_rng rng;
	int64_t start_ms, end_ms;
	bool is_running;
	unsigned product;
	unsigned lot;
	unsigned quantity_kg;
};

static int64_t start_of(const struct demo_batch_plan *plan, unsigned number)
{
	int64_t distance = (int64_t)number - (int64_t)plan->running;
	/* a later number ran beside the running one and is filed late: no record lies in the future
	 */
	if (distance > 0)
		return plan->anchor_ms - DEMO_BATCH_LATE_MS + distance % 20 * 60000;
	return plan->anchor_ms - DEMO_BATCH_BEGAN_MS + distance * DEMO_BATCH_EVERY_MS;
}

void demo_batch_name(const struct demo_batch_plan *plan, unsigned number,
	char id[DEMO_BATCH_ID_BYTES], char path[DEMO_BATCH_PATH_BYTES])
{
	char time[DEMO_FILE_TIME_BYTES];
	(void)demo_file_time(time, start_of(plan, number)); /* returns time */
	(void)snprintf(id, DEMO_BATCH_ID_BYTES, "L3-%07u", 1000000 + number % DEMO_BATCH_MAX);
	(void)snprintf(path, DEMO_BATCH_PATH_BYTES, "%.4s/%.2s/%s", time, time + 5, id); /* fits */
}

static struct batch make_batch(const struct demo_batch_plan *plan, unsigned number)
{
	struct batch b = { .rng = demo_rng_of(plan->seed, number) };
	demo_batch_name(plan, number, b.id, b.path);
	b.is_running = number == plan->running;
	b.start_ms = start_of(plan, number);
	b.end_ms = b.is_running ? plan->anchor_ms
				: b.start_ms + DEMO_BATCH_TOOK_MS -
					  (int64_t)demo_rng_below(&b.rng, 30 * 60000);
	b.product = demo_rng_below(&b.rng, 4);
	b.lot = 10000 + demo_rng_below(&b.rng, 90000);
	b.quantity_kg = 800 + demo_rng_below(&b.rng, 400);
	return b;
}

static int add_event(
	struct buf *out, struct demo_rng *rng, const struct batch *b, int64_t t_ms, struct err *err)
{
	char time[DEMO_FILE_TIME_BYTES];
	const char *phase = phases[demo_rng_below(rng, 6)];
	const char *unit = units[demo_rng_below(rng, 4)];
	unsigned value = demo_rng_below(rng, 10000);
	static const char *const what[] = { "Phase Start", "Phase End", "Parameter",
		"Operator Note" };
	return buf_addf(out, err, "%s\t%s\t%s\t%s\t%s\t%u.%02u\n", demo_file_time(time, t_ms),
		b->id, unit, phase, what[demo_rng_below(rng, 4)], value / 100, value % 100);
}

static int write_journal(int dirfd, struct batch *b, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_BATCH_FILE_BYTES);
	char time[DEMO_FILE_TIME_BYTES];
	/* the running one's last event is of this moment */
	int64_t step_ms = (b->end_ms - b->start_ms) / (DEMO_BATCH_EVENTS + !b->is_running);
	int rc = buf_addf(&out, err, "%s\t%s\t-\t-\tBeginning Of BATCH\t%s\n",
		demo_file_time(time, b->start_ms), b->id, products[b->product]);
	for (int i = 1; i <= DEMO_BATCH_EVENTS && rc == 0; i++)
		rc = add_event(&out, &b->rng, b, b->start_ms + i * step_ms, err);
	if (rc == 0 && !b->is_running)
		rc = buf_addf(&out, err, "%s\t%s\t-\t-\tEnd Of BATCH\tComplete\n",
			demo_file_time(time, b->end_ms), b->id);
	return rc == 0 ? demo_file_write(dirfd, path, &out, b->end_ms, err) : rc;
}

static int add_record_head(struct buf *out, const struct batch *b, struct err *err)
{
	char from[DEMO_FILE_TIME_BYTES], to[DEMO_FILE_TIME_BYTES];
	int rc = buf_addf(out, err,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<ProductionBatch xmlns=\"urn:holdfast:demo:batch\" version=\"1\">\n"
		"  <Id>%s</Id>\n  <State>%s</State>\n  <Line>Packaging line 3</Line>\n"
		"  <Recipe id=\"MR-%02u\" revision=\"%u\">%s</Recipe>\n  <Start>%s</Start>\n",
		b->id, b->is_running ? "Running" : "Complete", b->product + 1, 3 + b->product,
		products[b->product], demo_file_time(from, b->start_ms));
	if (rc == 0 && !b->is_running)
		rc = buf_addf(out, err, "  <End>%s</End>\n", demo_file_time(to, b->end_ms));
	return rc;
}

static int add_record_body(struct buf *out, struct batch *b, struct err *err)
{
	int rc = buf_addf(out, err, "  <Materials>\n");
	for (int i = 0; i < 6 && rc == 0; i++) {
		unsigned grams = demo_rng_below(&b->rng, 300000);
		rc = buf_addf(out, err,
			"    <Material lot=\"LOT%05u\" unit=\"kg\" actual=\"%u.%03u\">"
			"RM-%04u</Material>\n",
			b->lot + (unsigned)i, grams / 1000, grams % 1000,
			1000 + demo_rng_below(&b->rng, 60));
	}
	if (rc == 0)
		rc = buf_addf(out, err, "  </Materials>\n  <Procedure>\n");
	for (int i = 0; i < 24 && rc == 0; i++) {
		unsigned set = 2000 + demo_rng_below(&b->rng, 6000);
		rc = buf_addf(out, err,
			"    <Phase unit=\"%s\" name=\"%s\" number=\"%d\">"
			"<Parameter name=\"setpoint\" unit=\"degC\">%u.%02u</Parameter>"
			"<Report name=\"duration\" unit=\"s\">%u</Report></Phase>\n",
			units[demo_rng_below(&b->rng, 4)], phases[i % 6], i + 1, set / 100,
			set % 100, 60 + demo_rng_below(&b->rng, 900));
	}
	if (rc == 0)
		rc = buf_addf(out, err, "  </Procedure>\n");
	return rc;
}

static int write_record(int dirfd, struct batch *b, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_BATCH_FILE_BYTES);
	char time[DEMO_FILE_TIME_BYTES];
	int rc = add_record_head(&out, b, err);
	if (rc == 0)
		rc = add_record_body(&out, b, err);
	if (rc == 0 && !b->is_running)
		rc = buf_addf(&out, err,
			"  <Result unit=\"kg\">%u</Result>\n"
			"  <Release role=\"qa\" by=\"user%02u\" at=\"%s\"/>\n",
			b->quantity_kg, demo_rng_below(&b->rng, 20),
			demo_file_time(time, b->end_ms));
	if (rc == 0)
		rc = buf_addf(&out, err, "</ProductionBatch>\n");
	return rc == 0 ? demo_file_write(dirfd, path, &out, b->end_ms, err) : rc;
}

static int write_lab(int dirfd, struct batch *b, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_BATCH_FILE_BYTES);
	static const char *const tests[] = { "density", "viscosity", "pH", "solids" };
	char time[DEMO_FILE_TIME_BYTES];
	int64_t step_ms = (b->end_ms - b->start_ms) / DEMO_BATCH_LAB_ROWS;
	int rc = buf_addf(&out, err, "time,batch,test,value,analyst\n");
	for (int i = 0; i < DEMO_BATCH_LAB_ROWS && rc == 0; i++) {
		unsigned value = demo_rng_below(&b->rng, 20000);
		rc = buf_addf(&out, err, "%s,%s,%s,%u.%02u,lab%u\n",
			demo_file_time(time, b->start_ms + i * step_ms), b->id, tests[i % 4],
			value / 100, value % 100, demo_rng_below(&b->rng, 9));
	}
	return rc == 0 ? demo_file_write(dirfd, path, &out, b->end_ms, err) : rc;
}

static int write_report(int dirfd, struct batch *b, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_BATCH_FILE_BYTES);
	char text[4 + 6][96];
	const char *lines[4 + 6];
	char from[DEMO_FILE_TIME_BYTES], to[DEMO_FILE_TIME_BYTES];
	(void)snprintf(text[0], sizeof(text[0]), "Product: %s", products[b->product]);
	(void)snprintf(text[1], sizeof(text[1]), "Start: %s", demo_file_time(from, b->start_ms));
	(void)snprintf(text[2], sizeof(text[2]), "%s: %s", b->is_running ? "Printed" : "End",
		demo_file_time(to, b->end_ms));
	(void)snprintf(
		text[3], sizeof(text[3]), "Quantity: %u kg (lot %u)", b->quantity_kg, b->lot);
	for (int i = 0; i < 6; i++)
		(void)snprintf(text[4 + i], sizeof(text[0]), "Phase %s on %s: %u s", phases[i],
			units[demo_rng_below(&b->rng, 4)], 60 + demo_rng_below(&b->rng, 900));
	for (int i = 0; i < 10; i++)
		lines[i] = text[i];
	char title[64];
	(void)snprintf(title, sizeof(title), "Batch report %s", b->id); /* fits */
	int rc = demo_pdf_make(title, lines, 10, &out, err);
	return rc == 0 ? demo_file_write(dirfd, path, &out, b->end_ms, err) : rc;
}

int demo_batch_write(
	int dirfd, const struct demo_batch_plan *plan, unsigned number, struct err *err)
{
	static const struct {
		const char *name;
		int (*write)(int dirfd, struct batch *b, const char *path, struct err *err);
	} files[] = { { "record.xml", write_record }, { "journal.evt", write_journal },
		{ "lab.csv", write_lab }, { "report.pdf", write_report } };
	if (number >= DEMO_BATCH_MAX)
		return err_set(err, ERR_LIMIT, "more than %u batches", DEMO_BATCH_MAX);
	struct batch b = make_batch(plan, number);
	int rc = 0;
	for (size_t i = 0; i < 4 && rc == 0; i++) {
		char path[DEMO_BATCH_PATH_BYTES + 16];
		(void)snprintf(path, sizeof(path), "%s/%s", b.path, files[i].name); /* fits */
		rc = files[i].write(dirfd, &b, path, err);
	}
	return rc;
}

int demo_batch_grow(int dirfd, const struct demo_batch_plan *plan, unsigned events, int64_t from_ms,
	int64_t to_ms, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_BATCH_FILE_BYTES);
	struct batch b = make_batch(plan, plan->running);
	struct demo_rng rng = demo_rng_of(plan->seed, (uint64_t)to_ms);
	char path[DEMO_BATCH_PATH_BYTES + 16];
	(void)snprintf(path, sizeof(path), "%s/journal.evt", b.path); /* fits */
	int rc = 0;
	for (unsigned i = 1; i <= events && rc == 0; i++)
		rc = add_event(&out, &rng, &b, from_ms + (to_ms - from_ms) * i / events, err);
	return rc == 0 ? demo_file_append(dirfd, path, &out, err) : rc;
}
