#include "vault/append_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/session_mark.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) A session in the list was begun by this caller: its mark 0 was not there before.
 * (2) next is the number of the mark that may follow.
 */

struct begun {
	uint8_t session[16];
	uint64_t next;
};

struct append_rule {
	struct begun at[APPEND_RULE_SESSIONS];
	size_t count;
};

int append_rule_new(struct append_rule **out, struct err *err)
{
	struct append_rule *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = r;
	return 0;
}

void append_rule_free(struct append_rule *r)
{
	free(r);
}

static int refuse(const char *name, struct err *err)
{
	(void)err_set(err, ERR_READONLY, "'%s' is nothing that a backup writes", name);
	return err_hint(err, "keys, retention, collection, parity and repair are for the owner of "
			     "the vault, at its own directory");
}

/* Behind ${name}'s first ${skip} characters are 64 digits and nothing else. */
static bool is_hash(const char *name, size_t skip)
{
	uint8_t hash[32];
	return strlen(name) == skip + 64 && text_unhex(name + skip, sizeof(hash), hash) == 0;
}

static bool is_pack(const char *name)
{
	return strlen(name) == 6 + 64 && memcmp(name + 3, name + 6, 2) == 0 && name[5] == '/' &&
	       is_hash(name, 6);
}

/* "sn/<receipt ms, 12 hex>-<h>" */
static int check_snapshot(const char *name, struct err *err)
{
	uint8_t ms[6];
	uint64_t receipt = 0;
	if (strlen(name) != 16 + 64 || name[15] != '-' || !is_hash(name, 16) ||
		text_unhex(name + 3, sizeof(ms), ms) != 0)
		return refuse(name, err);
	for (size_t i = 0; i < sizeof(ms); i++)
		receipt = receipt << 8 | ms[i];
	const int64_t off = (int64_t)receipt - env_now_ns() / 1000000;
	const int64_t most = APPEND_RULE_CLOCK_NS / 1000000;
	if (off >= -most && off <= most)
		return 0;
	(void)err_set(err, ERR_READONLY,
		"the snapshot says that it was received %lld seconds %s: a vault that is only "
		"added to takes what is received now",
		(long long)(off < 0 ? -off / 1000 : off / 1000), off < 0 ? "ago" : "from now");
	return err_hint(err, "compare the clocks of this host and of the vault's; copies are made "
			     "by the owner");
}

static struct begun *find(struct append_rule *r, const uint8_t session[16])
{
	for (size_t i = 0; i < r->count; i++) {
		if (memcmp(r->at[i].session, session, 16) == 0)
			return &r->at[i];
	}
	return NULL;
}

/* Mark 0 of a session that nobody began.  What is there is another's, whatever its bytes are. */
static int begin(struct append_rule *r, struct store *s, const char *name,
	const uint8_t session[16], struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t size = 0;
	int rc = store_stat(s, name, &size, &why);
	if (rc == 0)
		return err_set(err, ERR_EXISTS, "session '%s' is another's", name);
	if (rc != -ERR_NOT_FOUND) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (r->count == APPEND_RULE_SESSIONS)
		return err_set(err, ERR_LIMIT, "one connection begins at most %d sessions",
			APPEND_RULE_SESSIONS);
	struct begun *b = &r->at[r->count++];
	memcpy(b->session, session, 16);
	b->next = 1;
	return 0;
}

/* "se/<session, 32 hex>-<n, 8 hex>" */
static int check_mark(
	struct append_rule *r, struct store *s, const char *name, uint64_t len, struct err *err)
{
	uint8_t session[16], raw[4];
	uint64_t number = 0;
	if (strlen(name) != SESSION_MARK_NAME_CHARS || name[35] != '-' ||
		text_unhex(name + 3, sizeof(session), session) != 0 ||
		text_unhex(name + 36, sizeof(raw), raw) != 0)
		return refuse(name, err);
	if (len > APPEND_RULE_MARK_BYTES)
		return err_set(err, ERR_LIMIT, "a session mark has at most %d bytes",
			APPEND_RULE_MARK_BYTES);
	for (size_t i = 0; i < sizeof(raw); i++)
		number = number << 8 | raw[i];
	struct begun *b = find(r, session);
	if (b == NULL && number == 0)
		return begin(r, s, name, session, err);
	if (b == NULL)
		return err_set(err, ERR_EXISTS, "session '%s' is another's", name);
	/* the one before again: its barrier failed */
	if (number != b->next && number + 1 != b->next)
		return err_set(err, ERR_EXISTS, "mark '%s' is not the next of its session", name);
	b->next = number + 1;
	return 0;
}

int append_rule_check(struct append_rule *r, struct store *s, const char *name, uint64_t len,
	bool *is_hashed, struct err *err)
{
	*is_hashed = strncmp(name, "se/", 3) != 0;
	if (!*is_hashed)
		return check_mark(r, s, name, len, err);
	if (strncmp(name, "sn/", 3) == 0 && len > APPEND_RULE_SNAPSHOT_BYTES)
		return err_set(err, ERR_LIMIT, "a snapshot has at most %u bytes",
			APPEND_RULE_SNAPSHOT_BYTES);
	if (strncmp(name, "sn/", 3) == 0)
		return check_snapshot(name, err);
	const bool is_fine = strncmp(name, "pk/", 3) == 0   ? is_pack(name)
			     : strncmp(name, "ix/", 3) == 0 ? is_hash(name, 3)
			     : strncmp(name, "rf/", 3) == 0 ? is_hash(name, 3)
			     : strncmp(name, "ev/", 3) == 0 ? is_hash(name, 3)
							    : false;
	return is_fine ? 0 : refuse(name, err);
}

bool append_rule_is_opened(const char *name)
{
	return strncmp(name, "se/", 3) == 0 || strncmp(name, "sn/", 3) == 0;
}

int append_rule_open(
	struct vault *v, const char *name, const void *data, size_t len, struct err *err)
{
	struct session_mark m;
	struct err why = ERR_INIT;
	int rc = strncmp(name, "se/", 3) == 0
			 ? session_mark_open(vault_sealed_key(v), name, data, len, &m, &why)
			 : snapshot_check_object(v, name, data, len, &why);
	if (rc == 0)
		return 0;
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	return err_set(err, ERR_READONLY, "'%s' is not what its name says: %s", name, why.msg);
}
