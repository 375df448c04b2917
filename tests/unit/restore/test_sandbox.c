#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/sandbox.h"
#include "restore/sandbox_init.h"
#include "restore/sandbox_left.h"

/* This program is the one that runs inside, too. */
__attribute__((constructor)) static void be_process_1(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SANDBOX_INIT_VERB) == 0)
		_exit(sandbox_init_run(argc - 1, argv + 1));
}

static char root[] = "/tmp/test sandbox XXXXXX", data[128], logs[128];

static void setup(void)
{
	cr_assert(mkdtemp(root) != NULL);
	(void)snprintf(data, sizeof(data), "%s/data", root);
	(void)snprintf(logs, sizeof(logs), "%s/log", root);
	cr_assert(mkdir(data, 0700) == 0 && mkdir(logs, 0700) == 0);
}

static void teardown(void)
{
	char command[256];
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", root);
	cr_assert(system(command) == 0);
}

TestSuite(sandbox, .init = setup, .fini = teardown, .timeout = 120);

static struct sandbox *open_one(bool share_network)
{
	static const struct sandbox_file files[] = { { "note", "given\n" } };
	struct sandbox_opts opts = { .data = data,
		.log = logs,
		.files = files,
		.file_count = 1,
		.share_network = share_network };
	struct sandbox *b = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, sandbox_open(&opts, &b, &err), 0), "%s", err.msg);
	return b;
}

static int run_shell(struct sandbox *b, const char *script, struct buf *out)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct child_end end = { .status = -1 };
	struct err err = ERR_INIT;
	cr_assert(eq(int, sandbox_run(b, argv, 20000, out, &end, &err), 0), "%s", err.msg);
	return end.is_signal ? 256 + end.status : end.status;
}

Test(sandbox, runs_programs_with_their_output_and_exit_status)
{
	struct sandbox *b = open_one(false);
	struct buf out = BUF_INIT(4096);
	cr_expect(eq(int, run_shell(b, "echo one; echo two >&2; exit 7", &out), 7));
	cr_expect(strstr(buf_cstr(&out), "one") != NULL);
	cr_expect(strstr(buf_cstr(&out), "two") != NULL);
	buf_done(&out);
	sandbox_free(b);
}

Test(sandbox, has_only_its_own_loopback_and_no_rights)
{
	struct sandbox *b = open_one(false);
	struct buf names = BUF_INIT(256), out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	cr_assert(eq(int, sandbox_interfaces(b, &names, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&names), "lo"));
	cr_expect(eq(int, run_shell(b, "id -u; grep CapEff /proc/self/status", &out), 0));
	cr_expect(strncmp(buf_cstr(&out), "1000\n", 5) == 0);
	cr_expect(strstr(buf_cstr(&out), "0000000000000000") != NULL);
	cr_expect(ne(int, run_shell(b, "unshare -r true", NULL), 0));
	cr_expect(ne(int, run_shell(b, "cat /proc/1/maps", NULL), 0));
	buf_done(&names);
	buf_done(&out);
	sandbox_free(b);
}

Test(sandbox, shares_the_data_directory_and_nothing_else_that_can_be_written)
{
	struct sandbox *b = open_one(false);
	char path[256];
	cr_expect(eq(int, run_shell(b, "echo x > /drill/made && cat /drill-etc/note", NULL), 0));
	(void)snprintf(path, sizeof(path), "%s/made", data);
	cr_expect(eq(int, access(path, F_OK), 0));
	cr_expect(ne(int, run_shell(b, "echo x > /drill-etc/note", NULL), 0));
	cr_expect(ne(int, run_shell(b, "echo x > /usr/made", NULL), 0));
	cr_expect(ne(int, run_shell(b, "echo x > /made", NULL), 0));
	cr_expect(ne(int, run_shell(b, "ls /root || ls /home || ls /work", NULL), 0));
	sandbox_free(b);
}

/* 0 = it gave a socket of the kind ${family}, else the errno. */
static int try_family(struct sandbox *b, const char *family)
{
	char script[128];
	(void)snprintf(
		script, sizeof(script), "perl -e 'exit(socket(S, %s, 1, 0) ? 0 : $! + 0)'", family);
	return run_shell(b, script, NULL);
}

