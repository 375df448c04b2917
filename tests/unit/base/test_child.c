#include "base/child.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

TestSuite(child, .timeout = 60);

DEFINE_CLEANUP(struct child *, child_free)

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}

/* True once no process of the group is left; waits up to 5 s for the kernel to finish. */
static bool is_group_gone(pid_t pgid)
{
	int64_t deadline = env_mono_ns() + 5000000000LL;
	while (kill(-pgid, 0) == 0 && env_mono_ns() < deadline)
		(void)poll(NULL, 0, 5);
	return kill(-pgid, 0) != 0;
}

Test(child, run_collects_both_streams_and_the_status)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1024);
	CLEANUP(buf_done) struct buf errout = BUF_INIT(1024);
	struct err err = ERR_INIT;
	struct child_end end;
	struct child_opts o = { .argv = SH("echo one; echo two >&2; exit 3") };
	cr_assert(eq(int, child_run(&o, 10000, &out, &errout, &end, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&out), "one\n"));
	cr_expect(eq(str, (char *)buf_cstr(&errout), "two\n"));
	cr_expect(not(end.is_signal));
	cr_expect(eq(int, end.status, 3));
	cr_expect(eq(int, child_check(&end, "sh", &errout, &err), -ERR_FAILED));
	cr_expect(eq(str, err.msg, "sh ended with status 3: two"));
}

Test(child, output_beyond_the_cap_is_dropped_without_blocking)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(100);
	struct err err = ERR_INIT;
	struct child_end end;
	struct child_opts o = { .argv = SH("head -c 1000000 /dev/zero; echo done >&2") };
	cr_assert(eq(int, child_run(&o, 30000, &out, NULL, &end, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, out.len, 100));
	cr_expect(eq(int, end.status, 0));
}

Test(child, missing_program_is_not_found_at_spawn)
{
	struct child *c = NULL;
	struct err err = ERR_INIT;
	struct child_opts o = { .argv = (const char *const[]){ "/nonexistent/x", NULL } };
	cr_expect(eq(int, child_spawn(&o, &c, &err), -ERR_NOT_FOUND));
	cr_expect(eq(ptr, c, NULL));
	cr_expect(eq(str, err.msg, "unable to run '/nonexistent/x': No such file or directory"));
}

Test(child, program_without_a_path_is_refused)
{
	struct child *c = NULL;
	struct err err = ERR_INIT;
	struct child_opts o = { .argv = (const char *const[]){ "sh", NULL } };
	cr_expect(eq(int, child_spawn(&o, &c, &err), -ERR_USAGE));
}

Test(child, missing_directory_is_named)
{
	struct child *c = NULL;
	struct err err = ERR_INIT;
	struct child_opts o = { .argv = SH("true"), .dir = "/nonexistent" };
	cr_expect(eq(int, child_spawn(&o, &c, &err), -ERR_IO));
	cr_expect(eq(str, err.msg, "unable to enter '/nonexistent': No such file or directory"));
}

Test(child, timeout_kills_the_whole_group)
{
	struct err err = ERR_INIT;
	struct child_end end = { .status = 77 };
	struct child_opts o = { .argv = SH("sleep 1000 & sleep 1000") };
	int64_t t0 = env_mono_ns();
	cr_expect(eq(int, child_run(&o, 200, NULL, NULL, &end, &err), -ERR_BUSY));
	cr_expect(lt(i64, env_mono_ns() - t0, 20000000000LL));
	cr_expect(eq(int, end.status, 77));

	CLEANUP(child_free_p) struct child *c = NULL;
	cr_assert(eq(int, child_spawn(&o, &c, &err), 0), "%s", err.msg);
	pid_t pgid = child_pid(c);
	cr_expect(eq(int, child_wait(c, 0, NULL, &err), -ERR_BUSY));
	child_free(TAKE(c));
	cr_expect(is_group_gone(pgid));
}

Test(child, grandchild_left_behind_dies_with_the_leader)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(64);
	struct err err = ERR_INIT;
	struct child_end end;
	struct child_opts o = { .argv = SH("echo $$; sleep 1000 & exit 0") };
	cr_assert(eq(int, child_run(&o, 20000, &out, NULL, &end, &err), 0), "%s", err.msg);
	pid_t pgid = (pid_t)atol(buf_cstr(&out));
	cr_assert(ge(int, pgid, 2));
	cr_expect(is_group_gone(pgid));
}

