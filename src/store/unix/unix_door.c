#include "store/unix/unix_door.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/unix/unix_wire.h"

/*
 * INVARIANTS
 * (1) The only words of store.h that a caller reaches are draft, get_range, stat, list and barrier.
 * (2) A caller belongs to its thread from its begin to is_over; the list of callers is the
 * keeper's. (3) What is put is read to its end even when it is refused, so that the next request is
 * one.
 */

#define POLL_MS 200
#define BACKLOG 32

struct caller {
	struct caller *next;
	struct unix_door *door;
	int fd; /* owned by the keeper */
	uid_t uid;
	pid_t pid;
	pthread_t thread;
	bool is_over; /* atomic */
	/* the thread's own */
	struct store *store;
	void *rule;
	bool has_staged; /* something was put since the last barrier */
	uint8_t *piece;  /* UNIX_WIRE_PIECE_BYTES */
};

struct unix_door {
	struct unix_door_opts o;
	uid_t uids[UNIX_DOOR_MAX_UIDS];
	char *path; /* owned; "": not bound */
	int fd;     /* owned */
	struct caller *callers;
	int64_t told_at; /* of one that was not let in, monotonic ns; 0 = never */
	uint64_t untold; /* since then */
};

static void tell(const struct unix_door *d, uid_t uid, pid_t pid, int rc, const char *what)
{
	if (d->o.on_caller != NULL)
		d->o.on_caller(d->o.arg, uid, pid, rc, what);
}

/* ---- one caller ----------------------------------------------------------------------------- */

/* A request is answered with ${rc} and its words.  Return 0 if the connection can go on. */
static int answer(const struct caller *c, int rc, struct err *why, uint64_t a, uint64_t len)
{
	if (rc != 0 && why->code == 0)
		why->code = -rc;
	return unix_wire_send_answer(c->fd, rc == 0 ? NULL : why, a, len, NULL);
}

static bool is_hash_of_name(const char *name, const uint8_t hash[HASH_BYTES])
{
	char hex[2 * HASH_BYTES + 1];
	const size_t len = strlen(name);
	text_hex(hash, HASH_BYTES, hex);
	return len >= 2 * HASH_BYTES && strcmp(name + len - 2 * HASH_BYTES, hex) == 0;
}

/* An object on its way in. */
struct incoming {
	const char *name;
	uint64_t len;
	bool is_hashed, is_shown;
	struct store_draft *draft; /* owned */
	struct hash *hash;         /* owned */
	struct buf whole;          /* owned; only of one that is shown */
};

static int take_piece(struct caller *c, struct incoming *in, size_t len, struct err *why)
{
	const struct unix_door_opts *o = &c->door->o;
	const uint8_t *data = c->piece;
	hash_add(in->hash, data, len);
	int rc = o->may_add == NULL ? 0 : o->may_add(c->rule, len, why);
	if (rc == 0 && in->is_shown)
		rc = buf_add(&in->whole, data, len, why);
	return rc != 0 ? rc : store_draft_add(in->draft, data, len, why);
}

/* Invariant 3.  *${rc}: what becomes of it; return 0 if the connection can go on. */
static int take_bytes(struct caller *c, struct incoming *in, int *rc, struct err *why)
{
	uint64_t len = in->len;
	while (len > 0) {
		const size_t n = len < UNIX_WIRE_PIECE_BYTES ? (size_t)len : UNIX_WIRE_PIECE_BYTES;
		if (unix_wire_receive(c->fd, c->piece, n, NULL) != 0)
			return -1;
		len -= n;
		if (*rc != 0)
			continue;
		*rc = take_piece(c, in, n, why);
	}
	return 0;
}

