#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

int notify_send(const char *socket_name, const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = socket_name == NULL ? 0 : strlen(socket_name);
	if (len < 2 || len >= sizeof(to.sun_path) || strchr("/@", socket_name[0]) == NULL)
		return -1;
	memcpy(to.sun_path, socket_name, len);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* a name of its own, outside the file system */
	CLEANUP(cleanup_close_p) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&to, size);
	return sent == (ssize_t)strlen(state) ? 0 : -1;
}

int64_t notify_watchdog_ms(const char *usec, const char *watched, int64_t pid)
{
	if (usec == NULL || (watched != NULL && strtoll(watched, NULL, 10) != pid))
		return 0;
	long long us = strtoll(usec, NULL, 10);
	return us <= 0 ? 0 : us / 2000;
}
