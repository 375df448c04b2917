#include "vault/entry.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/siphash.h"

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return entry_key_compare((const uint8_t *)a, a_len, (const uint8_t *)b, b_len);
}

static int check(const char *key, size_t len)
{
	return entry_key_check((const uint8_t *)key, len, NULL);
}

Test(entry, keys_compare_as_bytes_so_that_a_subtree_follows_its_directory)
{
	cr_expect(lt(int, compare("a", 1, "a\0b", 3), 0));
	cr_expect(lt(int, compare("a\0b", 3, "a!", 2), 0));
	cr_expect(ge(int, compare("a\xff", 2, "a\x01", 2), 1));
	cr_expect(eq(int, compare("ab", 2, "ab", 2), 0));
	cr_expect(lt(int, compare("", 0, "a", 1), 0));
	cr_expect(eq(int, compare("", 0, "", 0), 0));
}

Test(entry, proper_keys_pass_the_check)
{
	cr_expect(eq(int, check("a", 1), 0));
	cr_expect(eq(int, check("a\0...\0.b\0c.", 11), 0));
	cr_expect(eq(int, check("\xff\xfe\0\n", 4), 0));
}

Test(entry, keys_that_could_leave_their_directory_are_refused)
{
	cr_expect(eq(int, check("", 0), -ERR_CORRUPT));
	cr_expect(eq(int, check("\0a", 2), -ERR_CORRUPT));
	cr_expect(eq(int, check("a\0", 2), -ERR_CORRUPT));
	cr_expect(eq(int, check("a\0\0b", 4), -ERR_CORRUPT));
	cr_expect(eq(int, check(".", 1), -ERR_CORRUPT));
	cr_expect(eq(int, check("a\0..", 4), -ERR_CORRUPT));
	cr_expect(eq(int, check("..\0a", 4), -ERR_CORRUPT));
	cr_expect(eq(int, check("a/b", 3), -ERR_CORRUPT));
}

Test(entry, keys_are_held_to_their_limits)
{
	static char key[ENTRY_MAX_KEY_BYTES + 2];
	memset(key, 'k', sizeof(key));
	cr_expect(eq(int, check(key, ENTRY_MAX_COMPONENT_BYTES), 0));
	cr_expect(eq(int, check(key, ENTRY_MAX_COMPONENT_BYTES + 1), -ERR_CORRUPT));
	for (size_t i = 1000; i < sizeof(key); i += 1000)
		key[i] = 0;
	cr_expect(eq(int, check(key, ENTRY_MAX_KEY_BYTES), 0));
	cr_expect(eq(int, check(key, ENTRY_MAX_KEY_BYTES + 1), -ERR_CORRUPT));
}

Test(entry, a_path_becomes_a_key_and_a_path_again)
{
	struct buf key = BUF_INIT(100), path = BUF_INIT(100);
	cr_assert(eq(int, entry_path_key("//srv/./plant//a.b/", &key, NULL), 0));
	cr_expect(eq(sz, key.len, 13));
	cr_expect(eq(int, memcmp(key.data, "srv\0plant\0a.b", 13), 0));
	cr_assert(eq(int, entry_key_path(key.data, key.len, &path, NULL), 0));
	cr_expect(eq(str, (char *)(uintptr_t)buf_cstr(&path), "/srv/plant/a.b"));
	buf_done(&key);
	buf_done(&path);
}

Test(entry, the_root_directory_has_no_key)
{
	struct buf key = BUF_INIT(100);
	cr_expect(eq(int, entry_path_key("/", &key, NULL), 0));
	cr_expect(eq(int, entry_path_key(".", &key, NULL), 0));
	cr_expect(eq(int, entry_path_key("", &key, NULL), 0));
	cr_expect(eq(sz, key.len, 0));
	buf_done(&key);
}

Test(entry, a_refused_path_appends_nothing)
{
	struct buf key = BUF_INIT(100000);
	static char path[ENTRY_MAX_KEY_BYTES + 3000];

	cr_assert(eq(int, buf_add(&key, "x", 1, NULL), 0));
	cr_expect(eq(int, entry_path_key("a/../b", &key, NULL), -ERR_USAGE));
	cr_expect(eq(sz, key.len, 1));
	memset(path, 'p', ENTRY_MAX_COMPONENT_BYTES + 1);
	cr_expect(eq(int, entry_path_key(path, &key, NULL), -ERR_LIMIT));
	memset(path, 'p', sizeof(path) - 1);
	for (size_t i = 1000; i < sizeof(path); i += 1000)
		path[i] = '/';
	cr_expect(eq(int, entry_path_key(path, &key, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, key.len, 1));
	buf_done(&key);
}

Test(entry, a_key_number_is_siphash_of_tag_and_key)
{
	uint8_t k_tree[16] = { 1, 2, 3 };
	cr_expect(eq(u64, entry_key_prf(k_tree, 42, (const uint8_t *)"a\0b", 3),
		siphash_key(k_tree, "*a\0b", 4)));
	cr_expect(eq(u64, entry_key_prf(k_tree, 0, NULL, 0), siphash_key(k_tree, "", 1)));
}
