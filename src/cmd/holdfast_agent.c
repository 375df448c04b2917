/*
 * holdfast-agent: the agent's program: enrol, run.  Knows: its arguments and signals.  Everything
 * else is a room's.
 */
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agents/agent_conf.h"
#include "agents/agent_enrol.h"
#include "agents/agent_run.h"
#include "agents/sources/source_open.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/version.h"
#include "conf/conf_problems.h"
#include "crypto/secret.h"
#include "restore/sandbox_init.h"

#define DEFAULT_CONFIG "/etc/holdfast/agent.conf"
#define HOST_BYTES 256

/*
 * INVARIANTS
 * (1) A token is never an argument: arguments are shown to every user of the host.
 */

/* Written by the handler, without locks; the threads of a backup read stop_asked too. */
static atomic_int stop_asked, reload_asked;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		reload_asked = 1;
	else
		stop_asked = sig;
}

static void install_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigemptyset(&act.sa_mask); /* cannot fail */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &act, NULL); /* fails for bad numbers only */
	(void)sigaction(SIGPIPE, &ignore, NULL);         /* as above */
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return stop_asked != 0;
}

static bool has_reload(void *arg)
{
	(void)arg;
	return reload_asked != 0;
}

static bool take_reload(void *arg)
{
	(void)arg;
	return atomic_exchange(&reload_asked, 0) != 0;
}

/* A signal between the question and the wait is seen a second later. */
static void on_wait(void *arg, int ms)
{
	(void)arg;
	while (ms > 0 && stop_asked == 0 && reload_asked == 0) {
		int part = ms < 1000 ? ms : 1000;
		struct timespec t = { .tv_sec = part / 1000, .tv_nsec = part % 1000 * 1000000L };
		(void)nanosleep(&t, NULL);
		ms -= part;
	}
}

static const char usage[] =
	"usage: holdfast-agent enrol [--config FILE] [--token-file FILE]\n"
	"       holdfast-agent run [--config FILE] [--verbose]\n"
	"       holdfast-agent version | --help\n"
	"\n"
	"  enrol    introduce this host to a controller with a one-time token, show the\n"
	"           fingerprint to compare, and wait until it is approved.  The token is read\n"
	"           from --token-file, or from standard input when that is no terminal; without\n"
	"           one, an enrolment that was cut off goes on.\n"
	"  run      work for the controller until SIGTERM; SIGHUP reads the configuration again.\n"
	"\n"
	"  -c, --config FILE      default: " DEFAULT_CONFIG "\n"
	"      --token-file FILE  where the token is; - is standard input\n"
	"  -v, --verbose          also tell what goes well\n"
	"  -h, --help             this text\n"
	"\n"
	"docs/AGENT.md describes the configuration.\n";

struct args {
	const char *verb, *config, *token_file;
	bool is_verbose, wants_help, wants_version;
};

static int parse(int argc, char **argv, struct args *a, struct err *err)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
		{ "token-file", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 } };
	int c;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:vhV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case 't':
			a->token_file = optarg;
			break;
		case 'v':
			a->is_verbose = true;
			break;
		case 'h':
			a->wants_help = true;
			break;
		case 'V':
			a->wants_version = true;
			break;
		default:
			return err_set(err, ERR_USAGE, "'%s' is no option, or lacks its argument",
				argv[optind - 1]);
		}
	}
	if (a->wants_help || a->wants_version)
		return 0;
	if (optind + 1 != argc)
		return err_set(err, ERR_USAGE, "say one of enrol, run, version");
	a->verb = argv[optind];
	if (a->token_file != NULL && strcmp(a->verb, "enrol") != 0)
		return err_set(err, ERR_USAGE, "--token-file goes with enrol");
	return 0;
}

/* Nothing is read from a terminal: a token that is typed would be seen. */
static int read_token(const char *path, struct buf *out, struct err *err)
{
	int rc = 0;
	if (path != NULL && strcmp(path, "-") != 0)
		rc = fdio_read_file(AT_FDCWD, path, out, err);
	else if (path != NULL || isatty(STDIN_FILENO) == 0)
		rc = fdio_read_all(STDIN_FILENO, out, err);
	if (rc == 0 && path != NULL && out->len == 0) {
		(void)err_set(err, ERR_USAGE, "'%s' holds no token, it is empty", path);
		return err_hint(err, "'holdfast agent token' prints one");
	}
	return rc == 0 ? 0 : err_wrap(err, "unable to read the token");
}

