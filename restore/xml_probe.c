#include "restore/xml_probe.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "restore/libxml.h"

/*
 * INVARIANTS
 * (1) The child parses only after its filter is in force; without a filter it answers nothing.
 * (2) pid > 0 exactly while a child is unreaped; fd is its socket then, else -1.
 * (3) A question is answered by exactly one result, or the child is ended.
 */

#define XML_PROBE_SECONDS 30 /* for one document */
#define XML_PROBE_CPU_SECONDS 600
#define XML_PROBE_MEMORY ((rlim_t)1 << 30)

struct xml_probe {
	pid_t pid;
	int fd;
};

DEFINE_CLEANUP(struct xml_probe *, xml_probe_free)

/* ---- inside the child ---- */

static void copy_name(char *out, const xmlChar *text)
{
	if (text == NULL || out[0] != '\0')
		return;
	(void)snprintf(out, XML_PROBE_NAME_BYTES, "%s", (const char *)text); /* cut is fine */
}

static void copy_fault(struct xml_probe_result *r)
{
	const xmlError *e = libxml.xmlGetLastError();
	if (e == NULL || e->message == NULL) {
		(void)snprintf(r->why, sizeof(r->why), "not well-formed"); /* fits */
		return;
	}
	(void)snprintf(r->why, sizeof(r->why), "line %d: %.*s", e->line,
		(int)strcspn(e->message, "\n"), e->message); /* cut is fine */
}

static void ignore_message(void *ctx, const char *fmt, ...)
{
	(void)ctx, (void)fmt; /* the last error is asked for instead */
}

/* Walk the document; ${r} begins all zero. */
static void parse(const char *data, size_t len, struct xml_probe_result *r)
{
	libxml.xmlResetLastError();
	xmlTextReader *reader = libxml.xmlReaderForMemory(data, (int)len, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	bool is_in_id = false;
	int rc = reader == NULL ? -1 : 1;
	while (rc == 1 && (rc = libxml.xmlTextReaderRead(reader)) == 1) {
		int type = libxml.xmlTextReaderNodeType(reader);
		const xmlChar *name = libxml.xmlTextReaderConstLocalName(reader);
		if (type == XML_READER_TYPE_ELEMENT && libxml.xmlTextReaderDepth(reader) == 0)
			copy_name(r->root, name);
		if (type == XML_READER_TYPE_ELEMENT)
			is_in_id = libxml.xmlStrEqual(name, BAD_CAST "Id") == 1;
		else if (type == XML_READER_TYPE_TEXT && is_in_id)
			copy_name(r->id, libxml.xmlTextReaderConstValue(reader));
		else if (type == XML_READER_TYPE_END_ELEMENT)
			is_in_id = false;
	}
	r->is_well_formed = rc == 0 && r->root[0] != '\0';
	if (!r->is_well_formed)
		copy_fault(r);
	libxml.xmlFreeTextReader(reader);
}

/* Everything but memory, its pipe and the end is refused. */
static int cage(void)
{
	static const int calls[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(brk), SCMP_SYS(mmap),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mprotect),
		SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(exit_group), SCMP_SYS(exit),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
		SCMP_SYS(sigaltstack), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield),
		SCMP_SYS(close) };
	const struct rlimit memory = { XML_PROBE_MEMORY, XML_PROBE_MEMORY };
	const struct rlimit cpu = { XML_PROBE_CPU_SECONDS, XML_PROBE_CPU_SECONDS };
	const struct rlimit none = { 0, 0 };
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes */
	if (setrlimit(RLIMIT_AS, &memory) != 0)
		return -1;
#else
	(void)memory;
#endif
	if (setrlimit(RLIMIT_CPU, &cpu) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
		setrlimit(RLIMIT_FSIZE, &none) != 0)
		return -1;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = filter == NULL ? -1 : 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

