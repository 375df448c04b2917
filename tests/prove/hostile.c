/*
 * hostile: trees made to reach outside the directory that they are restored into: names that climb,
 * names through links, links to links, links in the place of directories, hard links to them,
 * devices, attributes of the system, keys out of order; into empty directories and into ones that
 * an enemy has prepared; in two of three trees an enemy's thread swaps names for links meanwhile.
 * They go to the restore writer itself, past every check that a snapshot's own reader makes.
 * Outside lies a tree of victims: nothing of it may change, and nothing may be new beside it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "restore/erase_tree.h"
#include "restore/restore_writer.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"
#include "vault/entry.h"

#define FULL_TREES 4000
#define QUICK_TREES 210
#define MAX_ENTRIES 60
#define MAX_KEY 9000
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { ENTRIES, REFUSED, MADE, SWAPS, RACES, PREPARED };
static const char *const labels[] = { "entries given", "refused", "taken", "swaps by the enemy",
	"trees with an enemy's thread", "trees into a prepared directory", NULL };

static struct prove_slice p;
static int scratch_fd, target, outside;
static char outside_path[4096];

/* ---- the victims ---------------------------------------------------------------------------- */

static void add_file(struct hash *h, int dirfd, const char *name)
{
	uint8_t data[4096];
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, data, sizeof(data));
	if (n > 0)
		hash_add(h, data, (size_t)n);
	if (fd >= 0)
		(void)close(fd); /* only read */
}

/* Names of the target may be further names of victims: taking such a name away shows in the
 * victim's count of names and its time of change, and in nothing else. */
static bool has_shared_victims;

/* Everything that restoring could change of what is below ${dirfd}. */
static void add_tree(struct hash *h, int dirfd)
{
	struct dirent **names = NULL;
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	int count = scandir(path, &names, NULL, alphasort);
	prove_slice_must(count < 0, "scandir");
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;
		struct stat st;
		if (strcmp(name, "..") != 0 &&
			fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			bool is_alone = !has_shared_victims;
			uint64_t what[] = { st.st_mode, st.st_uid, st.st_gid, st.st_ino,
				(uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
				(uint64_t)st.st_mtim.tv_nsec, is_alone ? st.st_nlink : 0,
				is_alone ? (uint64_t)st.st_ctim.tv_sec : 0,
				is_alone ? (uint64_t)st.st_ctim.tv_nsec : 0 };
			hash_add(h, name, strlen(name) + 1);
			hash_add(h, what, sizeof(what));
			if (S_ISREG(st.st_mode))
				add_file(h, dirfd, name);
		}
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			names[i]->d_type == DT_DIR) {
			int fd = openat(
				dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			prove_slice_must(fd < 0, "open");
			add_tree(h, fd);
			(void)close(fd); /* a directory */
		}
		free(names[i]);
	}
	free(names);
}

/* Of the victims, and of the names beside the target. */
static void digest(uint8_t out[32])
{
	struct hash *h = hash_new();
	struct dirent **names = NULL;
	prove_slice_must(h == NULL, "memory");
	add_tree(h, outside);
	int count = scandir(prove_scratch_path(), &names, NULL, alphasort);
	prove_slice_must(count < 0, "scandir");
	for (int i = 0; i < count; i++) {
		hash_add(h, names[i]->d_name, strlen(names[i]->d_name) + 1);
		free(names[i]);
	}
	free(names);
	hash_end(h, out);
	hash_free(h);
}

static void write_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	prove_slice_must(fd < 0 || write(fd, name, strlen(name)) < 0, name);
	(void)close(fd); /* written */
}

