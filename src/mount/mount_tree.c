#include "mount/mount_tree.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "mount/mount_snaps.h"
#include "vault/tree_reader.h"

/*
 * INVARIANTS
 * (1) lock covers the idle leases and the counts of links; no reader works under it.
 * (2) An idle lease with has_entry stands at the entry key, and its entry is whole.
 * (3) A listing with has_item stands at its entry number next - 1; everything the reader gave
 *     since belongs to that entry or lies below it.
 */
#define MAX_IDLE 8
/* So many entries are read on before the tree is gone through from the top again. */
#define STEPS_ON 16
#define STEPS_OVER 64

struct mount_lease {
	struct mount_lease *next; /* of the idle ones, the last used first */
	const struct mount_snap *snap;
	struct tree_reader *reader; /* owned */
	bool has_entry;
	bool is_ended; /* the reader was asked behind the last entry */
	struct buf key;
	struct entry entry;
};

/* How many names each group of a snapshot has. */
struct links {
	struct links *next;
	const struct mount_snap *snap;
	uint32_t *counts; /* owned; by group - 1 */
	size_t count;
};

struct mount_tree {
	const struct record_source *source; /* borrowed */
	pthread_mutex_t lock;
	struct mount_lease *idle;
	size_t idle_count;
	struct links *links;
};

struct mount_listing {
	struct tree_reader *reader; /* owned */
	const struct mount_snap *snap;
	struct buf dir;  /* key of the directory */
	struct buf item; /* key of the entry at hand */
	struct entry entry;
	uint64_t next; /* number of the entry behind the one at hand */
	bool has_item;
	bool is_ended;
};

DEFINE_CLEANUP(struct mount_tree *, mount_tree_free)

/* A directory of which only its entries tell. */
static void imply_dir(const struct mount_snap *snap, struct entry *e)
{
	*e = (struct entry){
		.kind = ENTRY_DIR, .mode = 0555, .mtime = { .s = snap->received_ns / 1000000000 }
	};
}

int mount_tree_new(const struct record_source *source, struct mount_tree **out, struct err *err)
{
	struct mount_tree *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&t->lock, NULL); /* with default attributes: cannot fail */
	t->source = source;
	*out = t;
	return 0;
}

static void lease_free(struct mount_lease *l)
{
	if (l != NULL) {
		tree_reader_free(l->reader);
		buf_done(&l->key);
	}
	free(l);
}
DEFINE_CLEANUP(struct mount_lease *, lease_free)

