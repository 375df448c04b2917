#include "restore/probe_target.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define LIST_MAX 32

static struct probe_target out[PROBE_TARGET_MAX + 1];
static struct addrinfo list[LIST_MAX];
static struct sockaddr_in v4[LIST_MAX];
static struct sockaddr_in6 v6;

/* ${count} addresses, 192.0.2.1 and on. */
static const struct addrinfo *addresses(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		v4[i] = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(0xc0000201u + (unsigned)i) };
		list[i] = (struct addrinfo){ .ai_family = AF_INET,
			.ai_addr = (struct sockaddr *)&v4[i],
			.ai_addrlen = sizeof(v4[i]),
			.ai_next = i + 1 < count ? &list[i + 1] : NULL };
	}
	return count == 0 ? NULL : list;
}

Test(probe_target, an_address_stands_for_itself)
{
	cr_assert(eq(sz, probe_target_expand("192.0.2.1", 502, addresses(1), out), 1));
	cr_expect(eq(str, out[0].text, "192.0.2.1:502"));
	cr_expect(eq(str, out[0].address, "192.0.2.1"));
	cr_expect(eq(str, out[0].detail, ""));
	cr_expect(eq(int, out[0].port, 502));
}

Test(probe_target, every_address_of_a_name_is_tried_once)
{
	(void)addresses(3);
	v4[2] = v4[0]; /* the same again */
	v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	cr_assert(eq(int, inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr), 1));
	v6.sin6_scope_id = 1;
	struct addrinfo last = {
		.ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&v6, .ai_addrlen = sizeof(v6)
	};
	list[2].ai_next = &last;
	cr_assert(eq(sz, probe_target_expand("plc.example", 502, list, out), 3));
	cr_expect(eq(str, out[0].text, "plc.example:502 at 192.0.2.1"));
	cr_expect(eq(str, out[1].text, "plc.example:502 at 192.0.2.2"));
	cr_expect(eq(str, out[2].address, "fe80::1"));
}

Test(probe_target, what_is_not_tried_is_named)
{
	cr_assert(eq(sz, probe_target_expand("plc.example", 502, addresses(16), out), 16));
	cr_assert(eq(sz, probe_target_expand("plc.example", 502, addresses(20), out), 17));
	cr_expect(eq(str, out[15].address, "192.0.2.16"));
	cr_expect(eq(str, out[16].text, "plc.example:502 at 4 more addresses"));
	cr_expect(eq(str, out[16].address, ""));
	cr_expect(eq(str, out[16].detail, "only the first 16 addresses of a name are tried"));
	cr_assert(eq(sz, probe_target_expand("no.example", 502, NULL, out), 1));
	cr_expect(eq(str, out[0].text, "no.example:502"));
	cr_expect(eq(str, out[0].address, ""));
	cr_expect(ne(str, out[0].detail, ""));
}
