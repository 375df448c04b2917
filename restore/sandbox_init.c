#include "restore/sandbox_init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "db/libpq.h"
#include "plans/plan.h"
#include "restore/sandbox.h"
#include "restore/sandbox_wire.h"

/*
 * INVARIANTS
 * (1) One request is answered by exactly one reply, in order; a request that cannot be read ends
 *     the loop, and with process 1 the kernel ends every process inside.
 * (2) Nothing is ever given to a shell.
 * (3) No process inside has a socket but of the families that its own network or file system
 * bounds. (4) A child that child_wait() still has to reap is never reaped by reap_orphans().
 */

#define SANDBOX_INIT_MAX_SERVICES (2 * PLAN_MAX_SYSTEMS) /* each system's, and its control's */
#define SANDBOX_INIT_MAX_CELL_BYTES ((size_t)65536)
#define SANDBOX_INIT_FAMILIES 64    /* more than there are kinds of sockets */
#define SANDBOX_INIT_NAME_BYTES 128 /* longer than any of a drill */

struct service {
	char name[SANDBOX_INIT_NAME_BYTES];
	struct child *child; /* owned; NULL = free */
};

struct init {
	struct service services[SANDBOX_INIT_MAX_SERVICES];
};

typedef int verb_fn(struct init *in, const json_t *request, json_t *reply, struct err *err);

static const char *const program_env[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
	"TZ=UTC", "HOME=/tmp", NULL };

/* ---- reading requests ---- */

static const char *text_of(const json_t *request, const char *key, struct err *err)
{
	const char *text = json_string_value(json_object_get(request, key));
	if (text == NULL)
		(void)err_set(err, ERR_USAGE, "sandbox: '%s' is missing", key);
	return text;
}

static int number_of(const json_t *request, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(request, key));
	return n < 0 ? 0 : n > 1 << 30 ? 1 << 30 : (int)n;
}

/* Store the borrowed words of ${key} in ${argv}. */
static int words_of(const json_t *request, const char *key,
	const char *argv[static SANDBOX_MAX_ARGS + 1], struct err *err)
{
	const json_t *list = json_object_get(request, key);
	size_t n = json_array_size(list);
	if (n == 0 || n > SANDBOX_MAX_ARGS)
		return err_set(err, ERR_LIMIT, "sandbox: '%s' has %zu words", key, n);
	for (size_t i = 0; i < n; i++) {
		argv[i] = json_string_value(json_array_get(list, i));
		if (argv[i] == NULL)
			return err_set(err, ERR_USAGE, "sandbox: '%s' holds no text", key);
	}
	argv[n] = NULL;
	return 0;
}

static void put_end(json_t *reply, const struct child_end *end)
{
	/* a reply short of a member is refused by the other side */
	(void)json_object_set_new(reply, "is_signal", json_boolean(end->is_signal));
	(void)json_object_set_new(reply, "status", json_integer(end->status));
}

