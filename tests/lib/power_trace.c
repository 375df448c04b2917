#include "tests/lib/power_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "tests/lib/prove_slice.h"

/*
 * INVARIANTS
 * (1) The operations stand in the order in which they returned; only those that succeeded are in
 * it. (2) synced_at of an operation is the number of the first sync behind it that makes it
 * durable.
 */

#define MAX_OPS 20000
#define MAX_NODES 8000
#define MAX_NAMES 8000
#define SECTOR 512
#define NEVER SIZE_MAX
#define NONE UINT32_MAX
#define ROOT 0

enum kind { OP_WRITE, OP_NAME, OP_SYNC };

struct op {
	enum kind kind;
	uint32_t node;  /* written, synced, or named; NONE: the name is taken away */
	uint32_t name;  /* OP_NAME */
	size_t at, len; /* OP_WRITE */
	size_t synced_at;
};

/* A file or a directory. */
struct node {
	dev_t dev;
	ino_t ino;
	bool is_dir, is_gone; /* gone: the number may be another file's by now */
	uint8_t *data;        /* owned */
	size_t len;
};

struct name {
	uint32_t dir;
	char text[256];
};

static struct op ops[MAX_OPS];
static size_t op_count;
static struct node nodes[MAX_NODES];
static uint32_t node_count;
static struct name names[MAX_NAMES];
static uint32_t name_count;
static const struct env_ops *under;
static struct env_ops recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *what)
{
	(void)fprintf(stderr, "power_trace: %s\n", what);
	abort();
}

/* ---- recording ------------------------------------------------------------------------------ */

static struct op *add_op(enum kind kind, uint32_t node)
{
	if (op_count == MAX_OPS)
		give_up("too many operations");
	struct op *o = &ops[op_count++];
	*o = (struct op){ .kind = kind, .node = node, .name = NONE, .synced_at = NEVER };
	return o;
}

static uint32_t node_of(const struct stat *st)
{
	for (uint32_t i = node_count; i > 0; i--) {
		const struct node *n = &nodes[i - 1];
		if (!n->is_gone && n->ino == st->st_ino && n->dev == st->st_dev)
			return i - 1;
	}
	return NONE; /* not in the directory that is watched */
}

static uint32_t node_of_fd(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 ? node_of(&st) : NONE;
}

static uint32_t add_node(const struct stat *st)
{
	uint32_t before = node_of(st);
	if (before != NONE)
		nodes[before].is_gone = true;
	if (node_count == MAX_NODES)
		give_up("too many files");
	nodes[node_count] = (struct node){
		.dev = st->st_dev, .ino = st->st_ino, .is_dir = S_ISDIR(st->st_mode)
	};
	return node_count++;
}

static uint32_t name_of(uint32_t dir, const char *text)
{
	for (uint32_t i = 0; i < name_count; i++) {
		if (names[i].dir == dir && strcmp(names[i].text, text) == 0)
			return i;
	}
	if (name_count == MAX_NAMES || strlen(text) >= sizeof(names[0].text))
		give_up("too many names");
	names[name_count].dir = dir;
	(void)snprintf(names[name_count].text, sizeof(names[0].text), "%s", text);
	return name_count++;
}

static void add_name(int dirfd, const char *text, uint32_t node)
{
	uint32_t dir = node_of_fd(dirfd);
	if (dir != NONE)
		add_op(OP_NAME, node)->name = name_of(dir, text);
}

static int watch_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	(void)pthread_mutex_lock(&lock);
	int fd = under->openat(dirfd, path, flags, mode);
	if (fd >= 0 && (flags & O_CREAT) != 0 && node_of_fd(dirfd) != NONE) {
		if ((flags & O_EXCL) == 0 || fstat(fd, &st) != 0)
			give_up("a file that may have been there");
		add_name(dirfd, path, add_node(&st));
	}
	(void)pthread_mutex_unlock(&lock);
	return fd;
}

static ssize_t watch_write(int fd, const void *data, size_t len)
{
	(void)pthread_mutex_lock(&lock);
	uint32_t node = node_of_fd(fd);
	ssize_t done = under->write(fd, data, len);
	if (done > 0 && node != NONE) {
		struct node *n = &nodes[node];
		struct op *o = add_op(OP_WRITE, node);
		o->at = n->len;
		o->len = (size_t)done;
		n->data = realloc(n->data, n->len + (size_t)done);
		if (n->data == NULL)
			give_up("no memory");
		memcpy(n->data + n->len, data, (size_t)done);
		n->len += (size_t)done;
	}
	(void)pthread_mutex_unlock(&lock);
	return done;
}

