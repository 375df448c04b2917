#include "restore/report_svg.h"

#include "restore/report.h"
#include "restore/report_markup.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) Every coordinate written lies inside the view box.
 * (2) Time 0 of the axis is T0 of the exercise.
 */

#define LEFT 150.0   /* where time begins */
#define RIGHT 962.0  /* where it ends */
#define WIDTH 1000.0 /* of the view box */
#define TOP 34.0
#define ROW 52.0
#define BAR_H 26.0
#define BAR_TOP 16.0 /* within a row; the objective's name stands above */
#define THIN_H 6.0   /* of what is no work on the system: waiting, and all that follows T6 */
#define MIN_W 2.0    /* what is there is seen */
#define NAME_W 58.0  /* a block this wide carries its name */
#define LAST (REPORT_T_COUNT - 1) /* the phase that ends with the drill */
#define TICKS_MAX 8
#define NAME_CHARS 18

/* How ms become x. */
struct axis {
	int64_t origin;
	int64_t span; /* > 0 */
};

static double x_at(const struct axis *a, int64_t ms)
{
	double part = (double)(ms - a->origin) / (double)a->span;
	part = part < 0 ? 0 : part > 1 ? 1 : part;
	return LEFT + part * (RIGHT - LEFT);
}

/* The whole drill, and the objectives when they are not far off. */
static struct axis make_axis(const struct report *r)
{
	struct axis a = { .origin = r->exercise.t_declared, .span = 0 };
	int64_t far = 0;
	if (a.origin == REPORT_NONE)
		a.origin = 0;
	if (r->exercise.ended != REPORT_NONE)
		a.span = r->exercise.ended - a.origin;
	for (size_t i = 0; i < r->systems_count; i++) {
		int64_t t[REPORT_T_COUNT];
		report_times(&r->systems[i]->timings, t);
		for (size_t k = 0; k < REPORT_T_COUNT; k++) {
			if (t[k] != REPORT_NONE && t[k] - a.origin > a.span)
				a.span = t[k] - a.origin;
		}
		if (r->systems[i]->rto_ms > far)
			far = r->systems[i]->rto_ms;
	}
	if (far > a.span && far / 2 <= a.span)
		a.span = far;
	a.span += a.span / 50;
	if (a.span <= 0)
		a.span = 1000;
	return a;
}

static void draw_ticks(const struct axis *a, double bottom, struct report_markup *m)
{
	static const int64_t steps_ms[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000,
		10000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000,
		7200000, 14400000, 28800000, 86400000, 172800000, 604800000 };
	size_t i = 0;
	while (i + 1 < sizeof(steps_ms) / sizeof(steps_ms[0]) && a->span / steps_ms[i] >= TICKS_MAX)
		i++;
	int64_t step = steps_ms[i];
	if (a->span / step > TICKS_MAX)
		step = a->span / TICKS_MAX;
	for (int64_t t = 0; t <= a->span; t += step) {
		double x = x_at(a, a->origin + t);
		char text[REPORT_WORDS_BYTES];
		report_markup_rawf(m,
			"<line class=\"grid\" x1=\"%.1f\" y1=\"24\" x2=\"%.1f\" "
			"y2=\"%.1f\"/>",
			x, x, bottom);
		report_markup_rawf(m,
			"<text class=\"tick\" x=\"%.1f\" y=\"16\" "
			"text-anchor=\"middle\">",
			x);
		report_markup_text(m, t == 0 ? "T0" : report_words_duration(text, t));
		report_markup_raw(m, "</text>\n");
	}
}

static void draw_name(const char *name, double y, struct report_markup *m)
{
	char shown[NAME_CHARS * 4 + 8];
	size_t chars = 0, used = 0;
	for (; name[used] != '\0'; used++) {
		bool starts = ((unsigned char)name[used] & 0xc0) != 0x80;
		if (starts && chars++ == NAME_CHARS)
			break;
		shown[used] = name[used];
	}
	shown[used] = '\0';
	report_markup_rawf(m, "<text class=\"name\" x=\"4\" y=\"%.1f\">", y);
	report_markup_text(m, shown);
	report_markup_raw(m, name[used] != '\0' ? "…</text>\n" : "</text>\n");
}

