/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Peers: the other nodes of the fabric, and the channel to each of them.
 *
 * A peer object lives for one generation of one link: it appears when the
 * hello is complete and dies when the link goes down, the peer reboots or
 * breaks the protocol. A node that comes back is a new object. The node itself
 * is a peer too (loopback): nothing above this header knows the difference.
 *
 * The channel is reliable and ordered within a virtual channel. Messages on
 * PCV_VC_REQUEST may be answered from the receive handler on PCV_VC_RESPONSE,
 * where room for PCV_RESPONSE_RESERVE lines is kept before each call; a
 * handler of a response never waits for room.
 */
#ifndef PCV_PEER_H
#define PCV_PEER_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/types.h>
#include <pcieverbs/wire.h>

struct pcv_peer;

/* A client's room in every peer object: clients[PCV_CLIENT_VERBS] and so on. */
enum pcv_client_id {
	PCV_CLIENT_NET,
	PCV_CLIENT_VERBS,
	PCV_CLIENT_COUNT
};

/* Lines of the response channel that are free whenever a request is handed up. */
#define PCV_RESPONSE_RESERVE	8

/**
 * struct pcv_rx - a message that arrived
 * @type: enum pcv_msg_type
 * @vc: enum pcv_vc
 * @hdr: the header of that type, a private copy, full size guaranteed
 * @data: payload, contiguous; may be memory that the peer can still write:
 *	whatever is checked must be copied first
 * @len: its length in bytes, at most PCV_SEG_MAX for verbs, the MTU and an
 *	Ethernet header for the network (checked by the channel)
 */
struct pcv_rx {
	u8 type;
	u8 vc;
	u32 len;
	const void *hdr;
	const void *data;
};

/**
 * struct pcv_peer_client - one user of the channels
 * @up: a peer appeared. Process context, may sleep. After it returns, @rx may run.
 * @down: the peer is gone: no @rx runs any more, sends fail with -ENOTCONN and
 *	its waiters are off the lists (never called again). Process context, may
 *	sleep. Drop references to the peer soon.
 * @rx: a message of a type this client asked for. Softirq context.
 * @rx_end: the batch of @rx calls for this peer ends here: time for work that
 *	was put off (acknowledgements). Softirq context.
 *
 * @up and @down of one peer are serialised and balanced.
 */
struct pcv_peer_client {
	void (*up)(struct pcv_peer *peer);
	void (*down)(struct pcv_peer *peer);
	void (*rx)(struct pcv_peer *peer, const struct pcv_rx *rx);
	void (*rx_end)(struct pcv_peer *peer);
};

/**
 * pcv_peer_client_set() - install or remove (NULL) a client
 *
 * Installing reports the peers that are up; removing waits until no callback
 * runs and reports down for each. Process context.
 */
void pcv_peer_client_set(enum pcv_client_id id, const struct pcv_peer_client *client);

/**
 * pcv_peer_by_mac() - find the peer that is up and has this address
 *
 * The node's own address finds the loopback peer. Any context.
 * Return: a reference, to be put; NULL if there is none.
 */
struct pcv_peer *pcv_peer_by_mac(const u8 *mac);
void pcv_peer_get(struct pcv_peer *peer);
void pcv_peer_put(struct pcv_peer *peer);

bool pcv_peer_is_up(const struct pcv_peer *peer);
bool pcv_peer_is_loopback(const struct pcv_peer *peer);
const char *pcv_peer_name(const struct pcv_peer *peer);
const u8 *pcv_peer_mac(const struct pcv_peer *peer);

/* Private data of a client; set in @up, valid until @down returns and the last reference. */
void *pcv_peer_priv(const struct pcv_peer *peer, enum pcv_client_id id);
void pcv_peer_set_priv(struct pcv_peer *peer, enum pcv_client_id id, void *priv);

/**
 * pcv_peer_for_each() - call @fn for each peer that is up
 *
 * Any context but hard interrupt; @fn must not sleep. Loopback included.
 */
void pcv_peer_for_each(void (*fn)(struct pcv_peer *peer, void *arg), void *arg);

/**
 * struct pcv_tx - a message being written; on the caller's stack
 *
 * Its fields belong to the channel.
 */
struct pcv_tx {
	struct pcv_peer *peer;
	u8 *data;		/* next byte of payload, in the window or in @stage */
	u32 left;		/* payload bytes still to come */
	u32 plen;
	u32 data_offset;
	u8 vc;
	u8 type;
	bool bulk;
	u8 stage[sizeof(struct pcv_msg) + PCV_MSG_HDR_MAX + PCV_MSG_INLINE_MAX];
};

/**
 * pcv_peer_tx_begin() - reserve a message and write its header
 * @vc: enum pcv_vc
 * @type: enum pcv_msg_type; the size of @hdr follows from it
 * @hdr: header, copied
 * @plen: bytes of payload that will follow, at most PCV_SEG_MAX (network: MTU + 18)
 *
 * Takes the channel's lock with bottom halves off: everything up to
 * pcv_peer_tx_end() must not sleep and must be short. Not from hard interrupt.
 *
 * Return: 0; -EAGAIN without room (see pcv_peer_tx_wait()); -ENOTCONN when the
 * peer is gone.
 */
int pcv_peer_tx_begin(struct pcv_peer *peer, struct pcv_tx *tx, u8 vc, u8 type,
		      const void *hdr, u32 plen);

