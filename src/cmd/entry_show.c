#include "cmd/entry_show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cmd/console.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "vault/entry.h"

#define PATH_MAX_BYTES (ENTRY_MAX_KEY_BYTES + 2)

static const struct {
	char letter;
	const char *name;
} kinds[] = {
	[0] = { '?', "unknown" },
	[ENTRY_FILE] = { '-', "file" },
	[ENTRY_DIR] = { 'd', "dir" },
	[ENTRY_SYMLINK] = { 'l', "symlink" },
	[ENTRY_FIFO] = { 'p', "fifo" },
	[ENTRY_CHAR] = { 'c', "char" },
	[ENTRY_BLOCK] = { 'b', "block" },
};

const char *entry_show_kind(const struct entry *e)
{
	return kinds[e->kind].name;
}

const char *entry_show_time(const struct entry_time *t, char out[ENTRY_SHOW_TIME_BYTES])
{
	struct tm tm;
	time_t s = (time_t)t->s;
	if (gmtime_r(&s, &tm) == NULL) /* a year that does not fit an int */
		(void)snprintf(out, ENTRY_SHOW_TIME_BYTES, "@%lld.%09u", (long long)t->s, t->ns);
	else
		(void)snprintf(out, ENTRY_SHOW_TIME_BYTES, "%04lld-%02d-%02dT%02d:%02d:%02d.%09uZ",
			(long long)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			tm.tm_min, tm.tm_sec, t->ns); /* both fit */
	return out;
}

json_t *entry_show_path(const uint8_t *key, size_t key_len)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_MAX_BYTES);
	if (entry_key_path(key, key_len, &path, NULL) != 0)
		return NULL;
	return jsonx_name((const char *)path.data, path.len);
}

static void add_content(json_t *o, const struct entry *e)
{
	char hex[65];
	if (e->kind == ENTRY_FILE) {
		(void)json_object_set_new(o, "size", json_integer((json_int_t)e->size));
		text_hex(e->digest, sizeof(e->digest), hex);
		if (e->digest_kind == ENTRY_DIGEST_SHA256)
			(void)json_object_set_new(o, "sha256", json_string(hex));
		if (e->digest_kind == ENTRY_DIGEST_BLOCKS)
			(void)json_object_set_new(o, "sha256_blocks", json_string(hex));
	}
	if (e->kind == ENTRY_SYMLINK)
		(void)json_object_set_new(
			o, "target", jsonx_name((const char *)e->target, e->target_len));
	if (e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK)
		(void)json_object_set_new(
			o, "device", json_pack("[i, i]", (int)e->dev_major, (int)e->dev_minor));
	if (e->hardlink != 0)
		(void)json_object_set_new(o, "hardlink", json_integer((json_int_t)e->hardlink));
	if ((e->notes & ENTRY_NOTE_CHANGED) != 0)
		(void)json_object_set_new(o, "changed_while_read", json_true());
}

json_t *entry_show_object(const uint8_t *key, size_t key_len, const struct entry *e)
{
	char mode[16];
	char when[ENTRY_SHOW_TIME_BYTES];
	(void)snprintf(mode, sizeof(mode), "%04o", e->mode & 07777u); /* fits */
	json_t *o =
		json_pack("{s:o, s:s, s:s, s:I, s:I, s:s}", "path", entry_show_path(key, key_len),
			"type", entry_show_kind(e), "mode", mode, "uid", (json_int_t)e->uid, "gid",
			(json_int_t)e->gid, "mtime", entry_show_time(&e->mtime, when));
	if (o == NULL)
		return NULL;
	if (e->user != NULL)
		(void)json_object_set_new(o, "user", jsonx_name(e->user, strlen(e->user)));
	if (e->group != NULL)
		(void)json_object_set_new(o, "group", jsonx_name(e->group, strlen(e->group)));
	add_content(o, e);
	return o;
}

static void mode_text(const struct entry *e, char out[11])
{
	static const char bits[] = "rwxrwxrwx";
	out[0] = kinds[e->kind].letter;
	for (int i = 0; i < 9; i++)
		out[i + 1] = (e->mode & (0400u >> i)) != 0 ? bits[i] : '-';
	if ((e->mode & 04000) != 0)
		out[3] = out[3] == 'x' ? 's' : 'S';
	if ((e->mode & 02000) != 0)
		out[6] = out[6] == 'x' ? 's' : 'S';
	if ((e->mode & 01000) != 0)
		out[9] = out[9] == 'x' ? 't' : 'T';
	out[10] = '\0';
}

static void print_owner(struct console *c, const char *name, uint32_t id)
{
	char number[16];
	(void)snprintf(number, sizeof(number), "%u", id); /* fits */
	const char *text = name != NULL ? name : number;
	console_print_name(c, text, strlen(text));
	console_print(c, "%*s ", strlen(text) < 8 ? (int)(8 - strlen(text)) : 0, "");
}

void entry_show_line(
	struct console *c, const uint8_t *key, size_t key_len, const struct entry *e, bool is_long)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_MAX_BYTES);
	char when[ENTRY_SHOW_TIME_BYTES];
	char mode[11];
	if (entry_key_path(key, key_len, &path, NULL) != 0)
		return; /* out of memory: the next entry tells */
	if (is_long) {
		mode_text(e, mode);
		console_print(c, "%s ", mode);
		print_owner(c, e->user, e->uid);
		print_owner(c, e->group, e->gid);
		console_print(c, "%12llu %.19s ",
			(unsigned long long)(e->kind == ENTRY_FILE ? e->size : 0),
			entry_show_time(&e->mtime, when));
	}
	console_print_name(c, (const char *)path.data, path.len);
	if (is_long && e->kind == ENTRY_SYMLINK) {
		console_print(c, " -> ");
		console_print_name(c, (const char *)e->target, e->target_len);
	}
	console_print(c, "\n");
}
