#include "agents/sources/path_filter.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

DEFINE_CLEANUP(struct path_filter *, path_filter_free)

TestSuite(path_filter);

static struct path_filter *make(void)
{
	struct path_filter *f = NULL;
	cr_assert(eq(int, path_filter_new(&f, NULL), 0));
	return f;
}

/* A path that ends with '/' is a directory's. */
static bool is_excluded(const struct path_filter *f, const char *path)
{
	size_t len = strlen(path);
	bool is_dir = len > 1 && path[len - 1] == '/';
	return path_filter_is_excluded(f, path, len - is_dir, is_dir);
}

struct row {
	const char *pattern;
	const char *path;
	bool is_match;
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(path_filter_free_p) struct path_filter *f = make();
		struct err err = ERR_INIT;
		cr_assert(eq(int, path_filter_add(f, rows[i].pattern, &err), 0), "%s", err.msg);
		cr_expect(is_excluded(f, rows[i].path) == rows[i].is_match, "'%s' and '%s'",
			rows[i].pattern, rows[i].path);
	}
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(path_filter, a_pattern_without_slash_matches_a_name_at_any_depth)
{
	static const struct row rows[] = {
		{ "core", "/core", true },
		{ "core", "/srv/a/core", true },
		{ "core", "/srv/a/core/", true },
		{ "core", "/srv/core/a", false }, /* the walk never asks: the directory is out */
		{ "core", "/srv/score", false },
		{ "core", "/srv/core2", false },
		{ "core", "/srv/Core", false },
		{ "*.log", "/var/x.log", true },
		{ "*.log", "/var/.log", true },
		{ "*.log", "/var/x.log.1", false },
		{ "*", "/a", true },
		{ ".*", "/a/.hidden", true },
		{ ".*", "/a/b", false },
		{ "...", "/a/...", true },
		{ " ", "/a/ ", true },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, a_leading_slash_anchors_a_pattern)
{
	static const struct row rows[] = {
		{ "/srv/tmp", "/srv/tmp", true },
		{ "/srv/tmp", "/x/srv/tmp", false },
		{ "/srv/tmp", "/srv/tmp/x", false },
		{ "/tmp", "/tmp", true },
		{ "/tmp", "/srv/tmp", false },
		{ "/*/tmp", "/srv/tmp", true },
		{ "/*/tmp", "/srv/a/tmp", false },
		{ "/srv/*", "/srv/a", true },
		{ "/srv/*", "/srv", false },
		{ "/srv/*", "/srv/a/b", false },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, a_slash_inside_matches_the_last_components)
{
	static const struct row rows[] = {
		{ "a/b", "/a/b", true },
		{ "a/b", "/x/y/a/b", true },
		{ "a/b", "/xa/b", false },
		{ "a/b", "/b", false },
		{ "a/b", "/a/b/c", false },
		{ "a/*/c", "/q/a/z/c", true },
		{ "a/*/c", "/q/a/z/z/c", false },
		{ "a/b/c/d/e", "/e", false },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, two_stars_match_any_number_of_directories)
{
	static const struct row rows[] = {
		{ "/a/**/z", "/a/z", true },
		{ "/a/**/z", "/a/b/z", true },
		{ "/a/**/z", "/a/b/c/d/z", true },
		{ "/a/**/z", "/b/z", false },
		{ "/a/**/z", "/a/b/z/y", false },
		{ "/a/**", "/a/b", true },
		{ "/a/**", "/a/b/c", true },
		{ "/a/**", "/a", false },
		{ "**", "/a", true },
		{ "/**", "/a/b", true },
		{ "**/z", "/z", true },
		{ "**/z", "/a/b/z", true },
		{ "**/**/z", "/a/z", true },
		{ "a/**/b/**/c", "/x/a/b/c", true },
		{ "a/**/b/**/c", "/x/a/1/b/2/3/c", true },
		{ "a/**/b/**/c", "/x/a/1/2/3/c", false },
		{ "a/**/b", "/a/x/a/y/b", true },
		{ "a**b", "/axxb", true },
		{ "a**b", "/a/b", false },
		{ "***", "/abc", true },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, a_trailing_slash_matches_only_directories)
{
	static const struct row rows[] = {
		{ "cache/", "/a/cache/", true },
		{ "cache/", "/a/cache", false },
		{ "/a/cache/", "/a/cache/", true },
		{ "/a/cache/", "/a/cache", false },
		{ "a/**/", "/a/b/", true },
		{ "a/**/", "/a/b", false },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, sets_and_questions_match_one_character)
{
	static const struct row rows[] = {
		{ "a?c", "/abc", true },
		{ "a?c", "/ac", false },
		{ "a?c", "/abbc", false },
		{ "a?c",
			"/a\xc3\xa4"
			"c",
			true }, /* two bytes, one character */
		{ "a?c",
			"/a\xff"
			"c",
			true },
		{ "a?c",
			"/a\xff\xfe"
			"c",
			false },
		{ "[abc]x", "/bx", true },
		{ "[abc]x", "/dx", false },
		{ "[a-c0-9]", "/7", true },
		{ "[a-c0-9]", "/d", false },
		{ "[!a-c]", "/d", true },
		{ "[!a-c]", "/b", false },
		{ "[^a-c]", "/b", false },
		{ "[]]", "/]", true },
		{ "[!]]", "/]", false },
		{ "[a-]", "/-", true },
		{ "[\\]]", "/]", true },
		{ "[\\!a]", "/!", true },
		{ "[\xc3\xa0-\xc3\xbc]", "/\xc3\xa4", true },
		{ "[\xc3\xa0-\xc3\xbc]", "/\xc3", false },
		{ "[\xff]", "/\xff", true },
		{ "[!a]", "/\xff", true },
		{ "*[0-9]", "/file10", true },
		{ "*[0-9]", "/file1x", false },
		{ "?", "/\xe2\x82\xac", true },
		{ "??", "/\xe2\x82", true }, /* cut: two bytes that are no character */
		{ "???", "/\xc0\xaf\x80", true },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, a_backslash_makes_a_character_plain)
{
	static const struct row rows[] = {
		{ "\\*", "/*", true },
		{ "\\*", "/x", false },
		{ "\\?", "/?", true },
		{ "\\[a]", "/[a]", true },
		{ "\\!x", "/!x", true },
		{ "\\#x", "/#x", true },
		{ "a\\\\b", "/a\\b", true },
		{ "\\a", "/a", true },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, stars_of_any_number_are_matched_in_short_time)
{
	static const struct row rows[] = {
		{ "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
			"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			false },
		{ "*a*b*c*", "/xaxbxcx", true },
		{ "*a*b*c*", "/xaxcxbx", false },
		{ "*ab", "/aab", true },
		{ "*.tar.*z", "/x.tar.tar.gz", true },
	};
	check(rows, COUNT(rows));
}

Test(path_filter, the_last_match_decides)
{
	CLEANUP(path_filter_free_p) struct path_filter *f = make();
	cr_assert(eq(int, path_filter_add(f, "/data/*", NULL), 0));
	cr_assert(eq(int, path_filter_add(f, "!/data/keep", NULL), 0));
	cr_assert(eq(int, path_filter_add(f, "*.tmp", NULL), 0));
	cr_assert(eq(int, path_filter_add(f, "!!odd.tmp", NULL), 0));
	cr_expect(is_excluded(f, "/data/x"));
	cr_expect(not(is_excluded(f, "/data/keep/")));
	cr_expect(not(is_excluded(f, "/data/keep/y")));
	cr_expect(is_excluded(f, "/data/keep/y.tmp"));
	/* only the first '!' takes in again */
	cr_expect(not(is_excluded(f, "/data/!odd.tmp")));
	cr_expect(is_excluded(f, "/data/odd.tmp"));
}

Test(path_filter, nothing_is_excluded_without_patterns)
{
	CLEANUP(path_filter_free_p) struct path_filter *f = make();
	cr_expect(not(is_excluded(f, "/a")));
	cr_expect(not(is_excluded(NULL, "/a")));
	cr_assert(eq(int, path_filter_add(f, "**", NULL), 0));
	cr_expect(not(is_excluded(f, "/")));
}

Test(path_filter, what_is_no_pattern_is_refused_and_named)
{
	static const struct {
		const char *pattern, *why;
	} rows[] = {
		{ "", "it names nothing" },
		{ "/", "it names nothing" },
		{ "!", "it names nothing" },
		{ "//", "it names nothing" },
		{ "a//b", "'//' names nothing" },
		{ "//a", "'//' names nothing" },
		{ "./a", "'.' and '..' are no names" },
		{ "a/..", "'.' and '..' are no names" },
		{ "[a", "'[' begins no set of characters; write '[[]' for" },
		{ "[", "'[' begins no set" },
		{ "[]", "'[' begins no set" },
		{ "[!]", "'[' begins no set" },
		{ "[z-a]", "'[' begins no set" },
		{ "[[:digit:]]", "'[' begins no set" },
		{ "[a/b]", "'[' begins no set" },
		{ "a\\", "a backslash stands before nothing" },
		{ "a\\/b", "a backslash stands before nothing" },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(path_filter_free_p) struct path_filter *f = make();
		struct err err = ERR_INIT;
		cr_expect(eq(int, path_filter_add(f, rows[i].pattern, &err), -ERR_USAGE), "'%s'",
			rows[i].pattern);
		cr_expect(
			strstr(err.msg, rows[i].why) != NULL, "'%s': %s", rows[i].pattern, err.msg);
		cr_expect(strstr(err.msg, "unable to use the pattern '") == err.msg, "%s", err.msg);
		cr_expect(not(is_excluded(f, "/a")));
	}
}

Test(path_filter, a_pattern_too_long_is_refused)
{
	static char pattern[PATH_FILTER_MAX_PATTERN_BYTES + 2];
	CLEANUP(path_filter_free_p) struct path_filter *f = make();
	memset(pattern, 'x', sizeof(pattern) - 1);
	cr_expect(eq(int, path_filter_add(f, pattern, NULL), -ERR_LIMIT));
	pattern[sizeof(pattern) - 2] = '\0';
	cr_expect(eq(int, path_filter_add(f, pattern, NULL), 0));
}

Test(path_filter, a_file_of_patterns_has_one_a_line)
{
	static const char text[] = "\xef\xbb\xbf# comment\n"
				   "\n"
				   "*.tmp  \t\r\n"
				   "   \n"
				   "!keep.tmp\r\n"
				   "blank\\ \n"
				   "\\#hash\n"
				   "#x\n"
				   "/last";
	CLEANUP(path_filter_free_p) struct path_filter *f = make();
	struct err err = ERR_INIT;
	cr_assert(eq(int, path_filter_add_text(f, text, sizeof(text) - 1, &err), 0), "%s", err.msg);
	cr_expect(is_excluded(f, "/a/x.tmp"));
	cr_expect(not(is_excluded(f, "/a/keep.tmp")));
	cr_expect(is_excluded(f, "/blank "));
	cr_expect(not(is_excluded(f, "/blank")));
	cr_expect(is_excluded(f, "/#hash"));
	cr_expect(not(is_excluded(f, "/#x")));
	cr_expect(not(is_excluded(f, "/   ")));
	cr_expect(is_excluded(f, "/last"));
	cr_expect(eq(int, path_filter_add_text(f, "", 0, NULL), 0));
}

Test(path_filter, an_error_in_a_file_names_the_line)
{
	CLEANUP(path_filter_free_p) struct path_filter *f = make();
	struct err err = ERR_INIT;
	cr_expect(eq(int, path_filter_add_text(f, "a\n\n[b\nc", 7, &err), -ERR_USAGE));
	cr_expect(strncmp(err.msg, "line 3: unable to use the pattern '[b': ", 40) == 0, "%s",
		err.msg);
	cr_expect(eq(int, path_filter_add_text(f, "a\0b", 3, &err), -ERR_USAGE));
	cr_expect(strstr(err.msg, "zero byte") != NULL, "%s", err.msg);
}
