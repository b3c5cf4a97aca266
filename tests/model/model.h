/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A small model checker: every interleaving of a few processors, their store
 * buffers and the link between two nodes.
 *
 * A program is a function that is called once for each step. Each macro below
 * in capitals is one step; what stands between two of them belongs to the one
 * in front. Whatever must survive a step is in struct state.
 *
 * Stores wait in the processor's buffer. On "tso" they leave it in order, on
 * "weak" in any order that barriers allow, and there loads may also be older
 * than the last read barrier (VIEW) or, if they say so, happen late (LD_LATE).
 * OUT stores go into the peer's window: from the buffer into the link, which
 * keeps order; a window is uncached or, with "wc", write-combining: then OUT
 * stores leave in any order up to the next barrier, and possibly not before it.
 */
#ifndef PCV_MODEL_H
#define PCV_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS	4
#define VARS	24
#define REGS	10
#define BUF	16
#define LINK	12
#define GHOSTS	22

enum { TSO = 1, WEAK = 2, TSO_WC = 4, WEAK_WC = 8 };
#define ANY_WEAK	(WEAK | WEAK_WC)
#define ANY_TSO		(TSO | TSO_WC)
#define ANY_WC		(TSO_WC | WEAK_WC)
#define ALL		15

struct entry {
	uint8_t kind, var, val, cpu;
};

struct cpu {
	uint16_t pc;
	uint8_t count;		/* entries of buf */
	uint8_t waits;		/* a read across the link is under way */
	uint8_t late_var, late_reg;	/* a load that may still happen: var + 1 */
	uint8_t halted;		/* in an interrupt */
	uint8_t unused;
	uint8_t r[REGS];
	struct entry buf[BUF];
	uint8_t view[VARS];
};

struct link {
	uint8_t count;
	struct entry q[LINK];
};

struct state {
	struct cpu cpu[CPUS];
	struct link link[2];	/* [0]: from node 0 to node 1 */
	uint8_t mem[VARS];
	uint8_t g[GHOSTS];	/* what no processor looks at, and what locks guard */
};

/* What a model leaves out once, and where that must be noticed. */
struct mutation {
	const char *label;	/* of a barrier; NULL: another precaution */
	const char *what;
	unsigned int noticed;	/* machines on which the model then fails */
};

struct model {
	const char *name;
	unsigned int machines;
	void (*cpu[CPUS])(void);
	uint8_t node[CPUS];
	void (*start)(void);
	/* Nothing moves any more, except what may: NULL, or what is wrong. */
	const char *(*end)(void);
	/* mutation[i] is active when mutant == i + 1 */
	struct mutation mutation[12];
};

extern const struct model *const models[];

/* The state that a step changes, its processor, and the mutation (0: none). */
extern struct state *S;
extern struct cpu *C;
extern int mutant;
extern bool tso;

/* --- what steps are made of; a blocked step has not happened --------------------- */

int choose(int n, const char *what);
void block(void);
void fail(const char *what);
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint8_t op_load(int var, const char *name);
void op_store(int kind, int var, uint8_t val, const char *name);
void op_load_late(int reg, int var, const char *name);
void op_fence(void);
void op_write_barrier(void);
void op_drained(void);
void op_refresh(void);
void op_loads_done(void);
void op_tso_fence(void);
void op_tso_drained(void);
void op_change(int kind, int var, uint8_t bits, const char *name);
void op_read_far(int var, const char *name);
void op_interrupt(int cpu);
void op_interrupt_done(int cpu);

enum {
	LOCAL = 1,	/* plain store */
	RELEASE,
	OR,		/* atomic, but no barrier */
	ANDNOT,
	WINDOW,		/* into the peer's memory */
	DEVICE,		/* a doorbell: never combined */
	FENCE,
	READ,		/* on the link: a request */
	DONE,		/* its completion */
};

#define M(i)		(mutant == (i))

#define BEGIN		switch (C->pc) { case 0:
#define END		C->pc = 0xffff; return; default: block(); }
#define STEP_(n, ...)	do { C->pc = (n) + 1; return; case (n) + 1: __VA_ARGS__; } while (0)
#define STEP(...)	STEP_(__COUNTER__, __VA_ARGS__)
#define BOTH(one, two)	do { STEP(one); STEP(two); } while (0)
#define STOP		do { C->pc = 0xffff; return; } while (0)

#define R(n)		(C->r[n])
#define LD(r, v)	STEP((r) = op_load(v, #v))
/* Loads when there is something new, and sleeps meanwhile. */
#define POLL(r, v)	STEP(uint8_t new_ = op_load(v, #v); if (new_ == (r)) block(); (r) = new_)
/* Loads later at will; NEED() where the value is used. */
#define LD_LATE(n, v)	STEP(op_load_late(n, v, #v))
#define NEED()		STEP(op_loads_done())
#define LD_ACQ(r, v)	STEP(op_refresh(); (r) = op_load(v, #v))
#define ST(v, x)	STEP(op_store(LOCAL, v, (x), #v))
#define ST_REL(v, x)	STEP(op_store(RELEASE, v, (x), #v))
#define OUT(v, x)	STEP(op_store(WINDOW, v, (x), #v))
#define RING_BELL(v)	STEP(op_store(DEVICE, v, 1, #v))
#define WMB()		STEP(say("write barrier"); op_write_barrier())
#define MB()		ATOMIC(say("full barrier"))
#define RMB()		STEP(say("read barrier"); op_loads_done(); op_refresh())
/* A read across the link: the value comes back behind what the peer wrote before. */
#define READ_BACK(v)	BOTH(op_read_far(v, #v), if (C->waits) block(); say("has read back"))
/* Atomic and a full barrier. */
#define ATOMIC(code)	BOTH(op_fence(), op_drained(); op_refresh(); code)
/* Atomic only; on TSO there is no such thing. */
#define OR_BITS(v, x)	BOTH(op_tso_fence(), op_tso_drained(); op_change(OR, v, (x), #v))
#define CLEAR_BITS(v, x) BOTH(op_tso_fence(), op_tso_drained(); op_change(ANDNOT, v, (x), #v))
/* Sleep until memory says so, woken with all that the waker saw. */
#define AWAIT(v)	STEP(if (!S->mem[v]) block(); say("wakes: " #v); S->mem[v] = 0; \
			     op_refresh())
#define LOCK(v)		BOTH(op_tso_fence(), op_tso_drained(); if (S->mem[v]) block(); \
			     say("locks " #v); S->mem[v] = 1; op_refresh())
#define UNLOCK(v)	ST_REL(v, 0)
/* Another processor is interrupted, and does a full barrier. */
#define INTERRUPT(c)	BOTH(op_interrupt(c), op_interrupt_done(c))

#endif /* PCV_MODEL_H */
