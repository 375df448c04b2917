#include "cmd/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/*
 * INVARIANTS
 * (1) asked is written by the handler only, once; it is read by any thread.
 * (2) No SA_RESTART: a read that waits for a person or a pipe ends with EINTR.
 * (3) The handler calls what POSIX allows in one, and keeps errno.
 */
static atomic_int asked;             /* without locks: a handler may write it */
static atomic_uint seen;             /* a bit for each signal that came; as above */
static _Atomic(const char *) notice; /* as above, a handler may read it */
static _Atomic(const char *) farewell;
static atomic_bool is_terminal; /* it has written ^C where a line may stand */

static void say(const char *text)
{
	if (text == NULL)
		return;
	ssize_t n = is_terminal ? write(STDERR_FILENO, "\n", 1) : 0;
	n = n < 0 ? n : write(STDERR_FILENO, text, strlen(text));
	(void)n; /* nobody left to tell */
}

static void on_signal(int sig)
{
	const int kept = errno;
	const unsigned bit = 1U << (unsigned)sig; /* SIGHUP, SIGINT, SIGTERM: 1 to 15 */
	if ((atomic_fetch_or(&seen, bit) & bit) != 0) {
		say(farewell);
		(void)signal(sig, SIG_DFL); /* cannot fail; it comes when we return */
		(void)raise(sig);           /* as above */
	} else if (asked == 0) {
		asked = sig;
		say(notice);
	}
	errno = kept;
}

void stop_set_notice(const char *text, const char *last)
{
	is_terminal = isatty(STDERR_FILENO) == 1;
	notice = text;
	farewell = last;
}

void stop_install(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_signal };
	(void)sigemptyset(&act.sa_mask); /* cannot fail */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue; /* started by nohup or in the background: keep it so */
		(void)sigaction(signals[i], &act, NULL); /* fails for bad numbers only */
	}
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigaction(SIGPIPE, &ignore, NULL); /* as above */
}

bool stop_is_asked(void *arg)
{
	(void)arg;
	return asked != 0;
}

int stop_signal(void)
{
	return asked;
}
