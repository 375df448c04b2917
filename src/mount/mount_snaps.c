#include "mount/mount_snaps.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/record_cache.h"
#include "vault/record_reader.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) lock covers the vault, its store, fetch and everything below; the cache's get takes it, so it
 *     is never held while the cache is asked for anything.
 * (2) known only grows; a snapshot in it never moves, and neither its id nor its time changes: a
 *     path that was shown means the same snapshot as long as the mount lives.
 * (3) shown are those of known that the store had when it was looked at last, by time of receipt;
 *     shown[i] is list.at[at[i]].
 */
#define LOOK_AGAIN_NS 1000000000LL    /* who lists faster sees what was there a second ago */
#define RELOAD_AGAIN_NS 10000000000LL /* the index, for a record that is not where it was */
#define SHORT_ID_DIGITS 8
#define SOURCE_DIR_MAX_BYTES 255 /* a name that Linux takes */

struct mount_snaps {
	struct vault *vault; /* borrowed */
	uint8_t sk[32];
	const char *source; /* borrowed */
	pthread_mutex_t lock;
	struct fetch *fetch; /* owned */
	struct record_store store;
	struct record_cache *cache; /* owned; asks store */
	struct mount_snap **known;  /* owned, with what they hold */
	size_t known_count;
	struct mount_snap **shown; /* owned array; borrowed from known */
	size_t shown_count;
	struct snapshot_list list;
	size_t *at;          /* owned; by number in shown */
	uint8_t names[32];   /* hash of the names under sn/ at the last look */
	int64_t looked_at;   /* env_mono_ns(); 0 = never */
	int64_t reloaded_at; /* likewise */
};

DEFINE_CLEANUP(struct mount_snaps *, mount_snaps_free)

static void lock(struct mount_snaps *m)
{
	(void)pthread_mutex_lock(&m->lock); /* fails for bad locks only */
}

static void unlock(struct mount_snaps *m)
{
	(void)pthread_mutex_unlock(&m->lock); /* as above */
}

/* ---- records --------------------------------------------------------------------------------- */

/* Forget the index, so that it is loaded anew; with the lock. */
static int reload(struct mount_snaps *m, struct err *err)
{
	struct fetch *fresh = NULL;
	int rc = fetch_new(m->vault, &fresh, err);
	if (rc != 0)
		return rc;
	fetch_free(m->fetch);
	m->fetch = fresh;
	m->reloaded_at = env_mono_ns();
	return 0;
}

static int get_record(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	struct mount_snaps *m = self;
	lock(m);
	int rc = fetch_record(m->fetch, id, cr, err);
	/* a pack may have been repacked since the index was read */
	if (rc == -ERR_NOT_FOUND && env_mono_ns() - m->reloaded_at > RELOAD_AGAIN_NS &&
		reload(m, NULL) == 0)
		rc = fetch_record(m->fetch, id, cr, err);
	unlock(m);
	return rc;
}

struct record_cache *mount_snaps_cache(struct mount_snaps *m)
{
	return m->cache;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A source's name as a path component: '/' and what cannot stand in one as %XX. */
static char *source_dir(const char *source)
{
	static const char hex[] = "0123456789ABCDEF";
	bool is_dots = strcmp(source, ".") == 0 || strcmp(source, "..") == 0;
	char *out = calloc(1, 3 * strlen(source) + 2);
	if (out == NULL)
		return NULL;
	char *to = out;
	for (const char *p = source; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '/' || c == '%' || c < 0x20 || c == 0x7f || is_dots) {
			*to++ = '%';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		} else {
			*to++ = *p;
		}
	}
	if (out[0] == '\0')
		out[0] = '%'; /* the source without a name; no other becomes that */
	if (strlen(out) > SOURCE_DIR_MAX_BYTES) {
		uint8_t hash[HASH_BYTES];
		char digits[2 * HASH_BYTES + 1];
		hash_sha256(source, strlen(source), hash);
		text_hex(hash, sizeof(hash), digits);
		(void)snprintf(out + SOURCE_DIR_MAX_BYTES - 17, 18, "~%.16s", digits); /* fits */
	}
	return out;
}

/* Does another snapshot begin with the first ${digits} of the id, or, with ${digits} 0, have the
 * same time in the same source? */
