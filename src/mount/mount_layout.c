#include "mount/mount_layout.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "mount/mount_snaps.h"

/*
 * INVARIANTS
 * (1) No name is there twice: ids and times are unique (mount_snaps), and neither is "latest".
 */
#define LATEST "latest"

void mount_layout_done(struct mount_layout *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].name);
		free(l->items[i].text);
	}
	free(l->items);
	*l = (struct mount_layout){ .items = NULL };
}

/* Add ${name}; ${text} becomes the node's key. */
static int add(struct mount_layout *l, const char *name, enum mount_node_kind kind,
	struct mount_snap *snap, const char *text, struct err *err)
{
	if (l->count == l->room) {
		size_t room = l->room == 0 ? 16 : l->room * 2;
		struct mount_layout_item *grown = reallocarray(l->items, room, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->items = grown;
		l->room = room;
	}
	struct mount_layout_item *item = &l->items[l->count];
	*item = (struct mount_layout_item){ .name = strdup(name), .text = strdup(text) };
	if (item->name == NULL || item->text == NULL) {
		free(item->name);
		free(item->text);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	item->node = (struct mount_node){ .kind = kind,
		.snap = kind == MOUNT_NODE_ENTRY ? snap : NULL,
		.key = (const uint8_t *)item->text,
		.key_len = strlen(item->text) };
	item->time_ns = snap != NULL ? snap->received_ns : 0;
	l->count++;
	return 0;
}

static int add_snapshots(
	struct mount_layout *l, struct mount_snap *const *snaps, size_t count, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add(l, snaps[i]->id, MOUNT_NODE_ENTRY, snaps[i], "", err);
	if (rc == 0 && count > 0)
		rc = add(l, LATEST, MOUNT_NODE_LINK, snaps[count - 1], snaps[count - 1]->id, err);
	return rc;
}

static int by_dir(const void *a, const void *b)
{
	const struct mount_snap *const *x = a;
	const struct mount_snap *const *y = b;
	return strcmp((*x)->dir, (*y)->dir);
}

/* Every source once; ${snaps} is sorted for it. */
static int add_sources(
	struct mount_layout *l, struct mount_snap **snaps, size_t count, struct err *err)
{
	int rc = 0;
	if (count > 0)
		qsort(snaps, count, sizeof(struct mount_snap *), by_dir);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (i == 0 || strcmp(snaps[i]->dir, snaps[i - 1]->dir) != 0)
			rc = add(l, snaps[i]->dir, MOUNT_NODE_SOURCE, NULL, snaps[i]->dir, err);
	}
	return rc;
}

static int add_times(struct mount_layout *l, const struct mount_node *dir,
	struct mount_snap *const *snaps, size_t count, struct err *err)
{
	char target[sizeof("../../snapshots/") + MOUNT_SNAPS_ID_BYTES];
	struct mount_snap *newest = NULL;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (strlen(snaps[i]->dir) != dir->key_len ||
			memcmp(snaps[i]->dir, dir->key, dir->key_len) != 0)
			continue;
		newest = snaps[i];
		(void)snprintf(target, sizeof(target), "../../snapshots/%s", newest->id); /* fits */
		rc = add(l, newest->time, MOUNT_NODE_LINK, newest, target, err);
	}
	if (rc == 0 && newest != NULL)
		rc = add(l, LATEST, MOUNT_NODE_LINK, newest, newest->time, err);
	return rc;
}

int mount_layout_list(struct mount_snaps *snaps, const struct mount_node *dir,
	struct mount_layout *out, struct err *err)
{
	struct mount_snap **list = NULL;
	size_t count = 0;
	int rc;
	if (dir->kind == MOUNT_NODE_TOP) {
		rc = add(out, "snapshots", MOUNT_NODE_SNAPSHOTS, NULL, "", err);
		return rc != 0 ? rc : add(out, "sources", MOUNT_NODE_SOURCES, NULL, "", err);
	}
	rc = mount_snaps_renew(snaps, err);
	if (rc == 0)
		rc = mount_snaps_list(snaps, &list, &count, err);
	if (rc == 0 && dir->kind == MOUNT_NODE_SNAPSHOTS)
		rc = add_snapshots(out, list, count, err);
	else if (rc == 0 && dir->kind == MOUNT_NODE_SOURCES)
		rc = add_sources(out, list, count, err);
	else if (rc == 0 && dir->kind == MOUNT_NODE_SOURCE)
		rc = add_times(out, dir, list, count, err);
	free(list);
	return rc;
}