static int begin_put(struct caller *c, struct incoming *in, struct err *why)
{
	const struct unix_door_opts *o = &c->door->o;
	in->hash = hash_new();
	if (in->hash == NULL)
		return err_set(why, ERR_NOMEM, "out of memory");
	int rc = o->may_put(c->rule, c->store, in->name, in->len, &in->is_hashed, why);
	in->is_shown = o->is_shown != NULL && o->is_shown(in->name);
	return rc != 0 ? rc : store_draft_new(c->store, &in->draft, why);
}

/* All of its bytes are there. */
static int end_put(struct caller *c, struct incoming *in, struct err *why)
{
	uint8_t digest[HASH_BYTES];
	int rc = 0;
	hash_end(in->hash, digest);
	if (in->is_hashed && !is_hash_of_name(in->name, digest))
		rc = err_set(why, ERR_CORRUPT, "object '%s' is not what its name says", in->name);
	if (rc == 0 && in->is_shown)
		rc = c->door->o.may_keep(c->rule, in->name, in->whole.data, in->whole.len, why);
	return rc != 0 ? rc : store_draft_put(TAKE(in->draft), in->name, why);
}

static int do_put(struct caller *c, const char *name, uint64_t len)
{
	struct incoming in = { .name = name,
		.len = len,
		.is_hashed = true,
		.whole = BUF_INIT(STORE_MAX_OBJECT_BYTES) };
	struct err why = ERR_INIT;
	if (len > STORE_MAX_OBJECT_BYTES) {
		(void)err_set(
			&why, ERR_LIMIT, "an object has at most %u bytes", STORE_MAX_OBJECT_BYTES);
		(void)answer(c, -ERR_LIMIT, &why, 0, 0);
		return -1; /* not worth reading */
	}
	int rc = begin_put(c, &in, &why);
	int end = take_bytes(c, &in, &rc, &why);
	if (end == 0 && rc == 0)
		rc = end_put(c, &in, &why);
	if (c->door->o.put_over != NULL)
		c->door->o.put_over(c->rule);
	c->has_staged = true; /* at least the attempt */
	store_draft_free(in.draft);
	hash_free(in.hash);
	buf_done(&in.whole);
	return end != 0 ? end : answer(c, rc, &why, 0, 0);
}

/* Bytes of an object, piece by piece; a failure behind the head ends the connection. */
static int give_bytes(struct caller *c, const char *name, uint64_t offset, uint64_t len)
{
	CLEANUP(buf_done) struct buf piece = BUF_INIT(UNIX_WIRE_PIECE_BYTES);
	struct err why = ERR_INIT;
	size_t n = len < UNIX_WIRE_PIECE_BYTES ? (size_t)len : UNIX_WIRE_PIECE_BYTES;
	int rc = store_get_range(c->store, name, offset, n, &piece, &why);
	if (rc != 0 || answer(c, 0, &why, 0, len) != 0)
		return rc != 0 ? answer(c, rc, &why, 0, 0) : -1;
	while (unix_wire_send(c->fd, piece.data, piece.len, NULL) == 0) {
		offset += n;
		len -= n;
		if (len == 0)
			return 0;
		n = len < UNIX_WIRE_PIECE_BYTES ? (size_t)len : UNIX_WIRE_PIECE_BYTES;
		buf_clear(&piece);
		if (store_get_range(c->store, name, offset, n, &piece, &why) != 0)
			break;
	}
	return -1;
}

static int do_get(struct caller *c, const struct unix_wire_request *q, const char *name)
{
	struct err why = ERR_INIT;
	uint64_t size = 0;
	int rc = store_stat(c->store, name, &size, &why);
	if (rc == 0 && q->verb == UNIX_WIRE_RANGE && (q->a > size || q->b > size - q->a))
		rc = err_set(&why, ERR_CORRUPT, "it ends at byte %llu", (unsigned long long)size);
	if (rc != 0 || q->verb == UNIX_WIRE_STAT)
		return answer(c, rc, &why, size, 0);
	return q->verb == UNIX_WIRE_GET ? give_bytes(c, name, 0, size)
					: give_bytes(c, name, q->a, q->b);
}

