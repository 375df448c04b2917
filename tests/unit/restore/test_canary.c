#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/canary.h"

TestSuite(canary, .timeout = 60);

static int reach(const struct canary_perch *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)p->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && inet_pton(AF_INET, p->address, &a.sin_addr) == 1);
	int rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
	(void)close(fd);
	return rc;
}

Test(canary, counts_whoever_reached_it)
{
	struct canary *c = NULL;
	struct err err = ERR_INIT;
	size_t n;
	cr_assert(eq(int, canary_new(&c, &err), 0), "%s", err.msg);
	const struct canary_perch *p = canary_perches(c, &n);
	cr_assert(ge(sz, n, 1));
	cr_expect(eq(i64, canary_seen(c), 0));
	cr_expect(eq(int, reach(&p[0]), 0));
	cr_expect(eq(int, reach(&p[n - 1]), 0));
	cr_expect(eq(i64, canary_seen(c), 2));
	cr_expect(eq(i64, canary_seen(c), 2));
	canary_free(c);
}

Test(canary, the_proof_that_it_lives_is_not_counted_and_hides_nobody)
{
	struct canary *c = NULL;
	struct err err = ERR_INIT;
	size_t n;
	cr_assert(eq(int, canary_new(&c, &err), 0), "%s", err.msg);
	const struct canary_perch *p = canary_perches(c, &n);
	cr_expect(eq(int, canary_prove(c, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, canary_seen(c), 0));
	cr_expect(eq(int, reach(&p[0]), 0));
	cr_expect(eq(int, canary_prove(c, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, canary_seen(c), 1));
	canary_free(c);
}

Test(canary, nobody_listens_once_it_is_gone)
{
	struct canary *c = NULL;
	struct err err = ERR_INIT;
	size_t n;
	cr_assert(eq(int, canary_new(&c, &err), 0), "%s", err.msg);
	struct canary_perch p = canary_perches(c, &n)[0];
	canary_free(c);
	cr_expect(eq(int, reach(&p), -1));
}
