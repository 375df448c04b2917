#include "store/unix/unix_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"

static int gone(struct err *err, const char *what)
{
	return errno == EAGAIN || errno == EWOULDBLOCK
		       ? err_set(err, ERR_UNREACHABLE, "the other end is silent")
		       : err_sys(err, ERR_UNREACHABLE, "unable to %s the other end", what);
}

int unix_wire_send(int fd, const void *data, size_t len, struct err *err)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gone(err, "tell");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int unix_wire_receive(int fd, void *data, size_t len, struct err *err)
{
	char *at = data;
	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gone(err, "hear");
		if (n == 0)
			return err_set(err, ERR_UNREACHABLE, "the other end closed the connection");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int unix_wire_send_answer(int fd, const struct err *why, uint64_t a, uint64_t len, struct err *err)
{
	struct unix_wire_answer head = { .magic = UNIX_WIRE_MAGIC, .a = a, .len = len };
	if (why != NULL) {
		head.code = (uint32_t)why->code;
		head.msg_len = (uint16_t)strlen(why->msg);
		head.hint_len = (uint16_t)strlen(why->hint);
	}
	int rc = unix_wire_send(fd, &head, sizeof(head), err);
	if (rc == 0 && head.msg_len > 0)
		rc = unix_wire_send(fd, why->msg, head.msg_len, err);
	if (rc == 0 && head.hint_len > 0)
		rc = unix_wire_send(fd, why->hint, head.hint_len, err);
	return rc;
}

static bool is_known_code(uint32_t code)
{
	switch (code) {
#define X(name, value, id, status, retry) case (value):
#include "base/err.def"
#undef X
		return true;
	default:
		return false;
	}
}

int unix_wire_receive_answer(int fd, struct unix_wire_answer *out, bool *is_broken, struct err *err)
{
	struct err why = ERR_INIT;
	*is_broken = true;
	int rc = unix_wire_receive(fd, out, sizeof(*out), err);
	if (rc != 0)
		return rc;
	if (out->magic != UNIX_WIRE_MAGIC || out->msg_len >= sizeof(why.msg) ||
		out->hint_len >= sizeof(why.hint) || (out->code != 0 && !is_known_code(out->code)))
		return err_set(err, ERR_UNSUPPORTED,
			"what answers there speaks another language: is it a 'holdfast vault "
			"serve' of this version?");
	rc = unix_wire_receive(fd, why.msg, out->msg_len, err);
	if (rc == 0)
		rc = unix_wire_receive(fd, why.hint, out->hint_len, err);
	if (rc != 0)
		return rc;
	*is_broken = false;
	if (out->code == 0)
		return 0;
	why.code = (int)out->code;
	if (err != NULL)
		*err = why;
	return -why.code;
}