Test(sandbox, gives_no_socket_that_its_own_network_does_not_bound)
{
	struct sandbox *b = open_one(false);
	static const char *const others[] = { "0", "17", "38", "40", "63", "64", "0x7fffffff" };
	static const char *const own[] = { "1", "2", "10" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect(eq(int, try_family(b, others[i]), EPERM), "family %s", others[i]);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		cr_expect(ne(int, try_family(b, own[i]), EPERM), "family %s", own[i]);
	cr_expect(eq(int, try_family(b, "1"), 0));
	sandbox_free(b);
}

static int listen_here(int *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 4) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

Test(sandbox, cannot_reach_a_listener_outside)
{
	struct sandbox *b = open_one(false);
	char detail[SANDBOX_DETAIL_BYTES];
	enum sandbox_reach reach = SANDBOX_REACHED;
	struct err err = ERR_INIT;
	int port, fd = listen_here(&port);
	cr_assert(eq(int, sandbox_connect(b, "127.0.0.1", port, 2000, &reach, detail, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, reach, SANDBOX_UNREACHABLE));
	cr_expect(eq(str, detail, "Connection refused"));
	cr_assert(eq(int, sandbox_connect(b, "192.0.2.10", 502, 2000, &reach, detail, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, reach, SANDBOX_UNREACHABLE));
	cr_expect(eq(str, detail, "Network is unreachable"));
	cr_expect(
		eq(int, sandbox_connect(b, "no address", 1, 10, &reach, detail, &err), -ERR_USAGE));
	(void)close(fd);
	sandbox_free(b);
}

Test(sandbox, with_the_hosts_network_left_in_the_probe_says_reached)
{
	struct sandbox *b = open_one(true);
	char detail[SANDBOX_DETAIL_BYTES];
	enum sandbox_reach reach = SANDBOX_UNREACHABLE;
	struct err err = ERR_INIT;
	int port, fd = listen_here(&port);
	cr_assert(eq(int, sandbox_connect(b, "127.0.0.1", port, 2000, &reach, detail, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, reach, SANDBOX_REACHED));
	cr_expect(eq(str, detail, "connected"));
	(void)close(fd);
	sandbox_free(b);
}

Test(sandbox, starts_looks_at_and_stops_a_service_that_logs)
{
	struct sandbox *b = open_one(false);
	const char *const argv[] = { "/bin/sh", "-c", "echo up; exec sleep 1000", NULL };
	struct err err = ERR_INIT;
	bool is_running = false;
	struct child_end end;
	char path[256];
	cr_assert(eq(int, sandbox_start(b, "svc", argv, &err), 0), "%s", err.msg);
	cr_expect(eq(int, sandbox_start(b, "svc", argv, &err), -ERR_EXISTS));
	cr_expect(eq(int, sandbox_look(b, "svc", &is_running, &end, &err), 0));
	cr_expect(is_running);
	cr_expect(eq(int, sandbox_look(b, "other", &is_running, &end, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, sandbox_stop(b, "svc", SIGKILL, 5000, &end, &err), 0));
	cr_expect(end.is_signal && end.status == SIGKILL);
	cr_expect(eq(int, sandbox_stop(b, "svc", SIGKILL, 5000, &end, &err), -ERR_NOT_FOUND));
	(void)snprintf(path, sizeof(path), "%s/svc.log", logs);
	cr_expect(eq(int, access(path, F_OK), 0));
	sandbox_free(b);
}

Test(sandbox, holds_as_many_services_as_a_plan_has_systems)
{
	struct sandbox *b = open_one(false);
	const char *const argv[] = { "/bin/sleep", "1000", NULL };
	struct err err = ERR_INIT;
	char name[16];
	for (int i = 0; i < 20; i++) { /* eight were the most there could be */
		(void)snprintf(name, sizeof(name), "svc%d", i);
		cr_assert(eq(int, sandbox_start(b, name, argv, &err), 0), "%s", err.msg);
	}
	sandbox_free(b);
}

Test(sandbox, says_how_a_service_ended_by_itself)
{
	struct sandbox *b = open_one(false);
	const char *const argv[] = { "/bin/sh", "-c", "exit 9", NULL };
	struct err err = ERR_INIT;
	bool is_running = true;
	struct child_end end = { .status = 0 };
	cr_assert(eq(int, sandbox_start(b, "svc", argv, &err), 0), "%s", err.msg);
	for (int i = 0; i < 1000 && is_running; i++) {
		cr_assert(eq(int, sandbox_look(b, "svc", &is_running, &end, &err), 0));
		(void)run_shell(b, "true", NULL); /* lets time pass */
	}
	cr_expect(not(is_running));
	cr_expect(eq(int, end.status, 9));
	sandbox_free(b);
}

Test(sandbox, a_program_that_takes_too_long_is_killed_and_the_next_one_runs)
{
	struct sandbox *b = open_one(false);
	const char *const argv[] = { "/bin/sleep", "1000", NULL };
	struct err err = ERR_INIT;
	cr_expect(eq(int, sandbox_run(b, argv, 100, NULL, NULL, &err), -ERR_BUSY));
	cr_expect(eq(int, run_shell(b, "exit 3", NULL), 3));
	sandbox_free(b);
}

Test(sandbox, nothing_is_left_of_it_and_while_it_lives_it_is_counted)
{
	struct sandbox *b = open_one(false);
	const char *const argv[] = { "/bin/sleep", "1000", NULL };
	struct err err = ERR_INIT;
	cr_assert(eq(int, sandbox_start(b, "svc", argv, &err), 0), "%s", err.msg);
	struct sandbox_left left = { .processes = -1 };
	cr_assert(eq(int, sandbox_left_count(sandbox_ids(b), root, &left, &err), 0), "%s", err.msg);
	cr_expect(ge(i64, left.processes, 2));
	cr_expect(ge(i64, left.namespaces, 5));
	cr_expect(eq(int, sandbox_close(b, &err), 0), "%s", err.msg);
	cr_assert(eq(int, sandbox_left_count(sandbox_ids(b), root, &left, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, left.processes, 0));
	cr_expect(eq(i64, left.namespaces, 0));
	cr_expect(eq(i64, left.mounts, 0));
	cr_expect(eq(int, sandbox_run(b, argv, 100, NULL, NULL, &err), -ERR_UNREACHABLE));
	sandbox_free(b);
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

Test(sandbox, the_next_sandbox_is_not_taken_for_what_is_left_of_this_one)
{
	struct sandbox *first = open_one(false), *next;
	struct err err = ERR_INIT;
	struct sandbox_left left = { .processes = -1 };
	cr_assert(eq(int, sandbox_close(first, &err), 0), "%s", err.msg);
	next = open_one(false);
	cr_assert(eq(int, sandbox_left_count(sandbox_ids(first), root, &left, &err), 0));
	cr_expect(eq(i64, left.processes, 0));
	cr_expect(eq(i64, left.namespaces, 0));
	sandbox_free(next);
	sandbox_free(first);
}

Test(sandbox, a_stop_ends_the_wait_for_an_answer)
{
	bool stop = false;
	struct sandbox_opts opts = {
		.data = data, .log = logs, .is_stopped = is_set, .arg = &stop
	};
	struct sandbox *b = NULL;
	struct err err = ERR_INIT;
	const char *const argv[] = { "/bin/sleep", "1000", NULL };
	cr_assert(eq(int, sandbox_open(&opts, &b, &err), 0), "%s", err.msg);
	stop = true;
	cr_expect(eq(int, sandbox_run(b, argv, 60000, NULL, NULL, &err), -ERR_INTERRUPTED));
	sandbox_free(b);
}

Test(sandbox, a_data_directory_that_is_not_there_is_told)
{
	struct sandbox_opts opts = { .data = "/nowhere", .log = logs };
	struct sandbox *b = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, sandbox_open(&opts, &b, &err), -ERR_FAILED));
	cr_expect(strstr(err.msg, "/nowhere") != NULL, "%s", err.msg);
	cr_expect(eq(ptr, b, NULL));
}