static void make_victims(void)
{
	prove_slice_must(mkdirat(scratch_fd, "outside", 0750), "mkdir");
	outside = openat(scratch_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	prove_slice_must(outside < 0, "open");
	prove_slice_must(mkdirat(outside, "etc", 0750), "mkdir");
	write_file(outside, "passwd");
	write_file(outside, "etc/shadow");
	write_file(outside, "f00");
	prove_slice_must(mkdirat(outside, "d00", 0700), "mkdir");
	write_file(outside, "d00/f00");
}

static void fresh_target(void)
{
	if (target > 0)
		(void)close(target);             /* a directory */
	(void)close(prove_scratch_dir("attic")); /* empty now */
	target = prove_scratch_dir("target");
}

/* ---- the trees ------------------------------------------------------------------------------ */

static const char *const good[] = { "d00", "d01", "f00", "f01", "ln", "etc", "passwd", "shadow",
	"x" };
static const char *const climbing[] = { "..", ".", "", "/", "../outside/passwd", "../../etc/passwd",
	"a/../../b", "/etc/passwd", "..\\x", "...", "..\n", "d00/f00", "\xc0\xae\xc0\xae", "\xff",
	"-rf", "~root", "CON", "\xe2\x80\xae" };

/* Where links lead. */
static const char *link_to(uint64_t *row)
{
	static char text[5000];
	switch (prove_slice_random(row, 9)) {
	case 0:
		return outside_path;
	case 1:
		return "../outside";
	case 2:
		return "..";
	case 3:
		return "../outside/etc";
	case 4:
		return "ln"; /* itself, or another link */
	case 5:
		return "/proc/self/cwd";
	case 6:
		(void)snprintf(text, sizeof(text), "%s/passwd", outside_path);
		return text;
	case 7:
		(void)snprintf(text, sizeof(text), "d00/../../outside/%s",
			good[prove_slice_random(row, COUNT(good))]);
		return text;
	default:
		return "/";
	}
}

/* One component: most are good, so that the tree grows deep enough to hurt. */
static size_t component(uint64_t *row, uint8_t *out)
{
	static const size_t lengths[] = { 255, 256, 4096, 4097 };
	uint64_t dice = prove_slice_random(row, 16);
	if (dice == 0) {
		size_t len = lengths[prove_slice_random(row, COUNT(lengths))];
		memset(out, 'l', len);
		return len;
	}
	const char *text = dice < 4 ? climbing[prove_slice_random(row, COUNT(climbing))]
				    : good[prove_slice_random(row, COUNT(good))];
	memcpy(out, text, strlen(text));
	return strlen(text);
}

struct hostile_entry {
	uint8_t key[MAX_KEY];
	size_t key_len;
	struct entry entry;
	struct entry_xattr xattr;
	char link[5000];
};
static struct hostile_entry tree[MAX_ENTRIES];

static void fill_xattr(struct hostile_entry *e, uint64_t *row)
{
	static const char *const attributes[] = { "security.capability", "system.posix_acl_access",
		"system.posix_acl_default", "trusted.overlay.opaque", "user.x", "security.selinux",
		"../x", "" };
	static const uint8_t value[64] = { 2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff };
	const char *name = attributes[prove_slice_random(row, COUNT(attributes))];
	e->xattr = (struct entry_xattr){ .name = name,
		.name_len = strlen(name),
		.value = value,
		.value_len = prove_slice_random(row, sizeof(value)) };
	e->entry.xattrs = &e->xattr;
	e->entry.xattr_count = 1;
}

static void fill_entry(struct hostile_entry *e, uint64_t *row)
{
	static const enum entry_kind kinds[] = { ENTRY_FILE, ENTRY_FILE, ENTRY_FILE, ENTRY_DIR,
		ENTRY_DIR, ENTRY_DIR, ENTRY_SYMLINK, ENTRY_SYMLINK, ENTRY_SYMLINK, ENTRY_FIFO,
		ENTRY_CHAR, ENTRY_BLOCK, 99 };
	size_t depth = 1 + prove_slice_random(row, 4);
	memset(e, 0, sizeof(*e));
	for (size_t i = 0; i < depth; i++) {
		uint8_t part[4200];
		size_t len = component(row, part);
		if (e->key_len + len + 1 > MAX_KEY)
			break;
		if (i > 0)
			e->key[e->key_len++] = 0;
		memcpy(e->key + e->key_len, part, len);
		e->key_len += len;
	}
	struct entry *x = &e->entry;
	x->kind = kinds[prove_slice_random(row, COUNT(kinds))];
	x->mode = (uint32_t)prove_slice_random(row, 010000);
	x->uid = (uint32_t)prove_slice_random(row, 3) * 1000;
	x->gid = x->uid;
	x->user = prove_slice_random(row, 2) == 0 ? "root" : NULL;
	x->mtime.s = (int64_t)prove_slice_random(row, UINT64_C(1) << 33);
	x->size = x->kind == ENTRY_FILE ? prove_slice_random(row, 100) : 0;
	x->dev_major = 1;
	x->dev_minor = 3;
	(void)snprintf(e->link, sizeof(e->link), "%s", link_to(row));
	x->target = (const uint8_t *)e->link;
	x->target_len = x->kind == ENTRY_SYMLINK ? strlen(e->link) : 0;
	if (prove_slice_random(row, 5) == 0)
		x->hardlink = 1 + prove_slice_random(row, 2);
	if (prove_slice_random(row, 6) == 0)
		fill_xattr(e, row);
}

static int compare_keys(const void *a, const void *b)
{
	const struct hostile_entry *x = a;
	const struct hostile_entry *y = b;
	return entry_key_compare(x->key, x->key_len, y->key, y->key_len);
}

static size_t make_tree(uint64_t *row)
{
	size_t count = 10 + prove_slice_random(row, MAX_ENTRIES - 10);
	for (size_t i = 0; i < count; i++)
		fill_entry(&tree[i], row);
	bool is_sorted = prove_slice_random(row, 8) != 0; /* a few are in no order */
	if (is_sorted)
		qsort(tree, count, sizeof(tree[0]), compare_keys);
	/* sorting moved what the pointers are to */
	for (size_t i = 0; i < count; i++) {
		tree[i].entry.target = (const uint8_t *)tree[i].link;
		if (tree[i].entry.xattr_count > 0)
			tree[i].entry.xattrs = &tree[i].xattr;
	}
	return count;
}

/* Links, directories and files in the way, as an enemy leaves them. */
static void prepare_target(uint64_t *row)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		switch (prove_slice_random(row, 4)) {
		case 0:
			(void)!symlinkat(link_to(row), target, good[i]); /* or none */
			break;
		case 1:
			(void)!mkdirat(target, good[i], 0755); /* or none */
			break;
		case 2:
			(void)!linkat(outside, "passwd", target, good[i], 0); /* or none */
			break;
		default:
			break;
		}
	}
}

