#include "cmd/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/*
 * INVARIANTS
 * (1) asked is written by the handler only, once; it is read by any thread.
 * (2) No SA_RESTART: a read that waits for a person or a pipe ends with EINTR.
 */
static atomic_int asked; /* without locks: a handler may write it */

static void on_signal(int sig)
{
	if (asked == 0)
		asked = sig;
}

void stop_install(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
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
