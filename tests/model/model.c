// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The checker: all states that can be reached, breadth first, so that what it
 * finds it finds by the shortest way.
 *
 *   model [--list] [NAME]	check all models or one; exit 1 if one fails that
 *				must hold, or holds that must fail
 *   model NAME MUTATION	show how that one fails
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct state *S;
struct cpu *C;
int mutant;
bool tso;

static const struct model *model;
static bool wc;
static bool blocked, talking;
static const char *wrong;
static char what[256];
static int cpu_now, choice, choices;
static uint32_t watched[CPUS];		/* variables that a processor loads */
static bool watched_more;

void block(void)
{
	blocked = true;
}

void fail(const char *why)
{
	if (!blocked && !wrong)
		wrong = why;
}

void say(const char *fmt, ...)
{
	size_t used = strlen(what);
	va_list ap;

	if (!talking)
		return;
	va_start(ap, fmt);
	if (used && used + 2 < sizeof(what)) {
		memcpy(what + used, "; ", 3);
		used += 2;
	}
	vsnprintf(what + used, sizeof(what) - used, fmt, ap);
	va_end(ap);
}

/* One choice in a step. */
int choose(int n, const char *why)
{
	choices = n;
	say("%s: %d", why, choice);
	return choice;
}

static void die(const char *why)
{
	fprintf(stderr, "%s: %s\n", model->name, why);
	exit(2);
}

static uint8_t node_of(const struct cpu *c)
{
	return model->node[c - S->cpu];
}

/* --- a processor and its buffer ------------------------------------------------------ */

static void refresh(struct cpu *c)
{
	if (!tso)
		memcpy(c->view, S->mem, VARS);
}

static uint8_t look(struct cpu *c, int var)
{
	uint32_t *w = &watched[c - S->cpu];
	int i;

	if (!(*w & 1u << var)) {
		*w |= 1u << var;
		watched_more = true;
	}
	for (i = c->count - 1; i >= 0; i--) {
		if (c->buf[i].kind == FENCE || c->buf[i].var != var)
			continue;
		if (c->buf[i].kind == LOCAL || c->buf[i].kind == RELEASE)
			return c->buf[i].val;
		block();
		return 0;
	}
	return tso ? S->mem[var] : c->view[var];
}

uint8_t op_load(int var, const char *name)
{
	uint8_t v = look(C, var);

	say("loads %s = %d", name, v);
	return v;
}

static void push(struct cpu *c, int kind, int var, uint8_t val)
{
	if (c->count == BUF) {
		/* Without a precaution a program may run away; to wait is enough then. */
		if (!mutant)
			die("a store buffer is too small");
		block();
		return;
	}
	c->buf[c->count++] = (struct entry){ (uint8_t)kind, (uint8_t)var, val, 0 };
}

void op_store(int kind, int var, uint8_t val, const char *name)
{
	if (kind == RELEASE)
		op_loads_done();
	/* A device is written behind a barrier of its own, but where stores keep order anyway. */
	if (kind == DEVICE && !tso)
		op_fence();
	say("%s %s, %d", kind == OR ? "sets" : kind == ANDNOT ? "clears" : "stores", name, val);
	push(C, kind, var, val);
}

void op_load_late(int reg, int var, const char *name)
{
	if (tso) {
		C->r[reg] = op_load(var, name);
		return;
	}
	if (C->late_var)
		die("one late load at a time");
	look(C, var);
	say("begins to load %s", name);
	C->late_var = (uint8_t)(var + 1);
	C->late_reg = (uint8_t)reg;
}

void op_loads_done(void)
{
	if (C->late_var)
		block();
}

void op_fence(void)
{
	if (C->count && C->buf[C->count - 1].kind != FENCE)
		push(C, FENCE, 0, 0);
}

void op_write_barrier(void)
{
	if (!tso || wc)
		op_fence();
}

void op_drained(void)
{
	if (C->count || C->late_var)
		block();
}

