#include "controller/replica_conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "conf/conf_problems.h"
#include "msg/msg_enrol.h"
#include "store/store_pace.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"

#define NEWEST_MAX 1000000

const struct conf_option replica_conf_options[] = {
	{ .key = "name",
		.type = CONF_STRING,
		.is_required = true,
		.max = MSG_NAME_BYTES - 1,
		.help = "what schedules and people call it" },
	{ .key = "place",
		.type = CONF_STRING,
		.is_required = true,
		.help = "where it lies, as --vault takes it" },
	{ .key = "sources",
		.type = CONF_STRINGS,
		.min = 1,
		.max = REPLICA_CONF_SOURCES,
		.help = "what goes there, NAME or HOST/NAME; none = every source" },
	{ .key = "newest",
		.type = CONF_INT,
		.min = 1,
		.max = NEWEST_MAX,
		.help = "of each source only the newest so many; none = all" },
	{ .key = "bytes_per_s",
		.type = CONF_SIZE,
		.min = STORE_PACE_MIN_BPS,
		.help = "most that goes there a second, 64KiB or more, and as much back; none = no "
			"limit" },
	{ .key = NULL },
};

void replica_conf_clear(struct replica_conf *r)
{
	for (size_t i = 0; r->sources != NULL && i < r->source_count; i++)
		free(r->sources[i]);
	free(r->sources);
	free(r->name);
	free(r->place);
	memset(r, 0, sizeof(*r));
}

void replica_conf_done(struct replica_conf_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		replica_conf_clear(&l->at[i]);
	free(l->at);
	l->at = NULL;
	l->count = 0;
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

static int take_sources(const struct conf_node *g, struct replica_conf *r, struct err *err)
{
	const size_t n = conf_count(g, "sources");
	r->sources = calloc(n + 1, sizeof(*r->sources));
	for (; r->sources != NULL && r->source_count < n; r->source_count++) {
		r->sources[r->source_count] = strdup(conf_item_text(g, "sources", r->source_count));
		if (r->sources[r->source_count] == NULL)
			return no_memory(err);
	}
	return r->sources == NULL ? no_memory(err) : 0;
}

static void check(const struct conf_node *g, const char *vault, const struct replica_conf_list *l,
	struct conf_problems *p)
{
	const struct replica_conf *r = &l->at[l->count - 1];
	if (r->name != NULL && !msg_enrol_is_name(r->name))
		conf_problems_add(p, CONF_ERROR, conf_line(g, "name"),
			"'%s' is no name: lower-case letters, digits, '.', '_', '-' are allowed",
			r->name);
	if (r->place != NULL && vault != NULL && strcmp(r->place, vault) == 0)
		conf_problems_add(p, CONF_ERROR, conf_line(g, "place"),
			"'%s' is the vault itself: a replica lies elsewhere", r->place);
	for (size_t i = 0; i + 1 < l->count; i++) {
		const struct replica_conf *o = &l->at[i];
		if (r->name != NULL && o->name != NULL && strcmp(r->name, o->name) == 0)
			conf_problems_add(p, CONF_ERROR, conf_line(g, "name"),
				"the replica '%s' is there twice, first in line %d", r->name,
				o->line);
		if (r->place != NULL && o->place != NULL && strcmp(r->place, o->place) == 0)
			conf_problems_add(p, CONF_ERROR, conf_line(g, "place"),
				"the replica in line %d lies at '%s', too", o->line, r->place);
	}
}

int replica_conf_take(const struct conf_node *g, const char *vault,
	char *(*place_of)(const char *file, const char *place), const char *file,
	struct replica_conf_list *l, struct conf_problems *p, struct err *err)
{
	struct replica_conf *grown = reallocarray(l->at, l->count + 1, sizeof(*grown));
	if (grown == NULL)
		return no_memory(err);
	l->at = grown;
	struct replica_conf *r = &grown[l->count++];
	*r = (struct replica_conf){ .newest = conf_number(g, "newest", 0),
		.bytes_per_s = conf_number(g, "bytes_per_s", 0),
		.line = conf_node_line(g) };
	/* what is missing was told of by the table */
	if (conf_has(g, "name") && (r->name = strdup(conf_text(g, "name"))) == NULL)
		return no_memory(err);
	if (conf_has(g, "place") && (r->place = place_of(file, conf_text(g, "place"))) == NULL)
		return no_memory(err);
	int rc = take_sources(g, r, err);
	if (rc == 0)
		check(g, vault, l, p);
	return rc;
}

const struct replica_conf *replica_conf_find(const struct replica_conf_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->at[i].name != NULL && strcmp(l->at[i].name, name) == 0)
			return &l->at[i];
	}
	return NULL;
}

int replica_conf_copy(const struct replica_conf *from, struct replica_conf *out, struct err *err)
{
	struct replica_conf r = {
		.newest = from->newest, .bytes_per_s = from->bytes_per_s, .line = from->line
	};
	r.name = strdup(from->name);
	r.place = strdup(from->place);
	r.sources = calloc(from->source_count + 1, sizeof(*r.sources));
	bool is_whole = r.name != NULL && r.place != NULL && r.sources != NULL;
	for (; is_whole && r.source_count < from->source_count; r.source_count++) {
		r.sources[r.source_count] = strdup(from->sources[r.source_count]);
		is_whole = r.sources[r.source_count] != NULL;
	}
	if (!is_whole) {
		replica_conf_clear(&r);
		return no_memory(err);
	}
	*out = r;
	return 0;
}

/* ---- what goes there ------------------------------------------------------------------------ */

struct counted {
	uint8_t source[32]; /* agent_id || source_id */
	int64_t count;
};

struct counts {
	struct counted *at; /* owned */
	size_t count;
};

/* How many of its source were counted before it; NULL = no memory. */
static struct counted *count_of(struct counts *c, const struct snaprec *s)
{
	uint8_t source[32];
	memcpy(source, s->agent_id, 16);
	memcpy(source + 16, s->source_id, 16);
	for (size_t i = 0; i < c->count; i++) {
		if (memcmp(c->at[i].source, source, sizeof(source)) == 0)
			return &c->at[i];
	}
	struct counted *grown = reallocarray(c->at, c->count + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	c->at = grown;
	memcpy(grown[c->count].source, source, sizeof(source));
	grown[c->count].count = 0;
	return &grown[c->count++];
}

static bool is_of(const struct replica_conf *r, const struct snapshot *s)
{
	bool is_any = r->source_count == 0;
	for (size_t i = 0; i < r->source_count && !is_any; i++)
		is_any = snapshot_is_of(s, r->sources[i]);
	return is_any;
}

DEFINE_CLEANUP(struct id_set *, id_set_free)

int replica_conf_choose(const struct replica_conf *r, const struct snapshot_list *list,
	struct id_set **out, struct err *err)
{
	CLEANUP(id_set_free_p) struct id_set *set = NULL;
	struct counts counts = { .count = 0 };
	int rc = id_set_new(&set, err);
	for (size_t i = list->count; rc == 0 && i > 0; i--) { /* the newest first */
		const struct snapshot *s = &list->at[i - 1];
		if (!is_of(r, s))
			continue;
		struct counted *c = count_of(&counts, &s->record);
		if (c == NULL)
			rc = no_memory(err);
		else if (r->newest == 0 || c->count++ < r->newest)
			rc = id_set_add(set, s->hash, 1, NULL, err);
	}
	free(counts.at);
	if (rc == 0)
		*out = TAKE(set);
	return rc;
}
