/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Flows of a soak, each a queue pair, and the threads that they belong to. */
#ifndef LAB_SOAK_H
#define LAB_SOAK_H

#include <pthread.h>

#include "soak_gen.h"
#include "verbs_common.h"

#define DEPTH 64
#define INFLIGHT (DEPTH - 4)
#define SLOTS 24
#define GUARD 32 /* bytes around what may be written */
#define GAP 64 /* between pieces of one message */
#define MAX_INLINE 200
#define READ_ROOM (128u << 10)
#define WRITE_ROOM (256u << 10)
#define MAX_FLOWS 8

/* In every flow's buffer. */
#define AT_PROGRESS 0 /* written by the peer */
#define AT_WORD 8 /* of the peer's atomics */
#define AT_READ 4096
#define AT_WRITE (AT_READ + READ_ROOM)
#define AT_SEND (AT_WRITE + WRITE_ROOM)

struct shape {
	int workers, flows; /* flows of each worker */
	uint32_t cap; /* largest message */
	bool srq;
	bool shrink; /* receives that get smaller and smaller */
};

struct sent {
	struct soak_op op;
	uint64_t arena_end;
	unsigned char *at;
};

struct posted {
	struct soak_op op; /* own receive queue only */
	uint32_t first, second; /* bytes of the two pieces */
};

struct worker;

struct flow {
	struct worker *w;
	struct vc_end e;
	int index;
	/* sender */
	struct soak_gen gen;
	struct soak_op op;
	bool has_op, ended;
	struct sent sent[DEPTH];
	unsigned int sent_head, sent_tail;
	uint64_t arena_head, arena_tail, arena_room, total, progress_told, ids;
	uint64_t rest_until;
	/* receiver */
	struct soak_gen post_gen, check_gen;
	struct posted posted[SLOTS];
	uint64_t posts, received, checked, rest_recv_until, slot_bytes;
};

struct worker {
	struct vc vc;
	struct run *run;
	const struct shape *shape;
	pthread_t thread;
	struct flow flow[MAX_FLOWS];
	struct ibv_comp_channel *chan;
	struct ibv_cq *cq[2];
	int cqs, index;
	struct ibv_srq *srq;
	unsigned int srq_free[SLOTS], srq_frees;
	uint64_t rng; /* of what depends on time */
	uint64_t bytes, messages, ops, wakes, naps, slow, spins;
	unsigned int due; /* completions that have to raise an event */
	bool sleeping, solicited_only;
};

struct run {
	struct worker *worker;
	int stop; /* send no more */
	int settled; /* the peer's totals are known */
	uint64_t peer_total[4 * MAX_FLOWS];
	uint64_t progress;
};

uint64_t soak_env(const char *name, uint64_t otherwise);
uint64_t soak_seed(const struct flow *f, bool a);

/* A thread: sends and receives until both sides have got everything. */
void *soak_work(void *worker);

/* Return: how many completions there were. */
int soak_poll(struct worker *w);

/* A WRITE has to be there. */
void soak_written(struct flow *f, const struct soak_op *op);

#endif