/* What programs say need not be text. */
static int put_text(json_t *reply, const char *key, const char *data, size_t len, struct err *err)
{
	size_t size = 4 * len + 1;
	CLEANUP(cleanup_free_p) char *safe = NULL;
	json_t *value;
	if (escape_is_utf8(data, len)) {
		value = json_stringn(data, len);
	} else {
		safe = malloc(size);
		value = safe == NULL ? NULL
				     : json_stringn(safe, escape_text(safe, size, data, len));
	}
	if (json_object_set_new(reply, key, value) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* ---- programs ---- */

static int do_run(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)in; /* every verb has the same form */
	const char *argv[SANDBOX_MAX_ARGS + 1];
	int rc = words_of(request, "argv", argv, err);
	if (rc != 0)
		return rc;
	CLEANUP(buf_done) struct buf out = BUF_INIT(SANDBOX_MAX_OUTPUT_BYTES);
	struct child_opts opts = { .argv = argv, .envp = program_env };
	struct child_end end;
	rc = child_run(&opts, number_of(request, "timeout_ms"), &out, &out, &end, err);
	if (rc != 0)
		return rc;
	put_end(reply, &end);
	return put_text(
		reply, "output", out.data == NULL ? "" : (const char *)out.data, out.len, err);
}

static struct service *find_service(struct init *in, const char *name)
{
	for (int i = 0; i < SANDBOX_INIT_MAX_SERVICES; i++) {
		struct service *s = &in->services[i];
		if (s->child != NULL && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static struct service *known_service(struct init *in, const json_t *request, struct err *err)
{
	const char *name = text_of(request, "service", err);
	struct service *s = name == NULL ? NULL : find_service(in, name);
	if (name != NULL && s == NULL)
		(void)err_set(err, ERR_NOT_FOUND, "there is no service '%s'", name);
	return s;
}

/* A place for the service ${name}: a free one, or that of one of its name that has ended. */
static int free_service(struct init *in, const char *name, struct service **out, struct err *err)
{
	struct service *s = find_service(in, name);
	if (s != NULL) {
		if (child_wait(s->child, 0, NULL, NULL) != 0)
			return err_set(err, ERR_EXISTS, "service '%s' runs already", name);
		child_free(TAKE(s->child));
	}
	for (int i = 0; i < SANDBOX_INIT_MAX_SERVICES && s == NULL; i++) {
		if (in->services[i].child == NULL)
			s = &in->services[i];
	}
	if (s == NULL)
		return err_set(err, ERR_LIMIT, "more than %d services", SANDBOX_INIT_MAX_SERVICES);
	*out = s;
	return 0;
}

static int do_start(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)reply; /* nothing to tell */
	const char *argv[SANDBOX_MAX_ARGS + 1];
	const char *name = text_of(request, "service", err);
	char path[SANDBOX_INIT_NAME_BYTES + 32];
	if (name == NULL)
		return -ERR_USAGE;
	if (strchr(name, '/') != NULL || name[0] == '.' || strlen(name) >= SANDBOX_INIT_NAME_BYTES)
		return err_set(err, ERR_USAGE, "'%s' is no name for a service", name);
	struct service *s = NULL;
	int rc = words_of(request, "argv", argv, err);
	if (rc == 0)
		rc = free_service(in, name, &s, err);
	if (rc != 0)
		return rc;
	(void)snprintf(path, sizeof(path), SANDBOX_LOG "/%s.log", name); /* fits */
	CLEANUP(cleanup_close_p)
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	struct child_opts opts = { .argv = argv, .envp = program_env, .out = log, .err = log };
	rc = child_spawn(&opts, &s->child, err);
	if (rc == 0)
		(void)snprintf(s->name, sizeof(s->name), "%s", name); /* its length was checked */
	return rc;
}

static int do_look(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	struct service *s = known_service(in, request, err);
	if (s == NULL)
		return err == NULL ? -ERR_NOT_FOUND : -err->code;
	struct child_end end = { .status = 0 };
	bool is_running = child_wait(s->child, 0, &end, NULL) != 0;
	put_end(reply, &end);
	(void)json_object_set_new(reply, "running", json_boolean(is_running)); /* as put_end() */
	return 0;
}

static int do_stop(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	struct service *s = known_service(in, request, err);
	if (s == NULL)
		return err == NULL ? -ERR_NOT_FOUND : -err->code;
	struct child_end end = { .status = 0 };
	(void)child_stop(s->child, number_of(request, "signal"), number_of(request, "grace_ms"),
		&end); /* killed is an end, too */
	child_free(TAKE(s->child));
	put_end(reply, &end);
	return 0;
}

/* ---- network ---- */

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, a, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
	}
	struct sockaddr_in6 v6;
	memcpy(&v6, a, sizeof(v6));
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

/* Connect within ${timeout_ms}.  Return 0 or the errno that says why not. */
static int try_connect(const struct addrinfo *ai, int timeout_ms)
{
	CLEANUP(cleanup_close_p)
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;
	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return ETIMEDOUT;
	int why = 0;
	socklen_t len = sizeof(why);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 ? why : errno;
}

static int do_connect(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)in; /* every verb has the same form */
	char port[16];
	const char *address = text_of(request, "address", err);
	if (address == NULL)
		return -ERR_USAGE;
	(void)snprintf(port, sizeof(port), "%d", number_of(request, "port")); /* fits */
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai = NULL;
	if (getaddrinfo(address, port, &hints, &ai) != 0)
		return err_set(err, ERR_USAGE, "'%s' is no address", address);
	int why = try_connect(ai, number_of(request, "timeout_ms"));
	bool is_own = is_loopback(ai->ai_addr);
	freeaddrinfo(ai);
	bool is_reached = why == 0 || (!is_own && (why == ECONNREFUSED || why == ECONNRESET));
	(void)json_object_set_new(reply, "reached", json_boolean(is_reached)); /* as put_end() */
	return put_text(reply, "detail", why == 0 ? "connected" : strerror(why),
		strlen(why == 0 ? "connected" : strerror(why)), err);
}

/* Modules put devices into every network that is made (tunl0, sit0), down, and nobody inside may
 * bring one up.  One that cannot be asked counts as up. */
static bool is_up(const char *name)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_flags = 0 };
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name); /* fits */
	return fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) != 0 || (r.ifr_flags & IFF_UP) != 0;
}

