#include "agents/demo_lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) No namespace has a name in the file system: descriptors here and processes in it are all that
 *     keeps it.
 * (2) Descriptors are O_CLOEXEC: no child keeps a namespace but its own.
 */

#define LAN_BRIDGE "plant0"
#define LAN_PORT "eth0"
#define LAN_TRY_MS 2000
#define LAN_CLOSED_PORT 9

struct demo_lan {
	size_t hosts;
	int before; /* the namespace we came from; -1: no way back */
	int at[DEMO_LAN_MAX_HOSTS];
	char address[DEMO_LAN_MAX_HOSTS][INET_ADDRSTRLEN];
};

static int refused(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "unable to %s: %s", what, strerror(errno));
}

/* ---- the user namespace of somebody who is not root ---- */

static int put_text(const char *path, const char *text)
{
	CLEANUP(cleanup_close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* A user namespace that shows our own id, in which we may make networks. */
static int enter_user_namespace(struct err *err)
{
	char uids[64], gids[64];
	(void)snprintf(uids, sizeof(uids), "%u %u 1", geteuid(), geteuid()); /* fits */
	(void)snprintf(gids, sizeof(gids), "%u %u 1", getegid(), getegid()); /* fits */
	if (unshare(CLONE_NEWUSER) != 0)
		return refused(err, "make a user namespace");
	/* the maps of a process that may not be dumped belong to root */
	int was = prctl(PR_GET_DUMPABLE);
	(void)prctl(PR_SET_DUMPABLE, 1); /* refused: the writes below fail and tell */
	bool is_done = put_text("/proc/self/setgroups", "deny") == 0 &&
		       put_text("/proc/self/uid_map", uids) == 0 &&
		       put_text("/proc/self/gid_map", gids) == 0;
	int why = errno;
	(void)prctl(PR_SET_DUMPABLE, was); /* back to what it was */
	errno = why;
	return is_done ? 0 : refused(err, "map our id into a user namespace");
}

/* ---- interfaces ---- */

static int set_up(const char *name, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_flags = 0 };
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name); /* fits */
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) != 0)
		return refused(err, "read an interface's flags");
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
	return ioctl(fd, SIOCSIFFLAGS, &r) == 0 ? 0 : refused(err, "set an interface up");
}

static int set_address(const char *name, const char *address, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_flags = 0 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name); /* fits */
	(void)inet_pton(AF_INET, address, &a.sin_addr);             /* made here */
	memcpy(&r.ifr_addr, &a, sizeof(a));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &r) != 0)
		return refused(err, "give an interface its address");
	(void)inet_pton(AF_INET, "255.255.255.0", &a.sin_addr); /* as above */
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFNETMASK, &r) != 0)
		return refused(err, "give an interface its netmask");
	return set_up(name, err);
}

/* A netlink message that grows. */
struct message {
	union {
		struct nlmsghdr head;
		uint8_t bytes[512];
	} at;
};

static struct rtattr *add(struct message *m, unsigned short type, const void *data, size_t len)
{
	size_t from = NLMSG_ALIGN(m->at.head.nlmsg_len);
	struct rtattr *a = (struct rtattr *)(void *)(m->at.bytes + from);
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(a), data, len);
	m->at.head.nlmsg_len = (uint32_t)(from + RTA_ALIGN(a->rta_len));
	return a;
}

static void end(struct message *m, struct rtattr *a)
{
	a->rta_len = (unsigned short)(m->at.bytes + m->at.head.nlmsg_len - (uint8_t *)a);
}

/* Send it and take the kernel's answer.  Return 0, or -1 and errno. */
static int ask(struct message *m)
{
	CLEANUP(cleanup_close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct message answer = { .at.head.nlmsg_len = 0 };
	if (fd < 0 || send(fd, m->at.bytes, m->at.head.nlmsg_len, 0) < 0)
		return -1;
	ssize_t n = recv(fd, answer.at.bytes, sizeof(answer.at.bytes), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
		answer.at.head.nlmsg_type != NLMSG_ERROR) {
		errno = n < 0 ? errno : EPROTO;
		return -1;
	}
	const struct nlmsgerr *e = NLMSG_DATA(&answer.at.head);
	errno = -e->error;
	return e->error == 0 ? 0 : -1;
}

/* A pair of interfaces: eth0 here, its other end ${peer} in the namespace ${where}. */
static int make_pair(const char *peer, int where, struct err *err)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct message m = { .at.head = { .nlmsg_len = NLMSG_LENGTH(0),
				     .nlmsg_type = RTM_NEWLINK,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
						    NLM_F_EXCL } };
	memcpy(NLMSG_DATA(&m.at.head), &info, sizeof(info));
	m.at.head.nlmsg_len = NLMSG_LENGTH(sizeof(info));
	(void)add(&m, IFLA_IFNAME, LAN_PORT, sizeof(LAN_PORT));
	struct rtattr *link = add(&m, IFLA_LINKINFO, NULL, 0);
	(void)add(&m, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = add(&m, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *other = add(&m, VETH_INFO_PEER, &info, sizeof(info));
	(void)add(&m, IFLA_IFNAME, peer, strlen(peer) + 1);
	(void)add(&m, IFLA_NET_NS_FD, &where, sizeof(where));
	end(&m, other);
	end(&m, data);
	end(&m, link);
	return ask(&m) == 0 ? 0 : refused(err, "make a pair of interfaces");
}

static int make_bridge(struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IFNAMSIZ] = LAN_BRIDGE;
	return fd >= 0 && ioctl(fd, SIOCBRADDBR, name) == 0 ? 0 : refused(err, "make a bridge");
}

static int plug(const char *port, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_ifindex = (int)if_nametoindex(port) };
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), LAN_BRIDGE); /* fits */
	if (fd < 0 || ioctl(fd, SIOCBRADDIF, &r) != 0)
		return refused(err, "put a host on the bridge");
	return set_up(port, err);
}