static void draw_block(const struct axis *a, size_t phase, int64_t from, int64_t to, double y,
	struct report_markup *m)
{
	double x = x_at(a, from);
	double w = x_at(a, to) - x;
	if (w < MIN_W)
		w = MIN_W;
	if (x + w > WIDTH)
		x = WIDTH - w;
	report_markup_rawf(m,
		"<rect class=\"p%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
		"rx=\"2\"><title>T%zu ",
		phase, x, phase == LAST ? y + (BAR_H - THIN_H) / 2 : y, w,
		phase == LAST ? THIN_H : BAR_H, phase);
	report_markup_text(m, report_words_phase((unsigned)phase));
	report_markup_raw(m, ": ");
	report_markup_duration(m, to - from);
	report_markup_raw(m, "</title></rect>");
	if (w >= NAME_W && phase != 2 && phase != LAST) {
		report_markup_rawf(m,
			"<text class=\"in\" x=\"%.1f\" y=\"%.1f\" "
			"text-anchor=\"middle\">",
			x + w / 2, y + BAR_H - 8.5);
		report_markup_text(m, report_words_phase((unsigned)phase));
		report_markup_raw(m, "</text>");
	}
	report_markup_raw(m, "\n");
}

/* Between T3 and the first step other systems were restored: that is no restoring of this one. */
static int64_t waited_until(const struct report_system *s, int64_t from, int64_t to)
{
	int64_t first = to;
	for (size_t i = 0; i < s->steps_count; i++) {
		int64_t started = s->steps[i]->started;
		if (started != REPORT_NONE && started < first)
			first = started;
	}
	return s->steps_count > 0 && first > from && first < to ? first : from;
}

static void draw_wait(
	const struct axis *a, int64_t from, int64_t to, double y, struct report_markup *m)
{
	double x = x_at(a, from), w = x_at(a, to) - x;
	if (w < MIN_W)
		return;
	report_markup_rawf(m,
		"<rect class=\"wait\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
		"rx=\"2\"><title>waiting for its turn: ",
		x, y + (BAR_H - THIN_H) / 2, w, THIN_H);
	report_markup_duration(m, to - from);
	report_markup_raw(m, "</title></rect>");
	if (w >= NAME_W * 2)
		report_markup_rawf(m,
			"<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
			"waiting for its turn</text>",
			x + w / 2, y + 5);
	report_markup_raw(m, "\n");
}

/* How long it took, behind the last block of the recovery. */
static void draw_recovered(
	const struct axis *a, const struct report_system *s, double y, struct report_markup *m)
{
	double x = x_at(a, s->timings.t_verified);
	if (s->result.rta_total_ms == REPORT_NONE || x > RIGHT - NAME_W * 2)
		return;
	report_markup_rawf(
		m, "<text class=\"done\" x=\"%.1f\" y=\"%.1f\">recovered after ", x + 6, y + 6);
	report_markup_duration(m, s->result.rta_total_ms);
	report_markup_raw(m, "</text>\n");
}

/* The time after the last phase that was reached. */
static void draw_lost(
	const struct axis *a, int64_t from, int64_t to, double y, struct report_markup *m)
{
	double x = x_at(a, from), w = x_at(a, to) - x;
	if (w < MIN_W)
		return;
	report_markup_rawf(m,
		"<rect class=\"lost\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
		"height=\"%.0f\" rx=\"2\"/>",
		x, y, w, BAR_H);
	if (w >= NAME_W * 2)
		report_markup_rawf(m,
			"<text class=\"lost-in\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
			"not recovered</text>\n",
			x + w / 2, y + BAR_H - 8.5);
}

