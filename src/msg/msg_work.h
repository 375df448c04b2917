/*
 * msg_work: hello, orders, progress and results (docs/PROTOCOL.md, Work).
 */
#ifndef MSG_MSG_WORK_H
#define MSG_MSG_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "msg/msg_enrol.h"

struct buf;

#define MSG_PROTOCOL 1
#define MSG_ID_HEX 33 /* 16 bytes in hex and a NUL: jobs, sessions, grants */
#define MSG_MAX_SOURCES 256
#define MSG_WORK_WAIT_MAX_MS 50000
#define MSG_LEASE_MS 60000
#define MSG_PROGRESS_MS 20000

struct msg_source {
	char name[MSG_NAME_BYTES];
	char type[16];        /* "files", "postgres" */
	char consistency[16]; /* "application", .. */
};

struct msg_hello {
	int64_t protocol;
	char name[MSG_NAME_BYTES];
	char version[64];
	enum msg_role role;
	int64_t clock_ms;
	struct msg_source *sources; /* owned */
	size_t source_count;
};
int msg_work_hello_encode(const struct msg_hello *m, struct buf *out, struct err *err);
int msg_work_hello_decode(const void *data, size_t len, struct msg_hello *out, struct err *err);
void msg_work_hello_done(struct msg_hello *m);

struct msg_welcome {
	uint8_t agent_id[16];
	int64_t clock_ms, poll_ms;
	uint8_t *config; /* owned: newest signed domain config */
	size_t config_len;
};
int msg_work_welcome_encode(const struct msg_welcome *m, struct buf *out, struct err *err);
int msg_work_welcome_decode(const void *data, size_t len, struct msg_welcome *out, struct err *err);
void msg_work_welcome_done(struct msg_welcome *m);

struct msg_poll {
	int64_t wait_ms;
};
int msg_work_poll_encode(const struct msg_poll *m, struct buf *out, struct err *err);
int msg_work_poll_decode(const void *data, size_t len, struct msg_poll *out, struct err *err);

/* The first two are what agents are ordered; the others are a controller's own and in no order. */
enum msg_verb {
	MSG_VERB_BACKUP = 1,
	MSG_VERB_DRILL,
	MSG_VERB_RETENTION,
	MSG_VERB_COLLECT,
	MSG_VERB_SCRUB,
	MSG_VERB_COPY,
};
const char *msg_work_verb_name(enum msg_verb verb);

struct msg_order {
	char job[MSG_ID_HEX];
	int64_t attempt; /* from 1 */
	enum msg_verb verb;
	int64_t deadline_ms;         /* from now; 0 = none */
	char source[MSG_NAME_BYTES]; /* backup */
	/* drill */
	char *plan; /* owned: the file's text */
	size_t plan_len;
	char plan_name[256];
	uint8_t plan_sha256[32];
	char exercise[37];         /* UUID: the report's exercise_id, chosen by the controller */
	int64_t since_declared_ms; /* T0 lies so far back */
	char trigger[16];          /* "manual", "schedule", .. */
	char *scenario;            /* owned, or NULL */
	char grant[MSG_ID_HEX];
	char controller[MSG_NAME_BYTES]; /* its name, for the report */
	uint8_t controller_key[32];      /* public report key that it will sign with, as well */
	char ordered_by[128];            /* who, for the report; "" = nobody is named */
};
int msg_work_order_encode(const struct msg_order *m, struct buf *out, struct err *err);
int msg_work_order_decode(const void *data, size_t len, struct msg_order *out, struct err *err);
void msg_work_order_done(struct msg_order *m);

struct msg_progress {
	int64_t attempt;
	char phase[32]; /* "capture", "backup", "restore", .. */
	int64_t files, bytes, read_bytes, sent_bytes;
	char text[256]; /* a line for people, or "" */
};
int msg_work_progress_encode(const struct msg_progress *m, struct buf *out, struct err *err);
int msg_work_progress_decode(
	const void *data, size_t len, struct msg_progress *out, struct err *err);

struct msg_go {
	bool go;
	char why[256];
};
int msg_work_go_encode(const struct msg_go *m, struct buf *out, struct err *err);
int msg_work_go_decode(const void *data, size_t len, struct msg_go *out, struct err *err);

struct msg_result {
	int64_t attempt;
	struct err error; /* code 0 = done */
	int64_t warnings; /* entries left out and the like */
	char first_warning[512];
	/* backup */
	char snapshot[65]; /* hex, or "" */
	int64_t files, dirs, others, bytes, read_bytes, sent_bytes, records;
	/* drill */
	char verdict[32]; /* word of the report, or "" */
};
int msg_work_result_encode(const struct msg_result *m, struct buf *out, struct err *err);
int msg_work_result_decode(const void *data, size_t len, struct msg_result *out, struct err *err);

/* {csr} and {certificate}, for renewal. */
int msg_work_pem_encode(const char *member, const char *pem, struct buf *out, struct err *err);
int msg_work_pem_decode(
	const void *data, size_t len, const char *member, char out[MSG_PEM_BYTES], struct err *err);

#endif
