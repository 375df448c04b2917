/*
 * msg_enrol_token: the text an operator hands to a new agent (its door is msg_enrol.h), and what an
 * address may look like.  Pure.
 */
#ifndef MSG_MSG_ENROL_TOKEN_H
#define MSG_MSG_ENROL_TOKEN_H

#include <stdbool.h>

/* Return true for "host:port" or "[v6]:port" and nothing more: it can stand in a URL. */
bool msg_enrol_token_is_address(const char *address);

#endif
