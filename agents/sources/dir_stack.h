/*
 * dir_stack: the directories from "/" down to where a walk is, with a bounded number of open
 * descriptors.  A closed one is opened again through ".." or, when that leads elsewhere, from "/"
 * component by component, and only if it is still the same directory.
 */
#ifndef AGENTS_SOURCES_DIR_STACK_H
#define AGENTS_SOURCES_DIR_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/sources/name_list.h"

struct err;
struct dir_stack;

#define DIR_STACK_MAX_FDS 64

struct dir_frame {
	struct name_list names; /* owned by the frame */
	size_t next;            /* the next name to look at */
	bool is_listed;         /* names are its content; else it only leads to a root */
	uint64_t dev, ino;
	size_t path_len, key_len; /* of the walk's path and key for this directory */
	int fd;                   /* dir_stack's; -1 while closed */
};

/* A stack of one frame, "/" (path_len 0).  Return 0 or -ERR_NOMEM / -ERR_IO. */
int dir_stack_new(struct dir_stack **out, struct err *err);
void dir_stack_free(struct dir_stack *s);

/* The deepest frame; borrowed until push or pop. */
struct dir_frame *dir_stack_top(struct dir_stack *s);

/* The frame ${i} levels above the deepest, or NULL; borrowed as that. */
const struct dir_frame *dir_stack_above(const struct dir_stack *s, size_t i);

/* Number of frames, "/" included. */
size_t dir_stack_depth(const struct dir_stack *s);

/* Push a copy of ${frame}; its fd and names are taken, also on failure.  Return 0 or -ERR_NOMEM. */
int dir_stack_push(struct dir_stack *s, const struct dir_frame *frame, struct err *err);

/* Will push need memory? */
bool dir_stack_is_full(const struct dir_stack *s);

/* Leave the deepest directory.  "/" is never left. */
void dir_stack_pop(struct dir_stack *s);

/**
 * dir_stack_fd(s, path):
 * The descriptor of the deepest directory, borrowed until push or pop; ${path} is its absolute path
 * (path_len bytes of it are used).  Return -1 and errno: ESTALE when another directory is there.
 */
int dir_stack_fd(struct dir_stack *s, const char *path);

#endif
