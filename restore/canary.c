#include "restore/canary.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) seen counts every connection taken that canary_prove() did not make.
 * (2) Listeners do not block: an empty queue ends a count.
 */

#define CANARY_PROVE_MS 5000

struct canary {
	int fds[CANARY_MAX_PERCHES]; /* owned */
	struct canary_perch perches[CANARY_MAX_PERCHES];
	size_t count;
	int64_t seen;
};

DEFINE_CLEANUP(struct canary *, canary_free)

static int perch(struct canary *c, struct in_addr address, struct err *err)
{
	CLEANUP(cleanup_close_p)
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = address };
	socklen_t len = sizeof(a);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
		listen(fd, CANARY_BACKLOG) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return err_sys(err, ERR_IO, "unable to set up the canary");
	struct canary_perch *p = &c->perches[c->count];
	if (inet_ntop(AF_INET, &a.sin_addr, p->address, sizeof(p->address)) == NULL)
		return err_sys(err, ERR_IO, "unable to name the canary's address");
	p->port = ntohs(a.sin_port);
	c->fds[c->count++] = TAKE_FD(fd);
	return 0;
}

/* An IPv4 address of this host that is not its loopback; false = it has none. */
static bool host_address(struct in_addr *out)
{
	struct ifaddrs *list = NULL;
	bool is_found = false;
	if (getifaddrs(&list) != 0)
		return false;
	for (const struct ifaddrs *i = list; i != NULL && !is_found; i = i->ifa_next) {
		struct sockaddr_in a;
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET ||
			(i->ifa_flags & IFF_LOOPBACK) != 0 || (i->ifa_flags & IFF_UP) == 0)
			continue;
		memcpy(&a, i->ifa_addr, sizeof(a));
		*out = a.sin_addr;
		is_found = true;
	}
	freeifaddrs(list);
	return is_found;
}

int canary_new(struct canary **out, struct err *err)
{
	CLEANUP(canary_free_p) struct canary *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = perch(c, (struct in_addr){ htonl(INADDR_LOOPBACK) }, err);
	if (rc != 0)
		return rc;
	struct in_addr address;
	if (host_address(&address))
		(void)perch(c, address, NULL); /* the address may be going: the loopback is there */
	*out = TAKE(c);
	return 0;
}

void canary_free(struct canary *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		cleanup_close_p(&c->fds[i]);
	free(c);
}

const struct canary_perch *canary_perches(const struct canary *c, size_t *count)
{
	*count = c->count;
	return c->perches;
}

/* Take every waiting connection of listener ${i}. */
static int64_t count_waiting(struct canary *c, size_t i)
{
	int64_t n = 0;
	for (;;) {
		int fd = accept4(c->fds[i], NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return n;
		/* one that was aborted again was made all the same */
		n += fd >= 0 || errno == ECONNABORTED;
		cleanup_close_p(&fd);
	}
}

static int prove_one(struct canary *c, size_t i, struct err *err)
{
	const struct canary_perch *p = &c->perches[i];
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)p->port) };
	c->seen += count_waiting(c, i); /* whoever came before is not ours */
	if (fd < 0 || inet_pton(AF_INET, p->address, &a.sin_addr) != 1 ||
		connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return err_sys(
			err, ERR_FAILED, "the canary at %s:%d is not alive", p->address, p->port);
	struct pollfd ready = { .fd = c->fds[i], .events = POLLIN };
	(void)poll(&ready, 1, CANARY_PROVE_MS); /* the count tells */
	int64_t n = count_waiting(c, i);
	if (n < 1)
		return err_set(
			err, ERR_FAILED, "the canary at %s:%d does not count", p->address, p->port);
	c->seen += n - 1;
	return 0;
}

int canary_prove(struct canary *c, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < c->count && rc == 0; i++)
		rc = prove_one(c, i, err);
	return rc;
}

int64_t canary_seen(struct canary *c)
{
	for (size_t i = 0; i < c->count; i++)
		c->seen += count_waiting(c, i);
	return c->seen;
}
