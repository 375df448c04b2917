#include "cmd/entry_diff.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "vault/entry.h"

static struct entry file(void)
{
	struct entry e = { .kind = ENTRY_FILE,
		.mode = 0640,
		.uid = 1,
		.gid = 2,
		.user = "anna",
		.mtime = { .s = 10, .ns = 20 },
		.size = 5,
		.digest_kind = ENTRY_DIGEST_SHA256 };
	memset(e.digest, 7, sizeof(e.digest));
	return e;
}

Test(entry_diff, equal_entries_have_no_sign)
{
	struct entry a = file();
	struct entry b = file();
	cr_expect(eq(chr, entry_diff_sign(&a, &b), '\0'));
}

Test(entry_diff, another_type_goes_before_everything)
{
	struct entry a = file();
	struct entry b = file();
	b.kind = ENTRY_DIR;
	cr_expect(eq(chr, entry_diff_sign(&a, &b), 'T'));
}

Test(entry_diff, content_goes_before_metadata)
{
	struct entry a = file();
	struct entry b = file();
	b.digest[31] ^= 1;
	b.mode = 0600;
	cr_expect(eq(chr, entry_diff_sign(&a, &b), 'M'));
	b = file();
	b.size = 6;
	cr_expect(eq(chr, entry_diff_sign(&a, &b), 'M'));
}

Test(entry_diff, every_piece_of_metadata_counts)
{
	static const struct entry_xattr x = {
		.name = "user.a", .name_len = 6, .value = (const uint8_t *)"v", .value_len = 1
	};
	struct entry a = file();
	struct entry b[8];
	for (size_t i = 0; i < 8; i++)
		b[i] = file();
	b[0].mode = 0600;
	b[1].uid = 9;
	b[2].gid = 9;
	b[3].mtime.ns = 21;
	b[4].user = NULL;
	b[5].flags = 1;
	b[6].hardlink = 1;
	b[7].xattrs = &x;
	b[7].xattr_count = 1;
	for (size_t i = 0; i < 8; i++)
		cr_expect(eq(chr, entry_diff_sign(&a, &b[i]), 'U'), "%zu", i);
}

Test(entry_diff, a_link_is_its_target)
{
	struct entry a = {
		.kind = ENTRY_SYMLINK, .target = (const uint8_t *)"one", .target_len = 3
	};
	struct entry b = a;
	cr_expect(eq(chr, entry_diff_sign(&a, &b), '\0'));
	b.target = (const uint8_t *)"two";
	cr_expect(eq(chr, entry_diff_sign(&a, &b), 'M'));
}
