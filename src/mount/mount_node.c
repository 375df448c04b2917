#include "mount/mount_node.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/siphash.h"
#include "mount/mount_snaps.h"

/*
 * INVARIANTS
 * (1) lock covers the buckets, the count and all lookups; what a number means never changes while
 *     it has lookups.
 * (2) Two different nodes in the table have different numbers: the second of two whose hashes are
 *     equal got the next free number.
 */
#define FIRST_BUCKETS 1024
#define FIRST_NUMBER 16 /* below: the root and numbers that some programs take for special */

struct known {
	struct mount_node node;
	uint64_t ino;
	uint64_t lookups;
	struct known *next; /* in the bucket */
	uint8_t key[];
};

struct mount_node_table {
	pthread_mutex_t lock;
	struct known **buckets; /* owned; by number */
	size_t bucket_count;    /* a power of two */
	size_t count;
};

DEFINE_CLEANUP(struct mount_node_table *, mount_node_free)

static void lock(struct mount_node_table *t)
{
	(void)pthread_mutex_lock(&t->lock); /* fails for bad locks only */
}

static void unlock(struct mount_node_table *t)
{
	(void)pthread_mutex_unlock(&t->lock); /* as above */
}

static bool is_same(const struct mount_node *a, const struct mount_node *b)
{
	if (a->kind != b->kind || a->snap != b->snap || a->group != b->group)
		return false;
	if (a->group != 0)
		return true;
	return a->key_len == b->key_len &&
	       (a->key_len == 0 || memcmp(a->key, b->key, a->key_len) == 0);
}

/* The number that the node gets unless another has it: of its snapshot's id, and its group or its
 * key. */
static uint64_t first_number(const struct mount_node *n)
{
	uint64_t k0 = n->snap != NULL ? bytes_get64(n->snap->hash) : 0;
	uint64_t k1 = (uint64_t)n->kind << 1 | (n->group != 0);
	uint64_t h = n->group != 0 ? siphash_24(k0, k1, &n->group, sizeof(n->group))
				   : siphash_24(k0, k1, n->key, n->key_len);
	return h < FIRST_NUMBER ? h + FIRST_NUMBER : h;
}

static struct known *find(struct mount_node_table *t, uint64_t ino)
{
	struct known *k = t->buckets[ino & (t->bucket_count - 1)];
	while (k != NULL && k->ino != ino)
		k = k->next;
	return k;
}

/* The node's number; *${out} is NULL when it is not in the table. */
static uint64_t number_of(
	struct mount_node_table *t, const struct mount_node *n, struct known **out)
{
	uint64_t ino = first_number(n);
	struct known *k;
	while ((k = find(t, ino)) != NULL && !is_same(&k->node, n))
		ino = ino == UINT64_MAX ? FIRST_NUMBER : ino + 1;
	*out = k;
	return ino;
}

/* Twice as many buckets; without memory for them it only gets slower. */
static void grow(struct mount_node_table *t)
{
	size_t count = t->bucket_count * 2;
	struct known **buckets = calloc(count, sizeof(struct known *));
	if (buckets == NULL)
		return;
	for (size_t i = 0; i < t->bucket_count; i++) {
		while (t->buckets[i] != NULL) {
			struct known *k = t->buckets[i];
			t->buckets[i] = k->next;
			k->next = buckets[k->ino & (count - 1)];
			buckets[k->ino & (count - 1)] = k;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->bucket_count = count;
}

static int add(struct mount_node_table *t, const struct mount_node *n, uint64_t ino,
	struct known **out, struct err *err)
{
	struct known *k = calloc(1, sizeof(*k) + n->key_len);
	if (k == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	k->node = *n;
	k->node.key = k->key;
	if (n->key_len > 0)
		memcpy(k->key, n->key, n->key_len);
	k->ino = ino;
	if (++t->count > t->bucket_count)
		grow(t);
	struct known **bucket = &t->buckets[ino & (t->bucket_count - 1)];
	k->next = *bucket;
	*bucket = k;
	*out = k;
	return 0;
}

int mount_node_new(const struct mount_node *root, struct mount_node_table **out, struct err *err)
{
	struct known *k;
	CLEANUP(mount_node_free_p) struct mount_node_table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&t->lock, NULL); /* with default attributes: cannot fail */
	t->bucket_count = FIRST_BUCKETS;
	t->buckets = calloc(t->bucket_count, sizeof(struct known *));
	if (t->buckets == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = add(t, root, MOUNT_NODE_ROOT, &k, err);
	if (rc != 0)
		return rc;
	k->lookups = 1;
	*out = TAKE(t);
	return 0;
}

void mount_node_free(struct mount_node_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; t->buckets != NULL && i < t->bucket_count; i++) {
		while (t->buckets[i] != NULL) {
			struct known *k = t->buckets[i];
			t->buckets[i] = k->next;
			free(k);
		}
	}
	free(t->buckets);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

uint64_t mount_node_number(struct mount_node_table *t, const struct mount_node *n)
{
	struct known *k;
	lock(t);
	uint64_t ino = number_of(t, n, &k);
	unlock(t);
	return ino;
}

int mount_node_look(
	struct mount_node_table *t, const struct mount_node *n, uint64_t *ino, struct err *err)
{
	struct known *k;
	int rc = 0;
	lock(t);
	uint64_t number = number_of(t, n, &k);
	if (k == NULL)
		rc = add(t, n, number, &k, err);
	if (rc == 0) {
		k->lookups++;
		*ino = number;
	}
	unlock(t);
	return rc;
}

void mount_node_forget(struct mount_node_table *t, uint64_t ino, uint64_t count)
{
	if (ino == MOUNT_NODE_ROOT)
		return;
	lock(t);
	struct known *k = find(t, ino);
	if (k != NULL && k->lookups > count) {
		k->lookups -= count;
	} else if (k != NULL) {
		struct known **at = &t->buckets[ino & (t->bucket_count - 1)];
		while (*at != k)
			at = &(*at)->next;
		*at = k->next;
		t->count--;
		free(k);
	}
	unlock(t);
}

const struct mount_node *mount_node_get(struct mount_node_table *t, uint64_t ino)
{
	lock(t);
	struct known *k = find(t, ino);
	unlock(t);
	return k != NULL ? &k->node : NULL;
}

size_t mount_node_count(struct mount_node_table *t)
{
	lock(t);
	size_t count = t->count;
	unlock(t);
	return count;
}
