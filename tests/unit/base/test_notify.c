#include "base/notify.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

Test(notify, the_state_reaches_the_service_manager)
{
	char name[64];
	char got[64] = "";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(name, sizeof(name), "@holdfast-notify-%d", (int)getpid());
	memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
	cr_assert(eq(int, bind(fd, (struct sockaddr *)&at, len), 0));
	cr_expect(eq(int, notify_send(name, "READY=1"), 0));
	cr_expect(eq(int, (int)recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7));
	cr_expect_str_eq(got, "READY=1");
	(void)close(fd);
	cr_expect(eq(int, notify_send(name, "READY=1"), -1));
}

Test(notify, without_a_service_manager_nothing_happens)
{
	char longer[200];
	memset(longer, '/', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	cr_expect(eq(int, notify_send(NULL, "READY=1"), -1));
	cr_expect(eq(int, notify_send("", "READY=1"), -1));
	cr_expect(eq(int, notify_send("relative", "READY=1"), -1));
	cr_expect(eq(int, notify_send(longer, "READY=1"), -1));
}

Test(notify, the_watchdog_is_fed_twice_in_its_time_and_only_when_it_is_ours)
{
	cr_expect(eq(i64, notify_watchdog_ms("30000000", NULL, 7), 15000));
	cr_expect(eq(i64, notify_watchdog_ms("30000000", "7", 7), 15000));
	cr_expect(eq(i64, notify_watchdog_ms("30000000", "8", 7), 0));
	cr_expect(eq(i64, notify_watchdog_ms(NULL, "7", 7), 0));
	cr_expect(eq(i64, notify_watchdog_ms("x", NULL, 7), 0));
}
