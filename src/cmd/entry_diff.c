#include "cmd/entry_diff.h"

#include <stdbool.h>
#include <string.h>

#include "vault/entry.h"

static bool is_text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_content_equal(const struct entry *a, const struct entry *b)
{
	if (a->kind == ENTRY_FILE)
		return a->size == b->size && a->digest_kind == b->digest_kind &&
		       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
	if (a->kind == ENTRY_SYMLINK)
		return a->target_len == b->target_len &&
		       (a->target_len == 0 || memcmp(a->target, b->target, a->target_len) == 0);
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static bool is_xattr_equal(const struct entry_xattr *a, const struct entry_xattr *b)
{
	return a->name_len == b->name_len && a->value_len == b->value_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 &&
	       (a->value_len == 0 || memcmp(a->value, b->value, a->value_len) == 0);
}

static bool is_metadata_equal(const struct entry *a, const struct entry *b)
{
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->flags != b->flags)
		return false;
	if (a->mtime.s != b->mtime.s || a->mtime.ns != b->mtime.ns)
		return false;
	if (!is_text_equal(a->user, b->user) || !is_text_equal(a->group, b->group))
		return false;
	if ((a->hardlink != 0) != (b->hardlink != 0) || a->xattr_count != b->xattr_count)
		return false;
	for (size_t i = 0; i < a->xattr_count; i++) {
		if (!is_xattr_equal(&a->xattrs[i], &b->xattrs[i]))
			return false;
	}
	return true;
}

char entry_diff_sign(const struct entry *a, const struct entry *b)
{
	if (a->kind != b->kind)
		return 'T';
	if (!is_content_equal(a, b))
		return 'M';
	return is_metadata_equal(a, b) ? '\0' : 'U';
}
