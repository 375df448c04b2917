#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/stop.h"

TestSuite(stop);

/* In a child with a pipe as standard error: ask to stop with SIGTERM, then with ${second}, and
 * report what stop knows as the exit status, or what ended it.  ${said} gets what was written. */
static int stopped(const char *text, const char *last, int second, char *said, size_t size)
{
	int fds[2], status = -1;
	cr_assert_eq(pipe(fds), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)dup2(fds[1], STDERR_FILENO);
		(void)signal(SIGTERM, SIG_DFL);
		(void)signal(SIGINT, SIG_DFL);
		stop_install();
		stop_set_notice(text, last);
		bool was_asked = stop_is_asked(NULL);
		errno = ENOENT;
		(void)raise(SIGTERM);
		(void)raise(second);
		_exit(was_asked || !stop_is_asked(NULL) || errno != ENOENT ? 1 : stop_signal());
	}
	(void)close(fds[1]);
	size_t len = 0;
	for (ssize_t n; (n = read(fds[0], said + len, size - 1 - len)) > 0;)
		len += (size_t)n;
	said[len] = '\0';
	(void)close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Test(stop, says_its_notice_once_when_the_first_signal_comes)
{
	char said[256];
	cr_assert_eq(
		stopped("stopping the work ...\n", "bye\n", SIGINT, said, sizeof(said)), SIGTERM);
	cr_assert_str_eq(said, "stopping the work ...\n");
}

Test(stop, the_same_signal_again_says_what_is_left_and_ends_the_program)
{
	char said[256];
	cr_assert_eq(
		stopped("stopping ...\n", "left in /x\n", SIGTERM, said, sizeof(said)), -SIGTERM);
	cr_assert_str_eq(said, "stopping ...\nleft in /x\n");
}

Test(stop, says_nothing_where_no_notice_is_set)
{
	char said[256];
	cr_assert_eq(stopped(NULL, NULL, SIGINT, said, sizeof(said)), SIGTERM);
	cr_assert_str_eq(said, "");
	cr_assert_eq(stopped(NULL, NULL, SIGTERM, said, sizeof(said)), -SIGTERM);
	cr_assert_str_eq(said, "");
}
