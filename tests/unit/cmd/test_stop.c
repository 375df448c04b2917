#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/stop.h"

TestSuite(stop);

/* In a child with a pipe as standard error: ask to stop with ${sig} twice, the second time another
 * signal, and report what stop knows as the exit status.  ${said} gets what was written. */
static int stopped(const char *text, char *said, size_t size)
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
		stop_set_notice(text);
		bool was_asked = stop_is_asked(NULL);
		errno = ENOENT;
		(void)raise(SIGTERM);
		(void)raise(SIGINT);
		_exit(was_asked || !stop_is_asked(NULL) || errno != ENOENT ? 1 : stop_signal());
	}
	(void)close(fds[1]);
	size_t len = 0;
	for (ssize_t n; (n = read(fds[0], said + len, size - 1 - len)) > 0;)
		len += (size_t)n;
	said[len] = '\0';
	(void)close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(stop, says_its_notice_once_when_the_first_signal_comes)
{
	char said[256];
	cr_assert_eq(stopped("stopping the work ...\n", said, sizeof(said)), SIGTERM);
	cr_assert_str_eq(said, "stopping the work ...\n");
}

Test(stop, says_nothing_where_no_notice_is_set)
{
	char said[256];
	cr_assert_eq(stopped(NULL, said, sizeof(said)), SIGTERM);
	cr_assert_str_eq(said, "");
}