static bool is_taken(const struct mount_snaps *m, const struct mount_snap *s, size_t digits)
{
	for (size_t i = 0; i < m->known_count; i++) {
		const struct mount_snap *k = m->known[i];
		if (digits > 0 ? strncmp(k->id, s->id, digits) == 0
			       : strcmp(k->source, s->source) == 0 && strcmp(k->time, s->time) == 0)
			return true;
	}
	return false;
}

static void snap_free(struct mount_snap *s)
{
	if (s != NULL) {
		free(s->source);
		free(s->dir);
		secret_wipe(&s->top, sizeof(s->top));
	}
	free(s);
}
DEFINE_CLEANUP(struct mount_snap *, snap_free)

static void give_names(const struct mount_snaps *m, struct mount_snap *s)
{
	char when[HUMAN_BYTES];
	char id[MOUNT_SNAPS_ID_BYTES];
	size_t digits = SHORT_ID_DIGITS;
	text_hex(s->hash, sizeof(s->hash), id);
	memcpy(s->id, id, sizeof(id));
	while (digits < sizeof(id) - 1 && is_taken(m, s, digits))
		digits += SHORT_ID_DIGITS;
	s->id[digits] = '\0';
	(void)snprintf(s->time, sizeof(s->time), "%.19sZ",
		human_time_utc(when, s->received_ns)); /* without the milliseconds */
	if (is_taken(m, s, 0))
		(void)snprintf(s->time, sizeof(s->time), "%.19sZ-%.8s", when, id);
}

