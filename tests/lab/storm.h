/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Connections that come and go from many threads, while the link does, too. */
#ifndef LAB_STORM_H
#define LAB_STORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "verbs_common.h"

#define STORM_THREADS_MAX 16
#define STORM_SRQ_SLOTS 1024
#define STORM_SLOT 16384

/* How a round ended. */
enum outcome {
	CLEAN, /* everything arrived, was checked, and both said so */
	BROKEN, /* an error, of those that a lost peer makes; nothing was lost without one */
	NOBODY, /* there was no other side */
	OUTCOMES
};

/* What threads of one process share, for as long as the device is open. */
struct storm {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_srq *srq;
	struct ibv_mr *srq_mr;
	unsigned char *srq_buf;
	atomic_uint srq_posted; /* slots that were ever posted */
	bool client;
	const char *host;
	int port; /* of the first thread */
	atomic_bool stop; /* rounds are to end, as they are */
	atomic_bool calm; /* nothing disturbs any more */
	atomic_uint count[OUTCOMES];
	atomic_uint messages;
	atomic_uint failures;
};

struct worker {
	struct storm *storm;
	struct vc vc; /* for its checks; @fd is this round's other side */
	pthread_t thread;
	int index;
	int listener;
	uint64_t rng;
	unsigned int calm_clean; /* in a row */
	unsigned int calm_broken;
	unsigned char *buf;
};

unsigned int storm_rand(uint64_t *rng, unsigned int below);

/* One connection, from nothing to nothing. */
enum outcome storm_round(struct worker *w, bool calm, bool *both_calm);

/* Both sides' words, or false when the other side does not answer in time. */
bool storm_swap(struct worker *w, const void *mine, void *theirs, size_t len);

void storm_srq_post(struct worker *w, unsigned int slot);

#endif
