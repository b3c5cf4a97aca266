/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fast rings: what a queue pair of a process gives to the process at the other
 * end, and gets from it. See docs/decisions/0005.
 */
#ifndef PCV_FAST_H
#define PCV_FAST_H

#include <linux/types.h>
#include <pcieverbs/wire.h>

struct ib_udata;
struct pcv_create_qp_resp;
struct pcv_peer;
struct pcv_qp;
struct pcv_rx;
struct pcv_verbs;

/* --- control messages between kernels (ctl.c) ------------------------------- */

int pcv_ctl_init(void);
void pcv_ctl_exit(void);

/**
 * pcv_ctl_send() - send a control message, in order, when there is room
 * @vc: PCV_VC_REQUEST; PCV_VC_RESPONSE for REVOKED, EVENTS_ON, UNMAPPED
 * @hdr: copied
 *
 * Any context; needs no lock and may be called under any. Return: 0, or
 * -ENOMEM (nothing was sent). It is dropped if the peer goes down.
 */
int pcv_ctl_send(struct pcv_peer *peer, u8 vc, const struct pcv_fast_hdr *hdr);

/* --- the part of a peer (area.c) ---------------------------------------------- */

struct pcv_fast_area;

/**
 * struct pcv_fast_block - a block of the own aperture, as a queue pair holds it
 * @area: of the peer; NULL: none. A reference
 * @index: which one
 * @token: names this use of it
 */
struct pcv_fast_block {
	struct pcv_fast_area *area;
	u32 index;
	u32 token;
};

/* A peer came: make its area. Process context. It is without one if there is no room. */
void pcv_fast_area_up(struct pcv_peer *peer);

/*
 * It is going: nobody gets a block any more. The queue pairs' detach comes
 * between this and pcv_fast_area_down(). Process context.
 */
void pcv_fast_area_close(struct pcv_peer *peer);
void pcv_fast_area_down(struct pcv_peer *peer);

/* Take a block, zeroed. Return: false if there is none. Process context. */
bool pcv_fast_block_get(struct pcv_peer *peer, struct pcv_fast_block *block);
/* The other side learns of it: from now on it may be written to. Any context. */
void pcv_fast_block_grant(const struct pcv_fast_block *block);
/* The queue pair has let go of it. It is used again when the other side has, too. */
void pcv_fast_block_put(struct pcv_fast_block *block);
/* The other side has let go of it. Softirq. */
void pcv_fast_block_revoked(struct pcv_peer *peer, u64 offset, u32 token);

/* Where it lies in the aperture. */
u64 pcv_fast_block_offset(const struct pcv_fast_block *block);

/* --- the part of a queue pair (fast.c) --------------------------------------------- */

/**
 * pcv_fast_create() - prepare a queue pair of a process for fast rings
 * @resp: what the process needs to know is filled in
 *
 * Process context. Return: 0 or -errno; 0 also where there are none.
 */
int pcv_fast_create(struct pcv_qp *qp, struct ib_udata *udata, struct pcv_create_qp_resp *resp);
/* After the last pcv_fast_reset(), when nobody else can find the queue pair. */
void pcv_fast_destroy(struct pcv_qp *qp);

/* On the way to RTR; in RTS; out of it for a while. Process context, qp->modify held. */
void pcv_fast_connect(struct pcv_qp *qp);
void pcv_fast_ready(struct pcv_qp *qp);
void pcv_fast_pause(struct pcv_qp *qp);

/* The queue pair has failed: the process is to stop. Any context. */
void pcv_fast_fail(struct pcv_qp *qp);
/* It is in error: nobody writes any more. Process context, qp->modify held. */
void pcv_fast_error(struct pcv_qp *qp);
/* The peer goes, and the blocks with it. Process context, qp->modify held. */
void pcv_fast_detach(struct pcv_qp *qp);
/* The same, and everything starts anew. */
void pcv_fast_reset(struct pcv_qp *qp);
/* Everything that the kernel has to say about its receives is said. */
void pcv_fast_flushed(struct pcv_qp *qp);

/* The process calls. Process context. */
void pcv_fast_kick(struct pcv_qp *qp);

/* Does the process take receives by itself? Then it flushes them, too. */
bool pcv_fast_active(const struct pcv_qp *qp);

/* Messages that processes have sent through fast rings, queue pairs that are there included. */
u64 pcv_fast_sent(struct pcv_verbs *dev);

/* A message of type PCV_MSG_FAST. Softirq. */
void pcv_fast_rx(struct pcv_verbs *dev, struct pcv_peer *peer, const struct pcv_rx *rx);

#endif /* PCV_FAST_H */
