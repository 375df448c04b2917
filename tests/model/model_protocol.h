/*
 * model_protocol: sessions, collection and repack of a vault as a state machine (docs/MODEL.md):
 * two records, two old packs, two sessions, two collectors.  One transition is one operation on
 * the store; between any two of them any process may run, stall or crash.
 * Each safety rule can be taken away; model_explore shows what happens then.
 */
#ifndef MODEL_PROTOCOL_H
#define MODEL_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_SESSIONS 2
#define MODEL_COLLECTORS 2
#define MODEL_STEPS_MAX 16

/* Bits of a set of packs. */
enum model_pack {
	MODEL_OLD = 1 << 0,  /* P0 and P1: there from the beginning */
	MODEL_NEW = 1 << 2,  /* N0 and N1: written by session 0, 1 */
	MODEL_COPY = 1 << 4, /* R0 and R1: written by collector 0, 1 */
	MODEL_PACKS = 6,
};

enum model_sn { MODEL_SN_NONE, MODEL_SN_STAGED, MODEL_SN_SEEN, MODEL_SN_PRUNED };
enum model_mark { MODEL_MARK_NONE, MODEL_MARK_OPEN, MODEL_MARK_ENDED };
enum model_ack { MODEL_ACK_NONE, MODEL_ACK_OK, MODEL_ACK_REFUSED };

/* pc: index into the program of the kind of process; its length = done, MODEL_CRASHED = crashed. */
#define MODEL_CRASHED 15

struct model_session {
	uint32_t pc : 4;
	uint32_t usable : 6; /* packs it may still refer to */
	uint32_t refs : 2;   /* records its snapshot needs */
	uint32_t fresh : 2;  /* records in its new pack */
	uint32_t mark : 2;
	uint32_t sn : 2;
	uint32_t ack : 2;
};

struct model_collector {
	uint32_t pc : 4;
	uint32_t chosen : 6; /* packs of its condemned list */
	uint32_t listed : 1; /* the condemned list is on the store */
	uint32_t wait : 2;   /* sessions it waits for */
	uint32_t fenced : 2; /* those it did not wait for to the end: in its delete list */
	uint32_t marked : 2; /* records that a snapshot needs */
	uint32_t seen : 2;   /* sessions whose snapshot it saw: in its delete list */
	uint32_t dead : 6; /* packs to delete; while it reads lists: what does not count as a place
			    */
	uint32_t ordered : 1; /* the delete list is on the store */
	uint32_t buried : 1;  /* the list of dead packs is on the store */
	uint32_t copied : 2;  /* records in its new pack */
	uint32_t adopted : 1; /* it works on the other's condemned list */
};

struct model_world {
	uint32_t packs : 6;  /* packs that can be seen */
	uint32_t staged : 6; /* packs put, not yet durable */
	uint32_t old0 : 2;   /* records in P0, in P1 */
	uint32_t old1 : 2;
	uint32_t refs : 2; /* records that the old snapshot needs; 0: pruned */
	uint32_t fence : 2;
	uint32_t narrow : 1; /* only old packs are condemned, only the old snapshot is pruned */
};

struct model_state {
	struct model_world world;
	struct model_session session[MODEL_SESSIONS];
	struct model_collector collector[MODEL_COLLECTORS];
	uint32_t reserved; /* 0: the state is a multiple of 8 bytes */
};

/* The safety rules; the texts are in model_rule_name() and docs/MODEL.md. */
enum model_rule {
	MODEL_RULE_NONE,
	MODEL_RULE_MARK_FIRST,
	MODEL_RULE_CONDEMNED_ABSENT,
	MODEL_RULE_DEAD_ABSENT,
	MODEL_RULE_ORDERED_ABSENT,
	MODEL_RULE_CONDEMNED_BEFORE_DEAD,
	MODEL_RULE_LISTS_FRESH,
	MODEL_RULE_SESSION_BARRIER,
	MODEL_RULE_SNAPSHOT_BARRIER,
	MODEL_RULE_FENCE_CHECK,
	MODEL_RULE_CHECK_AFTER_SNAPSHOT,
	MODEL_RULE_FRESH_NAMES,
	MODEL_RULE_REPACK_BARRIER,
	MODEL_RULE_CONDEMN_BEFORE_SESSIONS,
	MODEL_RULE_WAIT,
	MODEL_RULE_FENCE,
	MODEL_RULE_REMARK,
	MODEL_RULE_UNREADABLE_STOPS,
	MODEL_RULE_EVERY_RECORD,
	MODEL_RULE_OWN_LIST,
	MODEL_RULE_OTHERS_LIST,
	MODEL_RULE_OTHERS_DEAD,
	MODEL_RULE_SEEN_LIST,
	MODEL_RULE_VOID_BY_ANY_RUN,
	MODEL_RULE_VOID_BY_OWN_RUN,
	MODEL_RULE_SEE_CONDEMNED,
	MODEL_RULE_DEAD_BEFORE_DROP,
	MODEL_RULE_DELETE_LIST_STAYS,
	MODEL_RULE_FENCE_STAYS,
	MODEL_RULE_DEAD_GROWS,
	MODEL_RULE_COUNT,
};

/* The word for the command line. */
const char *model_rule_name(enum model_rule rule);

struct model_protocol;
/* ${without}: the rule to take away.  Static memory, valid until the next call. */
const struct model_protocol *model_protocol_without(enum model_rule without);

/* ${what} tells the operation, borrowed; a # in it stands for ${who}. */
typedef void (*model_emit_fn)(
	void *arg, const struct model_state *next, const char *what, unsigned who);

/* Call ${emit} for every state that one operation leads to. */
void model_protocol_next(
	const struct model_protocol *p, const struct model_state *s, model_emit_fn emit, void *arg);

/* The one of the states that differ by names alone (of packs, sessions, collectors). */
void model_protocol_canonical(struct model_state *s);

/* What is wrong with a state, or NULL. */
const char *model_protocol_broken(const struct model_protocol *p, const struct model_state *s);

#endif
