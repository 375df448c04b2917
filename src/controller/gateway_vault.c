#include "controller/gateway_vault.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "controller/controller_keys.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/hold.h"
#include "vault/snapshot.h"
#include "vault/vault.h"
#include "vault/vault_config.h"

static void take_keys(const struct gateway_vault *g, struct vault_keys *out)
{
	*out = (struct vault_keys){ .kv_epoch = g->keys->kv_epoch, .has_officer = true };
	memcpy(out->vault_id, g->keys->vault_id, sizeof(out->vault_id));
	memcpy(out->k_vault, g->keys->k_vault, sizeof(out->k_vault));
	memcpy(out->officer_pk, g->keys->officer_pk, sizeof(out->officer_pk));
}

/* An empty directory is what is left of a mount that is not there: its path is told. */
static int open_with(const struct gateway_vault *g, struct store *s, const struct vault_keys *keys,
	struct vault **out, struct err *err)
{
	int rc = vault_open(s, keys, out, err);
	if (rc != 0)
		return g->location == NULL || err == NULL
			       ? rc
			       : err_wrap(err, "vault '%s'", g->location);
	return g->cache == NULL ? 0 : vault_set_cache(*out, g->cache, err);
}

int gateway_vault_open(const struct gateway_vault *g, bool is_read_only, struct store **store,
	struct vault **vault, struct err *err)
{
	struct vault_keys keys;
	struct store *s = NULL;
	struct vault *v = NULL;
	take_keys(g, &keys);
	int rc = g->open_store(g->arg, is_read_only, &s, err);
	if (rc == 0)
		rc = open_with(g, s, &keys, &v, err);
	secret_wipe(&keys, sizeof(keys));
	if (rc == -ERR_AUTH)
		(void)err_hint(err, "the controller's key file is not of this vault's keys as they "
				    "are now: 'holdfast controller rekey' with the recovery file "
				    "makes it anew");
	if (rc != 0) {
		vault_close(v);
		store_free(s);
		return rc;
	}
	*store = s;
	*vault = v;
	return 0;
}

int gateway_vault_open_at_work(const struct gateway_vault *g, bool is_read_only,
	struct store **store, struct vault **vault, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = gateway_vault_open(g, is_read_only, store, vault, &why);
	if (rc == -ERR_NOT_FOUND)
		return err_set(err, ERR_IO,
			"the vault is away on the controller's host, check that its disk or share "
			"is mounted there: %.250s",
			why.msg);
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

int gateway_vault_open_on(
	const struct gateway_vault *g, struct store *s, struct vault **out, struct err *err)
{
	struct vault_keys keys;
	take_keys(g, &keys);
	int rc = vault_open(s, &keys, out, err);
	secret_wipe(&keys, sizeof(keys));
	return rc;
}

void gateway_vault_hold(const struct gateway_vault *g, struct vault *v, struct hold **out)
{
	struct err why = ERR_INIT;
	struct store *store = NULL;
	int rc = g->open_store(g->arg, false, &store, &why);
	if (rc == 0)
		rc = hold_begin(v, store, NULL, out, &why);
	if (rc != 0)
		log_info(
			"gateway_vault.hold", "%s, continuing without holding collection", why.msg);
}

int gateway_vault_get_config(const struct gateway_vault *g, struct buf *out, struct err *err)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	int rc = gateway_vault_open(g, true, &store, &vault, err);
	if (rc != 0)
		return rc;
	rc = vault_config_get(vault, out, err);
	vault_close(vault);
	store_free(store);
	return rc;
}

int gateway_vault_put_config(
	const struct gateway_vault *g, const void *config, size_t len, struct err *err)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	int rc = gateway_vault_open(g, false, &store, &vault, err);
	if (rc != 0)
		return rc;
	rc = vault_config_put(vault, config, len, err);
	vault_close(vault);
	store_free(store);
	return rc;
}

static void on_bad(void *arg, const char *object, const struct err *why)
{
	log_warn("gateway_vault.snapshots", "object=%s error=\"%s\", continuing", object, why->msg);
	if (arg != NULL)
		(*(size_t *)arg)++;
}

int gateway_vault_snapshots(const struct gateway_vault *g,
	int (*fn)(void *arg, const struct snapshot *s, struct err *err), void *arg, size_t *damaged,
	struct err *err)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct snapshot_list list = { .count = 0 };
	*damaged = 0;
	int rc = gateway_vault_open(g, true, &store, &vault, err);
	if (rc != 0)
		return rc;
	rc = snapshot_list(vault, on_bad, damaged, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		rc = fn(arg, &list.at[i], err);
	snapshot_list_done(&list);
	vault_close(vault);
	store_free(store);
	return rc;
}
