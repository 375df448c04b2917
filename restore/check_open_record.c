#include "restore/check_open_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/truth.h"
#include "restore/checks.h"
#include "restore/record_form.h"
#include "restore/tree_truth.h"
#include "restore/tree_walk.h"
#include "restore/xml_probe.h"

/*
 * INVARIANTS
 * (1) The sample depends on the seed, the system's id and the records there, on nothing else, so
 *     that the same drill can be repeated.
 * (2) A record counts as opened once every file of it was read to its end; one that is too large
 *     for its form to be looked at is told with the result.
 */

#define CHECK_OPEN_RECORD_READ_BYTES ((size_t)1 << 18)
#define CHECK_OPEN_RECORD_FILE_MAX XML_PROBE_MAX_BYTES /* larger ones are read, not understood */
#define CHECK_OPEN_RECORD_NAME "record.xml"

DEFINE_CLEANUP(struct xml_probe *, xml_probe_free)
DEFINE_CLEANUP(struct truth *, truth_free)

struct paths {
	char **items; /* owned */
	size_t count, cap;
};

struct opening {
	struct checks_case *c;
	struct xml_probe *probe; /* owned */
	struct truth *found;     /* owned; batches as they are now */
	struct paths records;    /* folders of batches, or files */
	const char *record;      /* at hand */
	int64_t unjudged;        /* files too large for their form to be looked at */
	bool has_record_xml;
};

static void opening_done(struct opening *o)
{
	xml_probe_free(o->probe);
	truth_free(o->found);
	for (size_t i = 0; i < o->records.count; i++)
		free(o->records.items[i]);
	free(o->records.items);
}

