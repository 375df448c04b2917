#include "tests/lib/mount_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"

uint8_t mount_fixture_big[MOUNT_FIXTURE_BIG_BYTES];

struct fake_file mount_fixture_day[MOUNT_FIXTURE_FILES] = {
	{ .path = "srv", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "srv/a", .kind = ENTRY_DIR, .mtime_s = 200 },
	{ .path = "srv/a/big.arc",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = MOUNT_FIXTURE_BIG_BYTES,
		.mtime_s = 5 },
	{ .path = "srv/a/link",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = 30,
		.ino = 77,
		.links = 3,
		.mtime_s = 9 },
	{ .path = "srv/a/one.txt",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = 10,
		.mtime_s = 6 },
	{ .path = "srv/a.d", .kind = ENTRY_DIR, .mtime_s = 300 },
	{ .path = "srv/a.d/link2",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = 30,
		.ino = 77,
		.links = 3,
		.mtime_s = 9 },
	{ .path = "srv/a.d/two.txt",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big + 20,
		.len = 20,
		.mtime_s = 7 },
	{ .path = "srv/empty", .kind = ENTRY_DIR, .mtime_s = 400 },
	{ .path = "srv/hole",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = 4096,
		.hole = 1 << 20,
		.mtime_s = 8 },
	{ .path = "srv/link3",
		.kind = ENTRY_FILE,
		.data = mount_fixture_big,
		.len = 30,
		.ino = 77,
		.links = 3,
		.mtime_s = 9 },
	{ .path = "srv/nothing", .kind = ENTRY_FILE, .mtime_s = 10 },
};

static struct env_ops ops;
static int64_t mono_ns;

static int64_t now(void)
{
	return mono_ns;
}

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "mount fixture: %s: %s\n", what, err->msg);
		abort();
	}
}

static void back_up(struct mount_fixture *f, const char *source)
{
	struct err err = ERR_INIT;
	struct backup_result result;
	struct fake_source files;
	struct backup_opts opts = { .source_name = source };
	fake_source_init(&files, mount_fixture_day, MOUNT_FIXTURE_FILES);
	must(vault_fixture_run(&f->vault, &opts, &files.source, &result, &err), &err, "backup");
}

void mount_fixture_init(struct mount_fixture *f, const char *source, size_t cache_bytes)
{
	struct err err = ERR_INIT;
	memset(f, 0, sizeof(*f));
	mono_ns = 5000000000;
	ops = *env_real();
	ops.mono_ns = now;
	(void)env_swap(&ops);
	vault_fixture_noise(mount_fixture_big, sizeof(mount_fixture_big), 7);
	vault_fixture_init(&f->vault);
	back_up(f, source);
	struct mount_snaps_opts opts = { .vault = f->vault.vault,
		.sk = f->vault.rk_sk,
		.cache_bytes = cache_bytes,
		.ahead = 1 };
	must(mount_snaps_new(&opts, &f->snaps, &err), &err, "mount_snaps_new");
	must(mount_snaps_renew(f->snaps, &err), &err, "mount_snaps_renew");
}

void mount_fixture_again(struct mount_fixture *f, const char *source)
{
	back_up(f, source);
	mono_ns += 2000000000;
}

static void on_problem(void *arg, const char *path, size_t len, const struct err *why)
{
	struct mount_fixture *f = arg;
	f->problems++;
	(void)snprintf(f->problem, sizeof(f->problem), "%.*s: %s", (int)len,
		path == NULL ? "" : path, why->msg);
}

void mount_fixture_ops(struct mount_fixture *f, const uint8_t *snapshot)
{
	struct err err = ERR_INIT;
	struct mount_ops_opts opts = {
		.snaps = f->snaps, .snapshot = snapshot, .on_problem = on_problem, .arg = f
	};
	must(mount_ops_new(&opts, &f->ops, &err), &err, "mount_ops_new");
}

void mount_fixture_done(struct mount_fixture *f)
{
	mount_ops_free(f->ops);
	mount_snaps_free(f->snaps);
	vault_fixture_done(&f->vault);
	(void)env_swap(NULL);
}

struct mount_snap *mount_fixture_snap(struct mount_fixture *f)
{
	struct err err = ERR_INIT;
	struct mount_snap **list = NULL;
	size_t count = 0;
	must(mount_snaps_list(f->snaps, &list, &count, &err), &err, "mount_snaps_list");
	if (count == 0)
		abort();
	struct mount_snap *snap = list[0];
	free(list);
	must(mount_snaps_open(f->snaps, snap, &err), &err, "mount_snaps_open");
	return snap;
}

int mount_fixture_walk(struct mount_fixture *f, const char *path, struct mount_ops_attr *out)
{
	char copy[4096];
	char *rest = NULL;
	uint64_t at = 1;
	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *name = strtok_r(copy, "/", &rest); name != NULL;
		name = strtok_r(NULL, "/", &rest)) {
		int rc = mount_ops_lookup(f->ops, at, name, out);
		if (rc != 0)
			return -rc;
		at = out->st.st_ino;
	}
	return 0;
}