void op_refresh(void)
{
	refresh(C);
}

/* Where every atomic operation is a full barrier. */
void op_tso_fence(void)
{
	if (tso)
		op_fence();
}

void op_tso_drained(void)
{
	if (tso)
		op_drained();
}

void op_change(int kind, int var, uint8_t bits, const char *name)
{
	if (!tso) {
		op_store(kind, var, bits, name);
		return;
	}
	say("%s %s, %d", kind == OR ? "sets" : "clears", name, bits);
	if (kind == OR)
		S->mem[var] |= bits;
	else
		S->mem[var] &= (uint8_t)~bits;
}

void op_interrupt(int cpu)
{
	struct cpu *c = &S->cpu[cpu];

	say("interrupts cpu %d", cpu);
	c->halted = 1;
	if (c->count && c->buf[c->count - 1].kind != FENCE)
		push(c, FENCE, 0, 0);
}

void op_interrupt_done(int cpu)
{
	struct cpu *c = &S->cpu[cpu];

	say("cpu %d has done its barrier", cpu);
	if (c->count || c->late_var)
		block();
	c->halted = 0;
	refresh(c);
}

static void link_push(int dir, struct entry e)
{
	struct link *l = &S->link[dir];

	if (l->count == LINK) {
		if (!mutant)
			die("the link is too small");
		block();
		return;
	}
	l->q[l->count++] = e;
}

void op_read_far(int var, const char *name)
{
	int i;

	say("reads %s back", name);
	C->waits = 0;
	for (i = 0; i < C->count; i++)
		/* Answered by the buffer: such a read proves nothing. */
		if (C->buf[i].kind == WINDOW && C->buf[i].var == var)
			return;
	C->waits = 1;
	link_push(node_of(C), (struct entry){ READ, (uint8_t)var, 0, (uint8_t)cpu_now });
}

static bool leaves_link(const struct entry *e)
{
	return e->kind == WINDOW || e->kind == DEVICE;
}

/* May entry @i of the buffer leave now? */
static bool may_leave(const struct cpu *c, int i)
{
	const struct entry *e = &c->buf[i], *f;
	int k;

	for (k = 0; k < i; k++) {
		f = &c->buf[k];
		if (e->kind == FENCE || f->kind == FENCE)
			return false;
		if (f->var == e->var)
			return false;
		if (e->kind == RELEASE && f->kind != WINDOW && f->kind != DEVICE)
			return false;
		if (wc && (e->kind == WINDOW || f->kind == WINDOW))
			continue;
		/* Uncached stores keep order among themselves everywhere. */
		if (tso || (leaves_link(e) && leaves_link(f)))
			return false;
	}
	return true;
}

/* Will it, or may it stay for ever? */
static bool must_leave(const struct cpu *c, int i)
{
	int k;

	if (!wc || c->buf[i].kind != WINDOW)
		return true;
	for (k = i + 1; k < c->count; k++)
		if (c->buf[k].kind == FENCE)
			return true;
	return false;
}

static void leave(struct cpu *c, int i)
{
	struct entry e = c->buf[i];

	say("its store of variable %d, %d, leaves", e.var, e.val);
	c->count--;
	memmove(&c->buf[i], &c->buf[i + 1], (size_t)(c->count - i) * sizeof(e));
	memset(&c->buf[c->count], 0, sizeof(e));
	switch (e.kind) {
	case LOCAL:
	case RELEASE:
		S->mem[e.var] = e.val;
		break;
	case OR:
		S->mem[e.var] |= e.val;
		break;
	case ANDNOT:
		S->mem[e.var] &= (uint8_t)~e.val;
		break;
	case WINDOW:
	case DEVICE:
		link_push(node_of(c), e);
		break;
	}
	/* Its own stores it sees. */
	if (!tso && e.kind < WINDOW && c->view[e.var] != S->mem[e.var] &&
	    watched[c - S->cpu] & 1u << e.var)
		c->view[e.var] = S->mem[e.var];
}

