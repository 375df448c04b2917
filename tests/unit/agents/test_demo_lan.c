#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/demo_lan.h"
#include "base/cleanup.h"
#include "base/err.h"

static ino_t network(void)
{
	struct stat st;
	cr_assert_eq(stat("/proc/thread-self/ns/net", &st), 0);
	return st.st_ino;
}

/* What this machine refuses cannot be tested on it, and that is said. */
static struct demo_lan *make(size_t hosts)
{
	struct err err = ERR_INIT;
	struct demo_lan *l = NULL;
	int rc = demo_lan_new(hosts, &l, &err);
	if (rc == -ERR_FAILED)
		cr_skip_test("no network namespaces here: %s", err.msg);
	cr_assert_eq(rc, 0, "%s", err.msg);
	return l;
}

static struct sockaddr_in address_of(const char *text, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	cr_assert_eq(inet_pton(AF_INET, text, &a.sin_addr), 1);
	return a;
}

Test(demo_lan, hosts_reach_each_other_and_nothing_else)
{
	struct demo_lan *l = make(3);
	struct sockaddr_in own = address_of(demo_lan_address(l, 0), 7000);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server, (struct sockaddr *)&own, sizeof(own)), 0);
	cr_assert_eq(listen(server, 4), 0);
	for (size_t i = 1; i < 3; i++) {
		struct sockaddr_in from;
		char text[INET_ADDRSTRLEN];
		socklen_t len = sizeof(from);
		cr_assert_eq(demo_lan_enter(l, i, NULL), 0);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_eq(connect(fd, (struct sockaddr *)&own, sizeof(own)), 0);
		int got = accept(server, (struct sockaddr *)&from, &len);
		cr_assert_geq(got, 0);
		cr_assert_str_eq(inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text)),
			demo_lan_address(l, i), "it calls with its own address");
		struct sockaddr_in out = address_of("192.0.2.1", 80);
		int lost = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_neq(connect(lost, (struct sockaddr *)&out, sizeof(out)), 0,
			"there is no way out");
		(void)close(lost);
		(void)close(got);
		(void)close(fd);
	}
	(void)close(server);
	demo_lan_free(l);
}

Test(demo_lan, each_host_is_a_network_of_its_own)
{
	ino_t before = network();
	struct demo_lan *l = make(2);
	cr_assert_neq(network(), before);
	ino_t zero = network();
	cr_assert_eq(demo_lan_enter(l, 1, NULL), 0);
	cr_assert_neq(network(), zero);
	cr_assert_eq(if_nametoindex("plant0"), 0, "the bridge is in host 0 only");
	demo_lan_free(l);
	if (geteuid() == 0)
		cr_assert_eq(network(), before, "we are back where we were");
}

Test(demo_lan, too_many_hosts)
{
	struct err err = ERR_INIT;
	struct demo_lan *l = NULL;
	ino_t before = network();
	cr_assert_eq(demo_lan_new(DEMO_LAN_MAX_HOSTS + 1, &l, &err), -ERR_LIMIT);
	cr_assert_eq(demo_lan_new(0, &l, &err), -ERR_LIMIT);
	cr_assert_null(l);
	cr_assert_eq(network(), before);
}