static _Noreturn void serve(int fd, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1);
	libxml.xmlInitParser();
	libxml.xmlSetGenericErrorFunc(NULL, ignore_message);
	/* a converter that is open keeps its tables: later ones need no files */
	static const char *const encodings[] = { "WINDOWS-1252", "ISO-8859-15", "ISO-8859-2",
		"WINDOWS-1251", "SHIFT_JIS", "GB18030" };
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		(void)libxml.xmlFindCharEncodingHandler(encodings[i]); /* kept on purpose */
	char *data = malloc(XML_PROBE_MAX_BYTES);
	if (data == NULL || cage() != 0)
		_exit(1);
	for (;;) {
		uint32_t len;
		struct xml_probe_result r = { .is_well_formed = false };
		if (fdio_read_full(fd, &len, sizeof(len)) != (ssize_t)sizeof(len))
			_exit(0);
		if (len > XML_PROBE_MAX_BYTES || fdio_read_full(fd, data, len) != (ssize_t)len)
			_exit(1);
		parse(data, len, &r);
		if (write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
			_exit(1);
	}
}

/* ---- outside ---- */

static void end_child(struct xml_probe *p)
{
	cleanup_close_p(&p->fd);
	p->fd = -1;
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL); /* it may have ended */
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	p->pid = 0;
}

static int begin_child(struct xml_probe *p, struct err *err)
{
	int pair[2];
	if (p->pid > 0)
		return 0;
	int rc = libxml_load(err);
	if (rc != 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(err, ERR_IO, "unable to start the XML reader");
	const pid_t parent = getpid();
	p->pid = fork();
	if (p->pid == 0) {
		(void)setpgid(0, 0); /* Ctrl-C is for the drill; without, it is for both */
		/* nothing of ours but the socket goes along */
		int fd = dup2(pair[1], 3);
		if (fd != 3 || close_range(4, ~0U, 0) != 0 || close_range(0, 2, 0) != 0)
			_exit(1);
		serve(fd, parent);
	}
	(void)close(pair[1]); /* the child has it */
	if (p->pid < 0) {
		(void)close(pair[0]); /* nothing was sent */
		p->pid = 0;
		return err_sys(err, ERR_IO, "unable to start the XML reader");
	}
	p->fd = pair[0];
	return 0;
}

int xml_probe_new(struct xml_probe **out, struct err *err)
{
	CLEANUP(xml_probe_free_p) struct xml_probe *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->fd = -1;
	int rc = begin_child(p, err);
	if (rc == 0)
		*out = TAKE(p);
	return rc;
}

void xml_probe_free(struct xml_probe *p)
{
	if (p == NULL)
		return;
	end_child(p);
	free(p);
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* Read the answer within the time.  Return 0; 1: the child died; 2: too slow. */
static int take_answer(int fd, struct xml_probe_result *out)
{
	const int64_t deadline = env_mono_ns() + XML_PROBE_SECONDS * INT64_C(1000000000);
	size_t have = 0;
	while (have < sizeof(*out)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = (deadline - env_mono_ns()) / 1000000;
		if (left <= 0)
			return 2;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		ssize_t n = recv(fd, (char *)out + have, sizeof(*out) - have, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return 1;
		have += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* An answer is another process's bytes: its texts end where they must. */
static void settle(struct xml_probe_result *r)
{
	r->root[sizeof(r->root) - 1] = r->id[sizeof(r->id) - 1] = '\0';
	r->why[sizeof(r->why) - 1] = '\0';
}

int xml_probe_read(struct xml_probe *p, const void *data, size_t len, struct xml_probe_result *out,
	struct err *err)
{
	struct xml_probe_result r = { .is_well_formed = false };
	if (len > XML_PROBE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "the document has %zu bytes", len);
	int rc = begin_child(p, err);
	if (rc != 0)
		return rc;
	const uint32_t size = (uint32_t)len;
	int how = 1;
	if (send_all(p->fd, &size, sizeof(size)) && send_all(p->fd, data, len))
		how = take_answer(p->fd, &r);
	if (how != 0) {
		end_child(p);
		r = (struct xml_probe_result){ .is_well_formed = false };
		(void)snprintf(r.why, sizeof(r.why), "%s",
			how == 2 ? "its reader took too long" : "its reader died"); /* fits */
	}
	settle(&r);
	*out = r;
	return 0;
}

int xml_probe_file(struct xml_probe *p, int fd, struct xml_probe_result *out, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT(XML_PROBE_MAX_BYTES);
	int rc = fdio_read_all(fd, &text, &why);
	if (rc == 0)
		return xml_probe_read(
			p, text.data == NULL ? (const void *)"" : text.data, text.len, out, err);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = (struct xml_probe_result){ .is_well_formed = false };
	(void)snprintf(out->why, sizeof(out->why), "%.150s", why.msg); /* cut is fine */
	return 0;
}
