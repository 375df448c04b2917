#include "cmd/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/cli_options.h"
#include "conf/conf_suggest.h"

/*
 * INVARIANTS
 * (1) Every value in values fits the row it points to.
 * (2) A word that begins with '-' is an option anywhere before "--"; "-" alone is an argument.
 */

#define USAGE_MAX_BYTES (ERR_MSG_BYTES - 1)

struct parse {
	struct cli *cli;
	const struct cli_option *tables[CLI_MAX_TABLES];
	size_t table_count;
	int argc;
	const char *const *argv;
	int at;              /* the next word */
	struct buf problems; /* joined by "; " */
	bool is_out_of_memory;
};

__attribute__((format(printf, 2, 3))) static void complain(struct parse *p, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine: the start says it */
	va_end(ap);
	if (p->problems.len > 0)
		(void)buf_add(&p->problems, "; ", 2, NULL);    /* full: the first ones are told */
	(void)buf_add(&p->problems, text, strlen(text), NULL); /* as above */
}

size_t cli_tables(const struct cli_verb *verb, const struct cli_option *tables[CLI_MAX_TABLES])
{
	size_t n = 0;
	if (verb != NULL && verb->options != NULL)
		tables[n++] = verb->options;
	if (verb != NULL && (verb->groups & CLI_VAULT) != 0)
		tables[n++] = cli_options_vault;
	if (verb != NULL && (verb->groups & CLI_SERVER) != 0)
		tables[n++] = cli_options_server;
	if (verb != NULL && (verb->groups & CLI_CONTENT) != 0)
		tables[n++] = cli_options_content;
	if (verb != NULL && (verb->groups & (CLI_CONTENT | CLI_PASS)) != 0)
		tables[n++] = cli_options_pass;
	tables[n++] = cli_options_common;
	return n;
}

static size_t count_words(const char *name)
{
	return strchr(name, ' ') == NULL ? 1 : 2;
}

static bool is_verb(const char *name, const char *const *words, size_t count)
{
	size_t first = strcspn(name, " ");
	if (strlen(words[0]) != first || strncmp(name, words[0], first) != 0)
		return false;
	return name[first] == '\0' || (count > 1 && strcmp(name + first + 1, words[1]) == 0);
}

const struct cli_verb *cli_find(
	const struct cli_verb *const *verbs, const char *const *words, size_t count, size_t *taken)
{
	for (size_t i = 0; count > 0 && verbs[i] != NULL; i++) {
		if (!is_verb(verbs[i]->name, words, count))
			continue;
		*taken = count_words(verbs[i]->name);
		return verbs[i];
	}
	return NULL;
}

static const struct cli_option *find_long(const struct parse *p, const char *name, size_t len)
{
	for (size_t t = 0; t < p->table_count; t++) {
		for (const struct cli_option *o = p->tables[t]; o->name != NULL; o++) {
			if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
				return o;
		}
	}
	return NULL;
}

static const struct cli_option *find_letter(const struct parse *p, char letter)
{
	for (size_t t = 0; t < p->table_count; t++) {
		for (const struct cli_option *o = p->tables[t]; o->name != NULL; o++) {
			if (o->letter == letter)
				return o;
		}
	}
	return NULL;
}

static void complain_unknown(struct parse *p, const char *name, size_t len)
{
	char word[64];
	const char *best = NULL;
	size_t least = SIZE_MAX;
	(void)snprintf(word, sizeof(word), "%.*s", (int)(len > 60 ? 60 : len), name); /* cut */
	for (size_t t = 0; t < p->table_count; t++) {
		for (const struct cli_option *o = p->tables[t]; o->name != NULL; o++) {
			size_t distance = conf_suggest_distance(word, o->name);
			if (conf_suggest_is_near(word, o->name) && distance < least) {
				least = distance;
				best = o->name;
			}
		}
	}
	if (best != NULL)
		complain(p, "unknown option '--%s' (did you mean '--%s'?)", word, best);
	else
		complain(p, "unknown option '--%s'", word);
}

/* Check ${text} against the row and store its number. */
static bool read_number(
	struct parse *p, const struct cli_option *o, const char *text, int64_t *number)
{
	uint64_t size;
	char *end = NULL;
	switch (o->kind) {
	case CLI_COUNT:
		*number = strtoll(text, &end, 10);
		if (*text >= '1' && *text <= '9' && *end == '\0' && *number < INT64_C(1000000000))
			return true;
		complain(p, "--%s wants a number from 1, not '%s'", o->name, text);
		return false;
	case CLI_SIZE:
		if (human_parse_size(text, &size) == 0 && size <= INT64_MAX) {
			*number = (int64_t)size;
			return true;
		}
		complain(p, "--%s wants a size such as 64MiB, not '%s'", o->name, text);
		return false;
	case CLI_WORD:
		for (size_t i = 0; o->words[i] != NULL; i++) {
			if (strcmp(o->words[i], text) == 0) {
				*number = (int64_t)i;
				return true;
			}
		}
		complain(p, "--%s wants %s, not '%s'", o->name, o->argument, text);
		return false;
	case CLI_TEXT:
		if (*text != '\0')
			return true;
		complain(p, "--%s is empty", o->name);
		return false;
	case CLI_SWITCH:
		return true;
	}
	return false;
}

