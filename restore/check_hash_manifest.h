/*
 * check_hash_manifest: every restored file has the size and content that the snapshot says, and
 * that the source wrote down when it was backed up; a PostgreSQL copy also what the server's own
 * backup_manifest says.  Looks before anything is started.
 */
#ifndef RESTORE_CHECK_HASH_MANIFEST_H
#define RESTORE_CHECK_HASH_MANIFEST_H

struct checks_case;
struct err;

/* Fill ${c}.  Return as a check of checks.c: an error other than ours is a fault. */
int check_hash_manifest_run(struct checks_case *c, struct err *err);

#endif