static void arrive(int dir)
{
	struct link *l = &S->link[dir];
	struct entry e = l->q[0];

	l->count--;
	memmove(l->q, l->q + 1, l->count * sizeof(e));
	memset(&l->q[l->count], 0, sizeof(e));
	switch (e.kind) {
	case WINDOW:
	case DEVICE:
		say("arrives at node %d: variable %d, %d", 1 - dir, e.var, e.val);
		S->mem[e.var] = e.val;
		break;
	case READ:
		say("a read arrives at node %d", 1 - dir);
		link_push(1 - dir, (struct entry){ DONE, e.var, S->mem[e.var], e.cpu });
		break;
	case DONE:
		say("the completion arrives at node %d", 1 - dir);
		S->cpu[e.cpu].waits = 0;
		break;
	}
}

/* --- all states ------------------------------------------------------------------------- */

#define WORDS	((sizeof(struct state) + 7) / 8)
_Static_assert(sizeof(struct state) % 8 == 0, "a state is made of words");

static uint8_t *arena;
static size_t arena_used, arena_size;
static uint64_t *at;			/* where in the arena state i begins */
static uint32_t *parent;
static uint32_t count, count_max;
static uint32_t *table, table_mask;

/* A state without its zeroes. */
static size_t pack(const struct state *s, uint8_t *to)
{
	const uint8_t *from = (const uint8_t *)s;
	uint8_t *p = to;
	size_t w;
	int i;

	for (w = 0; w < WORDS; w++, from += 8) {
		uint8_t *mask = p++;
		uint64_t word;

		*mask = 0;
		memcpy(&word, from, 8);
		if (!word)
			continue;
		for (i = 0; i < 8; i++) {
			if (!from[i])
				continue;
			*mask |= (uint8_t)(1 << i);
			*p++ = from[i];
		}
	}
	return (size_t)(p - to);
}

static void unpack(const uint8_t *p, struct state *s)
{
	uint8_t *to = (uint8_t *)s;
	size_t w;
	int i;

	memset(s, 0, sizeof(*s));
	for (w = 0; w < WORDS; w++, to += 8) {
		uint8_t mask = *p++;

		if (!mask)
			continue;
		for (i = 0; i < 8; i++)
			if (mask & 1 << i)
				to[i] = *p++;
	}
}

static uint64_t hash(const uint8_t *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15u;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3u;
	return h ^ h >> 29;
}

static void *grow(void *p, size_t bytes)
{
	p = realloc(p, bytes);
	if (!p)
		die("no memory");
	return p;
}

static void rehash(void)
{
	uint32_t i, k;

	table_mask = table_mask ? table_mask * 2 + 1 : (1u << 16) - 1;
	free(table);
	table = calloc((size_t)table_mask + 1, sizeof(*table));
	if (!table)
		die("no memory");
	for (i = 0; i < count; i++) {
		k = (uint32_t)hash(arena + at[i], at[i + 1] - at[i]) & table_mask;
		while (table[k])
			k = (k + 1) & table_mask;
		table[k] = i + 1;
	}
}

/* Remember a state. */
static uint32_t add(const struct state *s, uint32_t from)
{
	uint8_t packed[WORDS * 9];
	size_t n = pack(s, packed);
	uint32_t k, i;

	if ((count + 2) * 2 > table_mask)
		rehash();
	k = (uint32_t)hash(packed, n) & table_mask;
	for (; table[k]; k = (k + 1) & table_mask) {
		i = table[k] - 1;
		if (at[i + 1] - at[i] == n && !memcmp(arena + at[i], packed, n))
			return i;
	}
	if (count + 2 > count_max) {
		count_max = count_max * 2 + 1024;
		at = grow(at, count_max * sizeof(*at));
		parent = grow(parent, count_max * sizeof(*parent));
	}
	if (arena_used + n > arena_size) {
		arena_size = arena_size * 2 + 65536;
		arena = grow(arena, arena_size);
	}
	memcpy(arena + arena_used, packed, n);
	at[count] = arena_used;
	arena_used += n;
	at[count + 1] = arena_used;
	parent[count] = from;
	table[k] = count + 1;
	return count++;
}

