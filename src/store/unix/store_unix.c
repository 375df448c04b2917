#include "store/unix/store_unix.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/unix/unix_wire.h"

/*
 * INVARIANTS
 * (1) The lock is held from the first byte of a request to the last of its answer.
 * (2) After a broken answer nothing more is said: what was put since the last barrier is given up.
 */

struct store_unix {
	char *path; /* owned; for texts */
	int fd;     /* owned */
	bool is_broken;
	pthread_mutex_t lock;
};

static void unix_free(void *self)
{
	struct store_unix *u = self;
	if (u == NULL)
		return;
	if (u->fd >= 0)
		(void)close(u->fd);            /* what was staged goes with it */
	(void)pthread_mutex_destroy(&u->lock); /* nobody holds it */
	free(u->path);
	free(u);
}

DEFINE_CLEANUP(struct store_unix *, unix_free)

static int fail(struct store_unix *u, int rc)
{
	u->is_broken = true;
	return rc;
}

/* Say ${verb}; with the lock.  ${data} of a put, else NULL. */
static int say(struct store_unix *u, enum unix_wire_verb verb, const char *name, uint64_t a,
	uint64_t b, const void *data, struct err *err)
{
	const struct unix_wire_request q = { .magic = UNIX_WIRE_MAGIC,
		.verb = (uint8_t)verb,
		.name_len = (uint16_t)strlen(name), /* the store's limit fits */
		.a = a,
		.b = b };
	if (u->is_broken)
		return err_set(err, ERR_UNREACHABLE, "the connection to '%s' is lost", u->path);
	int rc = unix_wire_send(u->fd, &q, sizeof(q), err);
	if (rc == 0)
		rc = unix_wire_send(u->fd, name, q.name_len, err);
	if (rc == 0 && data != NULL)
		rc = unix_wire_send(u->fd, data, (size_t)a, err);
	return rc == 0 ? 0 : fail(u, rc);
}

/* The store behind the door has put the operation and the object before its reason, and so will
 * the one before us. */
static void drop_object(struct err *err)
{
	const char *colon = strchr(err->msg, ':');
	if (strncmp(err->msg, "unable to ", 10) == 0 && colon != NULL && colon[1] == ' ')
		memmove(err->msg, colon + 2, strlen(colon + 2) + 1);
}

static int hear(struct store_unix *u, struct unix_wire_answer *out, struct err *err)
{
	struct err why = ERR_INIT;
	bool is_broken = false;
	int rc = unix_wire_receive_answer(u->fd, out, &is_broken, &why);
	u->is_broken |= is_broken;
	if (rc != 0 && !is_broken)
		drop_object(&why);
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

/* The answer's bytes, appended; those that do not fit are read all the same. */
static int hear_bytes(struct store_unix *u, uint64_t len, struct buf *out, struct err *err)
{
	if (len > out->max - out->len) {
		u->is_broken = true; /* dearer to read than to connect anew */
		return err_set(err, ERR_LIMIT, "%llu bytes are more than allowed here",
			(unsigned long long)len);
	}
	int rc = buf_reserve(out, (size_t)len, err);
	if (rc != 0)
		return fail(u, rc);
	rc = unix_wire_receive(u->fd, out->data + out->len, (size_t)len, err);
	if (rc != 0)
		return fail(u, rc);
	out->len += (size_t)len;
	return 0;
}

static int ask(struct store_unix *u, enum unix_wire_verb verb, const char *name, uint64_t a,
	uint64_t b, const void *data, struct buf *out, uint64_t *number, struct err *err)
{
	struct unix_wire_answer answer = { .code = 0 };
	(void)pthread_mutex_lock(&u->lock); /* ours, not held */
	int rc = say(u, verb, name, a, b, data, err);
	if (rc == 0)
		rc = hear(u, &answer, err);
	if (rc == 0 && out != NULL)
		rc = hear_bytes(u, answer.len, out, err);
	(void)pthread_mutex_unlock(&u->lock);
	if (rc == 0 && number != NULL)
		*number = answer.a;
	return rc;
}

static int unix_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	return ask(self, UNIX_WIRE_PUT, name, len, 0, data, NULL, NULL, err);
}

/* The size comes first: more than fits is never sent. */
static int unix_get(void *self, const char *name, struct buf *out, struct err *err)
{
	uint64_t size = 0;
	int rc = ask(self, UNIX_WIRE_STAT, name, 0, 0, NULL, NULL, &size, err);
	if (rc == 0 && size > out->max - out->len)
		rc = err_set(err, ERR_LIMIT, "%llu bytes are more than allowed here",
			(unsigned long long)size);
	return rc != 0 ? rc : ask(self, UNIX_WIRE_GET, name, 0, 0, NULL, out, NULL, err);
}

