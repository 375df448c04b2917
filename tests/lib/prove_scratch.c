#include "tests/lib/prove_scratch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/erase_tree.h"
#include "store/local/store_local.h"
#include "tests/lib/prove_slice.h"
#include "tests/lib/store_scratch.h"

static const char *path;
static int top = -1;

int prove_scratch_begin(void)
{
	path = store_scratch_new();
	prove_slice_must(path == NULL, "no scratch directory");
	top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	prove_slice_must(top < 0, "open");
	return top;
}

const char *prove_scratch_path(void)
{
	return path;
}

int prove_scratch_dir(const char *name)
{
	prove_slice_must(erase_tree_run(top, name, NULL, NULL), "erase");
	prove_slice_must(mkdirat(top, name, 0700), "mkdir");
	int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	prove_slice_must(fd < 0, "open");
	return fd;
}

struct store *prove_scratch_store(const char *name)
{
	char full[PATH_MAX + 64];
	struct err err = ERR_INIT;
	struct store *store = NULL;
	(void)snprintf(full, sizeof(full), "%s/%s", path, name);
	prove_slice_must(store_local_open(full, NULL, &store, &err), err.msg);
	return store;
}

void prove_scratch_done(void)
{
	(void)close(top); /* a directory */
	store_scratch_done();
}
