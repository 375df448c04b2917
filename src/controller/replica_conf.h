/*
 * replica_conf: the replicas in the controller's configuration: where copies of the vault lie and
 * what of it goes there (docs/CONTROLLER.md).  When it goes is a schedule's.  Pure.
 */
#ifndef CONTROLLER_REPLICA_CONF_H
#define CONTROLLER_REPLICA_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct conf_problems;
struct err;
struct id_set;
struct snapshot_list;

#define REPLICA_CONF_MAX 64     /* replicas */
#define REPLICA_CONF_SOURCES 64 /* of one */

struct replica_conf {
	char *name;     /* owned; what schedules and people call it */
	char *place;    /* owned; as --vault takes it */
	char **sources; /* owned: as snapshot_is_of() takes them; none = all */
	size_t source_count;
	int64_t newest;      /* of each source only so many; 0 = all */
	int64_t bytes_per_s; /* to it, and back when it is compared; 0 = no limit */
	int line;
};

struct replica_conf_list {
	struct replica_conf *at; /* owned */
	size_t count;
};

/* The keys of one replica. */
extern const struct conf_option replica_conf_options[];

/**
 * replica_conf_take(g, vault, place_of, file, l, p, err):
 * Add the replica of ${g}; what is wrong with it goes to ${p}.  ${vault} is the vault's own place;
 * ${place_of} gives an owned place as seen from the configuration's ${file}.
 * Return 0 or -ERR_NOMEM.
 */
int replica_conf_take(const struct conf_node *g, const char *vault,
	char *(*place_of)(const char *file, const char *place), const char *file,
	struct replica_conf_list *l, struct conf_problems *p, struct err *err);
void replica_conf_done(struct replica_conf_list *l);

/* Borrowed; NULL = there is none of this name. */
const struct replica_conf *replica_conf_find(const struct replica_conf_list *l, const char *name);

/* Another one, owned: ends with replica_conf_clear(). */
int replica_conf_copy(const struct replica_conf *from, struct replica_conf *out, struct err *err);
void replica_conf_clear(struct replica_conf *r);

/* The hashes of the snapshots of ${list} that go to it; *${out} is owned. */
int replica_conf_choose(const struct replica_conf *r, const struct snapshot_list *list,
	struct id_set **out, struct err *err);

#endif
