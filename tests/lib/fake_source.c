#include "tests/lib/fake_source.h"

#include <string.h>

#include "base/err.h"

static void fill_detail(const struct fake_file *f, struct entry *e)
{
	e->flags = f->flags;
	e->xattrs = f->xattrs;
	e->xattr_count = f->xattr_count;
}

static int next(void *self, struct source_item *item, struct err *err)
{
	struct fake_source *s = self;
	if (s->fail_next_at > 0 && s->at + 1 == s->fail_next_at)
		return err_set(err, ERR_IO, "the fake source breaks here");
	if (s->at == s->count)
		return 0;
	const struct fake_file *f = &s->files[s->at];
	memset(item, 0, sizeof(*item));
	size_t len = strlen(f->path);
	for (size_t i = 0; i < len; i++)
		s->key[i] = f->path[i] == '/' ? 0 : (uint8_t)f->path[i];
	item->key = s->key;
	item->key_len = len;
	item->entry.kind = f->kind;
	item->entry.mode = f->kind == ENTRY_DIR ? 0755 : 0644;
	item->entry.uid = 1000;
	item->entry.gid = 1000;
	item->entry.user = "plant";
	item->entry.group = "plant";
	item->entry.mtime.s = f->mtime_s;
	item->entry.has_btime = f->btime_s != 0;
	item->entry.btime.s = f->btime_s;
	item->entry.size = f->kind == ENTRY_FILE ? f->len + f->hole : 0;
	item->fs_id = 7;
	item->ino = f->ino == 0 ? s->at + 1 : f->ino;
	item->links = f->links == 0 ? 1 : f->links;
	item->ctime.s = f->mtime_s;
	item->is_brief = s->is_brief && f->kind == ENTRY_FILE;
	if (!item->is_brief)
		fill_detail(f, &item->entry);
	s->at++;
	return 1;
}

static void be_brief(void *self)
{
	struct fake_source *s = self;
	s->is_brief = true;
}

static int detail(void *self, struct source_item *item, struct err *err)
{
	(void)err;
	struct fake_source *s = self;
	s->detailed++;
	if (s->files[s->at - 1].is_unreadable)
		return 0;
	fill_detail(&s->files[s->at - 1], &item->entry);
	if (s->late_mtime_s != 0)
		item->ctime.s = item->entry.mtime.s = s->late_mtime_s;
	item->is_brief = false;
	return 1;
}

static int open_content(void *self, uint64_t *size, struct err *err)
{
	struct fake_source *s = self;
	const struct fake_file *f = &s->files[s->at - 1];
	s->opened++;
	if (f->is_unreadable)
		return err_set(err, ERR_IO, "the fake file cannot be read");
	s->read_at = 0;
	s->is_again = false;
	s->hole_given = f->hole == 0;
	*size = f->len + f->hole;
	return 0;
}

static int read_content(
	void *self, void *data, size_t cap, size_t *len, uint64_t *hole, struct err *err)
{
	(void)err;
	struct fake_source *s = self;
	const struct fake_file *f = &s->files[s->at - 1];
	if (s->read_at < f->len) {
		size_t n = f->len - s->read_at < cap ? f->len - s->read_at : cap;
		memcpy(data, (s->is_again ? f->again : f->data) + s->read_at, n);
		s->read_at += n;
		*len = n;
		return 1;
	}
	if (!s->hole_given) {
		s->hole_given = true;
		*hole = f->hole;
		return 1;
	}
	return 0;
}

static void close_content(void *self, struct source_item *item)
{
	struct fake_source *s = self;
	s->last_notes = item->entry.notes;
}

static bool read_again(void *self)
{
	struct fake_source *s = self;
	const struct fake_file *f = &s->files[s->at - 1];
	if (f->again == NULL)
		return false;
	s->is_again = true;
	s->read_at = 0;
	s->hole_given = f->hole == 0;
	return true;
}

static uint64_t count_lost(void *self)
{
	const struct fake_source *s = self;
	return s->lost;
}

void fake_source_init(struct fake_source *s, const struct fake_file *files, size_t count)
{
	memset(s, 0, sizeof(*s));
	s->files = files;
	s->count = count;
	s->source = (struct source){ .self = s,
		.next = next,
		.be_brief = be_brief,
		.detail = detail,
		.open = open_content,
		.read = read_content,
		.again = read_again,
		.close = close_content,
		.lost = count_lost };
}