struct listing {
	struct caller *c;
	size_t len; /* in c->piece */
	bool is_gone;
};

static int flush_list(struct listing *l)
{
	l->is_gone = unix_wire_send_answer(l->c->fd, NULL, 0, l->len, NULL) != 0 ||
		     (l->len > 0 && unix_wire_send(l->c->fd, l->c->piece, l->len, NULL) != 0);
	l->len = 0;
	return l->is_gone ? 1 : 0;
}

static int list_one(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	const struct unix_wire_entry e = { .size = size, .name_len = (uint16_t)strlen(name) };
	if (UNIX_WIRE_PIECE_BYTES - l->len < sizeof(e) + e.name_len && flush_list(l) != 0)
		return 1;
	memcpy(l->c->piece + l->len, &e, sizeof(e));
	memcpy(l->c->piece + l->len + sizeof(e), name, e.name_len);
	l->len += sizeof(e) + e.name_len;
	return 0;
}

static int do_list(struct caller *c, const char *prefix)
{
	struct listing l = { .c = c };
	struct err why = ERR_INIT;
	int rc = store_list(c->store, prefix, list_one, &l, &why);
	if (l.is_gone)
		return -1;
	if (rc != 0)
		return answer(c, rc, &why, 0, 0);
	if (l.len > 0 && flush_list(&l) != 0)
		return -1;
	return flush_list(&l) != 0 ? -1 : 0; /* an empty one ends it */
}

static int do_request(struct caller *c, const struct unix_wire_request *q, const char *name)
{
	struct err why = ERR_INIT;
	switch (q->verb) {
	case UNIX_WIRE_PUT:
		return do_put(c, name, q->a);
	case UNIX_WIRE_GET:
	case UNIX_WIRE_RANGE:
	case UNIX_WIRE_STAT:
		return do_get(c, q, name);
	case UNIX_WIRE_LIST:
		return do_list(c, name);
	case UNIX_WIRE_BARRIER:
		c->has_staged = false; /* a failed one gives its set up, too */
		return answer(c, store_barrier(c->store, &why), &why, 0, 0);
	default:
		break;
	}
	(void)err_set(&why, ERR_UNSUPPORTED, "this door knows no such request");
	(void)answer(c, -ERR_UNSUPPORTED, &why, 0, 0);
	return -1;
}

/* Until the next request begins there is time, unless something waits for a barrier and holds room
 * and files; the rest of one must follow. */
static int wait_for_request(const struct caller *c)
{
	const unsigned most = c->door->o.staged_ms;
	const unsigned staged_ms = most > 0 ? most : UNIX_DOOR_STAGED_S * 1000;
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int n = 0;
	while ((n = poll(&p, 1, c->has_staged ? (int)staged_ms : -1)) < 0 && errno == EINTR)
		continue;
	return n == 1 ? 0 : -1;
}

static int next_request(struct caller *c)
{
	struct unix_wire_request q;
	char name[STORE_MAX_NAME_BYTES + 1];
	if (wait_for_request(c) != 0 || unix_wire_receive(c->fd, &q, sizeof(q), NULL) != 0 ||
		q.magic != UNIX_WIRE_MAGIC || q.name_len > STORE_MAX_NAME_BYTES ||
		unix_wire_receive(c->fd, name, q.name_len, NULL) != 0)
		return -1;
	name[q.name_len] = '\0'; /* one with a NUL in it is no name: the store says so */
	return do_request(c, &q, strlen(name) == q.name_len ? name : "/");
}