static int add_known(struct mount_snaps *m, const struct snapshot *snap, struct mount_snap **out,
	struct err *err)
{
	CLEANUP(snap_free_p) struct mount_snap *s = calloc(1, sizeof(*s));
	struct mount_snap **grown =
		reallocarray(m->known, m->known_count + 1, sizeof(struct mount_snap *));
	if (grown != NULL)
		m->known = grown;
	if (s == NULL || grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(s->hash, snap->hash, sizeof(s->hash));
	s->received_ns = snap->body.receipt_ns;
	s->source = strdup(snap->label.source);
	s->dir = source_dir(snap->label.source);
	if (s->source == NULL || s->dir == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	give_names(m, s);
	*out = s;
	m->known[m->known_count++] = TAKE(s);
	return 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

static int add_name(void *arg, const char *name, uint64_t size)
{
	struct buf *names = arg;
	uint8_t hash[HASH_BYTES];
	(void)size; /* the name is the hash of the bytes */
	hash_sha256(name, strlen(name), hash);
	for (size_t i = 0; i < sizeof(hash); i++) /* the order in which a store lists is any */
		names->data[i] ^= hash[i];
	return 0;
}

/* A number of the set of names under sn/. */
static int look(struct mount_snaps *m, uint8_t out[32], struct err *err)
{
	uint8_t sum[32] = { 1 };
	struct buf names = { .data = sum, .len = sizeof(sum) };
	int rc = store_list(vault_store(m->vault), "sn/", add_name, &names, err);
	if (rc == 0)
		memcpy(out, sum, sizeof(sum));
	return rc;
}

static void on_bad(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	log_debug("mount_snaps.renew", "object=%s error=%s, continuing", object, why->msg);
}

static int find_or_add(struct mount_snaps *m, const struct snapshot *snap, bool *is_new,
	struct mount_snap **out, struct err *err)
{
	for (size_t i = 0; i < m->known_count; i++) {
		if (memcmp(m->known[i]->hash, snap->hash, sizeof(snap->hash)) == 0) {
			*out = m->known[i];
			return 0;
		}
	}
	*is_new = true;
	return add_known(m, snap, out, err);
}

/* Make ${list} what is shown. */
static int show(
	struct mount_snaps *m, const struct snapshot_list *list, bool *is_new, struct err *err)
{
	struct mount_snap **shown = calloc(list->count + 1, sizeof(struct mount_snap *));
	size_t *at = calloc(list->count + 1, sizeof(*at));
	size_t count = 0;
	int rc = shown != NULL && at != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		const struct snapshot *s = &list->at[i];
		if (m->source != NULL && strcmp(s->label.source, m->source) != 0)
			continue;
		at[count] = i;
		rc = find_or_add(m, s, is_new, &shown[count++], err);
	}
	if (rc != 0) {
		free(shown);
		free(at);
		return rc;
	}
	free(m->shown);
	free(m->at);
	m->shown = shown;
	m->at = at;
	m->shown_count = count;
	return 0;
}

static int renew(struct mount_snaps *m, struct err *err)
{
	uint8_t names[32];
	struct snapshot_list list = { .count = 0 };
	bool is_new = false;
	int rc = look(m, names, err);
	if (rc != 0 || memcmp(names, m->names, sizeof(names)) == 0)
		return rc;
	rc = snapshot_list(m->vault, on_bad, NULL, &list, err);
	if (rc == 0)
		rc = show(m, &list, &is_new, err);
	if (rc != 0) {
		snapshot_list_done(&list);
		return rc;
	}
	snapshot_list_done(&m->list);
	m->list = list;
	memcpy(m->names, names, sizeof(names));
	return is_new ? reload(m, err) : 0; /* its records are not in the index that was read */
}

int mount_snaps_renew(struct mount_snaps *m, struct err *err)
{
	int rc = 0;
	lock(m);
	int64_t now = env_mono_ns();
	if (m->looked_at == 0 || now - m->looked_at >= LOOK_AGAIN_NS) {
		rc = renew(m, err);
		if (rc == 0)
			m->looked_at = now;
	}
	unlock(m);
	return rc;
}

int mount_snaps_list(
	struct mount_snaps *m, struct mount_snap ***out, size_t *count, struct err *err)
{
	lock(m);
	struct mount_snap **copy = calloc(m->shown_count + 1, sizeof(struct mount_snap *));
	if (copy != NULL) {
		for (size_t i = 0; i < m->shown_count; i++)
			copy[i] = m->shown[i];
		*count = m->shown_count;
	}
	unlock(m);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = copy;
	return 0;
}

static int open_snap(struct mount_snaps *m, struct mount_snap *snap, struct err *err)
{
	struct snapshot_opened opened;
	for (size_t i = 0; i < m->shown_count; i++) {
		if (m->shown[i] != snap)
			continue;
		int rc = snapshot_open(
			m->vault, m->fetch, &m->list.at[m->at[i]], m->sk, &opened, err);
		if (rc == 0) {
			snap->top = opened.root.top;
			__atomic_store_n(&snap->is_open, true, __ATOMIC_RELEASE);
		}
		return rc;
	}
	return err_set(err, ERR_NOT_FOUND, "snapshot %s is no more", snap->id);
}

int mount_snaps_open(struct mount_snaps *m, struct mount_snap *snap, struct err *err)
{
	if (__atomic_load_n(&snap->is_open, __ATOMIC_ACQUIRE)) /* then top is there, too */
		return 0;
	lock(m);
	int rc = snap->is_open ? 0 : open_snap(m, snap, err);
	unlock(m);
	return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

int mount_snaps_new(const struct mount_snaps_opts *opts, struct mount_snaps **out, struct err *err)
{
	struct record_cache_opts cache = { .max_bytes = opts->cache_bytes,
		.ahead_threads = opts->ahead };
	CLEANUP(mount_snaps_free_p) struct mount_snaps *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&m->lock, NULL); /* with default attributes: cannot fail */
	m->vault = opts->vault;
	m->source = opts->source;
	memcpy(m->sk, opts->sk, sizeof(m->sk));
	m->store = (struct record_store){ .self = m, .get = get_record };
	int rc = reload(m, err);
	if (rc == 0)
		rc = record_cache_new(&m->store, &cache, &m->cache, err);
	if (rc == 0)
		*out = TAKE(m);
	return rc;
}

void mount_snaps_free(struct mount_snaps *m)
{
	if (m == NULL)
		return;
	record_cache_free(m->cache); /* first: its threads ask the store */
	fetch_free(m->fetch);
	for (size_t i = 0; i < m->known_count; i++)
		snap_free(m->known[i]);
	free(m->known);
	free(m->shown);
	free(m->at);
	snapshot_list_done(&m->list);
	secret_wipe(m->sk, sizeof(m->sk));
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}