static int unix_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	return ask(self, UNIX_WIRE_RANGE, name, offset, len, NULL, out, NULL, err);
}

static int unix_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	return ask(self, UNIX_WIRE_STAT, name, 0, 0, NULL, NULL, size, err);
}

static int unix_barrier(void *self, struct err *err)
{
	return ask(self, UNIX_WIRE_BARRIER, "", 0, 0, NULL, NULL, NULL, err);
}

static int unix_remove(void *self, const char *name, struct err *err)
{
	const struct store_unix *u = self;
	(void)name; /* it would not help */
	(void)err_set(err, ERR_READONLY, "'%s' takes nothing away", u->path);
	return err_hint(err, "retention and collection are for the owner of the vault");
}

/* Entries of one answer. */
static int tell_entries(const struct buf *page, store_list_fn fn, void *arg, struct err *err)
{
	size_t at = 0;
	while (at < page->len) {
		struct unix_wire_entry e;
		char name[STORE_MAX_NAME_BYTES + 1];
		if (page->len - at < sizeof(e))
			break;
		memcpy(&e, page->data + at, sizeof(e));
		at += sizeof(e);
		if (e.name_len > STORE_MAX_NAME_BYTES || e.name_len > page->len - at)
			break;
		memcpy(name, page->data + at, e.name_len);
		name[e.name_len] = '\0';
		at += e.name_len;
		int rc = store_is_valid_name(name) ? fn(arg, name, e.size) : 0;
		if (rc != 0)
			return rc;
	}
	return at == page->len ? 0 : err_set(err, ERR_CORRUPT, "a list has a wrong form");
}

/* All of it is read before any is told: what is told may ask for more. */
static int unix_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	struct store_unix *u = self;
	CLEANUP(buf_done) struct buf all = BUF_INIT((size_t)1 << 30);
	struct unix_wire_answer answer = { .len = 1 };
	(void)pthread_mutex_lock(&u->lock); /* ours, not held */
	int rc = say(u, UNIX_WIRE_LIST, prefix, 0, 0, NULL, err);
	while (rc == 0 && answer.len > 0) {
		rc = hear(u, &answer, err);
		if (rc == 0)
			rc = hear_bytes(u, answer.len, &all, err);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return rc != 0 ? rc : tell_entries(&all, fn, arg, err);
}

static int unix_facts(void *self, store_fact_fn fn, void *arg)
{
	const struct store_unix *u = self;
	int rc = fn(arg, "door", u->path);
	return rc != 0 ? rc : fn(arg, "append-only", "yes");
}

const struct store_driver store_unix_driver = {
	.name = "unix",
	.features = STORE_HAS_RANGE | STORE_HAS_IF_ABSENT | STORE_NEEDS_BARRIER,
	.facts = unix_facts,
	.put = unix_put,
	.get = unix_get,
	.get_range = unix_get_range,
	.list = unix_list,
	.stat = unix_stat,
	.remove = unix_remove,
	.barrier = unix_barrier,
	.free = unix_free,
};

static int connect_to(struct store_unix *u, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (strlen(u->path) >= sizeof(to.sun_path))
		return err_set(err, ERR_USAGE, "the path of the socket '%s' is too long", u->path);
	memcpy(to.sun_path, u->path, strlen(u->path));
	u->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return err_sys(err, ERR_IO, "unable to make a socket");
	while (connect(u->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		if (errno == EINTR)
			continue;
		int rc = err_sys(err, errno == EACCES ? ERR_AUTH : ERR_UNREACHABLE,
			"unable to connect to '%s'", u->path);
		(void)err_hint(err, "is 'holdfast vault serve' running there, and may this user "
				    "reach its socket?");
		return rc;
	}
	return 0;
}

int store_unix_new(const char *path, struct store_unix **out, struct err *err)
{
	CLEANUP(unix_free_p) struct store_unix *u = calloc(1, sizeof(*u));
	struct unix_wire_answer hello;
	if (u == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	u->fd = -1;
	(void)pthread_mutex_init(&u->lock, NULL); /* cannot fail without attributes */
	u->path = strdup(path);
	if (u->path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = connect_to(u, err);
	if (rc == 0)
		rc = hear(u, &hello, err);
	if (rc == 0 && hello.a != UNIX_WIRE_VERSION)
		rc = err_set(err, ERR_UNSUPPORTED, "'%s' is kept by another version", path);
	if (rc != 0)
		return rc;
	*out = TAKE(u);
	return 0;
}

int store_unix_open(const char *path, bool is_read_only, struct store **out, struct err *err)
{
	struct store_unix *u = NULL;
	const struct store_opts opts = { .is_read_only = is_read_only };
	int rc = store_unix_new(path, &u, err);
	return rc != 0 ? rc : store_new(&store_unix_driver, u, &opts, out, err);
}
