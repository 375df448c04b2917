#include "restore/sandbox_wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/jsonx.h"

/*
 * INVARIANTS
 * (1) A length is checked before memory is taken for it.
 * (2) After any failure the stream may stand inside a message: the caller must not use it again.
 */

#define SANDBOX_WIRE_SLICE_MS 100 /* how soon a stop is seen */

static int send_all(int fd, const uint8_t *data, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_UNREACHABLE, "unable to talk to the sandbox");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int sandbox_wire_send(int fd, const json_t *value, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(SANDBOX_WIRE_MAX_BYTES + 4);
	int rc = buf_add32(&out, 0, err);
	if (rc == 0)
		rc = jsonx_encode(value, &out, err);
	if (rc != 0)
		return rc;
	bytes_put32(out.data, (uint32_t)(out.len - 4));
	return send_all(fd, out.data, out.len, err);
}

/* Wait until ${fd} has bytes; ${deadline_ns} < 0 never comes. */
static int wait_readable(
	int fd, int64_t deadline_ns, bool (*is_stopped)(void *arg), void *arg, struct err *err)
{
	for (;;) {
		if (is_stopped != NULL && is_stopped(arg))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		int slice = SANDBOX_WIRE_SLICE_MS;
		if (deadline_ns >= 0) {
			int64_t left = (deadline_ns - env_mono_ns()) / 1000000;
			if (left < 0)
				return err_set(err, ERR_BUSY, "the sandbox did not answer in time");
			slice = left < slice ? (int)left + 1 : slice;
		}
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int n = poll(&p, 1, slice);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, "unable to wait for the sandbox");
	}
}

static int recv_all(int fd, uint8_t *out, size_t len, int64_t deadline_ns,
	bool (*is_stopped)(void *arg), void *arg, struct err *err)
{
	while (len > 0) {
		int rc = wait_readable(fd, deadline_ns, is_stopped, arg, err);
		if (rc != 0)
			return rc;
		ssize_t n = recv(fd, out, len, MSG_DONTWAIT);
		if (n == 0)
			return err_set(err, ERR_UNREACHABLE, "the sandbox ended");
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return err_sys(err, ERR_UNREACHABLE, "unable to hear the sandbox");
		if (n > 0) {
			out += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int sandbox_wire_recv(int fd, int timeout_ms, bool (*is_stopped)(void *arg), void *arg,
	json_t **out, struct err *err)
{
	const int64_t deadline =
		timeout_ms < 0 ? -1 : env_mono_ns() + timeout_ms * INT64_C(1000000);
	uint8_t head[4];
	int rc = recv_all(fd, head, sizeof(head), deadline, is_stopped, arg, err);
	if (rc != 0)
		return rc;
	const size_t len = bytes_get32(head);
	if (len == 0 || len > SANDBOX_WIRE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "the sandbox announced a message of %zu bytes", len);
	CLEANUP(buf_done) struct buf body = BUF_INIT(SANDBOX_WIRE_MAX_BYTES);
	rc = buf_add_zero(&body, len, err);
	if (rc == 0)
		rc = recv_all(fd, body.data, len, deadline, is_stopped, arg, err);
	json_t *value = NULL;
	if (rc == 0)
		rc = jsonx_parse(body.data, len, "a message of the sandbox", &value, err);
	if (rc != 0)
		return rc;
	if (!json_is_object(value)) {
		json_decref(value);
		return err_set(err, ERR_CORRUPT, "a message of the sandbox is no object");
	}
	*out = value;
	return 0;
}
