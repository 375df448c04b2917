#include "agents/backup_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) A queued item and everything it points to lie in one block behind the node.
 */

struct queued {
	struct queued *next;
	struct source_item item;
	struct content *content; /* one user, or NULL */
	size_t bytes;
};

struct backup_queue {
	struct queued *first, *last;
	size_t bytes;
};

int backup_queue_new(struct backup_queue **out, struct err *err)
{
	struct backup_queue *q = calloc(1, sizeof(*q));
	if (q == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = q;
	return 0;
}

void backup_queue_free(struct backup_queue *q)
{
	if (q == NULL)
		return;
	while (q->first != NULL)
		backup_queue_pop(q);
	free(q);
}

static size_t align_up(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

static size_t text_bytes(const char *s)
{
	return s == NULL ? 0 : strlen(s) + 1;
}

static size_t block_bytes(const struct source_item *i)
{
	const struct entry *e = &i->entry;
	size_t n = align_up(sizeof(struct queued)) + align_up(e->xattr_count * sizeof(*e->xattrs));
	n += i->key_len + e->target_len + text_bytes(e->user) + text_bytes(e->group);
	for (size_t k = 0; k < e->xattr_count; k++)
		n += e->xattrs[k].name_len + e->xattrs[k].value_len;
	return n;
}

static uint8_t *copy(uint8_t **at, const void *data, size_t len)
{
	uint8_t *to = *at;
	if (len > 0)
		memcpy(to, data, len);
	*at += len;
	return to;
}

static void fill(struct queued *q, const struct source_item *item)
{
	uint8_t *at = (uint8_t *)q + align_up(sizeof(*q));
	struct entry_xattr *xattrs = (struct entry_xattr *)(void *)at;
	const struct entry *e = &item->entry;
	at += align_up(e->xattr_count * sizeof(*xattrs));
	q->item = *item;
	q->item.key = copy(&at, item->key, item->key_len);
	q->item.entry.target = copy(&at, e->target, e->target_len);
	if (e->user != NULL)
		q->item.entry.user = (char *)copy(&at, e->user, text_bytes(e->user));
	if (e->group != NULL)
		q->item.entry.group = (char *)copy(&at, e->group, text_bytes(e->group));
	for (size_t k = 0; k < e->xattr_count; k++) {
		xattrs[k] = e->xattrs[k];
		xattrs[k].name = (char *)copy(&at, e->xattrs[k].name, e->xattrs[k].name_len);
		xattrs[k].value = copy(&at, e->xattrs[k].value, e->xattrs[k].value_len);
	}
	q->item.entry.xattrs = xattrs;
}

int backup_queue_push(struct backup_queue *q, const struct source_item *item,
	struct content *content, struct err *err)
{
	size_t bytes = block_bytes(item);
	struct queued *node = malloc(bytes);
	if (node == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	node->next = NULL;
	node->content = content == NULL ? NULL : content_share(content);
	node->bytes = bytes + (content == NULL ? 0 : content->count * sizeof(struct extent));
	fill(node, item);
	if (q->last == NULL)
		q->first = node;
	else
		q->last->next = node;
	q->last = node;
	q->bytes += node->bytes;
	return 0;
}

int backup_queue_first(
	struct backup_queue *q, const struct source_item **item, const struct content **content)
{
	if (q->first == NULL || (q->first->content != NULL && !content_is_whole(q->first->content)))
		return 0;
	*item = &q->first->item;
	*content = q->first->content;
	return 1;
}

void backup_queue_pop(struct backup_queue *q)
{
	struct queued *node = q->first;
	q->first = node->next;
	if (q->first == NULL)
		q->last = NULL;
	q->bytes -= node->bytes;
	content_free(node->content);
	free(node);
}

void backup_queue_resolve(struct backup_queue *q, uint64_t bundle, const struct ref *ref)
{
	for (struct queued *n = q->first; n != NULL; n = n->next) {
		if (n->content != NULL && n->content->bundle == bundle)
			content_resolve(n->content, ref);
	}
}

size_t backup_queue_bytes(const struct backup_queue *q)
{
	return q->bytes;
}
