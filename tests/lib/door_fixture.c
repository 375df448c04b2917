#include "tests/lib/door_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "store/local/store_local.h"
#include "store/unix/unix_door.h"

struct door_fixture {
	char directory[256], path[96];
	door_fixture_rule rule;
	struct unix_door *door;
	pthread_t thread;
	bool is_stopped;
	int came, refused, over;
	int64_t room; /* bytes that may still be added */
};

static int open_store(void *arg, struct store **out, struct err *err)
{
	const struct door_fixture *f = arg;
	return store_local_open(f->directory, NULL, out, err);
}

static int rule_new(void *arg, void **out, struct err *err)
{
	(void)err;
	*out = arg;
	return 0;
}

static void rule_free(void *rule)
{
	(void)rule; /* the fixture */
}

static int may_put(void *rule, struct store *s, const char *name, uint64_t len, bool *is_hashed,
	struct err *err)
{
	const struct door_fixture *f = rule;
	*is_hashed = false;
	return f->rule == NULL ? 0 : f->rule(s, name, len, is_hashed, err);
}

static int may_add(void *rule, size_t len, struct err *err)
{
	struct door_fixture *f = rule;
	const int64_t room = __atomic_sub_fetch(&f->room, (int64_t)len, __ATOMIC_SEQ_CST);
	return room >= 0 ? 0 : err_set(err, ERR_NOSPACE, "no room for %zu bytes", len);
}

static void put_over(void *rule)
{
	struct door_fixture *f = rule;
	__atomic_add_fetch(&f->over, 1, __ATOMIC_SEQ_CST);
}

static bool is_shown(const char *name)
{
	return strncmp(name, "ok/shown", 8) == 0;
}

static int may_keep(void *rule, const char *name, const void *data, size_t len, struct err *err)
{
	(void)rule;
	return len == 4 && memcmp(data, "good", 4) == 0
		       ? 0
		       : err_set(err, ERR_READONLY, "'%s' is not good", name);
}

static void on_caller(void *arg, uid_t uid, pid_t pid, int rc, const char *what)
{
	struct door_fixture *f = arg;
	(void)uid;
	(void)pid;
	if (rc != 0)
		__atomic_add_fetch(&f->refused, 1, __ATOMIC_SEQ_CST);
	else if (strcmp(what, "went") != 0)
		__atomic_add_fetch(&f->came, 1, __ATOMIC_SEQ_CST);
}

static bool is_stopped(void *arg)
{
	const struct door_fixture *f = arg;
	return __atomic_load_n(&f->is_stopped, __ATOMIC_SEQ_CST);
}

static void *keep(void *arg)
{
	struct door_fixture *f = arg;
	struct err err = ERR_INIT;
	if (unix_door_run(f->door, &err) != 0)
		(void)fprintf(stderr, "door_fixture: %s\n", err.msg);
	return NULL;
}

struct door_fixture *door_fixture_new(const char *directory, door_fixture_rule rule)
{
	static unsigned count;
	struct err err = ERR_INIT;
	struct door_fixture *f = calloc(1, sizeof(*f));
	const uid_t uid = geteuid();
	if (f == NULL || directory == NULL)
		abort();
	f->rule = rule;
	f->room = INT64_MAX / 2;
	(void)snprintf(f->directory, sizeof(f->directory), "%s", directory); /* fits */
	(void)snprintf(f->path, sizeof(f->path), "/tmp/holdfast-door-%d-%u", (int)getpid(),
		count++); /* fits */
	const struct unix_door_opts opts = { .path = f->path,
		.uids = &uid,
		.uid_count = 1,
		.open_store = open_store,
		.rule_new = rule_new,
		.rule_free = rule_free,
		.may_put = may_put,
		.on_caller = on_caller,
		.is_stopped = is_stopped,
		.arg = f,
		.may_add = may_add,
		.put_over = put_over,
		.is_shown = is_shown,
		.may_keep = may_keep,
		.staged_ms = DOOR_FIXTURE_STAGED_MS };
	if (unix_door_open(&opts, &f->door, &err) != 0 ||
		pthread_create(&f->thread, NULL, keep, f) != 0) {
		(void)fprintf(stderr, "door_fixture: %s\n", err.msg);
		abort();
	}
	return f;
}

void door_fixture_free(struct door_fixture *f)
{
	if (f == NULL)
		return;
	__atomic_store_n(&f->is_stopped, true, __ATOMIC_SEQ_CST);
	(void)pthread_join(f->thread, NULL); /* it was started */
	unix_door_free(f->door);
	free(f);
}

const char *door_fixture_path(const struct door_fixture *f)
{
	return f->path;
}

int door_fixture_came(const struct door_fixture *f)
{
	return __atomic_load_n(&f->came, __ATOMIC_SEQ_CST);
}

int door_fixture_refused(const struct door_fixture *f)
{
	return __atomic_load_n(&f->refused, __ATOMIC_SEQ_CST);
}

int door_fixture_over(const struct door_fixture *f)
{
	return __atomic_load_n(&f->over, __ATOMIC_SEQ_CST);
}

void door_fixture_set_room(struct door_fixture *f, int64_t bytes)
{
	__atomic_store_n(&f->room, bytes, __ATOMIC_SEQ_CST);
}
