#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/jsonx.h"
#include "conf/conf_problems.h"
#include "controller/drill_desk_internal.h"
#include "plans/plan.h"
#include "restore/erase_tree.h"
#include "restore/report_form.h"

/*
 * INVARIANTS
 * (1) An exercise id was checked to be a UUID by whoever calls, and names come from the desk, so
 *     that a path never leaves the directory of reports.
 * (2) Every file is whole or not there.
 */

#define NOTE "order.json"
#define GRANTED "granted.json"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define NS_PER_MS 1000000
#define FILE_MAX ((size_t)1 << 20)

DEFINE_CLEANUP(json_t *, json_decref)

static int join(char out[PATH_MAX], const char *exercise, const char *name, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", exercise, name);
	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "name '%s' is too long", name) : 0;
}

int drill_desk_files_make(int dirfd, const char *exercise, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, exercise, DRILL_DESK_EVIDENCE, err);
	if (rc != 0)
		return rc;
	if ((env_mkdirat(dirfd, exercise, 0700) != 0 && errno != EEXIST) ||
		(env_mkdirat(dirfd, path, 0700) != 0 && errno != EEXIST))
		return err_sys(err, ERR_IO, "unable to make a directory for exercise %s", exercise);
	return 0;
}

int drill_desk_files_erase(int dirfd, const char *exercise, struct err *err)
{
	int rc = erase_tree_run(dirfd, exercise, NULL, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to remove exercise %s", exercise);
}

int drill_desk_files_put(int dirfd, const char *exercise, const char *name, const void *data,
	size_t len, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, exercise, name, err);
	return rc == 0 ? atomic_file_write(dirfd, path, 0600, data, len, err) : rc;
}

int drill_desk_files_get(
	int dirfd, const char *exercise, const char *name, struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, exercise, name, err);
	return rc == 0 ? fdio_read_file(dirfd, path, out, err) : rc;
}

void drill_desk_files_boot(char out[DRILL_DESK_BOOT_BYTES])
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	out[0] = '\0';
	if (fdio_read_file(AT_FDCWD, BOOT_ID, &text, NULL) != 0 || buf_cstr(&text) == NULL)
		return; /* then the wall clock has to do */
	(void)snprintf(out, DRILL_DESK_BOOT_BYTES, "%.*s", (int)strcspn(buf_cstr(&text), "\n"),
		buf_cstr(&text)); /* 36 characters */
}

static int put_json(
	int dirfd, const char *exercise, const char *name, const json_t *value, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX);
	int rc = value == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			       : jsonx_encode(value, &text, err);
	return rc == 0 ? drill_desk_files_put(dirfd, exercise, name, text.data, text.len, err) : rc;
}

static int get_json(
	int dirfd, const char *exercise, const char *name, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX);
	int rc = drill_desk_files_get(dirfd, exercise, name, &text, err);
	return rc == 0 ? jsonx_parse(text.data, text.len, name, out, err) : rc;
}

int drill_desk_files_put_note(int dirfd, const struct drill_desk_note *n, struct err *err)
{
	CLEANUP(json_decref_p)
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "plan_name", n->plan_name,
		"trigger", n->trigger, "scenario", n->scenario, "declared_ms",
		(json_int_t)n->declared_ms, "boot", n->boot, "declared_mono_ms",
		(json_int_t)n->declared_mono_ms, "ordered_mono_ms", (json_int_t)n->ordered_mono_ms);
	return put_json(dirfd, n->exercise, NOTE, o, err);
}

static bool copy(char *out, size_t size, const char *text)
{
	int n = snprintf(out, size, "%s", text);
	return n >= 0 && (size_t)n < size;
}

int drill_desk_files_get_note(
	int dirfd, const char *exercise, struct drill_desk_note *out, struct err *err)
{
	CLEANUP(json_decref_p) json_t *o = NULL;
	const char *plan_name, *trigger, *scenario, *boot;
	json_int_t declared, mono, ordered;
	int rc = get_json(dirfd, exercise, NOTE, &o, err);
	if (rc == -ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "there is no order of exercise %s", exercise);
	if (rc != 0)
		return rc;
	struct drill_desk_note *n = out;
	if (json_unpack(o, "{s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "plan_name", &plan_name,
		    "trigger", &trigger, "scenario", &scenario, "declared_ms", &declared, "boot",
		    &boot, "declared_mono_ms", &mono, "ordered_mono_ms", &ordered) != 0 ||
		!copy(n->exercise, sizeof(n->exercise), exercise) ||
		!copy(n->plan_name, sizeof(n->plan_name), plan_name) ||
		!copy(n->trigger, sizeof(n->trigger), trigger) ||
		!copy(n->scenario, sizeof(n->scenario), scenario) ||
		!copy(n->boot, sizeof(n->boot), boot))
		return err_set(err, ERR_CORRUPT, "'%s/" NOTE "' is damaged", exercise);
	n->declared_ms = declared;
	n->declared_mono_ms = mono;
	n->ordered_mono_ms = ordered;
	return 0;
}

