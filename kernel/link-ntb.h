/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Links over the NTB API, as link.c and link-direct.c share them. */
#ifndef PCV_LINK_NTB_H
#define PCV_LINK_NTB_H

#include <linux/mutex.h>
#include <linux/ntb.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "aperture.h"
#include "link.h"

enum pcv_link_state {
	PCV_LINK_QUIET,
	PCV_LINK_WAIT_WINDOW,
	PCV_LINK_WAIT_HELLO,
	PCV_LINK_UP,
};

struct pcv_ntb;

/**
 * struct pcv_link - the way to one peer port; owned by its struct pcv_ntb
 * @pn: device
 * @entry: in pcv_links
 * @pidx: peer port index
 * @in_widx: window of the peer that translates to this node's memory
 * @out_widx: window of this node into the peer's memory
 * @in_direct: window of the peer that shows all of this node's memory, -1: none
 * @out_direct: window of this node to all of the peer's memory, -1: none
 * @in_spad: first of the scratchpads that the peer writes
 * @out_spad: first of the peer's scratchpads that this node writes
 * @in_db: doorbell that the peer rings
 * @out_db: doorbell of the peer
 * @work: the state machine; all that follows up to @lock belongs to it
 * @state: see the head of link.c
 * @runs: @work does something: not yet while the link is being made, and not
 *	any more when it goes, whoever queues it
 * @failed: bit 0: the peer layer wants the channel down
 * @delay_ms: until the next look during bring-up
 * @since: jiffies when the present state began
 * @quiet_ms: how long QUIET lasts at least
 * @generation: of this side, 0 while quiet
 * @peer_generation: of the other side, once the hello is written
 * @stale_generation: of the other side's life that ended here
 * @aperture: memory that the peer may write
 * @window: of the peer, while @state >= PCV_LINK_WAIT_HELLO
 * @window_bytes: its size
 * @window_phys: its address
 * @alive_out: last value of the peer's alive word written
 * @alive_in: last value of our own alive word seen
 * @silent_ms: for how long it has not changed
 * @direct_lock: mutex: guards what follows; a fence and users of the peer come
 *	from outside of @work
 * @direct_open: @in_direct has a translation
 * @direct_looked: what follows was looked for
 * @direct_phys: where the peer's memory appears
 * @direct_bytes: how much of it, 0: nothing
 * @direct_wc: it is reserved for write-combining
 * @direct_window: all of it, mapped for the kernel; NULL: not needed yet, or an ERR_PTR
 * @lock: guards @peer against doorbells and debugfs; interrupts off
 * @peer: what the upper layer made of the channel
 * @channel: the channel, while @peer is set
 */
struct pcv_link {
	struct pcv_ntb *pn;
	struct list_head entry;
	int pidx;
	int in_widx;
	int out_widx;
	int in_direct;
	int out_direct;
	int in_spad;
	int out_spad;
	u64 in_db;
	u64 out_db;

	struct delayed_work work;
	bool runs;
	enum pcv_link_state state;
	unsigned long failed;
	unsigned int delay_ms;
	unsigned long since;
	unsigned int quiet_ms;
	u32 generation;
	u32 peer_generation;
	u32 stale_generation;
	struct pcv_aperture aperture;
	void *window;
	u64 window_bytes;
	phys_addr_t window_phys;
	u32 alive_out;
	u32 alive_in;
	unsigned int silent_ms;
	struct mutex direct_lock;
	bool direct_open;
	bool direct_looked;
	bool direct_wc;
	phys_addr_t direct_phys;
	u64 direct_bytes;
	void *direct_window;

	spinlock_t lock;
	void *peer;
	struct pcv_channel channel;
};

/**
 * struct pcv_ntb - an NTB device that this module drives
 * @ntb: it
 * @db_mask: the doorbells that peers ring here
 * @count: number of peer ports
 * @link: one for each
 */
struct pcv_ntb {
	struct ntb_dev *ntb;
	u64 db_mask;
	int count;
	struct pcv_link link[];
};

static inline struct device *pcv_link_dev(const struct pcv_link *link)
{
	return &link->pn->ntb->dev;
}

/* Whether processes of other nodes shall write this node's memory. */
bool pcv_link_direct_wanted(void);
/* What goes into the hello: how much this node shows. */
void pcv_link_direct_tell(struct pcv_link *link);
void pcv_link_direct_open(struct pcv_link *link);
void pcv_link_direct_shut(struct pcv_link *link);
/* The other side's memory is not used any more. */
void pcv_link_direct_lose(struct pcv_link *link);
/* &pcv_link_ops.direct_pfn, &pcv_link_ops.direct_unit */
unsigned long pcv_link_direct_pfn(void *arg, u64 addr);
void *pcv_link_direct_unit(void *arg, u64 addr);

#endif /* PCV_LINK_NTB_H */
