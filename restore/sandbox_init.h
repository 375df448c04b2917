/*
 * sandbox_init: process 1 of a sandbox: a loop that does what the drill outside asks, with a fixed
 * set of verbs.  It ends when the socket does, and everything inside ends with it.
 * Knows: the verbs' work.  Hides: their messages (sandbox.c has the other side).
 */
#ifndef RESTORE_SANDBOX_INIT_H
#define RESTORE_SANDBOX_INIT_H

/* The hidden first argument that makes a program of ours this one. */
#define SANDBOX_INIT_VERB "sandbox-init"

/**
 * sandbox_init_run(argc, argv):
 * ${argv} is SANDBOX_INIT_VERB and the number of the socket's descriptor.  Serve until the socket
 * ends.  Return the exit status.  Only for a process that sandbox_open() started.
 */
int sandbox_init_run(int argc, char **argv);

#endif