void mount_tree_free(struct mount_tree *t)
{
	if (t == NULL)
		return;
	while (t->idle != NULL) {
		struct mount_lease *l = t->idle;
		t->idle = l->next;
		lease_free(l);
	}
	while (t->links != NULL) {
		struct links *l = t->links;
		t->links = l->next;
		free(l->counts);
		free(l);
	}
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* How good the idle lease is for ${key}: 3 stands at it, 2 a little before it, 1 same tree, 0 no.
 */
static int fitness(
	const struct mount_lease *l, const struct mount_snap *snap, const uint8_t *key, size_t len)
{
	if (l->snap != snap)
		return 0;
	if (!l->has_entry)
		return 1;
	int order = entry_key_compare(l->key.data, l->key.len, key, len);
	return order == 0 ? 3 : order < 0 && !l->is_ended ? 2 : 1;
}

static struct mount_lease *take_idle(
	struct mount_tree *t, const struct mount_snap *snap, const uint8_t *key, size_t len)
{
	struct mount_lease **best = NULL;
	int best_fitness = 0;
	(void)pthread_mutex_lock(&t->lock); /* fails for bad locks only, here and below */
	for (struct mount_lease **at = &t->idle; *at != NULL; at = &(*at)->next) {
		int f = fitness(*at, snap, key, len);
		if (f > best_fitness) {
			best = at;
			best_fitness = f;
		}
	}
	struct mount_lease *l = NULL;
	if (best != NULL) {
		l = *best;
		*best = l->next;
		t->idle_count--;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return l;
}

void mount_tree_return(struct mount_tree *t, struct mount_lease *lease)
{
	struct mount_lease *too_many = NULL;
	(void)pthread_mutex_lock(&t->lock);
	lease->next = t->idle;
	t->idle = lease;
	if (++t->idle_count > MAX_IDLE) {
		struct mount_lease **at = &t->idle;
		while ((*at)->next != NULL)
			at = &(*at)->next;
		too_many = *at;
		*at = NULL;
		t->idle_count--;
	}
	(void)pthread_mutex_unlock(&t->lock);
	lease_free(too_many);
}

static int new_lease(struct mount_tree *t, const struct mount_snap *snap, struct mount_lease **out,
	struct err *err)
{
	CLEANUP(lease_free_p) struct mount_lease *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->snap = snap;
	l->key.max = ENTRY_MAX_KEY_BYTES;
	int rc = tree_reader_new(t->source, &snap->top, &l->reader, err);
	if (rc == 0)
		*out = TAKE(l);
	return rc;
}

/* Read the next entry into the lease.  Return 1, 0 at the end, or an error. */
static int step(struct mount_lease *l, struct err *err)
{
	const uint8_t *key;
	size_t len;
	l->has_entry = false;
	int rc = tree_reader_next(l->reader, &key, &len, &l->entry, err);
	if (rc <= 0) {
		l->is_ended = rc == 0;
		return rc;
	}
	buf_clear(&l->key);
	rc = buf_add(&l->key, key, len, err);
	l->has_entry = rc == 0;
	return rc != 0 ? rc : 1;
}

/* Go to the first entry whose key is >= ${key}.  Return 1, 0 when there is none, or an error. */
static int go_to(struct mount_lease *l, const uint8_t *key, size_t len, struct err *err)
{
	int order = -1;
	if (l->has_entry && !l->is_ended) {
		order = entry_key_compare(l->key.data, l->key.len, key, len);
		if (order == 0)
			return 1;
		for (int i = 0; order < 0 && i < STEPS_ON; i++) {
			int rc = step(l, err);
			if (rc <= 0)
				return rc;
			order = entry_key_compare(l->key.data, l->key.len, key, len);
			if (order >= 0)
				return 1;
		}
	}
	l->is_ended = false;
	int rc = tree_reader_seek(l->reader, key, len, err);
	return rc != 0 ? rc : step(l, err);
}

int mount_tree_find(struct mount_tree *t, const struct mount_snap *snap, const uint8_t *key,
	size_t key_len, struct mount_lease **out, struct entry *e, struct err *err)
{
	struct mount_lease *l = take_idle(t, snap, key, key_len);
	int rc = l != NULL ? 0 : new_lease(t, snap, &l, err);
	if (rc != 0)
		return rc;
	rc = key_len == 0 ? 1 : go_to(l, key, key_len, err);
	if (rc < 0) {
		lease_free(l); /* a reader that failed reads no further */
		return rc;
	}
	if (rc == 1 && key_len > 0 && l->key.len == key_len &&
		memcmp(l->key.data, key, key_len) == 0) {
		*e = l->entry;
	} else if (rc == 1 &&
		   (key_len == 0 || entry_key_is_within(l->key.data, l->key.len, key, key_len))) {
		imply_dir(snap, e);
	} else {
		mount_tree_return(t, l);
		return 0;
	}
	*out = l;
	return 1;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int count_name(struct links *l, uint64_t group, struct err *err)
{
	if (group > l->count + 1)
		return err_set(err, ERR_CORRUPT, "hard-link groups are not in order");
	if (group == l->count + 1) {
		if ((l->count & (l->count + 1)) == 0) { /* 0, 1, 3, 7, ..: full */
			uint32_t *grown =
				reallocarray(l->counts, 2 * (l->count + 1), sizeof(*grown));
			if (grown == NULL)
				return err_set(err, ERR_NOMEM, "out of memory");
			l->counts = grown;
		}
		l->counts[l->count++] = 0;
	}
	if (l->counts[group - 1] < UINT32_MAX)
		l->counts[group - 1]++;
	return 0;
}

static int count_links(struct mount_tree *t, struct links *l, struct err *err)
{
	struct tree_reader *r = NULL;
	const uint8_t *key;
	size_t len;
	struct entry e;
	int rc = tree_reader_new(t->source, &l->snap->top, &r, err);
	if (rc != 0)
		return rc;
	while ((rc = tree_reader_next(r, &key, &len, &e, err)) > 0) {
		if (e.hardlink != 0)
			rc = count_name(l, e.hardlink, err);
		if (rc < 0)
			break;
	}
	tree_reader_free(r);
	return rc;
}

static struct links *find_links(struct mount_tree *t, const struct mount_snap *snap)
{
	struct links *l = t->links;
	while (l != NULL && l->snap != snap)
		l = l->next;
	return l;
}

/* Two threads may count the same snapshot: the second count is thrown away. */
static int add_links(
	struct mount_tree *t, const struct mount_snap *snap, struct links **out, struct err *err)
{
	struct links *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->snap = snap;
	int rc = count_links(t, l, err);
	bool is_kept = rc != -ERR_NOMEM; /* a damaged tree is not read again and again */
	(void)pthread_mutex_lock(&t->lock);
	struct links *other = is_kept ? find_links(t, snap) : NULL;
	if (is_kept && other == NULL) {
		l->next = t->links;
		t->links = l;
		other = TAKE(l);
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (l != NULL)
		free(l->counts);
	free(l);
	if (rc == 0)
		*out = other;
	return rc;
}

int mount_tree_links(struct mount_tree *t, const struct mount_snap *snap, uint64_t group,
	uint32_t *out, struct err *err)
{
	(void)pthread_mutex_lock(&t->lock);
	struct links *l = find_links(t, snap);
	(void)pthread_mutex_unlock(&t->lock);
	int rc = l != NULL ? 0 : add_links(t, snap, &l, err);
	if (rc != 0)
		return rc;
	*out = group > 0 && group <= l->count ? l->counts[group - 1] : 1;
	return 0;
}

/* ---- listings -------------------------------------------------------------------------------- */

void mount_tree_list_end(struct mount_listing *l)
{
	if (l == NULL)
		return;
	tree_reader_free(l->reader);
	buf_done(&l->dir);
	buf_done(&l->item);
	free(l);
}
DEFINE_CLEANUP(struct mount_listing *, mount_tree_list_end)

/* To the first entry at or below the directory. */
static int rewind_listing(struct mount_listing *l, struct err *err)
{
	l->next = 0;
	l->has_item = false;
	l->is_ended = false;
	return tree_reader_seek(l->reader, l->dir.data, l->dir.len, err);
}

int mount_tree_list(struct mount_tree *t, const struct mount_snap *snap, const uint8_t *key,
	size_t key_len, struct mount_listing **out, struct err *err)
{
	CLEANUP(mount_tree_list_end_p) struct mount_listing *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->snap = snap;
	l->dir.max = ENTRY_MAX_KEY_BYTES;
	l->item.max = ENTRY_MAX_KEY_BYTES;
	int rc = buf_add(&l->dir, key, key_len, err);
	if (rc == 0)
		rc = tree_reader_new(t->source, &snap->top, &l->reader, err);
	if (rc == 0)
		rc = rewind_listing(l, err);
	if (rc == 0)
		*out = TAKE(l);
	return rc;
}

/* Take ${key}, which lies below the directory, as the entry at hand. */
static int take_item(struct mount_listing *l, const uint8_t *key, size_t len, struct err *err)
{
	size_t from = l->dir.len == 0 ? 0 : l->dir.len + 1;
	const uint8_t *end = memchr(key + from, 0, len - from);
	size_t item_len = end == NULL ? len : (size_t)(end - key);
	if (end != NULL)
		imply_dir(l->snap, &l->entry);
	buf_clear(&l->item);
	int rc = buf_add(&l->item, key, item_len, err);
	l->has_item = rc == 0;
	l->next++;
	return rc;
}

/* Read the next entry of the directory.  Return 1, 0 at the end, or an error. */
static int advance(struct mount_listing *l, struct err *err)
{
	unsigned below = 0;
	for (;;) {
		const uint8_t *key;
		size_t len;
		int rc = tree_reader_next(l->reader, &key, &len, &l->entry, err);
		if (rc < 0)
			return rc;
		if (rc == 0 || !entry_key_is_within(key, len, l->dir.data, l->dir.len)) {
			l->is_ended = true;
			l->has_item = false;
			return 0;
		}
		if (len == l->dir.len)
			continue; /* the directory itself */
		if (!l->has_item || !entry_key_is_within(key, len, l->item.data, l->item.len)) {
			rc = take_item(l, key, len, err);
			return rc != 0 ? rc : 1;
		}
		if (++below == STEPS_OVER) {
			rc = tree_reader_skip(l->reader, l->item.data, l->item.len, err);
			if (rc != 0)
				return rc;
		}
	}
}

int mount_tree_list_at(struct mount_listing *l, uint64_t nth, const uint8_t **key, size_t *key_len,
	struct entry *e, struct err *err)
{
	bool is_behind = nth + 1 < l->next || (nth + 1 == l->next && !l->has_item);
	int rc = is_behind ? rewind_listing(l, err) : 0;
	while (rc == 0 && l->next <= nth) {
		if (l->is_ended)
			return 0;
		int more = advance(l, err);
		if (more <= 0)
			return more;
	}
	if (rc != 0)
		return rc;
	if (!l->has_item)
		return 0;
	*key = l->item.data;
	*key_len = l->item.len;
	*e = l->entry;
	return 1;
}