/* ---- the whole ---- */

static int new_namespace(int *out, struct err *err)
{
	if (unshare(CLONE_NEWNET) != 0)
		return refused(err, "make a network namespace");
	*out = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return *out >= 0 ? set_up("lo", err) : refused(err, "open a network namespace");
}

static void port_name(char out[IFNAMSIZ], size_t host)
{
	(void)snprintf(out, IFNAMSIZ, "port%u", (unsigned)host); /* fits */
}

static int make_host(struct demo_lan *l, size_t host, struct err *err)
{
	char port[IFNAMSIZ];
	port_name(port, host);
	int rc = new_namespace(&l->at[host], err);
	if (rc == 0)
		rc = make_pair(port, l->at[0], err);
	if (rc == 0)
		rc = set_address(LAN_PORT, l->address[host], err);
	if (rc == 0)
		rc = demo_lan_enter(l, 0, err);
	return rc == 0 ? plug(port, err) : rc;
}

static int make(struct demo_lan *l, struct err *err)
{
	int rc = geteuid() == 0 ? 0 : enter_user_namespace(err);
	if (rc == 0)
		rc = new_namespace(&l->at[0], err);
	if (rc == 0)
		rc = make_bridge(err);
	for (size_t i = 1; i < l->hosts && rc == 0; i++)
		rc = make_host(l, i, err);
	return rc == 0 ? set_address(LAN_BRIDGE, l->address[0], err) : rc;
}

/* Can ${host} speak to host 0?  A refusal of a closed port is an answer. */
static int try_packets(const struct demo_lan *l, size_t host, struct err *err)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(LAN_CLOSED_PORT) };
	int why = 0;
	socklen_t len = sizeof(why);
	(void)inet_pton(AF_INET, l->address[0], &a.sin_addr); /* made here */
	int rc = demo_lan_enter(l, host, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_close_p)
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refused(err, "make a socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 && errno == EINPROGRESS) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		(void)poll(&p, 1, LAN_TRY_MS);                          /* silence is seen below */
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len); /* as above */
	} else {
		why = errno;
	}
	errno = why == 0 ? ETIMEDOUT : why;
	return why == ECONNREFUSED ? 0 : refused(err, "reach one host from another");
}

static int try_all(struct demo_lan *l, struct err *err)
{
	int rc = make(l, err);
	for (size_t i = 1; i < l->hosts && rc == 0; i++)
		rc = try_packets(l, i, err);
	return rc;
}

/* Make it in a child, which takes it away again by its end. */
static int rehearse(struct demo_lan *l, struct err *err)
{
	struct err why = ERR_INIT;
	int p[2], status = 0;
	if (pipe2(p, O_CLOEXEC) != 0)
		return refused(err, "make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		bool is_fine = try_all(l, &why) == 0;
		ssize_t n = is_fine ? 0 : write(p[1], why.msg, strlen(why.msg));
		_exit(is_fine ? 0 : n < 0 ? 2 : 1);
	}
	(void)close(p[1]); /* the child's */
	char text[sizeof(why.msg)] = "";
	ssize_t n = pid < 0 ? 0 : read(p[0], text, sizeof(text) - 1);
	(void)close(p[0]); /* read side */
	if (pid < 0)
		return refused(err, "start a child");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, ERR_FAILED, "%s", n > 0 ? text : "a trial of a network failed");
}

DEFINE_CLEANUP(struct demo_lan *, demo_lan_free)

int demo_lan_new(size_t hosts, struct demo_lan **out, struct err *err)
{
	CLEANUP(demo_lan_free_p) struct demo_lan *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->before = -1;
	for (size_t i = 0; i < DEMO_LAN_MAX_HOSTS; i++) {
		l->at[i] = -1;
		(void)snprintf(l->address[i], sizeof(l->address[i]), "198.51.100.%u",
			i == 0 ? 1U : 10U + (unsigned)i); /* fits */
	}
	if (hosts < 1 || hosts > DEMO_LAN_MAX_HOSTS)
		return err_set(err, ERR_LIMIT, "a network of %zu hosts", hosts);
	l->hosts = hosts;
	int rc = rehearse(l, err);
	if (rc != 0)
		return rc;
	if (geteuid() == 0)
		l->before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	rc = make(l, err);
	if (rc != 0)
		return rc;
	*out = TAKE(l);
	return 0;
}

int demo_lan_enter(const struct demo_lan *l, size_t host, struct err *err)
{
	if (setns(l->at[host], CLONE_NEWNET) != 0)
		return err_sys(err, ERR_IO, "unable to enter the network of host %zu", host);
	return 0;
}

const char *demo_lan_address(const struct demo_lan *l, size_t host)
{
	return l->address[host];
}

void demo_lan_free(struct demo_lan *l)
{
	if (l == NULL)
		return;
	if (l->before >= 0)
		(void)setns(l->before, CLONE_NEWNET); /* the process ends soon, wherever it is */
	cleanup_close_p(&l->before);
	for (size_t i = 0; i < DEMO_LAN_MAX_HOSTS; i++)
		cleanup_close_p(&l->at[i]);
	free(l);
}
