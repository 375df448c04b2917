/*
 * prove_scratch: the directory in which a proof works, with directories and stores of its own in
 * it.  Whatever fails here ends the program: the proof cannot go on.  One at a time.
 */
#ifndef TESTS_LIB_PROVE_SCRATCH_H
#define TESTS_LIB_PROVE_SCRATCH_H

struct store;

/* Make the directory; return its descriptor, borrowed until prove_scratch_done(). */
int prove_scratch_begin(void);
/* Its path, borrowed until prove_scratch_done(). */
const char *prove_scratch_path(void);
/* The empty directory ${name} in it, whatever was there; the descriptor is the caller's. */
int prove_scratch_dir(const char *name);
/* What the local driver makes of the directory ${name}; the caller's. */
struct store *prove_scratch_store(const char *name);
/* Remove all of it. */
void prove_scratch_done(void);

#endif