/* Append payload. All of @plen must have been given before pcv_peer_tx_end(). */
void pcv_peer_tx_copy(struct pcv_tx *tx, const void *src, u32 len);

/* Publish, wake the peer if it sleeps, release the lock. */
void pcv_peer_tx_end(struct pcv_tx *tx);

/**
 * struct pcv_tx_waiter - somebody who waits for room
 * @fn: called once, in softirq context, when there is room again; it is off
 *	the list by then and may wait again
 */
struct pcv_tx_waiter {
	struct list_head entry;
	void (*fn)(struct pcv_tx_waiter *w);
};

static inline void pcv_tx_waiter_init(struct pcv_tx_waiter *w, void (*fn)(struct pcv_tx_waiter *))
{
	INIT_LIST_HEAD(&w->entry);
	w->fn = fn;
}

/**
 * pcv_peer_tx_wait() - ask to be called when room comes back
 *
 * Return: true if @w is on the list now (or was already); false if there is
 * room at this moment or the peer is down: try again. Not from hard interrupt.
 */
bool pcv_peer_tx_wait(struct pcv_peer *peer, u8 vc, struct pcv_tx_waiter *w);

/**
 * pcv_peer_tx_unwait() - forget a waiter
 *
 * On return @w is off the list and its function neither runs nor will.
 * Process context (may sleep); must not be called from the function itself.
 */
void pcv_peer_tx_unwait(struct pcv_peer *peer, u8 vc, struct pcv_tx_waiter *w);

/**
 * pcv_peer_kick() - run the receive handler's end-of-batch hook soon
 *
 * For a client that put work off outside of @rx. Any context.
 */
void pcv_peer_kick(struct pcv_peer *peer);

/**
 * pcv_peer_ask() - receive what has come, now and here, for a process that polls
 *
 * For a while after it the peer need not ring: whoever calls is expected to
 * call again. If he does not, a timer makes up for it (PCV_ASK_NS, progress.c).
 * Softirq handlers run in the caller. Any context but hard interrupt.
 */
void pcv_peer_ask(struct pcv_peer *peer);

/* The caller of pcv_peer_ask() is about to sleep: have the peer ring. Same context. */
void pcv_peer_unask(struct pcv_peer *peer);

/* --- memory that processes map ------------------------------------------------ */

/*
 * Page frames, 0: there is none, also when the peer is down. Any context.
 * Whoever puts one into a mapping must have taken it out again before his
 * client's @down returns: find the mapping there, whoever makes it then.
 */

/* The peer's aperture at @offset, through the window. */
unsigned long pcv_peer_window_pfn(const struct pcv_peer *peer, u64 offset);

/* This node's aperture, which that peer writes. */
unsigned long pcv_peer_aperture_pfn(const struct pcv_peer *peer, u64 offset);

/*
 * The page of the peer's memory at device address @addr there, a multiple of
 * PAGE_SIZE here. Process context, and not after the client's @down.
 */
unsigned long pcv_peer_direct_pfn(const struct pcv_peer *peer, u64 addr);

/*
 * Where this kernel can store to PCV_DIRECT_UNIT bytes there, NULL: nowhere. Good until
 * the client's @down returns.
 */
void *pcv_peer_direct_unit(const struct pcv_peer *peer, u64 addr);

/**
 * pcv_peer_aperture() - the same memory of the aperture for the kernel
 *
 * Valid until the client's @down returns, like what is mapped of it.
 */
void *pcv_peer_aperture(const struct pcv_peer *peer, u64 offset);

/**
 * pcv_peer_aperture_free_range() - what the channel leaves of this node's aperture
 * @offset: where it begins; this and @bytes are multiples of either node's page size
 * @bytes: 0 if it cannot be mapped
 */
void pcv_peer_aperture_free_range(const struct pcv_peer *peer, u64 *offset, u64 *bytes);

/* Blocks of the aperture taken or given back, for who looks at it. Any context. */
void pcv_peer_blocks_add(struct pcv_peer *peer, int n);

/* The larger page size of both nodes. */
u32 pcv_peer_page_bytes(const struct pcv_peer *peer);

/* Map windows write-combining? */
bool pcv_peer_wc(const struct pcv_peer *peer);

/**
 * pcv_peer_direct_address() - what the peer would call a range of this node's memory
 *
 * Any context. Return: its device address, or PCV_DIRECT_NONE if the peer has
 * no window that shows all of it.
 */
u64 pcv_peer_direct_address(const struct pcv_peer *peer, phys_addr_t phys, u32 bytes);

/**
 * pcv_peer_fence_direct() - the peer must not write to this node's memory any more
 *
 * For a peer that does not let go: its direct window is shut, and its link
 * starts anew, because stores of its processes would get lost from then on.
 * Process context. Return: true if nothing of it can arrive any more; false if
 * this link cannot keep it out, so that the memory must not be used again.
 */
bool pcv_peer_fence_direct(struct pcv_peer *peer);

/**
 * pcv_peer_broken() - the peer violated the protocol: cut it off
 * @what: for the log (rate limited) and the counter
 *
 * The link goes through down and a new bring-up. Any context.
 */
void pcv_peer_broken(struct pcv_peer *peer, const char *what);

#endif /* PCV_PEER_H */