static int do_interfaces(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)in, (void)request; /* every verb has the same form */
	struct if_nameindex *list = if_nameindex();
	if (list == NULL)
		return err_sys(err, ERR_IO, "unable to list network interfaces");
	json_t *names = json_array();
	int bad = names == NULL;
	for (const struct if_nameindex *i = list; i->if_name != NULL; i++)
		bad |= is_up(i->if_name) && json_array_append_new(names, json_string(i->if_name));
	if_freenameindex(list);
	bad |= json_object_set_new(reply, "names", names);
	return bad == 0 ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- SQL ---- */

static int sql_error(PGconn *c, PGresult *r, struct err *err)
{
	const char *text = r == NULL ? libpq.PQerrorMessage(c) : libpq.PQresultErrorMessage(r);
	/* what follows the first line is context */
	return err_set(err, ERR_FAILED, "the database says: %.*s", (int)strcspn(text, "\n"), text);
}

/* True when a statement failed for another reason than what it asked for: the connection is gone,
 * or by its class the server lacks something (53), was told to stop (57) or its host fails (58). */
static bool is_broken_off(PGconn *c, PGresult *r)
{
	static const char *const classes[] = { "08", "53", "57", "58" };
	const char *state = libpq.PQresultErrorField(r, PG_DIAG_SQLSTATE);
	bool is_so = libpq.PQstatus(c) != CONNECTION_OK;
	for (size_t i = 0; state != NULL && i < sizeof(classes) / sizeof(classes[0]); i++)
		is_so |= strncmp(state, classes[i], 2) == 0;
	return is_so;
}

static int statement_error(PGconn *c, PGresult *r, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = sql_error(c, r, &why);
	return is_broken_off(c, r) ? err_set(err, ERR_BUSY, "%s", why.msg)
				   : err_set(err, (enum err_code) - rc, "%s", why.msg);
}

static int sql_open(const json_t *request, PGconn **out, struct err *err)
{
	const char *dir = text_of(request, "socket_dir", err);
	const char *role = dir == NULL ? NULL : text_of(request, "role", err);
	const char *database = role == NULL ? NULL : text_of(request, "database", err);
	if (database == NULL)
		return -ERR_USAGE;
	char options[96];
	int ms = number_of(request, "timeout_ms");
	(void)snprintf(options, sizeof(options),
		"-c statement_timeout=%d -c default_transaction_read_only=on", ms); /* fits */
	const char *const keys[] = { "host", "user", "dbname", "connect_timeout", "options",
		"client_encoding", "application_name", NULL };
	const char *const values[] = { dir, role, database, "10", options, "UTF8", "holdfast",
		NULL };
	int rc = libpq_load(err);
	if (rc != 0)
		return rc;
	switch (libpq.PQpingParams(keys, values, 0)) {
	case PQPING_OK:
		break;
	case PQPING_REJECT:
	case PQPING_NO_RESPONSE:
	case PQPING_NO_ATTEMPT:
		return err_set(err, ERR_BUSY, "the database takes no connections");
	}
	CLEANUP(libpq_finish_p) PGconn *c = libpq.PQconnectdbParams(keys, values, 0);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (libpq.PQstatus(c) != CONNECTION_OK)
		return sql_error(c, NULL, err);
	*out = TAKE(c);
	return 0;
}

static int put_rows(PGresult *r, json_t *reply, struct err *err)
{
	const int rows = libpq.PQntuples(r), columns = libpq.PQnfields(r);
	if (rows > SANDBOX_MAX_ROWS || columns > SANDBOX_MAX_ARGS)
		return err_set(err, ERR_LIMIT, "the answer has %d rows", rows);
	json_t *cells = json_array();
	int bad = cells == NULL;
	for (int i = 0; i < rows && bad == 0; i++) {
		for (int k = 0; k < columns && bad == 0; k++) {
			const size_t len = (size_t)libpq.PQgetlength(r, i, k);
			json_t *cell = libpq.PQgetisnull(r, i, k)
					       ? json_null()
					       : json_stringn(libpq.PQgetvalue(r, i, k), len);
			if (len > SANDBOX_INIT_MAX_CELL_BYTES) {
				json_decref(cell);
				json_decref(cells);
				return err_set(err, ERR_LIMIT, "a value has %zu bytes", len);
			}
			bad |= json_array_append_new(cells, cell);
		}
	}
	bad |= json_object_set_new(reply, "cells", cells);
	bad |= json_object_set_new(reply, "rows", json_integer(rows));
	bad |= json_object_set_new(reply, "columns", json_integer(columns));
	return bad == 0 ? 0 : err_set(err, ERR_FAILED, "the answer is not text");
}

