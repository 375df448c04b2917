/*
 * meter OUT COMMAND [ARGUMENT..]: run a command and write one line of JSON to the file OUT: exit
 * status, wall time, CPU of all its processes, peaks of memory.  Small and in C, because what
 * starts a process lends its own size to the peak that the kernel reports for it.
 * INVARIANTS
 * 1. A child that outlives its parent becomes ours, and we wait for it: no process escapes the sum.
 * 2. Memory is the larger of the kernel's peak of one process and the sampled sum of all of them;
 *    anonymous memory is sampled alone (100 times a second), so a shorter peak may be missed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_NS 10000000

struct memory {
	unsigned long rss_kib, anon_kib;
};

static double now_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void add_status(pid_t pid, struct memory *sum)
{
	char path[64], line[256];
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid); /* fits */
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			sum->rss_kib += strtoul(line + 6, NULL, 10);
		if (strncmp(line, "RssAnon:", 8) == 0)
			sum->anon_kib += strtoul(line + 8, NULL, 10);
	}
	if (f != NULL)
		(void)fclose(f); /* read only */
}

/* Add what all below ${pid} have: the children that any of its threads started. */
static void add_children(pid_t pid, struct memory *sum, int depth)
{
	char path[300];
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid); /* fits */
	DIR *tasks = depth < 16 ? opendir(path) : NULL;
	for (struct dirent *d; tasks != NULL && (d = readdir(tasks)) != NULL;) {
		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(
			path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, d->d_name);
		FILE *f = fopen(path, "re");
		char text[32];
		while (f != NULL && fscanf(f, "%31s", text) == 1) {
			pid_t child = (pid_t)strtol(text, NULL, 10);
			add_status(child, sum);
			add_children(child, sum, depth + 1);
		}
		if (f != NULL)
			(void)fclose(f); /* read only */
	}
	if (tasks != NULL)
		(void)closedir(tasks);
}

/* The first child's end is the command's; the others are only waited for. */
struct run {
	pid_t pid;
	int status;
	double end_s;
	struct memory peak;
};

/* Take the ends there are.  Return false when no child is left. */
static bool reap(struct run *run)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		run->end_s = now_s();
		if (pid == run->pid)
			run->status = status;
	}
	return pid == 0;
}

static void watch(struct run *run, const sigset_t *ends)
{
	struct timespec pause = { .tv_nsec = SAMPLE_NS };
	while (reap(run)) {
		struct memory sum = { 0 };
		add_children(getpid(), &sum, 0);
		if (sum.rss_kib > run->peak.rss_kib)
			run->peak.rss_kib = sum.rss_kib;
		if (sum.anon_kib > run->peak.anon_kib)
			run->peak.anon_kib = sum.anon_kib;
		(void)sigtimedwait(ends, NULL, &pause); /* a child's end, or time for a sample */
	}
}

static int tell(const char *path, const struct run *run, double wall_s)
{
	struct rusage use;
	(void)getrusage(RUSAGE_CHILDREN, &use); /* cannot fail with these arguments */
	unsigned long largest_kib = (unsigned long)use.ru_maxrss;
	int code = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
	FILE *f = fopen(path, "we");
	if (f == NULL)
		return -1;
	fprintf(f,
		"{\"status\":%d,\"wall_s\":%.4f,\"user_s\":%.4f,\"sys_s\":%.4f,\"rss_kib\":%lu,"
		"\"anon_kib\":%lu}\n",
		code, wall_s, seconds(use.ru_utime), seconds(use.ru_stime),
		largest_kib > run->peak.rss_kib ? largest_kib : run->peak.rss_kib,
		run->peak.anon_kib);
	return fclose(f);
}

int main(int argc, char **argv)
{
	sigset_t ends, before;
	struct run run = { .pid = -1 };
	if (argc < 3) {
		fputs("usage: meter OUT COMMAND [ARGUMENT..]\n", stderr);
		return 2;
	}
	(void)sigemptyset(&ends); /* cannot fail, nor the next */
	(void)sigaddset(&ends, SIGCHLD);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || sigprocmask(SIG_BLOCK, &ends, &before) != 0) {
		perror("meter");
		return 125;
	}
	double start_s = now_s();
	run.pid = fork();
	if (run.pid == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail */
		execvp(argv[2], argv + 2);
		fprintf(stderr, "meter: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (run.pid < 0) {
		perror("meter");
		return 125;
	}
	watch(&run, &ends);
	if (tell(argv[1], &run, run.end_s - start_s) != 0) {
		perror("meter");
		return 125;
	}
	return 0;
}