static void add_value(struct parse *p, const struct cli_option *o, const char *text)
{
	struct cli *cli = p->cli;
	struct cli_value value = { .option = o, .text = text };
	if (text != NULL && !read_number(p, o, text, &value.number))
		return;
	if (!o->is_many && o->kind != CLI_SWITCH && cli_is_set(cli, o->name)) {
		complain(p, "--%s is given twice", o->name);
		return;
	}
	if (cli->value_count == cli->value_cap) {
		size_t cap = cli->value_cap == 0 ? 16 : cli->value_cap * 2;
		struct cli_value *grown = cap > CLI_MAX_VALUES
						  ? NULL
						  : reallocarray(cli->values, cap, sizeof(*grown));
		if (grown == NULL) {
			p->is_out_of_memory = true;
			return;
		}
		cli->values = grown;
		cli->value_cap = cap;
	}
	cli->values[cli->value_count++] = value;
}

static void parse_long(struct parse *p, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const char *text = name[len] == '=' ? name + len + 1 : NULL;
	const struct cli_option *o = find_long(p, name, len);
	if (o == NULL) {
		complain_unknown(p, name, len);
		return;
	}
	if (o->kind == CLI_SWITCH && text != NULL) {
		complain(p, "--%s takes no argument", o->name);
		return;
	}
	if (o->kind != CLI_SWITCH && text == NULL) {
		if (p->at == p->argc) {
			complain(p, "--%s wants an argument: %s", o->name, o->argument);
			return;
		}
		text = p->argv[p->at++];
	}
	add_value(p, o, text);
}

static void parse_letters(struct parse *p, const char *word)
{
	for (const char *c = word + 1; *c != '\0'; c++) {
		const struct cli_option *o = find_letter(p, *c);
		if (o == NULL) {
			complain(p, "unknown option '-%c'", *c);
			return;
		}
		if (o->kind == CLI_SWITCH) {
			add_value(p, o, NULL);
			continue;
		}
		const char *text = c[1] != '\0' ? c + 1 : NULL;
		if (text == NULL && p->at < p->argc)
			text = p->argv[p->at++];
		if (text == NULL)
			complain(p, "-%c wants an argument: %s", *c, o->argument);
		else
			add_value(p, o, text);
		return;
	}
}

static void parse_words(struct parse *p)
{
	bool is_over = false;
	while (p->at < p->argc) {
		const char *word = p->argv[p->at++];
		if (is_over || word[0] != '-' || word[1] == '\0')
			p->cli->args[p->cli->arg_count++] = word;
		else if (strcmp(word, "--") == 0)
			is_over = true;
		else if (word[1] == '-')
			parse_long(p, word);
		else
			parse_letters(p, word);
	}
}

/*
 * The verb is the first one or two words that are no options.  Options may stand before it; then
 * their arguments must be recognised, so every verb's rows are asked.
 */
static bool takes_next(const struct cli_verb *const *verbs, const char *word)
{
	const char *name = word + 2;
	if (word[1] != '-' || strchr(word, '=') != NULL)
		return false;
	for (size_t i = 0; verbs[i] != NULL; i++) {
		struct parse p = { .table_count = 0 };
		p.table_count = cli_tables(verbs[i], p.tables);
		const struct cli_option *o = find_long(&p, name, strlen(name));
		if (o != NULL)
			return o->kind != CLI_SWITCH;
	}
	return false;
}

static size_t find_words(const struct cli_verb *const *verbs, int argc, const char *const *argv,
	const char *words[2])
{
	size_t count = 0;
	for (int i = 1; i < argc && count < 2; i++) {
		if (strcmp(argv[i], "--") == 0)
			break;
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			i += takes_next(verbs, argv[i]);
		else
			words[count++] = argv[i];
	}
	return count;
}

/* The second words of the verbs that begin with ${first}, as "a, b". */
static void list_family(const struct cli_verb *const *verbs, const char *first, struct buf *out)
{
	size_t len = strlen(first);
	for (size_t i = 0; verbs[i] != NULL; i++) {
		const char *name = verbs[i]->name;
		if (strncmp(name, first, len) != 0 || name[len] != ' ')
			continue;
		(void)buf_addf(out, NULL, "%s%s", out->len > 0 ? ", " : "",
			name + len + 1); /* cut is fine */
	}
}

static const char *nearest_verb(const struct cli_verb *const *verbs, const char *said)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; verbs[i] != NULL; i++) {
		size_t distance = conf_suggest_distance(said, verbs[i]->name);
		if (conf_suggest_is_near(said, verbs[i]->name) && distance < least) {
			least = distance;
			best = verbs[i]->name;
		}
	}
	return best;
}

