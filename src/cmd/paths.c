#include "cmd/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"

static const struct place {
	const char *env, *system, *xdg, *home;
} places[] = {
	[PATHS_CONFIG] = { "HOLDFAST_CONFIG_DIR", "/etc/holdfast", "XDG_CONFIG_HOME", ".config" },
	[PATHS_STATE] = { "HOLDFAST_STATE_DIR", "/var/lib/holdfast", "XDG_STATE_HOME",
		".local/state" },
	[PATHS_CACHE] = { "HOLDFAST_CACHE_DIR", "/var/cache/holdfast", "XDG_CACHE_HOME", ".cache" },
};

static const char *env_dir(const char *name)
{
	const char *dir = getenv(name);
	return dir != NULL && *dir != '\0' ? dir : NULL;
}

int paths_base(enum paths_kind kind, char out[PATH_MAX], struct err *err)
{
	const struct place *p = &places[kind];
	const char *own = env_dir(p->env);
	const char *xdg = env_dir(p->xdg);
	const char *home = env_dir("HOME");
	int n;
	if (own != NULL)
		n = snprintf(out, PATH_MAX, "%s", own);
	else if (geteuid() == 0)
		n = snprintf(out, PATH_MAX, "%s", p->system);
	else if (xdg != NULL)
		n = snprintf(out, PATH_MAX, "%s/holdfast", xdg);
	else if (home != NULL)
		n = snprintf(out, PATH_MAX, "%s/%s/holdfast", home, p->home);
	else {
		err_set(err, ERR_CONFIG, "there is no home directory to keep files in");
		return err_hint(err, "set HOME or %s", p->env);
	}
	return n < PATH_MAX ? 0 : err_set(err, ERR_LIMIT, "the path in %s is too long", p->env);
}

int paths_join(char path[PATH_MAX], const char *name, struct err *err)
{
	size_t len = strlen(path);
	if (len + 1 + strlen(name) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s/%s' is too long", path, name);
	(void)snprintf(path + len, PATH_MAX - len, "/%s", name); /* checked */
	return 0;
}

int paths_dir(enum paths_kind kind, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err)
{
	char path[PATH_MAX];
	char hex[33];
	int rc = paths_base(kind, path, err);
	text_hex(vault_id, 16, hex);
	if (rc == 0)
		rc = paths_join(path, hex, err);
	if (rc == 0)
		memcpy(out, path, strlen(path) + 1);
	return rc;
}

int paths_make(const char *dir, struct err *err)
{
	CLEANUP(cleanup_free_p) char *path = strdup(dir);
	if (path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (char *slash = path + 1;; slash++) {
		slash = strchr(slash, '/');
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_sys(err, ERR_IO, "unable to make directory '%s'", path);
		if (slash == NULL)
			return 0;
		*slash = '/';
		if (slash[1] == '\0')
			return 0;
	}
}

int paths_read_secret(const char *path, const char *what, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
			"unable to read the %s '%s'", what, path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to read the %s '%s'", what, path);
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
		err_set(err, ERR_AUTH, "the %s '%s' may be read by others", what, path);
		return err_hint(err, "take their rights away: chmod 600 '%s'", path);
	}
	int rc = fdio_read_all(fd, out, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to read the %s '%s'", what, path);
}