static uint32_t current;		/* the state that is looked at */
static uint32_t found;			/* one where something is wrong */

/* What is behind a state: @fn gets every one. Return: whether one of them must come. */
static bool successors(const struct state *s, void (*fn)(struct state *next))
{
	static struct state next;
	bool moves = false;
	int c, i;

	S = &next;
#define TRY(code, sure)							\
	do {								\
		next = *s;						\
		blocked = false;					\
		what[0] = 0;						\
		code;							\
		if (!blocked) {						\
			moves |= (sure);				\
			fn(&next);					\
		} else if (found == UINT32_MAX) {			\
			wrong = NULL;					\
		}							\
	} while (0)

	for (c = 0; c < CPUS && model->cpu[c]; c++) {
		cpu_now = c;
		C = &next.cpu[c];
		choice = 0;
		choices = 1;
		if (s->cpu[c].pc != 0xffff && !s->cpu[c].halted)
			do {
				TRY(say("cpu %d", c); model->cpu[c](), true);
			} while (++choice < choices);
		for (i = 0; i < s->cpu[c].count; i++)
			if (may_leave(&s->cpu[c], i))
				TRY(say("cpu %d", c); leave(C, i), must_leave(&s->cpu[c], i));
		if (tso)
			continue;
		if (s->cpu[c].late_var)
			TRY(say("cpu %d has loaded", c);
			    C->r[C->late_reg] = look(C, C->late_var - 1);
			    C->late_var = 0; C->late_reg = 0, true);
		for (i = 0; i < VARS; i++)
			if (watched[c] & 1u << i && s->cpu[c].view[i] != s->mem[i])
				TRY(say("cpu %d sees variable %d, %d", c, i, s->mem[i]);
				    C->view[i] = s->mem[i], true);
	}
	for (i = 0; i < 2; i++)
		if (s->link[i].count)
			TRY(arrive(i), true);
#undef TRY
	return moves;
}

/* What no processor looks at must not tell states apart. */
static void forget(struct state *s)
{
	int c, i;

	for (c = 0; c < CPUS; c++)
		for (i = 0; i < VARS; i++)
			if (tso || !(watched[c] & 1u << i))
				s->cpu[c].view[i] = 0;
}

static void visit(struct state *next)
{
	uint32_t i;

	forget(next);
	i = add(next, current);
	if (wrong && found == UINT32_MAX)
		found = i;
}

/* For a trace: the step that leads to a known state. */
static struct state wanted;
static char wanted_by[256];

static void match(struct state *next)
{
	forget(next);
	if (!wanted_by[0] && !memcmp(next, &wanted, sizeof(wanted)))
		memcpy(wanted_by, what, sizeof(what));
}

static void trace(uint32_t last)
{
	static uint32_t path[100000];
	struct state s;
	uint32_t n = 0;

	for (; last && n < 100000; last = parent[last])
		path[n++] = last;
	talking = true;
	while (n--) {
		unpack(arena + at[path[n]], &wanted);
		unpack(arena + at[parent[path[n]]], &s);
		wanted_by[0] = 0;
		successors(&s, match);
		printf("    %s\n", wanted_by);
	}
	talking = false;
}

