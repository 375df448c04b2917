#include "cmd/drivers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/stop.h"
#include "store/local/local_tree.h"
#include "store/local/store_local.h"
#include "store/s3/store_s3.h"
#include "store/store.h"
#include "store/store_pace.h"
#include "store/unix/store_unix.h"

static int open_local(const char *path, enum drivers_mode mode, const struct drivers_limits *limits,
	struct store **out, struct err *err)
{
	(void)limits; /* store_pace is all there is to do */
	struct store_local_opts opts = { .create = mode == DRIVERS_CREATE,
		.is_read_only = mode == DRIVERS_READ };
	return store_local_open(path, &opts, out, err);
}

static int open_s3(const char *place, enum drivers_mode mode, const struct drivers_limits *limits,
	struct store **out, struct err *err)
{
	struct store_s3_opts opts = { .create = mode == DRIVERS_CREATE,
		.is_read_only = mode == DRIVERS_READ,
		.send_bps = limits->upload_bps,
		.receive_bps = limits->download_bps,
		.is_stopped = limits->is_stopped,
		.arg = limits->arg };
	return store_s3_open(place, &opts, out, err);
}

static int open_unix(const char *path, enum drivers_mode mode, const struct drivers_limits *limits,
	struct store **out, struct err *err)
{
	(void)limits; /* as with a directory */
	if (mode == DRIVERS_CREATE)
		return err_set(err, ERR_USAGE,
			"a vault is begun by its owner, not through its door '%s'", path);
	return store_unix_open(path, mode == DRIVERS_READ, out, err);
}

/* A location is "scheme:rest"; one without a scheme is a directory. */
static const struct driver {
	const char *scheme;
	int (*open)(const char *rest, enum drivers_mode mode, const struct drivers_limits *limits,
		struct store **out, struct err *err);
} drivers[] = {
	{ "file", open_local },
	{ "s3", open_s3 },
	{ "unix", open_unix },
};

const char *drivers_location(const struct cli *cli)
{
	return cli_text(cli, "vault");
}

static size_t scheme_length(const char *location)
{
	size_t n = 0;
	while (isalnum((unsigned char)location[n]) != 0)
		n++;
	return n > 1 && location[n] == ':' ? n : 0;
}

const char *drivers_directory(const struct cli *cli)
{
	const char *location = drivers_location(cli);
	size_t n = location == NULL ? 0 : scheme_length(location);
	if (n == 0)
		return location;
	return n == 4 && strncmp(location, "file", n) == 0 ? location + n + 1 : NULL;
}

void drivers_waiting(const struct cli *cli, uint64_t *files, uint64_t *bytes)
{
	const char *path = drivers_directory(cli);
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	CLEANUP(cleanup_close_p) int root = path == NULL ? -1 : open(path, flags);
	*files = *bytes = 0;
	int fd = root < 0 ? -1 : openat(root, LOCAL_TREE_TMP, flags | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd); /* read side */
		return;
	}
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		struct stat st;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
			++*files;
			*bytes += (uint64_t)st.st_size;
		}
	}
	(void)closedir(dir); /* read side */
}

int drivers_open(const struct cli *cli, enum drivers_mode mode, const struct drivers_limits *limits,
	struct store **out, struct err *err)
{
	const char *location = drivers_location(cli);
	if (location == NULL) {
		err_set(err, ERR_USAGE, "no vault is named");
		return err_hint(err, "give --vault DIR or set HOLDFAST_VAULT");
	}
	return drivers_open_limited(location, mode, limits, out, err);
}

int drivers_open_location(
	const char *location, enum drivers_mode mode, struct store **out, struct err *err)
{
	return drivers_open_limited(location, mode, NULL, out, err);
}

static int open_any(const char *location, enum drivers_mode mode,
	const struct drivers_limits *limits, struct store **out, struct err *err)
{
	size_t n = scheme_length(location);
	if (n == 0)
		return open_local(location, mode, limits, out, err);
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strlen(drivers[i].scheme) == n && strncmp(drivers[i].scheme, location, n) == 0)
			return drivers[i].open(location + n + 1, mode, limits, out, err);
	}
	err_set(err, ERR_UNSUPPORTED, "there is no store driver for '%s'", location);
	return err_hint(err, "a directory whose name looks like that is written './%s'", location);
}

int drivers_open_limited(const char *location, enum drivers_mode mode,
	const struct drivers_limits *limits, struct store **out, struct err *err)
{
	struct drivers_limits l = { .upload_bps = 0 };
	struct store *s = NULL;
	if (limits != NULL)
		l = *limits;
	if (l.is_stopped == NULL)
		l.is_stopped = stop_is_asked;
	const struct store_pace_opts pace = { .upload_bps = l.upload_bps,
		.download_bps = l.download_bps,
		.is_stopped = l.is_stopped,
		.arg = l.arg };
	int rc = store_pace_check(&pace, err);
	if (rc == 0)
		rc = open_any(location, mode, &l, &s, err);
	if (rc == 0)
		rc = store_pace_add(s, &pace, err);
	if (rc != 0) {
		store_free(s);
		return rc;
	}
	*out = s;
	return 0;
}
