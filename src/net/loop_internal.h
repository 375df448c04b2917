/*
 * loop: what the servers of this room need of it.
 */
#ifndef NET_LOOP_INTERNAL_H
#define NET_LOOP_INTERNAL_H

struct event_base;
struct loop;

/* Borrowed for the life of the loop. */
struct event_base *loop_base(struct loop *l);

#endif
