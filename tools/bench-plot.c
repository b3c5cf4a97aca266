// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Draws curves as SVG, both axes logarithmic, fit for a light and a dark page.
 *
 *   bench-plot <TEXT >FILE.svg
 *
 * TEXT, one item a line, words separated by a tab:
 *
 *   title TEXT      note TEXT      x LABEL      y LABEL
 *   xunit bytes|1   yunit ns|GB/s|1/s
 *   curve NAME      the points that follow are its
 *   limit NAME      the same, drawn as a broken line without marks
 *   X<tab>Y         a point
 */
#include <err.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CURVES	16
#define POINTS	64
#define WIDTH	900
#define HEIGHT	480
#define LEFT	78
#define TOP	62
#define RIGHT	250	/* the legend */
#define BOTTOM	58
#define LEGEND	24	/* from line to line */
#define HAIR	0.000000001

struct curve {
	char name[96];
	bool limit;
	int n;
	double x[POINTS], y[POINTS];
};

static struct curve curves[CURVES];
static int count;
static char title[128], note[192], x_label[96], y_label[96], x_unit[8] = "1", y_unit[8] = "1";
static double x_min, x_max, y_min, y_max;

/* Okabe and Ito's, told apart by every eye; the same on light and dark. */
static const char * const colours[] = {
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c",
};

#define COLOURS	((int)(sizeof(colours) / sizeof(colours[0])))

static const char * const style[] = {
	"svg { background: #fff }",
	"text { font: 13px system-ui, sans-serif; fill: #1f2328 }",
	".title { font-size: 17px; font-weight: 600 }",
	".tick, .note { font-size: 12px; fill: #59636e }",
	".page { fill: #fff }",
	".grid { stroke: #c8ced4 } .fine { stroke: #eceff2 }",
	".frame { fill: none; stroke: #818b98 }",
	".curve { fill: none; stroke-width: 2 }",
	".limit { fill: none; stroke-width: 2; stroke-dasharray: 7 5 }",
	"@media (prefers-color-scheme: dark) {",
	"svg { background: #0d1117 }",
	"text { fill: #f0f6fc } .tick, .note { fill: #9198a1 } .page { fill: #0d1117 }",
	".grid { stroke: #3d444d } .fine { stroke: #1c222a } .frame { stroke: #656c76 }",
	"}",
};

static void text(const char *s)
{
	for (; *s; s++) {
		if (*s == '&')
			fputs("&amp;", stdout);
		else if (*s == '<')
			fputs("&lt;", stdout);
		else if (*s == '>')
			fputs("&gt;", stdout);
		else
			putchar(*s);
	}
}

static void keep(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void point(double x, double y)
{
	struct curve *c = &curves[count - 1];

	if (!count || c->n == POINTS)
		errx(1, "a point too many");
	/* Nothing below or at zero has a place on such an axis. */
	if (x <= 0 || y <= 0)
		return;
	c->x[c->n] = x;
	c->y[c->n++] = y;
}

static void read_all(void)
{
	char line[512], *value, *end;
	double x;

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		value = strchr(line, '\t');
		if (!value)
			continue;
		*value++ = 0;
		x = strtod(line, &end);
		if (end != line && !*end) {
			point(x, strtod(value, NULL));
		} else if (!strcmp(line, "curve") || !strcmp(line, "limit")) {
			if (count == CURVES)
				errx(1, "a curve too many");
			curves[count].limit = *line == 'l';
			keep(curves[count++].name, sizeof(curves->name), value);
		} else if (!strcmp(line, "title")) {
			keep(title, sizeof(title), value);
		} else if (!strcmp(line, "note")) {
			keep(note, sizeof(note), value);
		} else if (!strcmp(line, "x")) {
			keep(x_label, sizeof(x_label), value);
		} else if (!strcmp(line, "y")) {
			keep(y_label, sizeof(y_label), value);
		} else if (!strcmp(line, "xunit")) {
			keep(x_unit, sizeof(x_unit), value);
		} else if (!strcmp(line, "yunit")) {
			keep(y_unit, sizeof(y_unit), value);
		}
	}
}

static void find_range(void)
{
	bool any = false;
	int i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < curves[i].n; k++) {
			double x = curves[i].x[k], y = curves[i].y[k];

			x_min = any ? fmin(x_min, x) : x;
			x_max = any ? fmax(x_max, x) : x;
			y_min = any ? fmin(y_min, y) : y;
			y_max = any ? fmax(y_max, y) : y;
			any = true;
		}
	}
	if (!any)
		errx(1, "no points");
	if (x_max == x_min)
		x_max *= 2;
	/* Whole decades, or halves of them where those would leave much empty. */
	y_min = pow(10, floor(log10(y_min) * 2 + HAIR) / 2);
	y_max = pow(10, ceil(log10(y_max) * 2 - HAIR) / 2);
	if (y_max < 10 * y_min)
		y_max = 10 * y_min;
}

static double at_x(double x)
{
	return LEFT + (log(x) - log(x_min)) / (log(x_max) - log(x_min)) * (WIDTH - LEFT - RIGHT);
}

static double at_y(double y)
{
	return HEIGHT - BOTTOM -
	       (log(y) - log(y_min)) / (log(y_max) - log(y_min)) * (HEIGHT - TOP - BOTTOM);
}