static int add_path(struct paths *p, const char *path, size_t len, struct err *err)
{
	if (p->count == p->cap) {
		size_t cap = p->cap == 0 ? 256 : p->cap * 2;
		char **items = realloc(p->items, cap * sizeof(*items));
		if (items == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		p->items = items;
		p->cap = cap;
	}
	p->items[p->count] = strndup(path, len);
	if (p->items[p->count] == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->count++;
	return 0;
}

/* ---- one file ---- */

/* Read what is too large or of no known form. */
static int read_through(struct opening *o, int fd, const char *path, struct err *err)
{
	CLEANUP(cleanup_free_p) char *bytes = malloc(CHECK_OPEN_RECORD_READ_BYTES);
	ssize_t n;
	if (bytes == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	do {
		n = fdio_read_full(fd, bytes, CHECK_OPEN_RECORD_READ_BYTES);
	} while (n > 0);
	if (n < 0)
		checks_fault(o->c, "unable to read '%s': %s", path, strerror(errno));
	return 0;
}

static int open_xml(
	struct opening *o, const struct tree_walk_item *item, const struct buf *b, struct err *err)
{
	struct xml_probe_result r;
	const char *id = strrchr(o->record, '/');
	id = id == NULL ? o->record : id + 1;
	int rc = xml_probe_read(
		o->probe, b->data == NULL ? (const void *)"" : b->data, b->len, &r, err);
	if (rc != 0)
		return rc;
	if (!r.is_well_formed)
		checks_fault(o->c, "'%s/%s' is not well-formed: %s", o->record, item->name, r.why);
	if (o->found == NULL || strcmp(item->name, CHECK_OPEN_RECORD_NAME) != 0)
		return 0;
	o->has_record_xml = true;
	if (r.is_well_formed && strcmp(r.id, id) != 0)
		checks_fault(o->c, "'%s/%s' is the record of '%s'", o->record, item->name, r.id);
	return 0;
}

static bool is_running(const struct opening *o)
{
	const char *id = strrchr(o->record, '/');
	id = id == NULL ? o->record : id + 1;
	for (size_t i = 0; o->found != NULL && i < o->found->batch_count; i++) {
		if (strcmp(o->found->batches[i].id, id) == 0)
			return o->found->batches[i].is_running;
	}
	return false;
}

/* What is wrong with the form of ${name}, or NULL. */
static const char *form_of(const struct opening *o, const char *name, const struct buf *b)
{
	int64_t count;
	const char *data = b->data == NULL ? "" : (const char *)b->data;
	if (tree_walk_has_suffix(name, ".pdf"))
		return record_form_pdf(data, b->len);
	if (tree_walk_has_suffix(name, ".csv"))
		return record_form_csv(data, b->len, &count);
	if (strcmp(name, TREE_TRUTH_JOURNAL) == 0)
		return record_form_journal(data, b->len, is_running(o), &count);
	return NULL;
}

/* True for a file whose content has to have a form. */
static bool has_form(const char *name)
{
	return tree_walk_has_suffix(name, ".xml") || tree_walk_has_suffix(name, ".pdf") ||
	       tree_walk_has_suffix(name, ".csv") || strcmp(name, TREE_TRUTH_JOURNAL) == 0;
}

/* Too large to be held and understood: that its bytes can be read is all that is shown. */
static int open_large(struct opening *o, const struct tree_walk_item *item, int fd, struct err *err)
{
	o->has_record_xml = o->has_record_xml || strcmp(item->name, CHECK_OPEN_RECORD_NAME) == 0;
	if (has_form(item->name)) {
		o->unjudged++;
		checks_tell(o->c, "'%s/%s' is larger than %zu bytes: its form was not looked at",
			o->record, item->path, CHECK_OPEN_RECORD_FILE_MAX);
	}
	return read_through(o, fd, item->path, err);
}

static int open_file(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct opening *o = arg;
	if (!S_ISREG(item->st->st_mode))
		return checks_stop(o->c, err);
	CLEANUP(cleanup_close_p) int fd = tree_walk_open(item);
	if (fd < 0) {
		checks_fault(
			o->c, "unable to open '%s/%s': %s", o->record, item->path, strerror(errno));
		return 0;
	}
	if ((uint64_t)item->st->st_size > CHECK_OPEN_RECORD_FILE_MAX)
		return open_large(o, item, fd, err);
	CLEANUP(buf_done) struct buf b = BUF_INIT(CHECK_OPEN_RECORD_FILE_MAX);
	struct err why = ERR_INIT;
	int rc = fdio_read_all(fd, &b, &why);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		checks_fault(o->c, "unable to read '%s/%s': %s", o->record, item->path, why.msg);
		return 0;
	}
	if (tree_walk_has_suffix(item->name, ".xml"))
		return open_xml(o, item, &b, err);
	const char *wrong = form_of(o, item->name, &b);
	if (wrong != NULL)
		checks_fault(o->c, "'%s/%s': %s", o->record, item->path, wrong);
	return 0;
}

/* ---- one record ---- */

static int open_batch(struct opening *o, int root, const char *path, struct err *err)
{
	CLEANUP(cleanup_close_p)
	int dir = tree_walk_open_path(root, path, O_RDONLY | O_DIRECTORY);
	o->record = path;
	o->has_record_xml = false;
	if (dir < 0) {
		checks_fault(o->c, "unable to open '%s': %s", path, strerror(errno));
		return 0;
	}
	int rc = tree_walk_run(dir, open_file, o, err);
	if (rc == 0 && !o->has_record_xml)
		checks_fault(o->c, "batch '%s' has no " CHECK_OPEN_RECORD_NAME, path);
	return rc;
}

static int open_single(struct opening *o, int root, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_free_p)
	char *dir = slash == NULL ? strdup("") : strndup(path, (size_t)(slash - path));
	struct stat st;
	if (dir == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p)
	int dirfd = tree_walk_open_path(root, dir, O_RDONLY | O_DIRECTORY);
	const char *name = slash == NULL ? path : slash + 1;
	o->record = dir;
	if (dirfd < 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		checks_fault(o->c, "unable to open '%s': %s", path, strerror(errno));
		return 0;
	}
	const struct tree_walk_item item = { name, dirfd, name, &st };
	return open_file(o, &item, err);
}

/* ---- all of them ---- */

static int list_batch(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct opening *o = arg;
	if (!S_ISREG(item->st->st_mode) || strcmp(item->name, TREE_TRUTH_JOURNAL) != 0)
		return checks_stop(o->c, err);
	const char *slash = strrchr(item->path, '/');
	return slash == NULL ? 0
			     : add_path(&o->records, item->path, (size_t)(slash - item->path), err);
}

static int list_file(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct opening *o = arg;
	if (!S_ISREG(item->st->st_mode))
		return checks_stop(o->c, err);
	return add_path(&o->records, item->path, strlen(item->path), err);
}

static void tell_difference(void *ctx, const char *text)
{
	checks_fault(ctx, "%s", text);
}

/* What the source wrote down of its batches against what is there. */
static int compare_batches(struct opening *o, int root, struct err *err)
{
	static const struct tree_truth_opts opts = { .has_batches = true };
	const struct truth *facts = o->c->place->truth;
	o->found = truth_new();
	if (o->found == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = tree_truth_add(root, &opts, o->found, err);
	if (rc == 0)
		rc = truth_seal(o->found, err);
	if (rc != 0)
		return rc;
	if (o->found->newest_ms != TRUTH_NO_TIME)
		o->c->newest_ms = o->found->newest_ms;
	if (facts == NULL || !facts->has_batches) {
		checks_tell(o->c, "the source wrote no list of batches: completeness not shown");
		return 0;
	}
	/* only the batches and the newest time: files and tables have checks of their own */
	struct truth want = *facts;
	want.has_database = want.has_files = false;
	(void)truth_compare(&want, o->found, tell_difference, o->c); /* counted by the teller */
	return 0;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Bring a random choice of ${want} records to the front.  Return how many there are. */
static size_t choose(struct opening *o, size_t want)
{
	uint64_t state = o->c->place->seed;
	struct paths *p = &o->records;
	for (const char *s = o->c->place->system->id; *s != '\0'; s++)
		state = state * 31 + (unsigned char)*s;
	if (want > p->count)
		want = p->count;
	for (size_t i = 0; i < want; i++) {
		size_t k = i + (size_t)(next_random(&state) % (p->count - i));
		char *other = p->items[i];
		p->items[i] = p->items[k];
		p->items[k] = other;
	}
	return want;
}

static int open_sample(struct opening *o, int root, struct err *err)
{
	struct checks_case *c = o->c;
	const bool is_batch = o->found != NULL;
	const size_t want = choose(o, (size_t)c->check->sample);
	const int64_t missing = c->faults;
	int64_t good = 0;
	int rc = 0;
	for (size_t i = 0; i < want && rc == 0; i++) {
		const int64_t before = c->faults;
		const char *path = o->records.items[i];
		rc = is_batch ? open_batch(o, root, path, err) : open_single(o, root, path, err);
		c->items++;
		good += c->faults == before;
	}
	if (rc != 0)
		return rc;
	const struct plan_expect *e = &c->check->expect;
	if (e->kind == PLAN_EXPECT_VALUE && !plan_expect_holds(e, (double)good, NAN))
		checks_fault(c, "%" PRId64 " records are readable, expected %s", good,
			c->check->expect_text);
	char unjudged[64] = "";
	if (o->unjudged > 0)
		(void)snprintf(unjudged, sizeof(unjudged),
			", the form of %" PRId64 " large files not looked at",
			o->unjudged); /* fits */
	checks_summarize(c, "%" PRId64 " of %zu sampled %s are readable (seed %016" PRIx64 ")%s%s",
		good, want, is_batch ? "batches" : "files", c->place->seed,
		is_batch && missing == 0 && c->place->truth != NULL && c->place->truth->has_batches
			? ", none is missing"
			: "",
		unjudged);
	checks_tell(c, "%zu records there, %zu sampled with seed %016" PRIx64, o->records.count,
		want, c->place->seed);
	return 0;
}

int check_open_record_run(struct checks_case *c, struct err *err)
{
	CLEANUP(opening_done) struct opening o = { .c = c, .record = "" };
	const bool is_batch = c->place->system->type == PLAN_SYSTEM_BATCH_RECORDS;
	CLEANUP(cleanup_close_p) int root = checks_open_root(c);
	if (root < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", c->place->root);
	int rc = xml_probe_new(&o.probe, err);
	if (rc == 0 && is_batch)
		rc = compare_batches(&o, root, err);
	if (rc == 0)
		rc = tree_walk_run(root, is_batch ? list_batch : list_file, &o, err);
	return rc == 0 ? open_sample(&o, root, err) : rc;
}

/* True if cutting the file of this record after its first byte ends its form. */
static bool is_cut_seen(const char *path)
{
	return tree_walk_has_suffix(path, ".xml") || tree_walk_has_suffix(path, ".pdf");
}

int check_open_record_find(struct checks_case *c, char out[PATH_MAX], struct err *err)
{
	CLEANUP(opening_done) struct opening o = { .c = c, .record = "" };
	const bool is_batch = c->place->system->type == PLAN_SYSTEM_BATCH_RECORDS;
	CLEANUP(cleanup_close_p) int root = checks_open_root(c);
	if (root < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", c->place->root);
	int rc = tree_walk_run(root, is_batch ? list_batch : list_file, &o, err);
	if (rc != 0)
		return rc;
	const size_t want = choose(&o, (size_t)c->check->sample);
	for (size_t i = 0; i < want; i++) {
		const char *path = o.records.items[i];
		if (!is_batch && !is_cut_seen(path))
			continue;
		int n = snprintf(out, PATH_MAX, "%s%s%s%s", c->place->root,
			c->place->root[0] == '\0' ? "" : "/", path,
			is_batch ? "/" CHECK_OPEN_RECORD_NAME : "");
		return n < 0 || n >= PATH_MAX
			       ? err_set(err, ERR_LIMIT, "path '%s' is too long", path)
			       : 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no sampled record has a form of its own");
}
