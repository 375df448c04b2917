/*
 * db_sqlite: the driver for a SQLite file.
 * Knows: that SQLite 3.40 can damage a file when one connection restarts the write-ahead log while
 * another checkpoints.  So the file is locked for one process, and its one connection writes and
 * checkpoints.
 */
#ifndef DB_DB_SQLITE_H
#define DB_DB_SQLITE_H

struct db_driver;

const struct db_driver *db_sqlite(void);

#endif
