/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A software NTB port as an ntb_dev: two ports back to back, one ntb_dev per
 * peer. This part holds the link state, the doorbells, scratchpads and
 * translations, all on the registers of shm.h; how the peer is woken and where
 * its memory appears is the access driver's (uml.c).
 *
 * What a client must know about the windows
 * -----------------------------------------
 * ntb_peer_mw_get_addr() has two answers:
 *
 * - *Indirect*, whenever the link is down or the peer has set no translation: a
 *   range of the device's BAR, the same for ever. Accesses through ioremap()
 *   are translated when they happen, as hardware does: with no link or no
 *   translation, or beyond its size, writes are dropped and reads return ones.
 *   Where nothing translates (a BAR that *is* the peer's memory) there is no
 *   such range, and the answer is -EAGAIN: ask again when the link is up and
 *   the peer has set a translation.
 *
 * - *Direct*, when the link is up and the peer has set a translation: the
 *   address at which that very memory of the peer appears to this CPU, and the
 *   translation's size. Under UML it is plain memory that is always mapped:
 *   phys_to_virt() of it is usable, and its pfn can be mapped into a process.
 *   ioremap() of it works as well and is checked at each access like the
 *   indirect range.
 *
 * Plain pointers into a direct range cannot be revoked by the other side. So a
 * client that uses them must stop when the link goes down, and must make the
 * peer's client keep its memory until then. A link event is delivered when a
 * direct address that has been handed out is no longer valid because the peer
 * has cleared or replaced the translation, even though the link stays up; the
 * client then asks again.
 *
 * A peer that restarts always causes a link event with the link down, at least
 * PCV_NTB_TRAIN_MS before the one with the link up, and does not itself see the
 * link up before that. Link events are delivered in softirq context, never from
 * within a call that a client made. ntb_link_is_up() inside the callback tells
 * which of them it is; a client that only queries from a work item may miss a
 * short down.
 *
 * Doorbells start masked. A doorbell that is pending when it is unmasked causes
 * an event, as level-triggered interrupts do. While the link is down there are
 * no doorbell events; what is pending then is delivered after the link event.
 */
#ifndef PCV_NTB_DEV_H
#define PCV_NTB_DEV_H

#include <linux/interrupt.h>
#include <linux/list.h>
#include <linux/ntb.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#include "shm.h"

#define PCV_NTB_WINDOWS		4

/*
 * How long a link stays down at least, as hardware takes to train one. Clients
 * count on it: ntb_transport handles a down event in a work item, and what that
 * finds already scheduled for the next up event it cancels.
 */
#define PCV_NTB_TRAIN_MS	100

struct pcv_ntb_dev;

/**
 * struct pcv_ntb_access - what the access driver provides
 * @kick:	wake the peer. Any context; must not sleep.
 * @local:	where a range of this node's memory, as a device addresses it, is
 *		for the peer: puts that into @at. Any context.
 *		Return: 0, or -EINVAL if the peer cannot see all of it.
 * @direct:	CPU address of a range of the peer's memory; the range has been
 *		checked against @peer_bytes or @peer_offered_bytes. Any context.
 *		Return: false if that is not known (yet).
 */
struct pcv_ntb_access {
	void (*kick)(struct pcv_ntb_dev *nd);
	int (*local)(struct pcv_ntb_dev *nd, u64 addr, u64 size, u64 *at);
	bool (*direct)(struct pcv_ntb_dev *nd, u64 addr, phys_addr_t *at);
};

/**
 * struct pcv_ntb_dev - one NTB port
 *
 * Owned by the access driver, from pcv_ntb_dev_init() to after
 * pcv_ntb_dev_fini(). Constant in between unless stated otherwise.
 *
 * @ntb:	the API's device; @ntb.pdev is set before pcv_ntb_dev_register()
 * @access:	the access driver's operations
 * @dma_dev:	whose memory translations can lead to, NULL for @ntb.pdev
 * @here:	registers of this node's port, which it owns
 * @there:	registers of the peer's port
 * @local_bytes: no translation can be larger
 * @peer_bytes:	bytes of the peer's memory that this node can reach
 * @peer_offered_bytes: bytes of what the peer offers beside its memory (see
 *		PCV_SHM_OFFERED), 0 if there is none
 * @align:	of translations, their address and size
 * @windows:	how many, PCV_NTB_WINDOWS at most
 * @bar:	CPU address of the windows, one behind the other
 * @window_bytes: size of the indirect range of one window, 0 if there is none
 * @lock:	guards the fields that follow. Innermost: nothing is called with
 *		it held. Taken with interrupts off.
 * @list:	in the list of all ports, for the parameter `cut`
 * @wanted:	the client has enabled the link
 * @link:	this node's link word
 * @seen:	the peer's link word that has been acted upon; 0 if it is gone
 * @peer_link:	the peer's link word as last read
 * @peer_ack:	the peer's &pcv_shm_port.ack as last read
 * @lost_gen:	generation of the peer whose end was noticed by other means
 * @direct:	translations handed out as direct addresses, 0 if not
 * @db_mask:	masked doorbells
 * @train_end:	jiffies before which the link must not come up
 * @event:	a link event is due
 * @up:		link state as clients see it. Written under @lock, read anywhere.
 * @train:	schedules @link_task at @train_end; armed under @lock, and only
 *		while the link is enabled
 * @link_task:	the only place where the link comes up and events are delivered
 * @db_task:	delivers doorbells that were pending when they were unmasked
 */
struct pcv_ntb_dev {
	struct ntb_dev ntb;
	const struct pcv_ntb_access *access;
	struct device *dma_dev;
	struct pcv_shm_port *here;
	struct pcv_shm_port *there;
	u64 local_bytes;
	u64 peer_bytes;
	u64 peer_offered_bytes;
	u64 align;
	int windows;
	phys_addr_t bar;
	resource_size_t window_bytes;

	struct list_head list;

	spinlock_t lock; /* guards what follows, see above */
	bool wanted;
	u64 link;
	u64 seen;
	u64 peer_link;
	u64 peer_ack;
	u32 lost_gen;
	u64 direct[PCV_NTB_WINDOWS];
	u64 db_mask;
	unsigned long train_end;
	bool event;
	bool up;

	struct timer_list train;
	struct tasklet_struct link_task;
	struct tasklet_struct db_task;
};

/**
 * pcv_ntb_dev_init() - take possession of the port
 * @nd:		all constant fields are set
 * @first:	true on the side that is to be port 0
 *
 * After this the other calls may come, also pcv_ntb_dev_kicked() from an
 * interrupt.
 */
void pcv_ntb_dev_init(struct pcv_ntb_dev *nd, bool first);

/**
 * pcv_ntb_dev_register() - offer the port to NTB clients
 * @nd:		initialised
 *
 * Return: 0 or an error number.
 */
int pcv_ntb_dev_register(struct pcv_ntb_dev *nd);

/**
 * pcv_ntb_dev_unregister() - take the port from its client
 * @nd:		registered
 *
 * Sleeps until the client has let go.
 */
void pcv_ntb_dev_unregister(struct pcv_ntb_dev *nd);

/**
 * pcv_ntb_dev_fini() - leave the port, and tell the peer
 * @nd:		initialised, not registered, no interrupt can come any more
 */
void pcv_ntb_dev_fini(struct pcv_ntb_dev *nd);

/**
 * pcv_ntb_dev_kicked() - the peer has woken this node
 * @nd:		initialised
 *
 * Called after the wake-up has been consumed, in interrupt context.
 */
void pcv_ntb_dev_kicked(struct pcv_ntb_dev *nd);

/**
 * pcv_ntb_dev_peer_gen() - which peer is there now
 * @nd:		initialised
 *
 * Return: its generation, 0 if none.
 */
u32 pcv_ntb_dev_peer_gen(struct pcv_ntb_dev *nd);

/**
 * pcv_ntb_dev_lost() - a peer has ended without a word
 * @nd:		initialised
 * @gen:	its generation, read *before* its end was established: a later one
 *		belongs to its successor, which is alive. 0 takes it back: the peer
 *		lives after all.
 *
 * A peer that was only taken for dead finds that the link has been down: the
 * word that it had acknowledged is no longer there.
 *
 * Any context. The caller calls pcv_ntb_dev_kicked() next.
 */
void pcv_ntb_dev_lost(struct pcv_ntb_dev *nd, u32 gen);

/**
 * pcv_ntb_dev_window() - where a window leads at this moment
 * @nd:		initialised
 * @widx:	window, below @nd->windows
 * @addr:	OUT: address in the peer's memory (see PCV_SHM_OFFERED)
 * @size:	OUT: bytes
 *
 * Any context.
 *
 * Return: false if the link is down or there is no valid translation.
 */
bool pcv_ntb_dev_window(struct pcv_ntb_dev *nd, int widx, u64 *addr, u64 *size);

#endif
