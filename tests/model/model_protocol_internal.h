/*
 * What the files of the model share.
 */
#ifndef MODEL_PROTOCOL_INTERNAL_H
#define MODEL_PROTOCOL_INTERNAL_H

#include "model/model_protocol.h"

enum model_session_step {
	S_INDEX, /* an index from any time before */
	S_MARK,
	S_CONDEMNED,
	S_DEAD,
	S_PLAN,
	S_BARRIER,
	S_SNAPSHOT,
	S_SYNC,
	S_CHECK,
	S_ACK,
	S_END,
	S_DONE,
};

enum model_collector_step {
	C_CHOOSE,
	C_BARRIER,
	C_CONDEMN,
	C_SESSIONS,
	C_WAIT,
	C_SNAPSHOTS,
	C_CONDEMNED,
	C_DEAD,
	C_ORDER,
	C_SEE,
	C_BURY,
	C_DROP,
	C_DELETE,
	C_FORGET,
	C_DONE,
};

struct model_protocol {
	enum model_rule without;
	uint8_t session[MODEL_STEPS_MAX];
	uint8_t collector[MODEL_STEPS_MAX];
};

struct model_step {
	const struct model_protocol *p;
	const struct model_state *s;
	unsigned who;
	model_emit_fn emit;
	void *arg;
};

bool model_protocol_has(const struct model_protocol *p, enum model_rule rule);
/* Records in one pack, there or not; in those of ${packs} that can be seen. */
unsigned model_protocol_records_in(const struct model_state *s, unsigned pack);
unsigned model_protocol_records(const struct model_state *s, unsigned packs);
/* Packs that a list in gc names, condemned or to be deleted; that a list in dd names. */
unsigned model_protocol_condemned(const struct model_protocol *p, const struct model_state *s);
unsigned model_protocol_buried(const struct model_state *s);
/* Pass the steps of ${n} that nobody else can see, then hand it on. */
void model_protocol_emit(const struct model_step *st, struct model_state *n, const char *what);

/* Every operation that process st->who can do now, and its crash. */
void model_session_next(const struct model_step *st);
void model_collector_next(const struct model_step *st);
/* A step that nobody else can see is done at once: true if there was one. */
bool model_session_pass(const struct model_protocol *p, struct model_state *n, unsigned i);
bool model_collector_pass(const struct model_protocol *p, struct model_state *n, unsigned g);

#endif