/* Everything before it that this sync is for is durable now. */
static void note_sync(uint32_t node)
{
	size_t now = op_count;
	if (node == NONE)
		return;
	for (size_t i = 0; i < now; i++) {
		bool is_mine = (ops[i].kind == OP_WRITE && ops[i].node == node) ||
			       (ops[i].kind == OP_NAME && names[ops[i].name].dir == node);
		if (is_mine && ops[i].synced_at == NEVER)
			ops[i].synced_at = now;
	}
	(void)add_op(OP_SYNC, node);
}

static int watch_sync(int fd, int (*sync)(int fd))
{
	(void)pthread_mutex_lock(&lock);
	int rc = sync(fd);
	if (rc == 0)
		note_sync(node_of_fd(fd));
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

static int watch_fdatasync(int fd)
{
	return watch_sync(fd, under->fdatasync);
}

static int watch_fsync(int fd)
{
	return watch_sync(fd, under->fsync);
}

static int watch_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	struct stat st;
	(void)pthread_mutex_lock(&lock);
	int rc = under->linkat(from_dir, from, to_dir, to, flags);
	if (rc == 0 && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		add_name(to_dir, to, node_of(&st));
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

static int watch_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;
	(void)pthread_mutex_lock(&lock);
	int rc = under->renameat(from_dir, from, to_dir, to);
	if (rc == 0 && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		add_name(to_dir, to, node_of(&st));
		add_name(from_dir, from, NONE);
	}
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

static int watch_unlinkat(int dirfd, const char *path, int flags)
{
	(void)pthread_mutex_lock(&lock);
	int rc = under->unlinkat(dirfd, path, flags);
	if (rc == 0)
		add_name(dirfd, path, NONE);
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

static int watch_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct stat st;
	(void)pthread_mutex_lock(&lock);
	int rc = under->mkdirat(dirfd, path, mode);
	if (rc == 0 && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		add_name(dirfd, path, add_node(&st));
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

void power_trace_done(void)
{
	for (uint32_t i = 0; i < node_count; i++)
		free(nodes[i].data);
	op_count = 0;
	node_count = 0;
	name_count = 0;
}

void power_trace_begin(int dirfd, const struct env_ops *below)
{
	struct stat st;
	power_trace_done();
	if (fstat(dirfd, &st) != 0)
		give_up("no directory");
	(void)add_node(&st); /* ROOT */
	under = below;
	recording = *below;
	recording.openat = watch_openat;
	recording.write = watch_write;
	recording.fdatasync = watch_fdatasync;
	recording.fsync = watch_fsync;
	recording.linkat = watch_linkat;
	recording.renameat = watch_renameat;
	recording.unlinkat = watch_unlinkat;
	recording.mkdirat = watch_mkdirat;
	(void)env_swap(&recording);
}

void power_trace_end(const struct env_ops *below)
{
	(void)env_swap(below);
}

size_t power_trace_count(void)
{
	return op_count;
}

/* ---- what is left --------------------------------------------------------------------------- */

static bool is_pending(const struct op *o, size_t n, bool is_lying)
{
	return o->kind != OP_SYNC && (is_lying || o->synced_at == NEVER || o->synced_at >= n);
}

size_t power_trace_pending(size_t n)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += is_pending(&ops[i], n, false);
	return count;
}

enum fate { KEPT, LOST, TORN, ZEROS };

/* The fate of pending operation number ${k}. */
static enum fate fate_of(const struct power_trace_state *s, size_t k, uint64_t *row)
{
	switch (s->choice) {
	case POWER_ALL_KEPT:
		return KEPT;
	case POWER_ALL_LOST:
		return LOST;
	case POWER_ONE_KEPT:
		return k == s->x ? KEPT : LOST;
	case POWER_ONE_LOST:
		return k == s->x ? LOST : KEPT;
	case POWER_MASK:
		return (s->x >> (k % 64) & 1) != 0 ? KEPT : LOST;
	case POWER_RANDOM:
		break;
	}
	static const enum fate dice[] = { KEPT, KEPT, KEPT, LOST, LOST, LOST, TORN, ZEROS };
	return dice[prove_slice_random(row, sizeof(dice) / sizeof(dice[0]))];
}

/* The state as it is put together. */
static uint32_t named[MAX_NAMES];    /* the node of each name, or NONE */
static size_t lengths[MAX_NODES];    /* of each file */
static uint8_t *contents[MAX_NODES]; /* owned; NULL: none, or the first bytes of the node's own */
static bool is_own[MAX_NODES];

static void free_contents(void)
{
	for (uint32_t i = 0; i < node_count; i++) {
		free(contents[i]);
		contents[i] = NULL;
	}
}

/* Put bytes of a write where the file has them. */
static void put_bytes(uint32_t i, const struct op *o, size_t len, bool is_zero)
{
	size_t end = o->at + o->len;
	if (!is_zero && len == o->len && lengths[i] == o->at && is_own[i]) {
		lengths[i] = end; /* as it was written */
		return;
	}
	uint8_t *grown = calloc(1, end > lengths[i] ? end : lengths[i]);
	if (grown == NULL)
		give_up("no memory");
	const uint8_t *before = is_own[i] ? nodes[i].data : contents[i];
	if (lengths[i] > 0)
		memcpy(grown, before, lengths[i]);
	if (!is_zero)
		memcpy(grown + o->at, nodes[i].data + o->at, len);
	free(contents[i]);
	contents[i] = grown;
	is_own[i] = false;
	if (is_zero || len == o->len)
		lengths[i] = end > lengths[i] ? end : lengths[i];
	else if (o->at + len > lengths[i])
		lengths[i] = o->at + len;
}

static void put_together(const struct power_trace_state *s)
{
	uint64_t row = s->x;
	size_t k = 0;
	for (uint32_t i = 0; i < name_count; i++)
		named[i] = NONE;
	for (uint32_t i = 0; i < node_count; i++) {
		lengths[i] = 0;
		is_own[i] = true;
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct op *o = &ops[i];
		if (o->kind == OP_SYNC)
			continue;
		enum fate fate = is_pending(o, s->n, s->is_lying) ? fate_of(s, k++, &row) : KEPT;
		if (o->kind == OP_NAME) { /* a name is there or is not */
			if (fate == KEPT || fate == TORN)
				named[o->name] = o->node;
			continue;
		}
		size_t torn = (size_t)prove_slice_random(&row, o->len / SECTOR + 1) * SECTOR;
		if (fate != LOST)
			put_bytes(o->node, o, fate == KEPT ? o->len : torn, fate == ZEROS);
	}
}

/* True when the directory's own name leads to it. */
static bool is_reachable(uint32_t dir)
{
	for (unsigned depth = 0; dir != ROOT; depth++) {
		uint32_t i = 0;
		while (i < name_count && named[i] != dir)
			i++;
		if (i == name_count || depth == 16)
			return false;
		dir = names[i].dir;
	}
	return true;
}

void power_trace_digest(const struct power_trace_state *s, uint8_t out[32])
{
	struct hash *h = hash_new();
	if (h == NULL)
		give_up("no memory");
	put_together(s);
	for (uint32_t i = 0; i < name_count; i++) {
		uint32_t node = named[i];
		if (node == NONE || !is_reachable(names[i].dir))
			continue;
		hash_add(h, &i, sizeof(i));
		hash_add(h, &lengths[node], sizeof(lengths[node]));
		hash_add(h, is_own[node] ? nodes[node].data : contents[node], lengths[node]);
	}
	hash_end(h, out);
	hash_free(h);
	free_contents();
}

static int make_file(int dirfd, const char *name, uint32_t node)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	const uint8_t *data = is_own[node] ? nodes[node].data : contents[node];
	if (fd < 0)
		return -1;
	ssize_t done = lengths[node] == 0 ? 0 : write(fd, data, lengths[node]);
	bool is_good = done == (ssize_t)lengths[node];
	return close(fd) == 0 && is_good ? 0 : -1;
}

static int make_below(int dirfd, uint32_t dir)
{
	for (uint32_t i = 0; i < name_count; i++) {
		uint32_t node = named[i];
		if (names[i].dir != dir || node == NONE)
			continue;
		if (!nodes[node].is_dir) {
			if (make_file(dirfd, names[i].text, node) != 0)
				return -1;
			continue;
		}
		if (mkdirat(dirfd, names[i].text, 0700) != 0)
			return -1;
		int fd = openat(dirfd, names[i].text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int rc = fd < 0 ? -1 : make_below(fd, node);
		if (fd >= 0)
			(void)close(fd); /* a directory */
		if (rc != 0)
			return rc;
	}
	return 0;
}

int power_trace_make(const struct power_trace_state *s, int dirfd)
{
	put_together(s);
	int rc = make_below(dirfd, ROOT);
	free_contents();
	return rc;
}
