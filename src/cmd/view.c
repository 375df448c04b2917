#include "cmd/view.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/cli.h"
#include "codec/text.h"
#include "vault/fetch.h"
#include "vault/tree_reader.h"

void view_id(const struct snapshot *s, char out[VIEW_ID_BYTES])
{
	text_hex(s->hash, sizeof(s->hash), out);
}

int view_open(
	struct cli *cli, struct access *a, const char *name, struct view *out, struct err *err)
{
	char id[VIEW_ID_BYTES];
	const struct snapshot *snapshot;
	int rc = access_pick(cli, a, name, &snapshot, err);
	if (rc != 0)
		return rc;
	view_id(snapshot, id);
	rc = snapshot_open(a->vault, a->fetch, snapshot, a->content_sk, &out->opened, err);
	if (rc != 0)
		return err_wrap(err, "unable to open snapshot '%.8s'", id);
	out->snapshot = snapshot;
	if (!snapshot->is_signer_known)
		console_warn(&cli->console, NULL, 0,
			"the signer of snapshot %.8s cannot be checked: the vault has no readable "
			"config",
			id);
	return 0;
}

int view_reader(struct access *a, const struct view *v, struct tree_reader **out, struct err *err)
{
	return tree_reader_new(fetch_source(a->fetch), &v->opened.root.top, out, err);
}

int view_lookup(struct tree_reader *r, const struct buf *key, struct entry *e, struct err *err)
{
	const uint8_t *found = NULL;
	size_t len = 0;
	int rc = tree_reader_seek(r, key->data, key->len, err);
	if (rc == 0)
		rc = tree_reader_next(r, &found, &len, e, err);
	if (rc != 1)
		return rc;
	return found != NULL && len == key->len && memcmp(found, key->data, len) == 0 ? 1 : 0;
}

bool view_is_within(const uint8_t *key, size_t len, const struct buf *dir)
{
	return entry_key_is_within(key, len, dir->data, dir->len);
}