static int do_sql(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)in; /* every verb has the same form */
	const char *statements[SANDBOX_MAX_ARGS + 1];
	CLEANUP(libpq_finish_p) PGconn *c = NULL;
	CLEANUP(libpq_clear_p) PGresult *last = NULL;
	int rc = words_of(request, "statements", statements, err);
	if (rc == 0)
		rc = sql_open(request, &c, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; statements[i] != NULL; i++) {
		libpq_clear(TAKE(last));
		last = libpq.PQexec(c, statements[i]);
		ExecStatusType status = libpq.PQresultStatus(last);
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
			return statement_error(c, last, err);
	}
	return put_rows(last, reply, err);
}

/* ---- the loop ---- */

static int do_ping(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	(void)in, (void)request, (void)err; /* every verb has the same form */
	(void)json_object_set_new(reply, "pid", json_integer(getpid())); /* as put_end() */
	return 0;
}

static const struct {
	const char *name;
	verb_fn *run;
} verbs[] = {
	{ "ping", do_ping },
	{ "run", do_run },
	{ "start", do_start },
	{ "look", do_look },
	{ "stop", do_stop },
	{ "connect", do_connect },
	{ "interfaces", do_interfaces },
	{ "sql", do_sql },
};

/* Orphans become children of process 1: take those that have ended. */
static void reap_orphans(const struct init *in)
{
	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			return;
		for (int i = 0; i < SANDBOX_INIT_MAX_SERVICES; i++) {
			const struct child *c = in->services[i].child;
			if (c != NULL && child_pid(c) == info.si_pid)
				return; /* invariant 4; the rest waits behind it */
		}
		(void)waitpid(info.si_pid, NULL, WNOHANG); /* it has ended */
	}
}

static int answer(struct init *in, const json_t *request, json_t *reply, struct err *err)
{
	const char *verb = text_of(request, "verb", err);
	for (size_t i = 0; verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].run(in, request, reply, err);
	}
	return err_set(err, ERR_USAGE, "the sandbox does not know '%s'", verb == NULL ? "" : verb);
}

static int serve(struct init *in, int fd, struct err *err)
{
	json_t *request = NULL;
	int rc = sandbox_wire_recv(fd, -1, NULL, NULL, &request, err);
	if (rc != 0)
		return rc;
	struct err why = ERR_INIT;
	json_t *reply = json_object();
	rc = reply == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : answer(in, request, reply, &why);
	if (reply != NULL && rc != 0) {
		char text[ERR_MSG_BYTES];
		(void)json_object_clear(reply);
		(void)escape_str(text, sizeof(text), why.msg);                  /* cut is fine */
		(void)json_object_set_new(reply, "message", json_string(text)); /* as put_end() */
	}
	if (reply != NULL)
		(void)json_object_set_new(reply, "code", json_integer(-rc)); /* as put_end() */
	rc = reply == NULL ? -ERR_NOMEM : sandbox_wire_send(fd, reply, err);
	json_decref(request);
	json_decref(reply);
	reap_orphans(in);
	return rc;
}

/* Sockets of any other family may lead out of the network that is unshared (AF_VSOCK does), and
 * io_uring makes sockets without that call. */
static int bound_sockets(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter == NULL ? -1 : 0;
	for (unsigned family = 0; rc == 0 && family < SANDBOX_INIT_FAMILIES; family++) {
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6 &&
			family != AF_NETLINK)
			rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, family));
	}
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_GE, SANDBOX_INIT_FAMILIES));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

int sandbox_init_run(int argc, char **argv)
{
	static struct init in; /* for as long as the process */
	struct err err = ERR_INIT;
	char *end = NULL;
	long fd = argc == 2 ? strtol(argv[1], &end, 10) : -1;
	if (end == NULL || *end != '\0' || fd < 3 || fd > 1 << 20)
		return EXIT_STATUS_USAGE;
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
		return EXIT_STATUS_USAGE;
	/* code out of the restored data has our user: it must not get at our socket or memory */
	if (prctl(PR_SET_DUMPABLE, 0) != 0 || bound_sockets() != 0)
		return EXIT_STATUS_FAILED;
	while (serve(&in, (int)fd, &err) == 0)
		continue;
	for (int i = 0; i < SANDBOX_INIT_MAX_SERVICES; i++)
		child_free(in.services[i].child);
	return err.code == ERR_UNREACHABLE ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}