/* ---- the enemy ------------------------------------------------------------------------------ */

struct enemy {
	atomic_bool is_over;
	uint64_t row, swaps;
};

/* Swap a name in the target (or one below it) with a link from the attic, and sometimes back. */
static void *be_an_enemy(void *arg)
{
	struct enemy *e = arg;
	int attic = openat(scratch_fd, "attic", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (!atomic_load(&e->is_over)) {
		const char *name = good[prove_slice_random(&e->row, COUNT(good))];
		const char *below = good[prove_slice_random(&e->row, COUNT(good))];
		(void)unlinkat(attic, "bait", 0);                  /* none, or a file of before */
		(void)!symlinkat(link_to(&e->row), attic, "bait"); /* or the old one */
		/* never through a link of its own: the enemy changes nothing outside himself */
		int dir = openat(target, prove_slice_random(&e->row, 2) == 0 ? "." : name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0) {
			e->swaps += renameat2(dir, below, attic, "bait", RENAME_EXCHANGE) == 0 ||
				    renameat2(attic, "bait", dir, below, RENAME_NOREPLACE) == 0;
			(void)close(dir); /* a directory */
		}
	}
	(void)close(attic); /* a directory */
	return NULL;
}

/* ---- one tree ------------------------------------------------------------------------------- */

static void restore_tree(size_t count, enum restore_overwrite overwrite)
{
	const struct restore_writer_opts opts = { .overwrite = overwrite, .sparse = true };
	static const uint8_t content[128] = "hostile content";
	struct restore_writer *w = NULL;
	struct err err = ERR_INIT;
	if (restore_writer_new(target, &opts, &w, &err) != 0)
		return; /* not empty: refused as a whole */
	for (size_t i = 0; i < count; i++) {
		const struct entry *e = &tree[i].entry;
		enum restore_step step = RESTORE_STEP_SKIPPED;
		int rc = restore_writer_begin(w, tree[i].key, tree[i].key_len, e, &step, &err);
		if (rc == 0 && step == RESTORE_STEP_DATA)
			rc = restore_writer_data(w, 0, content, (size_t)e->size, &err);
		if (rc == 0 && step == RESTORE_STEP_DATA)
			rc = restore_writer_end(w, &err);
		p.counts[ENTRIES]++;
		p.counts[rc == 0 ? MADE : REFUSED]++;
	}
	(void)restore_writer_finish(w, &err); /* an enemy's swaps are told here */
	restore_writer_free(w);
}

static void run_tree(void)
{
	static const enum restore_overwrite rules[] = { RESTORE_REFUSE, RESTORE_REPLACE,
		RESTORE_IF_CHANGED, RESTORE_KEEP };
	uint64_t row = prove_slice_row(&p, p.at);
	enum restore_overwrite rule = rules[prove_slice_random(&row, COUNT(rules))];
	uint8_t before[32], after[32];
	struct enemy enemy = { .row = row };
	pthread_t thread;
	fresh_target();
	size_t count = make_tree(&row);
	bool is_prepared = rule != RESTORE_REFUSE && prove_slice_random(&row, 2) == 0;
	has_shared_victims = is_prepared;
	if (is_prepared)
		prepare_target(&row);
	bool is_race = prove_slice_random(&row, 3) != 0;
	digest(before);
	if (is_race)
		prove_slice_must(pthread_create(&thread, NULL, be_an_enemy, &enemy), "thread");
	restore_tree(count, rule);
	if (is_race) {
		atomic_store(&enemy.is_over, true);
		prove_slice_must(pthread_join(thread, NULL), "thread");
	}
	digest(after);
	if (memcmp(before, after, sizeof(before)) != 0)
		prove_slice_wrong(&p, "rule %d%s%s: something outside changed", (int)rule,
			is_prepared ? ", prepared" : "", is_race ? ", in a race" : "");
	p.counts[SWAPS] += enemy.swaps;
	p.counts[RACES] += is_race;
	p.counts[PREPARED] += is_prepared;
	p.at++;
}

/* What a careless writer does is seen: through a link of the tree into a victim. */
static void check_the_watch(void)
{
	uint8_t before[32], after[32];
	fresh_target();
	digest(before);
	prove_slice_must(symlinkat("../outside/etc", target, "ln"), "symlink");
	int fd = openat(target, "ln/shadow", O_WRONLY | O_CLOEXEC);
	prove_slice_must(fd < 0 || write(fd, "S", 1) != 1, "write");
	(void)close(fd); /* written */
	digest(after);
	if (memcmp(before, after, sizeof(before)) == 0)
		prove_slice_wrong(&p, "an escape goes unnoticed: the proof proves nothing");
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-hostile", labels, QUICK_TREES, FULL_TREES, argc, argv);
	scratch_fd = prove_scratch_begin();
	(void)snprintf(outside_path, sizeof(outside_path), "%s/outside", prove_scratch_path());
	make_victims();
	check_the_watch();
	while (prove_slice_more(&p))
		run_tree();
	prove_slice_must(erase_tree_run(scratch_fd, "target", NULL, NULL), "erase");
	(void)close(outside); /* a directory */
	prove_scratch_done();
	return prove_slice_end(&p);
}