Test(child, stop_says_whether_the_program_obeyed)
{
	struct err err = ERR_INIT;
	struct child_end end;
	struct child_opts obey = { .argv = SH("exec sleep 1000") };
	CLEANUP(child_free_p) struct child *a = NULL;
	cr_assert(eq(int, child_spawn(&obey, &a, &err), 0), "%s", err.msg);
	cr_expect(child_stop(a, SIGTERM, 20000, &end));
	cr_expect(end.is_signal);
	cr_expect(eq(int, end.status, SIGTERM));
	/* the answer stays */
	cr_expect(eq(int, child_wait(a, 0, &end, &err), 0));
	cr_expect(eq(int, end.status, SIGTERM));

	struct child_opts deaf = { .argv = SH("trap '' TERM; echo up; while :; do sleep 100; done"),
		.out = CHILD_PIPE };
	CLEANUP(child_free_p) struct child *b = NULL;
	cr_assert(eq(int, child_spawn(&deaf, &b, &err), 0), "%s", err.msg);
	char up[3];
	cr_assert(eq(int, (int)read(child_stdout(b), up, 3), 3));
	cr_expect(not(child_stop(b, SIGTERM, 100, &end)));
	cr_expect(eq(int, end.status, SIGKILL));
}

Test(child, streams_can_be_pipes_descriptors_and_nothing)
{
	struct err err = ERR_INIT;
	int p[2];
	cr_assert(eq(int, pipe2(p, O_CLOEXEC), 0));
	struct child_opts o = { .argv = SH("cat"), .in = CHILD_PIPE, .out = p[1] };
	CLEANUP(child_free_p) struct child *c = NULL;
	cr_assert(eq(int, child_spawn(&o, &c, &err), 0), "%s", err.msg);
	(void)close(p[1]);
	cr_expect(eq(int, child_stdout(c), -1));
	cr_assert(eq(int, (int)write(child_stdin(c), "hello", 5), 5));
	child_close_stdin(c);
	char got[8] = "";
	cr_expect(eq(int, (int)read(p[0], got, sizeof(got)), 5));
	cr_expect(eq(str, got, "hello"));
	struct child_end end;
	cr_expect(eq(int, child_wait(c, 20000, &end, &err), 0));
	cr_expect(eq(int, end.status, 0));
	(void)close(p[0]);
}

Test(child, only_kept_descriptors_cross_and_the_environment_is_given)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int kept = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int leaked = open("/dev/zero", O_RDONLY); /* no O_CLOEXEC: somebody forgot */
	cr_assert(kept > 2 && leaked > 2);
	struct child_end end;
	struct child_opts o = { .argv = SH(
					"for f in /proc/$$/fd/*; do readlink $f; done; echo =$V="),
		.envp = (const char *const[]){ "V=1", "PATH=/usr/bin:/bin", NULL },
		.keep = &kept,
		.keep_count = 1,
		.dir = "/" };
	cr_assert(eq(int, child_run(&o, 20000, &out, &out, &end, &err), 0), "%s", err.msg);
	const char *text = buf_cstr(&out);
	cr_expect(ne(ptr, (void *)strstr(text, "=1=\n"), NULL));
	cr_expect(eq(ptr, (void *)strstr(text, "/dev/zero"), NULL), "leaked: %s", text);
	/* standard input is the first /dev/null, the kept one the second */
	const char *first = strstr(text, "/dev/null\n");
	cr_assert(ne(ptr, (void *)first, NULL));
	cr_expect(ne(ptr, (void *)strstr(first + 1, "/dev/null\n"), NULL));
	(void)close(kept);
	(void)close(leaked);
}

Test(child, not_root_id_hides_uid_0_and_files_stay_ours)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(256);
	struct err err = ERR_INIT;
	struct child_end end;
	struct child_opts o = { .argv = SH("id -u; id -g; grep CapEff /proc/self/status"),
		.not_root_id = 1000 };
	cr_assert(eq(int, child_run(&o, 20000, &out, NULL, &end, &err), 0), "%s", err.msg);
	char want[64];
	(void)snprintf(want, sizeof(want), "%u\n%u\n", geteuid() == 0 ? 1000 : geteuid(),
		geteuid() == 0 ? 1000 : getegid());
	cr_expect(eq(int, strncmp(buf_cstr(&out), want, strlen(want)), 0), "%s", buf_cstr(&out));
	cr_expect(ne(ptr, (void *)strstr(buf_cstr(&out), "CapEff:\t0000000000000000"), NULL));
}

Test(child, death_of_the_parent_ends_the_child)
{
	int p[2];
	cr_assert(eq(int, pipe2(p, O_CLOEXEC), 0));
	pid_t middle = fork();
	cr_assert(ge(int, middle, 0));
	if (middle == 0) {
		struct child *c = NULL;
		struct child_opts o = { .argv = SH("exec sleep 1000"), .out = p[1] };
		if (child_spawn(&o, &c, NULL) != 0)
			_exit(1);
		(void)raise(SIGKILL); /* no destructor runs */
	}
	(void)close(p[1]);
	int status;
	cr_assert(eq(int, waitpid(middle, &status, 0), middle));
	cr_expect(eq(int, WTERMSIG(status), SIGKILL));
	/* end of file comes only when the last holder of the pipe is gone */
	struct pollfd f = { .fd = p[0], .events = POLLIN };
	cr_assert(eq(int, poll(&f, 1, 20000), 1));
	char byte;
	cr_expect(eq(int, (int)read(p[0], &byte, 1), 0));
	(void)close(p[0]);
}
