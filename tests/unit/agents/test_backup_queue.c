#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "agents/backup_queue.h"
#include "base/err.h"

TestSuite(backup_queue);

Test(backup_queue, items_come_out_in_order_with_copies_of_all_they_pointed_to)
{
	struct err err = ERR_INIT;
	struct backup_queue *q = NULL;
	char name[] = "user.a";
	uint8_t value[] = { 1, 2, 3 };
	uint8_t key[] = "dir";
	struct entry_xattr x = { .name = name, .name_len = 6, .value = value, .value_len = 3 };
	struct source_item item = { .key = key,
		.key_len = 3,
		.entry = { .kind = ENTRY_DIR, .user = "plant", .xattrs = &x, .xattr_count = 1 } };
	const struct source_item *first;
	const struct content *content;

	cr_assert(eq(int, backup_queue_new(&q, &err), 0));
	cr_expect(not(backup_queue_first(q, &first, &content)));
	cr_assert(eq(int, backup_queue_push(q, &item, NULL, &err), 0));
	memset(key, 'x', 3);
	memset(name, 'x', 6);
	memset(value, 9, 3);
	cr_assert(eq(int, backup_queue_push(q, &item, NULL, &err), 0));
	cr_assert(backup_queue_first(q, &first, &content));
	cr_expect(memcmp(first->key, "dir", 3) == 0);
	cr_expect(memcmp(first->entry.xattrs[0].name, "user.a", 6) == 0);
	cr_expect(eq(u8, first->entry.xattrs[0].value[0], 1));
	cr_expect(eq(str, (char *)first->entry.user, (char *)"plant"));
	backup_queue_pop(q);
	cr_assert(backup_queue_first(q, &first, &content));
	cr_expect(memcmp(first->key, "xxx", 3) == 0);
	cr_expect(ge(sz, backup_queue_bytes(q), 1));
	backup_queue_pop(q);
	cr_expect(eq(sz, backup_queue_bytes(q), 0));
	backup_queue_free(q);
}

Test(backup_queue, an_item_whose_bundle_is_open_holds_back_all_behind_it)
{
	struct err err = ERR_INIT;
	struct backup_queue *q = NULL;
	struct content *c = NULL;
	struct ref bundle = { .id = { 4 }, .cr_len = 8 };
	struct source_item item = { .key = (const uint8_t *)"a", .key_len = 1 };
	const struct source_item *first;
	const struct content *content;

	cr_assert(eq(int, backup_queue_new(&q, &err), 0));
	cr_assert(eq(int, content_new(&c, &err), 0));
	cr_assert(eq(int, content_add_bundled(c, 7, 0, 5, &err), 0));
	cr_assert(eq(int, backup_queue_push(q, &item, c, &err), 0));
	cr_assert(eq(int, backup_queue_push(q, &item, NULL, &err), 0));
	content_free(c);
	cr_expect(not(backup_queue_first(q, &first, &content)));
	backup_queue_resolve(q, 7, &bundle);
	cr_assert(backup_queue_first(q, &first, &content));
	cr_expect(eq(u8, content->extents[0].ref.id[0], 4));
	backup_queue_free(q);
}
