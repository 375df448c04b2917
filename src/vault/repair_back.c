#include "vault/repair_back.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/store_text.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Bytes that were found go only when bytes that hash to the name are durable in wb/, or they
 *     themselves are durable in qr/.
 * (2) An object in wb/ goes only when its own name holds its bytes durably, or when it is rotten
 *     itself.
 */

#define FLAT_NAME_BYTES (STORE_MAX_NAME_BYTES + 1)

/* "pk/ab/cd.." as one component: no name of ours has a '_'. */
static int flat_name(const char *prefix, const char *name, const char *suffix,
	char out[FLAT_NAME_BYTES], struct err *err)
{
	int n = snprintf(out, FLAT_NAME_BYTES, "%s%s%s", prefix, name, suffix);
	if (n < 0 || n >= FLAT_NAME_BYTES)
		return err_set(err, ERR_LIMIT, "the name '%s' is too long", name);
	for (char *p = out + strlen(prefix); *p != '\0'; p++) {
		if (*p == '/')
			*p = '_';
	}
	return 0;
}

static void own_name(const char *flat, char out[FLAT_NAME_BYTES])
{
	(void)snprintf(out, FLAT_NAME_BYTES, "%s", flat + strlen(REPAIR_BACK_LOG)); /* shorter */
	for (char *p = out; *p != '\0'; p++) {
		if (*p == '_')
			*p = '/';
	}
}

bool repair_back_is_whole(const char *name, const void *data, size_t len)
{
	uint8_t want[HASH_BYTES];
	uint8_t got[HASH_BYTES];
	size_t name_len = strlen(name);
	if (strcmp(name, "README.txt") == 0)
		return store_text_check(data, len, store_text_readme) != STORE_TEXT_DAMAGED;
	if (strcmp(name, "FORMAT.txt") == 0)
		return store_text_check(data, len, store_text_format) != STORE_TEXT_DAMAGED;
	if (name_len < 64 || text_unhex(name + name_len - 64, sizeof(want), want) != 0)
		return false;
	hash_sha256(data, len, got);
	return memcmp(want, got, sizeof(got)) == 0;
}

/* The bytes are durable in ${log}: bring them to their name. */
static int carry_out(struct store *store, const char *log, const char *name, const void *data,
	size_t len, struct err *err)
{
	int rc = store_remove(store, name, err);
	if (rc == 0)
		rc = store_put(store, name, data, len, err);
	if (rc == 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		rc = store_remove(store, log, err);
	return rc != 0 ? rc : store_barrier(store, err);
}

int repair_back_write(
	struct store *store, const char *name, const void *data, size_t len, struct err *err)
{
	char log[FLAT_NAME_BYTES];
	uint64_t size;
	if (!repair_back_is_whole(name, data, len))
		return err_set(err, ERR_FAILED, "what was to become '%s' is not it", name);
	int rc = store_stat(store, name, &size, NULL);
	if (rc == -ERR_NOT_FOUND) { /* nothing is lost if this breaks off */
		rc = store_put(store, name, data, len, err);
		return rc != 0 ? rc : store_barrier(store, err);
	}
	rc = flat_name(REPAIR_BACK_LOG, name, "", log, err);
	if (rc == 0)
		rc = store_put(store, log, data, len, err);
	if (rc == 0)
		rc = store_barrier(store, err);
	return rc != 0 ? rc : carry_out(store, log, name, data, len, err);
}

struct names {
	char (*at)[FLAT_NAME_BYTES];
	size_t count;
	struct err *err;
};

static int keep(void *arg, const char *name, uint64_t size)
{
	struct names *n = arg;
	(void)size; /* bounded by the store */
	char(*grown)[FLAT_NAME_BYTES] = reallocarray(n->at, n->count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(n->err, ERR_NOMEM, "out of memory");
	n->at = grown;
	(void)snprintf(n->at[n->count++], FLAT_NAME_BYTES, "%s", name); /* the grammar's limit */
	return 0;
}

static int resume(struct store *store, const char *log, struct buf *data, struct err *err)
{
	char name[FLAT_NAME_BYTES];
	struct err why = ERR_INIT;
	own_name(log, name);
	buf_clear(data);
	int rc = store_get(store, log, data, &why);
	if (rc != 0 && rc != -ERR_NOT_FOUND && rc != -ERR_CORRUPT) {
		if (err != NULL) /* what cannot be read now may be the only whole bytes */
			*err = why;
		return rc;
	}
	if (rc != 0 || !repair_back_is_whole(name, data->data, data->len)) {
		rc = store_remove(store, log, err); /* invariant 2: it repairs nothing */
		return rc != 0 ? rc : store_barrier(store, err);
	}
	return carry_out(store, log, name, data->data, data->len, err);
}

int repair_back_resume(struct store *store, uint64_t *count, struct err *err)
{
	struct names n = { .err = err };
	struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = store_list(store, REPAIR_BACK_LOG, keep, &n, err);
	for (size_t i = 0; rc == 0 && i < n.count; i++)
		rc = resume(store, n.at[i], &data, err);
	if (rc == 0)
		*count = n.count;
	buf_done(&data);
	free(n.at);
	return rc;
}

int repair_back_set_aside(
	struct store *store, const char *name, const void *data, size_t len, struct err *err)
{
	char aside[FLAT_NAME_BYTES];
	char suffix[2 + 2 * HASH_BYTES] = "-";
	uint8_t hash[HASH_BYTES];
	hash_sha256(data, len, hash);
	text_hex(hash, sizeof(hash), suffix + 1);
	int rc = flat_name(REPAIR_BACK_QUARANTINE, name, suffix, aside, err);
	if (rc == 0)
		rc = store_put(store, aside, data, len, err);
	if (rc == 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		rc = store_remove(store, name, err);
	return rc != 0 ? rc : store_barrier(store, err);
}

int repair_back_discard(struct store *store, uint64_t *count, struct err *err)
{
	struct names n = { .err = err };
	int rc = store_list(store, REPAIR_BACK_QUARANTINE, keep, &n, err);
	for (size_t i = 0; rc == 0 && i < n.count; i++)
		rc = store_remove(store, n.at[i], err);
	if (rc == 0 && n.count > 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		*count = n.count;
	free(n.at);
	return rc;
}
