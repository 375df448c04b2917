/*
 * demo_enrol: the agents of a demonstration: a token, the fingerprint, the officer's approval, and
 * then their work.
 */
#ifndef CMD_DEMO_ENROL_H
#define CMD_DEMO_ENROL_H

struct demo_crew;
struct demo_stage;
struct err;

/* Where verbs ask the controller, and as whom; all borrowed. */
struct demo_desk {
	struct demo_stage *stage;
	struct demo_crew *crew;
	const char *server, *token, *ca; /* as --server, --token-file, --ca */
	const char *officer;             /* as --officer-key */
};

#define DEMO_ENROL_KEYID_BYTES 65

/* Enrol all three and have them approved.  Return 0, -ERR_FAILED, -ERR_BUSY or -ERR_INTERRUPTED. */
int demo_enrol_all(const struct demo_desk *d, struct err *err);
/* Start their daemons. */
int demo_enrol_run(const struct demo_desk *d, struct err *err);
/* The fingerprint of the sandbox's report key, as the controller knows it. */
int demo_enrol_report_key(
	const struct demo_desk *d, char out[DEMO_ENROL_KEYID_BYTES], struct err *err);

#endif
