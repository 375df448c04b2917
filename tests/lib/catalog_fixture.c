#include "tests/lib/catalog_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "controller/catalog.h"
#include "db/db.h"

static void open_catalog(struct catalog_fixture *f)
{
	struct err err = ERR_INIT;
	int rc = db_open(f->location, &f->db, &err);
	if (rc == 0)
		rc = catalog_open(f->db, &err);
	if (rc != 0)
		(void)fprintf(stderr, "catalog_fixture: %s\n", err.msg);
	assert(rc == 0);
}

void catalog_fixture_init(struct catalog_fixture *f)
{
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/test_catalog.XXXXXX");
	const char *made = mkdtemp(f->dir);
	assert(made != NULL);
	(void)made; /* NDEBUG */
	(void)snprintf(f->location, sizeof(f->location), "sqlite:%s/catalog.db", f->dir);
	open_catalog(f);
}

void catalog_fixture_reopen(struct catalog_fixture *f)
{
	db_close(f->db);
	f->db = NULL;
	open_catalog(f);
}

void catalog_fixture_done(struct catalog_fixture *f)
{
	static const char *const names[] = { "catalog.db", "catalog.db-wal", "catalog.db-journal" };
	char path[128];
	db_close(f->db);
	f->db = NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		(void)unlink(path); /* not all are there */
	}
	(void)rmdir(f->dir);
}
