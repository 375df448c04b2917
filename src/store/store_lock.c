#include "store/store_lock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/human.h"

static const char *const words[] = { "", "GOVERNANCE", "COMPLIANCE" };

int64_t store_lock_step(const struct store_lock *l)
{
	return l->keep_ns < STORE_LOCK_STEP_MAX_NS ? l->keep_ns : STORE_LOCK_STEP_MAX_NS;
}

int64_t store_lock_until(const struct store_lock *l, int64_t now_ns)
{
	return store_lock_least(l, now_ns) + store_lock_step(l);
}

int64_t store_lock_least(const struct store_lock *l, int64_t now_ns)
{
	return now_ns + l->keep_ns;
}

bool store_lock_is_equal(const struct store_lock *a, const struct store_lock *b)
{
	return a->mode == b->mode && a->keep_ns == b->keep_ns;
}

const char *store_lock_word(enum store_lock_mode mode)
{
	return words[mode];
}

enum store_lock_mode store_lock_mode_of(const char *word)
{
	return strcasecmp(word, words[STORE_LOCK_COMPLIANCE]) == 0   ? STORE_LOCK_COMPLIANCE
	       : strcasecmp(word, words[STORE_LOCK_GOVERNANCE]) == 0 ? STORE_LOCK_GOVERNANCE
								     : STORE_LOCK_NONE;
}

static int refuse(const char *text, const char *why, struct err *err)
{
	(void)err_set(err, ERR_USAGE, "'%s' is no lock: %s", text, why);
	return err_hint(err, "it is written compliance:30d, governance:12h or off");
}

int store_lock_parse(const char *text, struct store_lock *out, struct err *err)
{
	char word[16];
	struct store_lock l = { .mode = STORE_LOCK_NONE };
	if (strcmp(text, "off") == 0) {
		*out = l;
		return 0;
	}
	size_t n = strcspn(text, ":");
	if (n >= sizeof(word) || text[n] != ':')
		return refuse(text, "a mode, a colon, a duration", err);
	memcpy(word, text, n);
	word[n] = '\0';
	l.mode = store_lock_mode_of(word);
	if (l.mode == STORE_LOCK_NONE)
		return refuse(text, "the mode is compliance or governance", err);
	if (human_parse_duration(text + n + 1, &l.keep_ns) != 0)
		return refuse(text, "behind the colon stands a duration", err);
	if (l.keep_ns < STORE_LOCK_MIN_NS || l.keep_ns > STORE_LOCK_MAX_NS)
		return refuse(text, "the time is at least a minute and at most 100 years", err);
	*out = l;
	return 0;
}

const char *store_lock_format(const struct store_lock *l, char out[STORE_LOCK_TEXT_BYTES])
{
	if (l->mode == STORE_LOCK_NONE)
		(void)snprintf(out, STORE_LOCK_TEXT_BYTES, "off"); /* fits */
	else
		(void)snprintf(out, STORE_LOCK_TEXT_BYTES, "%s:%llds",
			l->mode == STORE_LOCK_COMPLIANCE ? "compliance" : "governance",
			(long long)(l->keep_ns / 1000000000)); /* fits */
	return out;
}