static void on_fingerprint(void *arg, const char *fingerprint, const char *name)
{
	(void)arg;
	(void)printf(
		"agent        %s\nfingerprint  %s\n\n"
		"Compare it with what the controller shows for this agent and approve it there.\n"
		"Waiting.  Ctrl-C ends the waiting; run the same again to go on.\n",
		name, fingerprint);
	(void)fflush(stdout); /* a reader that is gone changes nothing */
}

static void find_host(char out[HOST_BYTES])
{
	if (gethostname(out, HOST_BYTES) != 0)
		(void)snprintf(out, HOST_BYTES, "localhost");
	out[HOST_BYTES - 1] = '\0';
}

/* The host's name in the grammar of names: lower case, without its domain. */
static void name_of_host(char out[MSG_NAME_BYTES])
{
	char host[HOST_BYTES];
	size_t n = 0;
	find_host(host);
	for (const char *p = host; *p != '\0' && *p != '.' && n < MSG_NAME_BYTES - 1; p++) {
		char c = (char)tolower((unsigned char)*p);
		out[n++] = isalnum((unsigned char)c) || c == '-' ? c : '-';
	}
	out[n] = '\0';
}

static int enrol(const struct args *a, struct err *err)
{
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(4096);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct agent_conf *conf = NULL;
	char name[MSG_NAME_BYTES];
	int rc = agent_conf_load(a->config, &conf, &problems, err);
	if (problems.errors + problems.warnings > 0)
		conf_problems_print(&problems, stderr);
	conf_problems_done(&problems);
	if (rc != 0)
		return err_wrap(err, "configuration '%s'", a->config);
	const struct agent_conf_values *v = agent_conf_get(conf);
	rc = read_token(a->token_file, &token, err);
	name_of_host(name);
	struct agent_enrol_opts o = { .dir = v->state,
		.token = token.len > 0 ? buf_cstr(&token) : NULL,
		.role = v->role,
		.name = v->name != NULL ? v->name : name,
		.on_fingerprint = on_fingerprint,
		.on_wait = on_wait,
		.is_stopped = is_stopped };
	if (rc == 0)
		rc = agent_enrol_run(&o, err);
	if (rc == 0)
		(void)printf("enrolled\n");
	agent_conf_free(conf);
	return rc;
}

static int run(const struct args *a, struct err *err)
{
	char host[HOST_BYTES];
	find_host(host);
	struct agent_run_opts o = { .kinds = &source_open_kinds,
		.config = a->config,
		.host = host,
		.notify_socket = getenv("NOTIFY_SOCKET"),
		.watchdog_usec = getenv("WATCHDOG_USEC"),
		.watchdog_pid = getenv("WATCHDOG_PID"),
		.is_stopped = is_stopped,
		.has_reload = has_reload,
		.take_reload = take_reload,
		.on_wait = on_wait };
	log_setup(a->is_verbose ? LOG_INFO : LOG_WARN, NULL);
	return agent_run(&o, err);
}

static int dispatch(const struct args *a, struct err *err)
{
	if (a->wants_help) {
		(void)fputs(usage, stdout);
		return 0;
	}
	if (a->wants_version || strcmp(a->verb, "version") == 0) {
		(void)printf("holdfast-agent %s\n", VERSION_TEXT);
		return 0;
	}
	if (strcmp(a->verb, "enrol") == 0)
		return enrol(a, err);
	if (strcmp(a->verb, "run") == 0)
		return run(a, err);
	return err_set(err, ERR_USAGE, "there is no '%s': say enrol, run or version", a->verb);
}

int main(int argc, char **argv)
{
	struct args a = { .config = DEFAULT_CONFIG };
	struct err err = ERR_INIT;
	/* a sandbox's process 1 holds no secret, and whoever looks for what is left must see it */
	if (argc > 1 && strcmp(argv[1], SANDBOX_INIT_VERB) == 0)
		return sandbox_init_run(argc - 1, argv + 1);
	secret_harden_process();
	heap_keep_small();
	install_signals();
	int rc = parse(argc, argv, &a, &err);
	if (rc == 0)
		rc = dispatch(&a, &err);
	if (rc == 0)
		return EXIT_STATUS_OK;
	(void)fprintf(stderr, "holdfast-agent: %s\n", err.msg);
	if (err.hint[0] != '\0')
		(void)fprintf(stderr, "hint: %s\n", err.hint);
	return rc == -ERR_INTERRUPTED && stop_asked != 0 ? EXIT_STATUS_SIGNAL + stop_asked
							 : err_exit_status(rc);
}
