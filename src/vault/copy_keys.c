#include "vault/copy_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/vault.h"
#include "vault/vault_init.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Nothing is put before it is known that both stores are one vault, or that nothing of another
 *     is there.
 * (2) A header is put when the slots and configs are durable: what it announces can be opened.
 */

DEFINE_CLEANUP(struct id_set *, id_set_free)

/* Names under one prefix; a set holds their SHA-256. */
struct names {
	char (*at)[VAULT_NAME_BYTES]; /* owned */
	size_t count;
	struct id_set *set; /* owned */
	struct err *err;
};

static void names_done(struct names *n)
{
	free(n->at);
	id_set_free(n->set);
}

static int see_name(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct names *n = arg;
	uint8_t id[HASH_BYTES];
	if (strlen(name) >= VAULT_NAME_BYTES)
		return 0; /* none of this format */
	char(*grown)[VAULT_NAME_BYTES] = reallocarray(n->at, n->count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(n->err, ERR_NOMEM, "out of memory");
	n->at = grown;
	memcpy(grown[n->count++], name, strlen(name) + 1);
	hash_sha256(name, strlen(name), id);
	return id_set_add(n->set, id, 1, NULL, n->err);
}

static int names_load(struct store *store, const char *prefix, struct names *out, struct err *err)
{
	struct names n = { .err = err };
	int rc = id_set_new(&n.set, err);
	if (rc == 0)
		rc = store_list(store, prefix, see_name, &n, err);
	if (rc == 0)
		*out = n;
	else
		names_done(&n);
	return rc;
}

static bool names_has(const struct names *n, const char *name)
{
	uint8_t id[HASH_BYTES];
	hash_sha256(name, strlen(name), id);
	return id_set_find(n->set, id) > 0;
}

/* How many of ${a} are not in ${b}. */
static size_t names_beyond(const struct names *a, const struct names *b)
{
	size_t count = 0;
	for (size_t i = 0; i < a->count; i++)
		count += !names_has(b, a->at[i]);
	return count;
}

/* What a begin of this very copy may have left: texts, and slots and configs of the vault. */
static int check_beginning(struct store *from, struct store *to, struct err *err)
{
	static const char *const kept[] = { "ks/", "rw/", "cf/", "README.txt", "FORMAT.txt" };
	struct names there = { .count = 0 };
	struct names ours = { .count = 0 };
	int rc = names_load(to, "", &there, err);
	if (rc == 0)
		rc = names_load(from, "", &ours, err);
	for (size_t i = 0; rc == 0 && i < there.count; i++) {
		bool is_ours = strcmp(there.at[i], VAULT_INIT_PROBE) == 0;
		for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
			is_ours |= strncmp(there.at[i], kept[k], strlen(kept[k])) == 0 &&
				   names_has(&ours, there.at[i]);
		if (is_ours)
			continue;
		rc = err_set(err, ERR_EXISTS, "the store is not empty: it holds '%s'", there.at[i]);
		(void)err_hint(err, "a copy begins in an empty or a new directory");
	}
	names_done(&there);
	names_done(&ours);
	return rc;
}

static int check_same(struct store *from, struct store *to, struct err *err)
{
	uint8_t a[16];
	uint8_t b[16];
	int rc = vault_peek_id(from, a, err);
	if (rc == 0)
		rc = vault_peek_id(to, b, err);
	if (rc != 0 || memcmp(a, b, sizeof(a)) == 0)
		return rc;
	err_set(err, ERR_AUTH, "the other store holds another vault");
	return err_hint(err,
		"without data keys snapshots go only to a copy of the same vault, begun with "
		"--init in an empty place; into another vault they go by restore and backup");
}

/* Both have what the other lacks: they were changed apart, and one would hide the other. */
static int check_apart(struct store *from, struct store *to, const char *prefix, struct err *err)
{
	struct names a = { .count = 0 };
	struct names b = { .count = 0 };
	int rc = names_load(from, prefix, &a, err);
	if (rc == 0)
		rc = names_load(to, prefix, &b, err);
	if (rc == 0 && names_beyond(&a, &b) > 0 && names_beyond(&b, &a) > 0) {
		err_set(err, ERR_FORK,
			"both stores have %s objects that the other lacks: keys were changed at "
			"both",
			prefix);
		rc = err_hint(err, "make keys, drill groups and rotations at one vault only, and "
				   "copy from there");
	}
	names_done(&a);
	names_done(&b);
	return rc;
}

/* *${is_skipped}: it is damaged at the source. */
static int carry_one(struct store *from, struct store *to, const char *name, uint64_t *put,
	bool *is_skipped, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct err why = ERR_INIT;
	int rc = vault_get_hashed(from, name, &object, &why);
	if (rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND) {
		log_warn("copy_keys.carry", "object=%s error=%s, continuing", name, why.msg);
		*is_skipped = true;
		return 0;
	}
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	rc = store_put(to, name, object.data, object.len, err);
	*put += rc == 0;
	return rc;
}

static int carry_all(struct store *from, struct store *to, const char *prefix, uint64_t *put,
	bool *is_skipped, struct err *err)
{
	struct names a = { .count = 0 };
	struct names b = { .count = 0 };
	uint64_t before = *put;
	int rc = names_load(from, prefix, &a, err);
	if (rc == 0)
		rc = names_load(to, prefix, &b, err);
	for (size_t i = 0; rc == 0 && i < a.count; i++) {
		if (!names_has(&b, a.at[i]))
			rc = carry_one(from, to, a.at[i], put, is_skipped, err);
	}
	names_done(&a);
	names_done(&b);
	return rc != 0 || *put == before ? rc : store_barrier(to, err);
}

static int begin(struct store *from, struct store *to, struct err *err)
{
	int rc = check_beginning(from, to, err);
	if (rc == 0)
		rc = vault_init_probe(to, err);
	return rc != 0 ? rc : vault_init_texts(to, err);
}

int copy_keys_carry(
	struct store *from, struct store *to, bool is_init, uint64_t *put, struct err *err)
{
	static const char *const classes[] = { "ks/", "rw/", "cf/", "vh/" };
	bool is_there = false, is_skipped = false;
	uint64_t count = 0;
	int rc = vault_is_there(to, &is_there, err);
	if (rc == 0 && !is_there && !is_init) {
		err_set(err, ERR_NOT_FOUND, "there is no vault at the other store yet");
		return err_hint(err, "check its path; to begin a copy there add --init");
	}
	if (rc == 0)
		rc = is_there ? check_same(from, to, err) : begin(from, to, err);
	for (size_t i = 2; rc == 0 && i < 4; i++)
		rc = check_apart(from, to, classes[i], err);
	for (size_t i = 0; rc == 0 && i < 4; i++) {
		/* the header tells readers that what it needs is there */
		if (is_skipped && strcmp(classes[i], "vh/") == 0)
			break;
		rc = carry_all(from, to, classes[i], &count, &is_skipped, err);
	}
	if (rc == 0 && is_skipped && !is_there) {
		err_set(err, ERR_CORRUPT,
			"a key slot or a config of the vault is damaged: no copy is "
			"begun that nobody could open");
		rc = err_hint(err,
			"'holdfast verify' names it, 'holdfast repair' brings it back from "
			"parity or another copy");
	}
	if (rc == 0)
		*put = count;
	return rc;
}
