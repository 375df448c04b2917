/*
 * fuzz_sandbox_wire: what a sandbox says over its socket: as many messages as there are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "restore/sandbox_wire.h"

static void run(const uint8_t *data, size_t len)
{
	int ends[2];
	size_t sent = 0;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	while (sent < len) {
		ssize_t n = send(ends[0], data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		FUZZ_CHECK(n > 0); /* FUZZ_MAX_BYTES fit */
		sent += (size_t)n;
	}
	FUZZ_CHECK(close(ends[0]) == 0);
	for (int rc = 0; rc == 0;) {
		struct err err = ERR_INIT;
		json_t *value = NULL;
		rc = sandbox_wire_recv(ends[1], 1000, NULL, NULL, &value, &err);
		fuzz_verdict(rc, &err);
		if (rc == 0)
			FUZZ_CHECK(json_is_object(value));
		json_decref(value);
	}
	FUZZ_CHECK(close(ends[1]) == 0);
}

static void seeds(void)
{
	struct err err = ERR_INIT;
	uint8_t all[4096];
	int ends[2];
	json_t *value = json_pack("{s:s, s:i, s:[n, b]}", "event", "probe", "port", 5432, "x", 1);
	FUZZ_CHECK(value != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	FUZZ_CHECK(sandbox_wire_send(ends[0], value, &err) == 0);
	FUZZ_CHECK(sandbox_wire_send(ends[0], value, &err) == 0);
	ssize_t len = recv(ends[1], all, sizeof(all), 0);
	FUZZ_CHECK(len > 0);
	fuzz_seed(all, (size_t)len);
	json_decref(value);
	close(ends[0]);
	close(ends[1]);
}

const struct fuzz_target fuzz_sandbox_wire = { "sandbox_wire", run, seeds };
