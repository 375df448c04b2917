/*
 * backup_queue: entries in key order that wait for what is being sealed, with all they point to.
 */
#ifndef AGENTS_BACKUP_QUEUE_H
#define AGENTS_BACKUP_QUEUE_H

#include <stddef.h>

#include "agents/content.h"
#include "agents/source.h"

struct err;
struct backup_queue;

int backup_queue_new(struct backup_queue **out, struct err *err);
void backup_queue_free(struct backup_queue *q);

/* Append a copy of the item; a user of ${content} (NULL: no content) is kept. */
int backup_queue_push(struct backup_queue *q, const struct source_item *item,
	struct content *content, struct err *err);

/* The first item if its content is resolved; borrowed until pop.  Return 1, or 0: empty, or its
 * bundle is still open. */
int backup_queue_first(
	struct backup_queue *q, const struct source_item **item, const struct content **content);
void backup_queue_pop(struct backup_queue *q);

/* All contents of the queue that wait for the bundle with the ordinal ${bundle}: it was sealed as
 * ${ref}. */
void backup_queue_resolve(struct backup_queue *q, uint64_t bundle, const struct ref *ref);

/* Memory held, for bounding it. */
size_t backup_queue_bytes(const struct backup_queue *q);

#endif
