#include "restore/check_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "restore/checks.h"
#include "restore/tree_walk.h"
#include "restore/xml_probe.h"

DEFINE_CLEANUP(struct xml_probe *, xml_probe_free)

struct look {
	struct checks_case *c;
	struct xml_probe *probe;
};

static int look_at(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct look *l = arg;
	struct xml_probe_result r;
	int rc = checks_stop(l->c, err);
	if (rc != 0 || !S_ISREG(item->st->st_mode) || !tree_walk_has_suffix(item->path, ".xml"))
		return rc;
	CLEANUP(cleanup_close_p) int fd = tree_walk_open(item);
	l->c->items++;
	if (fd < 0) {
		checks_fault(l->c, "unable to open '%s': %s", item->path, strerror(errno));
		return 0;
	}
	rc = xml_probe_file(l->probe, fd, &r, err);
	if (rc == 0 && !r.is_well_formed)
		checks_fault(l->c, "'%s' is not well-formed: %s", item->path, r.why);
	return rc;
}

int check_xml_run(struct checks_case *c, struct err *err)
{
	CLEANUP(xml_probe_free_p) struct xml_probe *probe = NULL;
	int rc = xml_probe_new(&probe, err);
	if (rc != 0)
		return rc;
	struct look l = { c, probe };
	rc = tree_walk_run(c->place->dirfd, look_at, &l, err);
	checks_summarize(c, "%" PRId64 " of %" PRId64 " XML files are well-formed",
		c->items - c->faults, c->items);
	return rc;
}
