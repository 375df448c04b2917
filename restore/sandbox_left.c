#include "restore/sandbox_left.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "restore/sandbox.h"

/*
 * INVARIANTS
 * (1) Namespaces are told by inode.  The kernel gives the number of one that is gone to the next
 * one made, so whoever asks holds them open; that alone keeps no process alive. (2) Processes of
 * other users do not show theirs to us, but what ran inside was ours.
 */

static void closedir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side */
}

/* Inode of the namespace ${name} ("net") of process ${pid}; 0 when it cannot be told. */
static uint64_t namespace_of(long pid, const char *name)
{
	char path[64], link[64];
	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/%s", pid, name); /* fits */
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return 0;
	link[n] = '\0';
	const char *bracket = strchr(link, '[');
	return bracket == NULL ? 0 : strtoull(bracket + 1, NULL, 10);
}

/* Mark in ${held} the namespaces of ${ids} that ${pid} is in; return true if it is in one. */
static bool look_at(long pid, const struct sandbox_ids *ids, bool held[SANDBOX_NAMESPACES])
{
	bool is_in = false;
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++) {
		if (ids->ns[i].inode == 0 || namespace_of(pid, ids->ns[i].name) != ids->ns[i].inode)
			continue;
		held[i] = true;
		is_in = true;
	}
	return is_in;
}

static int count_processes(const struct sandbox_ids *ids, struct sandbox_left *out, struct err *err)
{
	bool held[SANDBOX_NAMESPACES] = { false };
	CLEANUP(closedir_p) DIR *d = opendir("/proc");
	if (d == NULL)
		return err_sys(err, ERR_IO, "unable to list processes");
	for (const struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
		char *end;
		long pid = strtol(de->d_name, &end, 10);
		if (pid > 0 && *end == '\0' && look_at(pid, ids, held))
			out->processes++;
	}
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++)
		out->namespaces += held[i];
	return 0;
}

/* A mount point as the kernel writes it: blank, tab, newline and backslash as octal. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0';) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
			from[3] != '\0') {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static int count_mounts(const char *dir, struct sandbox_left *out, struct err *err)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP(cleanup_free_p) char *line = NULL;
	size_t size = 0, dir_len = strlen(dir);
	if (f == NULL)
		return err_sys(err, ERR_IO, "unable to list mounts");
	while (getline(&line, &size, f) >= 0) {
		/* the fifth word is the mount point */
		char *save = NULL, *word = strtok_r(line, " ", &save);
		for (int i = 0; i < 4 && word != NULL; i++)
			word = strtok_r(NULL, " ", &save);
		if (word == NULL)
			continue;
		unescape(word);
		if (strncmp(word, dir, dir_len) == 0 &&
			(word[dir_len] == '\0' || word[dir_len] == '/'))
			out->mounts++;
	}
	return 0;
}

int sandbox_left_count(
	const struct sandbox_ids *ids, const char *dir, struct sandbox_left *out, struct err *err)
{
	struct sandbox_left left = { .processes = 0 };
	int rc = ids == NULL ? 0 : count_processes(ids, &left, err);
	if (rc == 0)
		rc = count_mounts(dir, &left, err);
	if (rc == 0)
		*out = left;
	return rc;
}
