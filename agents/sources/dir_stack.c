#include "agents/sources/dir_stack.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/sources/gentle_open.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) count >= 1; frames[0] is "/".
 * (2) At most DIR_STACK_MAX_FDS frames are open; open_from..count-1 are those that may be.
 * (3) A frame's fd, while open, is the directory (dev, ino).
 */
struct dir_stack {
	struct dir_frame *frames; /* owned */
	size_t count, cap;
	size_t open_from; /* every frame before is closed */
};

static bool is_same(int fd, const struct dir_frame *frame)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_dev == frame->dev && st.st_ino == frame->ino;
}

static void close_frame(struct dir_frame *frame)
{
	if (frame->fd >= 0)
		(void)close(frame->fd); /* read only */
	frame->fd = -1;
}

static void frame_done(struct dir_frame *frame)
{
	close_frame(frame);
	name_list_done(&frame->names);
}

int dir_stack_new(struct dir_stack **out, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = gentle_open_path(-1, "/");
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to open '/'");
	struct dir_stack *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct dir_frame root = { .fd = TAKE_FD(fd), .dev = st.st_dev, .ino = st.st_ino };
	int rc = dir_stack_push(s, &root, err);
	if (rc != 0) {
		dir_stack_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void dir_stack_free(struct dir_stack *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		frame_done(&s->frames[i]);
	free(s->frames);
	free(s);
}

struct dir_frame *dir_stack_top(struct dir_stack *s)
{
	return &s->frames[s->count - 1];
}

const struct dir_frame *dir_stack_above(const struct dir_stack *s, size_t i)
{
	return i < s->count ? &s->frames[s->count - 1 - i] : NULL;
}

bool dir_stack_is_full(const struct dir_stack *s)
{
	return s->count == s->cap;
}

size_t dir_stack_depth(const struct dir_stack *s)
{
	return s->count;
}

int dir_stack_push(struct dir_stack *s, const struct dir_frame *frame, struct err *err)
{
	struct dir_frame taken = *frame;
	if (s->count == s->cap) {
		size_t cap = s->cap == 0 ? 32 : s->cap * 2;
		struct dir_frame *grown = reallocarray(s->frames, cap, sizeof(*grown));
		if (grown == NULL) {
			frame_done(&taken);
			return err_set(err, ERR_NOMEM, "out of memory");
		}
		s->frames = grown;
		s->cap = cap;
	}
	s->frames[s->count++] = taken;
	while (s->count - s->open_from > DIR_STACK_MAX_FDS)
		close_frame(&s->frames[s->open_from++]);
	return 0;
}

void dir_stack_pop(struct dir_stack *s)
{
	if (s->count == 1)
		return;
	struct dir_frame *left = dir_stack_top(s);
	struct dir_frame *top = left - 1;
	s->count--;
	if (top->fd < 0) {
		/* cheap and nearly always right; where not, dir_stack_fd() looks from "/" */
		if (left->fd >= 0)
			top->fd = gentle_open_path(left->fd, "..");
		if (top->fd >= 0 && !is_same(top->fd, top))
			close_frame(top);
		s->open_from = s->count - 1;
	}
	frame_done(left);
}

/* The component of frame ${i} in the path; "." for one that adds none. */
static int component(const struct dir_stack *s, size_t i, const char *path, char out[NAME_MAX + 1])
{
	size_t from = s->frames[i - 1].path_len, to = s->frames[i].path_len;
	if (from == to) {
		memcpy(out, ".", 2);
		return 0;
	}
	size_t len = to - from - 1;
	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(out, path + from + 1, len);
	out[len] = '\0';
	return 0;
}

int dir_stack_fd(struct dir_stack *s, const char *path)
{
	struct dir_frame *top = dir_stack_top(s);
	if (top->fd >= 0)
		return top->fd;
	CLEANUP(cleanup_close_p) int fd = gentle_open_path(-1, "/");
	for (size_t i = 1; fd >= 0 && i < s->count; i++) {
		char name[NAME_MAX + 1];
		int next = component(s, i, path, name) == 0 ? gentle_open_path(fd, name) : -1;
		cleanup_close_p(&fd);
		fd = next;
		if (fd >= 0 && !is_same(fd, &s->frames[i])) {
			errno = ESTALE;
			return -1;
		}
	}
	if (fd < 0)
		return -1;
	top->fd = TAKE_FD(fd);
	s->open_from = s->count - 1;
	return top->fd;
}
