#include "base/notify.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"

static _Atomic int64_t told_at;

/* Nothing can be done about a manager that does not listen. */
static void send_text(const char *path, const char *text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract name space */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)); /* as above */
	(void)close(fd);
}

void notify_state(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (path != NULL)
		send_text(path, state);
}

void notify_watchdog(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	int64_t every_us = text == NULL ? 0 : strtoll(text, NULL, 10);
	int64_t now = env_mono_ns();
	if (every_us <= 0 || now - atomic_load(&told_at) < every_us / 4 * 1000)
		return;
	atomic_store(&told_at, now);
	notify_state("WATCHDOG=1");
}
