#include "tests/lib/store_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"

#define SCRATCH_LOG_BYTES 4096

static char dir[PATH_MAX];
static struct env_ops fake;
static const struct env_ops *below; /* what was in place before */
static char log_text[SCRATCH_LOG_BYTES + 1];
static size_t log_len;
static struct {
	char letters[16];
	uint64_t nth;
	uint64_t times;
	uint64_t matched;
	int error;
} rule;
static int64_t ahead_ns;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

const char *store_scratch_new(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(dir, sizeof(dir), "%s/store scratch.XXXXXX", tmp == NULL ? "/tmp" : tmp);
	return mkdtemp(dir);
}

void store_scratch_done(void)
{
	(void)env_swap(NULL);
	if (dir[0] != '\0')
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* a test's litter */
	dir[0] = '\0';
}

int store_scratch_entries(const char *path)
{
	char full[PATH_MAX + 64];
	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	DIR *d = opendir(full);
	if (d == NULL)
		return -1;
	int count = -2; /* "." and ".." */
	while (readdir(d) != NULL)
		count++;
	(void)closedir(d);
	return count;
}

/* Note one operation; return true if it has to fail. */
static bool breaks(char letter, bool is_change)
{
	if (is_change) {
		if (log_len == SCRATCH_LOG_BYTES)
			memmove(log_text, log_text + 1, --log_len);
		log_text[log_len++] = letter;
		log_text[log_len] = '\0';
	}
	bool is_match = rule.letters[0] == '*' ? is_change : strchr(rule.letters, letter) != NULL;
	if (!is_match)
		return false;
	rule.matched++;
	if (rule.nth == 0 || rule.matched < rule.nth || rule.matched - rule.nth >= rule.times)
		return false;
	errno = rule.error;
	return true;
}

static int64_t fake_now_ns(void)
{
	return below->now_ns() + ahead_ns;
}

static int fake_openat(int at, const char *path, int flags, mode_t mode)
{
	bool is_broken = breaks('o', (flags & O_CREAT) != 0);
	return is_broken ? -1 : below->openat(at, path, flags, mode);
}

static ssize_t fake_write(int fd, const void *data, size_t len)
{
	if (breaks('w', true)) {
		if (rule.error == EINTR)
			return -1; /* before anything was taken */
		/* a disk that fills up takes a part first */
		size_t part = rule.error == 0 ? len - len / 2 : len / 2;
		ssize_t taken = below->write(fd, data, part);
		errno = rule.error;
		return rule.error == 0 ? taken : -1;
	}
	return below->write(fd, data, len);
}

static int fake_fdatasync(int fd)
{
	return breaks('d', true) ? -1 : below->fdatasync(fd);
}

static int fake_fsync(int fd)
{
	return breaks('f', true) ? -1 : below->fsync(fd);
}

static int fake_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return breaks('l', true) ? -1 : below->linkat(from_dir, from, to_dir, to, flags);
}

static int fake_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return breaks('r', true) ? -1 : below->renameat(from_dir, from, to_dir, to);
}

static int fake_unlinkat(int at, const char *path, int flags)
{
	return breaks('u', true) ? -1 : below->unlinkat(at, path, flags);
}

static int fake_mkdirat(int at, const char *path, mode_t mode)
{
	return breaks('m', true) ? -1 : below->mkdirat(at, path, mode);
}

void store_scratch_watch(void)
{
	log_len = 0;
	log_text[0] = '\0';
	const struct env_ops *before = env_swap(NULL);
	below = before == &fake ? below : before;
	fake = *below;
	fake.now_ns = fake_now_ns;
	fake.openat = fake_openat;
	fake.write = fake_write;
	fake.fdatasync = fake_fdatasync;
	fake.fsync = fake_fsync;
	fake.linkat = fake_linkat;
	fake.renameat = fake_renameat;
	fake.unlinkat = fake_unlinkat;
	fake.mkdirat = fake_mkdirat;
	(void)env_swap(&fake);
	store_scratch_break("", 0, 0, 0);
}

const char *store_scratch_log(void)
{
	return log_text;
}

void store_scratch_break(const char *letters, uint64_t nth, uint64_t times, int error)
{
	(void)snprintf(rule.letters, sizeof(rule.letters), "%s", letters);
	rule.nth = nth;
	rule.times = times;
	rule.error = error;
	rule.matched = 0;
}

uint64_t store_scratch_matched(void)
{
	return rule.matched;
}

void store_scratch_advance(int64_t ns)
{
	ahead_ns += ns;
}