/* Return: NULL, or what is wrong. */
static const char *explore(unsigned int machine, bool show)
{
	struct state s;
	const char *end;

	tso = machine & ANY_TSO;
	wc = machine & ANY_WC;
	memset(watched, 0, sizeof(watched));
again:
	watched_more = false;
	wrong = NULL;
	found = UINT32_MAX;
	count = 0;
	arena_used = 0;
	if (table)
		memset(table, 0, ((size_t)table_mask + 1) * sizeof(*table));
	memset(&s, 0, sizeof(s));
	S = &s;
	if (model->start)
		model->start();
	for (int c = 0; c < CPUS; c++)
		refresh(&s.cpu[c]);
	forget(&s);
	add(&s, 0);
	for (current = 0; current < count && !wrong; current++) {
		unpack(arena + at[current], &s);
		if (!successors(&s, visit) && !wrong) {
			S = &s;
			blocked = false;
			end = model->end();
			if (end) {
				wrong = end;
				found = current;
			}
		}
		/* The states so far told too little apart. */
		if (watched_more)
			goto again;
		if (count > 20000000)
			die("too many states");
	}
	if (show && wrong)
		trace(found);
	return wrong;
}

/* --- running ------------------------------------------------------------------------------- */

static const struct {
	unsigned int bit;
	const char *name;
} machines[] = {
	{ TSO, "tso" }, { WEAK, "weak" }, { TSO_WC, "tso-wc" }, { WEAK_WC, "weak-wc" },
};

static void print_machines(unsigned int set)
{
	size_t i;

	for (i = 0; i < 4; i++)
		if (set & machines[i].bit)
			printf(" %s", machines[i].name);
}

static unsigned int notice(int m, bool show, uint64_t *states)
{
	const char *why, *last = "";
	unsigned int on = 0;
	size_t i;

	mutant = m;
	for (i = 0; i < 4; i++) {
		if (!(model->machines & machines[i].bit) ||
		    (m && !(model->mutation[m - 1].noticed & machines[i].bit)))
			continue;
		why = explore(machines[i].bit, show);
		*states += count;
		if (getenv("MODEL_SIZES"))
			fprintf(stderr, "%s %s %d: %u states\n", model->name, machines[i].name, m,
				count);
		if (show)
			printf("%s: %s (%u states)\n", machines[i].name, why ? why : "holds",
			       count);
		if (!why)
			continue;
		on |= machines[i].bit;
		if (!show && !m)
			printf("%s: %s\n", machines[i].name, why);
		last = why;
	}
	if (on && m)
		printf("    %s\n", last);
	return on;
}

static int check(void)
{
	const struct mutation *mu;
	unsigned int on, want;
	uint64_t whole = 0, states = 0;
	int m, failed = 0;

	on = notice(0, false, &whole);
	if (on) {
		printf("FAILS: %s on", model->name);
		print_machines(on);
		printf("\n");
		notice(0, true, &whole);
		return 1;
	}
	printf("ok %s holds (%llu states)\n", model->name, (unsigned long long)whole);
	fflush(stdout);
	for (m = 1, mu = model->mutation; mu->what; m++, mu++) {
		on = notice(m, false, &states);
		want = mu->noticed & model->machines;
		printf("%s %s without %s%s%s: noticed on",
		       on == want && on ? "ok" : "NOT AS EXPECTED:", model->name,
		       mu->label ? mu->label : "", mu->label ? ", " : "", mu->what);
		print_machines(on);
		printf("%s\n", on ? "" : " none");
		failed |= on != want || !on;
		fflush(stdout);
	}
	printf("%s: %llu states with mutations\n", model->name,
	       (unsigned long long)(whole + states));
	return failed;
}

int main(int argc, char **argv)
{
	bool list = argc == 2 && !strcmp(argv[1], "--list");
	const char *name = argc > 1 && !list ? argv[1] : NULL;
	int failed = 0, known = 0, i;
	uint64_t states = 0;

	for (i = 0; models[i]; i++) {
		model = models[i];
		if (list)
			printf("%s\n", model->name);
		if (list || (name && strcmp(name, model->name)))
			continue;
		known = 1;
		if (argc > 2)
			notice(atoi(argv[2]), true, &states);
		else
			failed |= check();
	}
	return list ? 0 : !known ? 2 : failed;
}