static void complain_verb(struct parse *p, const char *const *words, size_t count)
{
	char whole[128];
	CLEANUP(buf_done) struct buf family = BUF_INIT(256);
	list_family(p->cli->verbs, words[0], &family);
	(void)snprintf(whole, sizeof(whole), "%s%s%s", words[0],
		family.len > 0 && count > 1 ? " " : "",
		family.len > 0 && count > 1 ? words[1] : ""); /* cut is fine */
	const char *best = nearest_verb(p->cli->verbs, whole);
	const char *seconds = buf_cstr(&family);
	if (family.len > 0 && count == 1)
		complain(p, "'%s' wants a second word: %s", words[0], seconds);
	else if (best != NULL)
		complain(p, "unknown verb '%s' (did you mean '%s'?)", whole, best);
	else
		complain(p, "unknown verb '%s'", whole);
}

static void check_args(struct parse *p, size_t taken)
{
	struct cli *cli = p->cli;
	const struct cli_verb *verb = cli->verb;
	if (taken > cli->arg_count)
		taken = cli->arg_count; /* the verb stood behind "--" */
	cli->arg_count -= taken;
	memmove(cli->args, cli->args + taken, cli->arg_count * sizeof(*cli->args));
	if (cli->wants_help)
		return;
	if (cli->arg_count < verb->min_args)
		complain(p, "'%s' wants %s", verb->name, verb->arguments);
	else if (cli->arg_count > verb->max_args)
		complain(p, "'%s' takes no argument '%s'", verb->name, cli->args[verb->max_args]);
}

static int verdict(struct parse *p, const struct cli_verb *verb, struct err *err)
{
	if (p->is_out_of_memory)
		return err_set(err, ERR_NOMEM, "out of memory");
	const char *text = buf_cstr(&p->problems);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	err_set(err, ERR_USAGE, "%s", text);
	if (verb != NULL)
		return err_hint(err, "see 'holdfast %s --help'", verb->name);
	return err_hint(err, "see 'holdfast help'");
}

int cli_parse(struct cli *cli, const struct cli_verb *const *verbs, int argc,
	const char *const *argv, struct err *err)
{
	struct parse p = { .cli = cli,
		.argc = argc,
		.argv = argv,
		.at = 1,
		.problems = BUF_INIT(USAGE_MAX_BYTES) };
	const char *words[2] = { NULL, NULL };
	size_t taken = 0;
	console_init(&cli->console);
	cli->verbs = verbs;
	cli->args = calloc((size_t)argc + 1, sizeof(*cli->args));
	if (cli->args == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	size_t count = find_words(verbs, argc, argv, words);
	cli->verb = cli_find(verbs, words, count, &taken);
	p.table_count = cli_tables(cli->verb, p.tables);
	for (int i = 1; i < argc && cli->verb == NULL; i++)
		cli->wants_version |= strcmp(argv[i], "--version") == 0;
	if (cli->verb == NULL && count > 0)
		complain_verb(&p, words, count);
	if (cli->verb != NULL || (count == 0 && !cli->wants_version))
		parse_words(&p);
	cli->wants_help = cli_is_set(cli, "help");
	cli->console.is_json = cli_is_set(cli, "json");
	if (cli->verb != NULL)
		check_args(&p, taken);
	else
		for (int i = 1; i < argc; i++)
			cli->console.is_json |= strcmp(argv[i], "--json") == 0;
	int rc = p.problems.len == 0 && !p.is_out_of_memory ? 0 : verdict(&p, cli->verb, err);
	buf_done(&p.problems);
	return rc;
}

void cli_done(struct cli *cli)
{
	free(cli->values);
	free(cli->args);
	cli->values = NULL;
	cli->args = NULL;
}

bool cli_is_set(const struct cli *cli, const char *name)
{
	for (size_t i = 0; i < cli->value_count; i++) {
		if (strcmp(cli->values[i].option->name, name) == 0)
			return true;
	}
	return false;
}

static const struct cli_value *last_value(const struct cli *cli, const char *name)
{
	for (size_t i = cli->value_count; i > 0; i--) {
		if (strcmp(cli->values[i - 1].option->name, name) == 0)
			return &cli->values[i - 1];
	}
	return NULL;
}

const char *cli_text(const struct cli *cli, const char *name)
{
	const struct cli_value *value = last_value(cli, name);
	if (value != NULL)
		return value->text;
	struct parse p = { .table_count = 0 };
	p.table_count = cli_tables(cli->verb, p.tables);
	const struct cli_option *o = find_long(&p, name, strlen(name));
	const char *text = o != NULL && o->env != NULL ? getenv(o->env) : NULL;
	return text != NULL && *text != '\0' ? text : NULL;
}

int64_t cli_number(const struct cli *cli, const char *name, int64_t other)
{
	const struct cli_value *value = last_value(cli, name);
	return value == NULL ? other : value->number;
}

const char *cli_nth(const struct cli *cli, const char *name, size_t nth)
{
	for (size_t i = 0; i < cli->value_count; i++) {
		if (strcmp(cli->values[i].option->name, name) == 0 && nth-- == 0)
			return cli->values[i].text;
	}
	return NULL;
}
