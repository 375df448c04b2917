/*
 * libpq: PostgreSQL's client library, loaded when it is used for the first time: a host without a
 * database to ask needs no such library.
 * Knows: which of its functions this program calls; nobody calls another.  After libpq_load() any
 * thread may call them, as the library allows.
 */
#ifndef DB_LIBPQ_H
#define DB_LIBPQ_H

#include <libpq-fe.h>

#include "base/cleanup.h"

struct err;

#define LIBPQ_FILE "libpq.so.5"

/* One entry for each function, with the type that the library's own header gives it. */
#define LIBPQ_FUNCTIONS(X)                                                                         \
	X(PQclear)                                                                                 \
	X(PQcmdTuples)                                                                             \
	X(PQconnectdbParams)                                                                       \
	X(PQconnectionNeedsPassword)                                                               \
	X(PQconnectionUsedPassword)                                                                \
	X(PQconninfoFree)                                                                          \
	X(PQconninfoParse)                                                                         \
	X(PQconsumeInput)                                                                          \
	X(PQdb)                                                                                    \
	X(PQencryptPasswordConn)                                                                   \
	X(PQerrorMessage)                                                                          \
	X(PQexec)                                                                                  \
	X(PQexecParams)                                                                            \
	X(PQfinish)                                                                                \
	X(PQfreemem)                                                                               \
	X(PQgetCopyData)                                                                           \
	X(PQgetResult)                                                                             \
	X(PQgetisnull)                                                                             \
	X(PQgetlength)                                                                             \
	X(PQgetvalue)                                                                              \
	X(PQisBusy)                                                                                \
	X(PQnfields)                                                                               \
	X(PQntuples)                                                                               \
	X(PQpingParams)                                                                            \
	X(PQputCopyData)                                                                           \
	X(PQputCopyEnd)                                                                            \
	X(PQresultErrorField)                                                                      \
	X(PQresultErrorMessage)                                                                    \
	X(PQresultStatus)                                                                          \
	X(PQsendQuery)                                                                             \
	X(PQserverVersion)                                                                         \
	X(PQsetNoticeReceiver)                                                                     \
	X(PQsocket)                                                                                \
	X(PQstatus)                                                                                \
	X(PQuser)

struct libpq {
#define LIBPQ_MEMBER(name) __typeof__(name) *name;
	LIBPQ_FUNCTIONS(LIBPQ_MEMBER)
#undef LIBPQ_MEMBER
};

/* libpq.PQexec(c, sql): all NULL until libpq_load() returned 0. */
extern struct libpq libpq;

/**
 * libpq_load(err):
 * Load the library into this process, for good.  Whoever connects, pings or parses calls it before;
 * once more costs nothing, and after a failure it is tried anew.  Return 0 or -ERR_NOT_FOUND (it is
 * not installed, or lacks something we call; the hint names the package).
 */
int libpq_load(struct err *err);

/* Fill ${out} from the library ${file}, as libpq_load() does; ${out} is untouched on failure. */
int libpq_open(const char *file, struct libpq *out, struct err *err);

/* PQfinish() and PQclear(), for NULL also when nothing is loaded. */
void libpq_finish(PGconn *c);
void libpq_clear(PGresult *r);

DEFINE_CLEANUP(PGconn *, libpq_finish)
DEFINE_CLEANUP(PGresult *, libpq_clear)

#endif
