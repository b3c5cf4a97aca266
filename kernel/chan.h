/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The inside of a peer, shared by peer.c (objects), chan.c (sending) and
 * progress.c (receiving).
 *
 * Locks, outermost first:
 *
 *   pcv_peer_lock       mutex (peer.c): the set of peers and of clients, and
 *                       every up and down callback
 *   pcv_chan_tx.lock    one per virtual channel, bottom halves off; never two
 *                       at a time
 *
 * Receiving has no lock: NAPI runs a peer's poll on one CPU at a time.
 */
#ifndef PCV_CHAN_H
#define PCV_CHAN_H

#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "link.h"
#include "os.h"
#include "peer.h"
#include "ring.h"

/**
 * struct pcv_chan_tx - the sending half of a virtual channel
 * @lock: guards all of it, and everything that is written to the other side's
 *	ring, data area and starved word
 * @up: false: the window must not be touched any more
 * @ring: lines
 * @data: data area, in the window
 * @data_bytes: its size
 * @data_pos: where the next payload goes, if it fits before the end
 * @data_taken: bytes taken since the start, waste at the end of a lap included
 * @data_freed: bytes given back since the start
 * @mark: for every slot of the ring, @data_taken when its line was written: a
 *	credit for lines gives back the data of their messages
 * @in: words that the other side writes, in this node's aperture
 * @out: words that this node writes, in the window
 * @rung: value of in->armed that was answered with a doorbell
 * @starved: value last written to out->starved
 * @starved_rings: doorbells that had come before it was written: one that comes
 *	later may be the answer, to a credit that was seen already
 * @starved_credit: credit when it was written: while it is the same, that
 *	doorbell is still to come
 * @waiters: struct pcv_tx_waiter, oldest first
 * @running: the one whose function runs now
 */
/* A message type that may travel on either. */
#define PCV_VC_ANY		PCV_VC_COUNT

struct pcv_chan_tx {
	spinlock_t lock;
	bool up;
	struct pcv_ring_tx ring;
	u8 *data;
	u32 data_bytes;
	u32 data_pos;
	u32 data_taken;
	u32 data_freed;
	u32 *mark;
	const struct pcv_ctl *in;
	struct pcv_ctl *out;
	u32 rung;
	u32 starved;
	u32 starved_credit;
	u32 starved_rings;
	struct list_head waiters;
	struct pcv_tx_waiter *running;
};

/**
 * struct pcv_chan_rx - the receiving half; belongs to the peer's NAPI poll
 * @ring: lines
 * @data: data area, in this node's aperture
 * @data_bytes: its size
 * @data_held: bytes of data consumed since the last credit
 * @credit: as last written to the other side
 * @answered: value of in->starved that was answered with a doorbell
 * @armed: value last written to out->armed
 * @in: words that the other side writes
 * @out: words that this node writes
 */
struct pcv_chan_rx {
	struct pcv_ring_rx ring;
	const u8 *data;
	u32 data_bytes;
	u32 data_held;
	u32 credit;
	u32 answered;
	u32 armed;
	const struct pcv_ctl *in;
	struct pcv_ctl *out;
};

/**
 * struct pcv_peer - see peer.h
 * @ref: who found it, and the link while it is up
 * @entry: in the set of peers, under pcv_peer_lock and RCU
 * @rcu: frees it
 * @channel: as the link handed it over; constant
 * @priv: of the clients
 * @ready: per client, whether its rx may run
 * @broken: cut off; nothing is received any more
 * @rung: a doorbell came since the last arming, or the number was taken back
 * @tx: sending halves
 * @rx: receiving halves
 * @rx_task: who runs a handler of a request now: it may use the reserve
 * @napi: receives
 * @napi_dev: carries @napi
 * @kick: runs @napi for callers that cannot raise a soft interrupt themselves
 * @asked: when a process last polled here itself in vain (ktime, ns); 0: not since
 *	something came
 * @watch_live: @watch will run the poll; belongs to the poll
 * @watch_fired: it has; the poll takes note
 * @watch: runs the poll when processes may have stopped doing so
 * @rx_buf: private copy of the message being received
 */
struct pcv_peer {
	struct kref ref;
	struct list_head entry;
	struct rcu_head rcu;
	struct pcv_channel channel;
	atomic_t blocks;		/* of the aperture that queue pairs have */
	void *priv[PCV_CLIENT_COUNT];
	bool ready[PCV_CLIENT_COUNT];
	bool up;
	bool broken;
	bool rung;
	atomic_t rings;			/* doorbells that have come */
	struct pcv_chan_tx tx[PCV_VC_COUNT];
	struct pcv_chan_rx rx[PCV_VC_COUNT];
	struct task_struct *rx_task;
	struct napi_struct napi;
	struct net_device *napi_dev;
	struct work_struct kick;
	u64 asked;
	bool watch_live;
	bool watch_fired;
	struct hrtimer watch;
	u8 rx_buf[sizeof(struct pcv_msg) + PCV_MSG_HDR_MAX + PCV_MSG_INLINE_MAX] __aligned(8);
};

/**
 * struct pcv_msg_info - what a type of message is
 * @hdr_len: size of its header
 * @data_max: payload at most
 * @vc: the virtual channel it travels on
 * @client: who takes it
 */
struct pcv_msg_info {
	u16 hdr_len;
	u32 data_max;
	u8 vc;
	u8 client;
};

/* Return: the type's properties, or NULL if a peer must not send it. */
const struct pcv_msg_info *pcv_msg_info(u8 type);

/* peer.c */
extern const struct pcv_peer_client *pcv_peer_clients[PCV_CLIENT_COUNT];

/* Run the poll soon. Any context. */
void pcv_peer_wake(struct pcv_peer *peer);

/* chan.c */
int pcv_chan_tx_init(struct pcv_peer *peer, u8 vc);
void pcv_chan_tx_free(struct pcv_peer *peer, u8 vc);

/* No store to the window begins after this returns. */
void pcv_chan_tx_down(struct pcv_peer *peer, u8 vc);

/* Forget all waiters. The poll must not run any more. */
void pcv_chan_tx_flush(struct pcv_peer *peer, u8 vc);

/* Call waiters as long as there is room, from the poll. */
void pcv_chan_tx_wake(struct pcv_peer *peer, u8 vc);

/**
 * pcv_chan_tx_reserve_ready() - are PCV_RESPONSE_RESERVE lines free for a handler?
 *
 * If not, the other side rings when it has given credit.
 */
bool pcv_chan_tx_reserve_ready(struct pcv_peer *peer);

/* Free lines as far as known, for debugfs. Any context. */
u32 pcv_chan_tx_room(struct pcv_peer *peer, u8 vc);

/* progress.c */
void pcv_chan_rx_init(struct pcv_peer *peer, u8 vc);
int pcv_peer_poll(struct napi_struct *napi, int budget);

/* For the object's beginning, and its end when the poll is disabled. */
void pcv_peer_watch_init(struct pcv_peer *peer);
void pcv_peer_watch_end(struct pcv_peer *peer);

#endif /* PCV_CHAN_H */