static json_t *pack_point(const struct drill_desk_point *p)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "source", p->source, "snapshot",
		p->snapshot, "root_id", p->root_id, "seq", (json_int_t)p->seq, "start_ms",
		(json_int_t)p->start_ms, "end_ms", (json_int_t)p->end_ms);
}

static bool unpack_point(const json_t *o, struct drill_desk_point *p)
{
	const char *source, *snapshot, *root_id;
	json_int_t seq, start, end;
	/* jansson's unpacking takes no const object; nothing is changed */
	if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:s, s:s, s:I, s:I, s:I}", "source", &source,
		    "snapshot", &snapshot, "root_id", &root_id, "seq", &seq, "start_ms", &start,
		    "end_ms", &end) != 0)
		return false;
	p->seq = seq;
	p->start_ms = start;
	p->end_ms = end;
	return copy(p->source, sizeof(p->source), source) &&
	       copy(p->snapshot, sizeof(p->snapshot), snapshot) &&
	       copy(p->root_id, sizeof(p->root_id), root_id);
}

int drill_desk_files_put_granted(
	int dirfd, const char *exercise, const struct drill_desk_granted *g, struct err *err)
{
	CLEANUP(json_decref_p) json_t *points = json_array();
	for (size_t i = 0; i < g->count; i++) {
		if (json_array_append_new(points, pack_point(&g->at[i])) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	CLEANUP(json_decref_p)
	json_t *all = json_pack("{s:I, s:O}", "since_declared_ms", (json_int_t)g->since_declared_ms,
		"points", points);
	return put_json(dirfd, exercise, GRANTED, all, err);
}

int drill_desk_files_get_granted(
	int dirfd, const char *exercise, struct drill_desk_granted *out, struct err *err)
{
	CLEANUP(json_decref_p) json_t *all = NULL;
	struct err why = ERR_INIT;
	json_t *points;
	json_int_t since;
	int rc = get_json(dirfd, exercise, GRANTED, &all, &why);
	out->since_declared_ms = 0;
	out->count = 0;
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (json_unpack(all, "{s:I, s:o}", "since_declared_ms", &since, "points", &points) != 0 ||
		!json_is_array(points) || json_array_size(points) > MSG_MAX_POINTS)
		return err_set(err, ERR_CORRUPT, "'%s/" GRANTED "' is damaged", exercise);
	out->since_declared_ms = since;
	for (; out->count < json_array_size(points); out->count++) {
		if (!unpack_point(json_array_get(points, out->count), &out->at[out->count]))
			return err_set(err, ERR_CORRUPT, "'%s/" GRANTED "' is damaged", exercise);
	}
	return 0;
}

int drill_desk_files_need_id(const char *exercise, struct err *err)
{
	if (report_form_is_text(REPORT_SHAPE_UUID, exercise))
		return 0;
	(void)err_set(err, ERR_NOT_FOUND, "'%.64s' is no id of an exercise", exercise);
	(void)err_hint(err, "an id is a UUID such as 'holdfast drill list --server HOST:PORT' "
			    "shows");
	return -ERR_NOT_FOUND;
}

int drill_desk_files_get_plan(int dirfd, const struct drill_desk_note *n, struct buf *text,
	struct plan **out, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = drill_desk_files_get(dirfd, n->exercise, DRILL_DESK_PLAN, text, err);
	if (rc == 0)
		rc = plan_parse(n->plan_name, text->data == NULL ? "" : (const char *)text->data,
			text->len, out, &problems, err);
	conf_problems_done(&problems);
	return rc;
}

struct drill_desk_seen drill_desk_files_seen(const struct drill_desk_note *n)
{
	char boot[DRILL_DESK_BOOT_BYTES];
	drill_desk_files_boot(boot);
	if (boot[0] != '\0' && strcmp(boot, n->boot) == 0)
		return (struct drill_desk_seen){ .since_declared_ms = env_mono_ns() / NS_PER_MS -
								      n->declared_mono_ms,
			.since_ordered_ms = env_mono_ns() / NS_PER_MS - n->ordered_mono_ms };
	/* this host started anew meanwhile: only its wall clock went on */
	const int64_t since = env_now_ns() / NS_PER_MS - n->declared_ms;
	return (struct drill_desk_seen){ since, since };
}

bool drill_desk_files_is_evidence(const char *name)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789._-";
	size_t len = strlen(name);
	return len >= 1 && len <= DRILL_DESK_NAME_MAX && name[0] != '.' && strspn(name, set) == len;
}