static void draw_objective(
	const struct axis *a, const struct report_system *s, double y, struct report_markup *m)
{
	if (s->rto_ms == REPORT_NONE)
		return;
	bool is_inside = s->rto_ms <= a->span;
	double x = is_inside ? x_at(a, a->origin + s->rto_ms) : RIGHT;
	bool is_left = x > LEFT + 120;
	if (is_inside)
		report_markup_rawf(m,
			"<line class=\"rto\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
			"y2=\"%.1f\"/>",
			x, y + 2, x, y + BAR_TOP + BAR_H + 4);
	report_markup_rawf(m,
		"<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
		"text-anchor=\"%s\">RTO ",
		is_inside ? "rto-name" : "rto-far", x + (is_left ? -5 : 5), y + 12,
		is_left ? "end" : "start");
	report_markup_duration(m, s->rto_ms);
	report_markup_raw(m, is_inside ? "</text>\n" : " →</text>\n");
}

static void draw_row(
	const struct report *r, const struct axis *a, size_t row, struct report_markup *m)
{
	const struct report_system *s = r->systems[row];
	double y = TOP + (double)row * ROW;
	int64_t t[REPORT_T_COUNT];
	report_times(&s->timings, t);
	int64_t last = t[0];

	draw_name(s->system_id, y + BAR_TOP + BAR_H - 8, m);
	for (size_t i = 1; i < REPORT_T_COUNT && last != REPORT_NONE; i++) {
		if (t[i] == REPORT_NONE)
			continue;
		/* cleanup begins at T6; without T6 it is no part of a recovery */
		int64_t begin = i == 4 ? waited_until(s, last, t[i]) : last;
		if (begin > last)
			draw_wait(a, last, begin, y + BAR_TOP, m);
		if ((i < LAST || t[i - 1] != REPORT_NONE) && t[i] > begin)
			draw_block(a, i, begin, t[i], y + BAR_TOP, m);
		if (i < REPORT_T_COUNT - 1)
			last = t[i];
	}
	if (t[6] == REPORT_NONE && last != REPORT_NONE && r->exercise.ended != REPORT_NONE)
		draw_lost(a, last, r->exercise.ended, y + BAR_TOP, m);
	if (t[6] != REPORT_NONE)
		draw_recovered(a, s, y + BAR_TOP, m);
	draw_objective(a, s, y, m);
}

void report_svg_timeline(const struct report *r, struct report_markup *m)
{
	struct axis a = make_axis(r);
	double bottom = TOP + (double)r->systems_count * ROW + 4;

	report_markup_rawf(m,
		"<svg class=\"timeline\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
		"aria-labelledby=\"tl-t tl-d\">\n"
		"<title id=\"tl-t\">Timeline of the drill</title>\n"
		"<desc id=\"tl-d\">",
		WIDTH, bottom + 4);
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		report_markup_text(m, s->system_id);
		if (s->result.rta_total_ms == REPORT_NONE) {
			report_markup_raw(m, " was not recovered");
		} else {
			report_markup_raw(m, " was recovered after ");
			report_markup_duration(m, s->result.rta_total_ms);
		}
		report_markup_raw(m, ", the objective is ");
		report_markup_duration(m, s->rto_ms);
		report_markup_raw(m, ". ");
	}
	report_markup_raw(m, "</desc>\n");
	draw_ticks(&a, bottom, m);
	for (size_t i = 0; i < r->systems_count; i++)
		draw_row(r, &a, i, m);
	report_markup_raw(m, "</svg>\n");
}

void report_svg_bar(int64_t actual, int64_t limit, struct report_markup *m)
{
	double full = actual > limit ? (double)actual : (double)limit;
	double value = actual < 0 ? 0 : (double)actual;
	if (full <= 0)
		full = 1;
	double w = value / full * 196;
	double mark = 2 + (double)limit / full * 196;
	report_markup_rawf(m,
		"<svg class=\"bar\" viewBox=\"0 0 200 18\" aria-hidden=\"true\">"
		"<rect class=\"track\" x=\"2\" y=\"4\" width=\"196\" height=\"10\" rx=\"3\"/>"
		"<rect class=\"%s\" x=\"2\" y=\"4\" width=\"%.1f\" height=\"10\" rx=\"3\"/>"
		"<line class=\"limit\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"18\"/></svg>",
		actual > limit ? "over" : "within", w < 3 ? 3 : w, mark, mark);
}
