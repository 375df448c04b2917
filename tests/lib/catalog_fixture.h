/*
 * catalog_fixture: an empty catalog in a directory of its own, for tests.
 */
#ifndef TESTS_LIB_CATALOG_FIXTURE_H
#define TESTS_LIB_CATALOG_FIXTURE_H

struct db;

struct catalog_fixture {
	char dir[64];
	char location[96]; /* for db_open() */
	struct db *db;
};

/* Both assert on failure. */
void catalog_fixture_init(struct catalog_fixture *f);
void catalog_fixture_done(struct catalog_fixture *f);
/* Close and open it again, as another start of the controller would. */
void catalog_fixture_reopen(struct catalog_fixture *f);

#endif