static void x_name(char *s, size_t size, double x)
{
	if (strcmp(x_unit, "bytes"))
		snprintf(s, size, "%.0f", x);
	else if (x >= 1048576)
		snprintf(s, size, "%.0f MiB", x / 1048576);
	else if (x >= 1024)
		snprintf(s, size, "%.0f KiB", x / 1024);
	else
		snprintf(s, size, "%.0f B", x);
}

static void y_name(char *s, size_t size, double y)
{
	static const struct {
		const char *unit;
		double least, over;
		const char *name;
	} names[] = {
		{ "ns", 1e6, 1e6, "ms" },	{ "ns", 1e3, 1e3, "us" },
		{ "ns", 0, 1, "ns" },		{ "GB/s", 1, 1, "GB/s" },
		{ "GB/s", 0.001, 0.001, "MB/s" }, { "GB/s", 0, 0.000001, "kB/s" },
		{ "1/s", 1e6, 1e6, "M/s" },	{ "1/s", 1e3, 1e3, "k/s" },
		{ "1/s", 0, 1, "/s" },
	};
	size_t i;

	snprintf(s, size, "%g", y);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i].unit, y_unit) && y >= names[i].least * (1 - HAIR)) {
			snprintf(s, size, "%g %s", y / names[i].over, names[i].name);
			return;
		}
	}
}

static void grid(void)
{
	double decade, x, y;
	char s[32];
	int i, k = 0;

	for (x = x_min; x <= x_max * (1 + HAIR); x *= 2, k++) {
		/* Names where there is room for them. */
		bool named = log2(x_max / x_min) <= 8 || !(k % 2);

		printf("<line class=\"%s\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n",
		       named ? "grid" : "fine", at_x(x), TOP, at_x(x), HEIGHT - BOTTOM);
		if (!named)
			continue;
		x_name(s, sizeof(s), x);
		printf("<text class=\"tick\" text-anchor=\"middle\" ");
		printf("x=\"%.1f\" y=\"%d\">%s</text>\n", at_x(x), HEIGHT - BOTTOM + 18, s);
	}
	for (decade = pow(10, floor(log10(y_min))); decade <= y_max; decade *= 10) {
		for (i = 1; i < 10; i++) {
			y = i * decade;
			if (y < y_min * (1 - HAIR) || y > y_max * (1 + HAIR))
				continue;
			printf("<line class=\"%s\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n",
			       i == 1 ? "grid" : "fine", LEFT, at_y(y), WIDTH - RIGHT, at_y(y));
			if (i != 1)
				continue;
			y_name(s, sizeof(s), y);
			printf("<text class=\"tick\" text-anchor=\"end\" ");
			printf("x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT - 8, at_y(y) + 4, s);
		}
	}
}

static void mark(double x, double y, int shape, const char *colour)
{
	switch (shape % 3) {
	case 0:
		printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", x, y, colour);
		break;
	case 1:
		printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"6\" height=\"6\" fill=\"%s\"/>\n",
		       x - 3, y - 3, colour);
		break;
	default:
		printf("<path d=\"M%.1f %.1f l4 7 h-8 z\" fill=\"%s\"/>\n", x, y - 4, colour);
	}
}

static void draw(const struct curve *c, int i)
{
	const char *colour = colours[i % COLOURS];
	int k, y = TOP + 12 + LEGEND * i;

	const char *class = c->limit ? "limit" : "curve";

	printf("<polyline class=\"%s\" stroke=\"%s\" points=\"", class, colour);
	for (k = 0; k < c->n; k++)
		printf("%s%.1f,%.1f", k ? " " : "", at_x(c->x[k]), at_y(c->y[k]));
	printf("\"/>\n");
	for (k = 0; !c->limit && k < c->n; k++)
		mark(at_x(c->x[k]), at_y(c->y[k]), i, colour);

	printf("<line class=\"%s\" stroke=\"%s\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
	       class, colour, WIDTH - RIGHT + 18, y, WIDTH - RIGHT + 46, y);
	if (!c->limit)
		mark(WIDTH - RIGHT + 32, y, i, colour);
	printf("<text x=\"%d\" y=\"%d\">", WIDTH - RIGHT + 54, y + 4);
	text(c->name);
	printf("</text>\n");
}

int main(void)
{
	int i;

	read_all();
	find_range();
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"", WIDTH, HEIGHT);
	printf(" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>", WIDTH, HEIGHT);
	text(title);
	printf("</title>\n<style>\n");
	for (i = 0; i < (int)(sizeof(style) / sizeof(style[0])); i++)
		puts(style[i]);
	printf("</style>\n<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", WIDTH, HEIGHT);
	printf("<text class=\"title\" x=\"%d\" y=\"26\">", LEFT);
	text(title);
	printf("</text>\n<text class=\"note\" x=\"%d\" y=\"46\">", LEFT);
	text(note);
	printf("</text>\n");
	grid();
	printf("<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", LEFT, TOP,
	       WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
	printf("<text text-anchor=\"middle\" x=\"%d\" y=\"%d\">", (LEFT + WIDTH - RIGHT) / 2,
	       HEIGHT - 14);
	text(x_label);
	printf("</text>\n<text text-anchor=\"middle\" transform=\"translate(17 %d) rotate(-90)\">",
	       (TOP + HEIGHT - BOTTOM) / 2);
	text(y_label);
	printf("</text>\n");
	for (i = 0; i < count; i++)
		draw(&curves[i], i);
	printf("</svg>\n");
	return ferror(stdout) || fflush(stdout);
}
