#include "cmd/progress.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"

#define S INT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)

static int64_t now_ns;
static struct env_ops ops;
static FILE *shown; /* what standard error got */

static int64_t fake_mono(void)
{
	return now_ns;
}

static void setup(void)
{
	now_ns = 1000 * S;
	ops = *env_real();
	ops.mono_ns = fake_mono;
	env_swap(&ops);
	shown = tmpfile();
	cr_assert(shown != NULL);
	cr_assert(dup2(fileno(shown), STDERR_FILENO) == STDERR_FILENO);
}

static void teardown(void)
{
	env_swap(NULL);
	fclose(shown);
}

TestSuite(progress, .init = setup, .fini = teardown);

/* What was written since the last call. */
static const char *written(void)
{
	static char text[4096];
	static long at;
	fflush(stderr);
	fseek(shown, at, SEEK_SET);
	size_t n = fread(text, 1, sizeof(text) - 1, shown);
	text[n] = '\0';
	at = ftell(shown);
	return text;
}

static const char *line_of(const struct progress_state *s, double seconds, double speed)
{
	static char line[PROGRESS_LINE_BYTES];
	progress_format(s, seconds, speed, line);
	return line;
}

Test(progress, the_line_tells_items_bytes_speed_and_the_time_left)
{
	struct progress_state s = { .what = "files",
		.items = 1200,
		.bytes = 4096 * MIB,
		.total = 10240 * MIB,
		.new_bytes = 1024 * MIB,
		.has_new = true };
	cr_expect(eq(str, (char *)line_of(&s, 65, 63.0 * MIB),
		"[1:05] 40.0%  1,200 files 4.0 GiB of 10.0 GiB, 1.0 GiB new, 63.0 MiB/s, 1:37 "
		"left"));
	cr_expect(eq(str, (char *)line_of(&s, 2.5, 63.0 * MIB),
			  "[0:02] 40.0%  1,200 files 4.0 GiB of 10.0 GiB, 1.0 GiB new, 63.0 MiB/s"),
		"too early for an estimate");
	cr_expect(eq(str, (char *)line_of(&s, 4000, 1.0 * MIB),
		"[1:06:40] 40.0%  1,200 files 4.0 GiB of 10.0 GiB, 1.0 GiB new, 1.0 MiB/s, 1:42:24 "
		"left"));
	cr_expect(eq(str, (char *)line_of(&s, 4000, 0),
		"[1:06:40] 40.0%  1,200 files 4.0 GiB of 10.0 GiB, 1.0 GiB new, 0 B/s"));
	s.bytes = s.total + 1; /* it was an estimate */
	cr_expect(eq(str, (char *)line_of(&s, 10, 63.0 * MIB),
		"[0:10] 100.0%  1,200 files 10.0 GiB of 10.0 GiB, 1.0 GiB new, 63.0 MiB/s"));
}

Test(progress, what_is_not_known_is_not_told)
{
	struct progress_state s = { .what = "objects", .bytes = 5 * MIB };
	cr_expect(eq(str, (char *)line_of(&s, 0.5, 0), "[0:00]  5.0 MiB"));
	s.items = 3;
	cr_expect(eq(str, (char *)line_of(&s, 9, 1e6), "[0:09]  3 objects 5.0 MiB, 976.6 KiB/s"));
}

Test(progress, the_longest_line_fits)
{
	struct progress_state s = { .what = "objects",
		.items = UINT64_MAX,
		.bytes = UINT64_MAX - 1,
		.total = UINT64_MAX,
		.new_bytes = UINT64_MAX,
		.has_new = true };
	cr_expect(lt(sz, strlen(line_of(&s, 1e15, 1e18)), PROGRESS_LINE_BYTES - 1));
}

Test(progress, is_due_four_times_a_second)
{
	struct progress p;
	progress_init(&p, true, false);
	cr_expect(not(progress_is_due(&p)), "what is quick shows no line");
	now_ns += S / 4;
	cr_expect(progress_is_due(&p));
	cr_expect(not(progress_is_due(&p)));
	now_ns += S / 4 - 1;
	cr_expect(not(progress_is_due(&p)));
	now_ns += 1;
	cr_expect(progress_is_due(&p));
	cr_expect(ieee_ulp_eq(dbl, progress_seconds(&p), 0.5, 4));
}

Test(progress, is_off_without_a_terminal_unless_it_is_asked_for)
{
	struct progress p;
	const struct progress_state s = { .what = "files", .items = 1, .bytes = 1 };
	progress_init(&p, false, false);
	progress_draw(&p, &s);
	progress_clear(&p);
	progress_init(&p, true, true);
	progress_draw(&p, &s);
	progress_clear(&p);
	cr_expect(eq(str, (char *)written(), ""));
	progress_init(&p, true, false);
	progress_draw(&p, &s);
	cr_expect(eq(str, (char *)written(), "\r\033[K[0:00]  1 files 1 B"));
	progress_clear(&p);
	progress_clear(&p);
	cr_expect(eq(str, (char *)written(), "\r\033[K"), "taken away once");
}

Test(progress, the_speed_follows_what_happens_now)
{
	struct progress p;
	struct progress_state s = { .what = "files", .total = 1000 * MIB };
	progress_init(&p, true, false);
	for (int i = 0; i < 40; i++) { /* 10 s at 20 MiB/s */
		now_ns += S / 4;
		s.bytes += 5 * MIB;
		progress_draw(&p, &s);
	}
	cr_expect(ieee_ulp_eq(dbl, p.speed, 20.0 * MIB, 1000));
	for (int i = 0; i < 120; i++) { /* 30 s at 2 MiB/s: the average since the begin is 6.5 */
		now_ns += S / 4;
		s.bytes += MIB / 2;
		progress_draw(&p, &s);
	}
	cr_expect(p.speed > 2.0 * MIB && p.speed < 3.2 * MIB, "%f", p.speed / MIB);
	double before = p.speed;
	progress_draw(&p, &s); /* at the same moment */
	s.bytes = 0;           /* another part of the work begins */
	now_ns += S;
	progress_draw(&p, &s);
	cr_expect(ieee_ulp_eq(dbl, p.speed, before, 4));
}