static void *serve(void *arg)
{
	struct caller *c = arg;
	struct unix_door *d = c->door;
	struct err why = ERR_INIT;
	const struct timeval silent = { .tv_sec = UNIX_WIRE_SILENT_S };
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &silent, sizeof(silent)); /* else none */
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &silent, sizeof(silent)); /* as above */
	c->piece = malloc(UNIX_WIRE_PIECE_BYTES);
	int rc = c->piece == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
				  : d->o.open_store(d->o.arg, &c->store, &why);
	if (rc == 0)
		rc = d->o.rule_new(d->o.arg, &c->rule, &why);
	tell(d, c->uid, c->pid, rc, rc == 0 ? "came in" : why.msg);
	if (answer(c, rc, &why, UNIX_WIRE_VERSION, 0) == 0 && rc == 0) {
		while (next_request(c) == 0)
			continue;
	}
	if (c->rule != NULL)
		d->o.rule_free(c->rule);
	store_free(c->store); /* what no barrier was asked for goes */
	free(c->piece);
	tell(d, c->uid, c->pid, 0, "went");
	(void)shutdown(c->fd, SHUT_RDWR);
	__atomic_store_n(&c->is_over, true, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- the keeper ------------------------------------------------------------------------------ */

static void bury(struct caller *c)
{
	(void)pthread_join(c->thread, NULL); /* it was started */
	(void)close(c->fd);                  /* read side */
	free(c);
}

/* Bury who has gone; with ${is_all} whoever is in is put out first. */
static void clear_callers(struct unix_door *d, bool is_all)
{
	for (struct caller *c = d->callers; is_all && c != NULL; c = c->next)
		(void)shutdown(c->fd, SHUT_RDWR); /* its thread ends by that */
	for (struct caller **at = &d->callers; *at != NULL;) {
		struct caller *c = *at;
		if (!is_all && !__atomic_load_n(&c->is_over, __ATOMIC_ACQUIRE)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		bury(c);
	}
}

static int check_caller(const struct unix_door *d, uid_t uid, struct err *why)
{
	bool is_known = false;
	size_t count = 0;
	for (size_t i = 0; i < d->o.uid_count; i++)
		is_known |= d->uids[i] == uid;
	for (const struct caller *c = d->callers; c != NULL; c = c->next)
		count += c->uid == uid;
	if (!is_known) {
		(void)err_set(
			why, ERR_AUTH, "the vault's door does not let user %u in", (unsigned)uid);
		return err_hint(why, "the owner names who may come in: 'holdfast vault serve "
				     "--allow USER'");
	}
	if (count >= UNIX_DOOR_PER_UID)
		return err_set(why, ERR_BUSY, "user %u has %d connections already", (unsigned)uid,
			UNIX_DOOR_PER_UID);
	return 0;
}

static int start(struct unix_door *d, struct caller *c)
{
	sigset_t all;
	sigset_t before;
	(void)sigfillset(&all); /* cannot fail */
	(void)pthread_sigmask(
		SIG_SETMASK, &all, &before); /* what a signal should reach is not it */
	int rc = pthread_create(&c->thread, NULL, serve, c);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail */
	if (rc == 0) {
		c->next = d->callers;
		d->callers = c;
	}
	return rc;
}

/* Whoever knocks without an end does not fill the log. */
static void tell_refused(
	struct unix_door *d, const struct ucred *who, int rc, const struct err *why)
{
	char text[ERR_MSG_BYTES + 64];
	const int64_t now = env_mono_ns();
	if (d->told_at != 0 && now - d->told_at < UNIX_DOOR_TELL_S * INT64_C(1000000000)) {
		d->untold++;
		return;
	}
	(void)snprintf(text, sizeof(text), "%s", why->msg);
	if (d->untold > 0)
		(void)snprintf(text, sizeof(text), "%s; %llu more since the last one", why->msg,
			(unsigned long long)d->untold);
	d->told_at = now;
	d->untold = 0;
	tell(d, who->uid, who->pid, rc, text);
}

static void let_in(struct unix_door *d, int fd)
{
	struct err why = ERR_INIT;
	struct ucred who = { .pid = 0 };
	socklen_t len = sizeof(who);
	struct caller *c = NULL;
	int rc = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		rc = err_sys(&why, ERR_AUTH, "unable to tell who calls");
	if (rc == 0)
		rc = check_caller(d, who.uid, &why);
	if (rc == 0 && (c = calloc(1, sizeof(*c))) == NULL)
		rc = err_set(&why, ERR_NOMEM, "out of memory");
	if (rc == 0) {
		*c = (struct caller){ .door = d, .fd = fd, .uid = who.uid, .pid = who.pid };
		if (start(d, c) == 0)
			return;
		rc = err_set(&why, ERR_NOMEM, "no thread for another connection");
	}
	free(c);
	tell_refused(d, &who, rc, &why);
	(void)unix_wire_send_answer(fd, &why, 0, 0, NULL); /* a new socket takes so much at once */
	(void)close(fd);                                   /* as above */
}

int unix_door_run(struct unix_door *d, struct err *err)
{
	int rc = 0;
	while (rc == 0 && !d->o.is_stopped(d->o.arg)) {
		struct pollfd p = { .fd = d->fd, .events = POLLIN };
		int n = poll(&p, 1, POLL_MS);
		clear_callers(d, false);
		if (n < 0 && errno != EINTR)
			rc = err_sys(err, ERR_IO, "unable to wait at '%s'", d->path);
		if (n <= 0)
			continue;
		int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			let_in(d, fd);
		else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			(void)poll(NULL, 0, POLL_MS); /* no descriptor: until somebody goes */
	}
	clear_callers(d, true);
	return rc;
}

/* A socket that nobody keeps any more goes; anything else stays. */
static int make_way(const struct sockaddr_un *at, struct err *err)
{
	struct stat st;
	if (lstat(at->sun_path, &st) != 0)
		return errno == ENOENT
			       ? 0
			       : err_sys(err, ERR_IO, "unable to look at '%s'", at->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_EXISTS, "'%s' is there and is no socket", at->sun_path);
	CLEANUP(cleanup_close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0)
		return err_set(
			err, ERR_EXISTS, "somebody keeps a door at '%s' already", at->sun_path);
	if (unlink(at->sun_path) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, "unable to remove the old socket '%s'", at->sun_path);
	return 0;
}

static int listen_at(struct unix_door *d, const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, ERR_USAGE, "the path of the socket '%s' is too long", path);
	memcpy(at.sun_path, path, strlen(path));
	int rc = make_way(&at, err);
	if (rc != 0)
		return rc;
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0 || bind(d->fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		return err_sys(err, ERR_IO, "unable to make the socket '%s'", path);
	d->path = strdup(path);
	if (d->path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* who may connect is looked at when they do, and the directory above has a word in it */
	if (chmod(path, 0666) != 0 || listen(d->fd, BACKLOG) != 0)
		return err_sys(err, ERR_IO, "unable to listen at '%s'", path);
	return 0;
}

DEFINE_CLEANUP(struct unix_door *, unix_door_free)

int unix_door_open(const struct unix_door_opts *opts, struct unix_door **out, struct err *err)
{
	CLEANUP(unix_door_free_p) struct unix_door *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->fd = -1;
	if (opts->uid_count == 0 || opts->uid_count > UNIX_DOOR_MAX_UIDS)
		return err_set(err, ERR_USAGE, "a door lets 1 to %d users in", UNIX_DOOR_MAX_UIDS);
	memcpy(d->uids, opts->uids, opts->uid_count * sizeof(*opts->uids));
	d->o = *opts;
	int rc = listen_at(d, opts->path, err);
	if (rc == 0)
		*out = TAKE(d);
	return rc;
}

void unix_door_free(struct unix_door *d)
{
	if (d == NULL)
		return;
	clear_callers(d, true);
	if (d->fd >= 0)
		(void)close(d->fd); /* read side */
	if (d->path != NULL)
		(void)unlink(d->path); /* a leftover is replaced by the next door */
	free(d->path);
	free(d);
}
