#include "vault/entry.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/siphash.h"

/*
 * INVARIANTS
 * (1) A checked key has at least one component; every component is a name that a file system can
 *     hold and that cannot lead out of a directory.
 * (2) entry_path_key() appends checked keys only, or nothing.
 */

int entry_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t common = a_len < b_len ? a_len : b_len;
	int c = common == 0 ? 0 : memcmp(a, b, common);
	if (c != 0)
		return c;
	return a_len < b_len ? -1 : a_len > b_len;
}

bool entry_key_is_within(const uint8_t *key, size_t len, const uint8_t *dir, size_t dir_len)
{
	if (dir_len == 0)
		return true;
	return len >= dir_len && memcmp(key, dir, dir_len) == 0 &&
	       (len == dir_len || key[dir_len] == 0);
}

mode_t entry_kind_mode(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_FILE:
		return S_IFREG;
	case ENTRY_DIR:
		return S_IFDIR;
	case ENTRY_SYMLINK:
		return S_IFLNK;
	case ENTRY_FIFO:
		return S_IFIFO;
	case ENTRY_CHAR:
		return S_IFCHR;
	case ENTRY_BLOCK:
		return S_IFBLK;
	}
	return 0;
}

uint64_t entry_key_prf(const uint8_t k_tree[16], uint8_t tag, const uint8_t *key, size_t len)
{
	uint8_t message[1 + ENTRY_MAX_KEY_BYTES];

	assert(len <= ENTRY_MAX_KEY_BYTES);
	message[0] = tag;
	if (len > 0)
		memcpy(message + 1, key, len);
	return siphash_key(k_tree, message, 1 + len);
}

static int check_component(const uint8_t *name, size_t len, struct err *err)
{
	if (len == 0)
		return err_set(err, ERR_CORRUPT, "a key has an empty component");
	if (len > ENTRY_MAX_COMPONENT_BYTES)
		return err_set(err, ERR_CORRUPT, "a key has a component of %zu bytes", len);
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return err_set(err, ERR_CORRUPT, "a key has the component '.' or '..'");
	if (memchr(name, '/', len) != NULL)
		return err_set(err, ERR_CORRUPT, "a key has a component with '/'");
	return 0;
}

int entry_key_check(const uint8_t *key, size_t len, struct err *err)
{
	if (len == 0 || len > ENTRY_MAX_KEY_BYTES)
		return err_set(err, ERR_CORRUPT, "a key of %zu bytes is not allowed", len);
	for (;;) {
		const uint8_t *end = memchr(key, 0, len);
		size_t part = end == NULL ? len : (size_t)(end - key);
		int rc = check_component(key, part, err);
		if (rc != 0)
			return rc;
		if (end == NULL)
			return 0;
		key += part + 1;
		len -= part + 1;
		if (len == 0)
			return check_component(key, 0, err);
	}
}

int entry_key_path(const uint8_t *key, size_t len, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, len + 1, err);
	if (rc != 0)
		return rc;
	out->data[out->len++] = '/';
	for (size_t i = 0; i < len; i++)
		out->data[out->len++] = key[i] == 0 ? '/' : key[i];
	return 0;
}

static int add_component(
	struct buf *out, size_t start, const char *name, size_t len, struct err *err)
{
	size_t joint = out->len > start ? 1 : 0;

	if (len > ENTRY_MAX_COMPONENT_BYTES)
		return err_set(err, ERR_LIMIT, "a name of %zu bytes is too long", len);
	if (out->len - start + joint + len > ENTRY_MAX_KEY_BYTES)
		return err_set(err, ERR_LIMIT, "a path of more than %d bytes is too long",
			ENTRY_MAX_KEY_BYTES);
	int rc = buf_add_zero(out, joint, err);
	return rc != 0 ? rc : buf_add(out, name, len, err);
}

int entry_path_key(const char *path, struct buf *out, struct err *err)
{
	size_t start = out->len;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		int rc = 0;
		if (len == 2 && path[0] == '.' && path[1] == '.')
			rc = err_set(err, ERR_USAGE, "a path with '..' is not allowed");
		else if (len > 0 && !(len == 1 && path[0] == '.'))
			rc = add_component(out, start, path, len, err);
		if (rc != 0) {
			out->len = start;
			return rc;
		}
		path += len;
		path += strspn(path, "/");
	}
	return 0;
}
