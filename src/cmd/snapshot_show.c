#include "cmd/snapshot_show.h"

#include <string.h>

#include "base/escape.h"
#include "base/human.h"
#include "cmd/console.h"
#include "cmd/view.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "vault/snapshot.h"

#define COLUMN_MAX 60 /* a longer name moves its own line only */

static json_t *name_of(const char *text)
{
	return jsonx_name(text, strlen(text));
}

static json_t *list_of(char *const *texts, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list != NULL && i < count; i++)
		(void)json_array_append_new(list, name_of(texts[i])); /* short: no memory */
	return list;
}

static json_t *time_of(int64_t ns)
{
	char when[HUMAN_BYTES];
	return json_string(human_time_utc(when, ns));
}

json_t *snapshot_show_object(const struct snapshot *s)
{
	char id[VIEW_ID_BYTES];
	char brief[VIEW_SHORT_BYTES];
	const struct label *l = &s->label;
	view_id(s, id);
	memcpy(brief, id, sizeof(brief) - 1);
	brief[sizeof(brief) - 1] = '\0';
	json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:I, s:o, s:o}", "id", id, "short_id", brief,
		"source", name_of(l->source), "host", name_of(l->host), "seq",
		(json_int_t)s->record.seq, "time", time_of(s->body.receipt_ns), "paths",
		list_of(l->paths, l->path_count));
	json_t *more = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "tags",
		list_of(l->tags, l->tag_count), "files", (json_int_t)l->files, "dirs",
		(json_int_t)l->dirs, "others", (json_int_t)l->others, "bytes",
		(json_int_t)s->record.raw_bytes, "new_bytes", (json_int_t)l->new_bytes, "left_out",
		(json_int_t)l->left_out, "forked", (int)s->is_forked, "signer_known",
		(int)s->is_signer_known);
	if (o == NULL || more == NULL || json_object_update_new(o, more) != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static void add_hex(json_t *o, const char *name, const uint8_t *data, size_t len)
{
	char hex[129];
	text_hex(data, len, hex);
	(void)json_object_set_new(o, name, json_string(hex)); /* no memory: the field is missing */
}

void snapshot_show_record(json_t *o, const struct snapshot *s)
{
	const struct snaprec *r = &s->record;
	add_hex(o, "domain_id", r->domain_id, 16);
	add_hex(o, "agent_id", r->agent_id, 16);
	add_hex(o, "source_id", r->source_id, 16);
	add_hex(o, "previous", r->prev, 32);
	add_hex(o, "root_id", r->root_id, 32);
	add_hex(o, "root_commit", r->root_commit, 32);
	add_hex(o, "refs_root", r->refs_root, 32);
	add_hex(o, "signer", r->kid, 32);
	(void)json_object_set_new(o, "object", json_string(s->object));
	(void)json_object_set_new(o, "tool", name_of(s->label.tool));
	(void)json_object_set_new(o, "started", time_of(r->t_start_ns));
	(void)json_object_set_new(o, "ended", time_of(r->t_end_ns));
	(void)json_object_set_new(o, "references", json_integer((json_int_t)r->ref_count));
	(void)json_object_set_new(o, "config_epoch", json_integer((json_int_t)r->config_epoch));
	(void)json_object_set_new(o, "partial", json_boolean((r->flags & SNAPREC_PARTIAL) != 0));
	(void)json_object_set_new(o, "derived", json_boolean((r->flags & SNAPREC_DERIVED) != 0));
}

/* How many columns a name takes when shown: escapes count, further bytes of a character do not. */
static int width_of(const char *text)
{
	char safe[4 * LABEL_MAX_TEXT + 1];
	int width = 0;
	(void)escape_str(safe, sizeof(safe), text); /* there is room for every byte as \xHH */
	for (const char *c = safe; *c != '\0'; c++)
		width += ((unsigned char)*c & 0xc0) != 0x80;
	return width;
}

static void print_padded(struct console *c, const char *text, int width)
{
	int len = width_of(text);
	console_print_name(c, text, strlen(text));
	console_print(c, "%*s  ", len < width ? width - len : 0, "");
}

static void print_list(struct console *c, char *const *texts, size_t count, const char *between)
{
	for (size_t i = 0; i < count; i++) {
		console_print(c, "%s", i > 0 ? between : "");
		console_print_name(c, texts[i], strlen(texts[i]));
	}
}

static int wider(int width, const char *text)
{
	int len = width_of(text);
	return len <= width ? width : len < COLUMN_MAX ? len : COLUMN_MAX;
}

void snapshot_show_fit(struct snapshot_show_columns *columns, const struct snapshot *s)
{
	columns->source = wider(columns->source, s->label.source);
	columns->host = wider(columns->host, s->label.host);
}

void snapshot_show_head(struct console *c, const struct snapshot_show_columns *columns)
{
	console_print(c, "%-8s  %-26s  %-*s  %-*s  %10s  %10s  %s\n", "ID", "TIME", columns->source,
		"SOURCE", columns->host, "HOST", "FILES", "SIZE", "TAGS");
}

void snapshot_show_line(
	struct console *c, const struct snapshot_show_columns *columns, const struct snapshot *s)
{
	char id[VIEW_ID_BYTES];
	char when[HUMAN_BYTES];
	char size[HUMAN_BYTES];
	view_id(s, id);
	console_print(c, "%.8s  %-26s  ", id, human_time_local(when, s->body.receipt_ns));
	print_padded(c, s->label.source, columns->source);
	print_padded(c, s->label.host, columns->host);
	console_print(c, "%10llu  %10s  ", (unsigned long long)s->label.files,
		human_size(size, s->record.raw_bytes));
	print_list(c, s->label.tags, s->label.tag_count, ",");
	console_print(c, "%s%s\n", (s->record.flags & SNAPREC_PARTIAL) != 0 ? " PARTIAL" : "",
		s->is_forked ? " FORKED" : "");
}

static void print_hex(struct console *c, const char *name, const uint8_t *data, size_t len)
{
	char hex[129];
	text_hex(data, len, hex);
	console_print(c, "%-14s %s\n", name, hex);
}

static void print_text(struct console *c, const char *name, const char *text)
{
	console_print(c, "%-14s ", name);
	console_print_name(c, text, strlen(text));
	console_print(c, "\n");
}

/* One that repair or salvage made partial has no count. */
static void print_partial(struct console *c, uint64_t left_out)
{
	char names[HUMAN_BYTES] = "";
	if (left_out > 0)
		(void)snprintf(names, sizeof(names), "%llu name%s, ", (unsigned long long)left_out,
			left_out == 1 ? "" : "s"); /* fits */
	console_print(c, "%-14s PARTIAL: %swhat the backup could not read is left out\n", "content",
		names);
}

void snapshot_show_text(struct console *c, const struct snapshot *s)
{
	char when[HUMAN_BYTES];
	char size[HUMAN_BYTES];
	const struct snaprec *r = &s->record;
	const struct label *l = &s->label;
	print_hex(c, "id", s->hash, sizeof(s->hash));
	print_text(c, "source", l->source);
	print_text(c, "host", l->host);
	console_print(c, "%-14s ", "paths");
	print_list(c, l->paths, l->path_count, "\n               ");
	console_print(c, "\n%-14s ", "tags");
	print_list(c, l->tags, l->tag_count, ", ");
	console_print(c, "\n%-14s %llu of its source%s\n", "number", (unsigned long long)r->seq,
		s->is_forked ? " (FORKED: another snapshot has it too)" : "");
	console_print(c, "%-14s %s\n", "received", human_time_local(when, s->body.receipt_ns));
	console_print(c, "%-14s %s\n", "started", human_time_local(when, r->t_start_ns));
	console_print(c, "%-14s %s\n", "ended", human_time_local(when, r->t_end_ns));
	console_print(c, "%-14s %llu files, %llu directories, %llu others\n", "entries",
		(unsigned long long)l->files, (unsigned long long)l->dirs,
		(unsigned long long)l->others);
	if ((r->flags & SNAPREC_PARTIAL) != 0)
		print_partial(c, l->left_out);
	console_print(c, "%-14s %s", "size", human_size(size, r->raw_bytes));
	console_print(c, ", %s of it new in the vault\n", human_size(size, l->new_bytes));
	console_print(c, "%-14s %llu\n", "references", (unsigned long long)r->ref_count);
	print_text(c, "made by", l->tool);
	print_hex(c, "previous", r->prev, 32);
	print_hex(c, "agent", r->agent_id, 16);
	print_hex(c, "signer", r->kid, 32);
	print_hex(c, "root", r->root_id, 32);
	console_print(c, "%-14s %s\n", "signature",
		s->is_signer_known ? "checked" : "not checked: no readable config");
}
