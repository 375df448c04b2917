#include "cmd/plan_sources.h"

#include <stddef.h>

#include "conf/conf_problems.h"
#include "conf/conf_suggest.h"
#include "plans/plan.h"
#include "vault/snapshot.h"

static bool has_source(const struct snapshot_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (snapshot_is_of(&l->at[i], name))
			return true;
	}
	return false;
}

/* The source in the vault that ${name} may be a slip of, or NULL. */
static const char *near_source(const struct snapshot_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (conf_suggest_is_near(name, l->at[i].label.source))
			return l->at[i].label.source;
	}
	return NULL;
}

void plan_sources_check(
	const struct plan *p, const struct snapshot_list *list, struct conf_problems *problems)
{
	for (size_t i = 0; i < p->system_count; i++) {
		const struct plan_system *s = &p->systems[i];
		if (s->source == NULL || has_source(list, s->source))
			continue; /* one that names none was told of by lint */
		const char *near = near_source(list, s->source);
		if (near != NULL)
			conf_problems_add(problems, CONF_ERROR, s->source_line,
				"there is no snapshot of source '%s'; did you mean '%s'?",
				s->source, near);
		else
			conf_problems_add(problems, CONF_ERROR, s->source_line,
				"there is no snapshot of source '%s': expected a name that "
				"'holdfast snapshot list' shows",
				s->source);
	}
	conf_problems_sort(problems);
}
