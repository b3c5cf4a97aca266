/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Links: what carries a channel to another node. A link brings itself up,
 * agrees with the other side about who writes where, and hands the result up
 * as a struct pcv_channel; link.c does it over the NTB API, loop.c over plain
 * memory. Nothing above a channel knows which.
 */
#ifndef PCV_LINK_H
#define PCV_LINK_H

#include <linux/types.h>
#include <pcieverbs/wire.h>

struct seq_file;

/**
 * struct pcv_node - this node, as it presents itself; constant after probe
 * @guid: EUI-64
 * @mtu: largest payload of an Ethernet frame that it takes
 * @mac: of its network interface
 */
struct pcv_node {
	u64 guid;
	u32 mtu;
	u8 mac[6];
};

/* struct pcv_ring_desc in the CPU's byte order, checked */
struct pcv_ring_area {
	u32 line_offset;
	u32 line_count;
	u32 data_offset;
	u32 data_bytes;
};

/**
 * struct pcv_link_ops - what a peer asks of its link
 * @ring: wake the other side. Soft interrupt context or below, may hold spinlocks.
 * @fail: the channel is useless: take it down and start anew. Any context.
 * @fence: take back the window that shows the other side all of this node's
 *	memory; it stays without one until the next channel. Process context.
 *	Return: true if stores of the other side cannot arrive any more; false
 *	if this link cannot keep them out.
 * @in_pfn: page frame of @in at an offset, 0: it has none to map. Any context.
 * @direct_pfn: page frame of the other side's memory at a device address there,
 *	0: no window shows it. Process context.
 * @direct_unit: address here of PCV_DIRECT_UNIT bytes there, for the kernel's
 *	stores, NULL: none. Process context.
 *
 * Called only between the return of &pcv_link_upcalls.up and that of
 * &pcv_link_upcalls.down.
 */
struct pcv_link_ops {
	void (*ring)(void *link);
	void (*fail)(void *link);
	bool (*fence)(void *link);
	unsigned long (*in_pfn)(void *link, u64 offset);
	unsigned long (*direct_pfn)(void *link, u64 addr);
	void *(*direct_unit)(void *link, u64 addr);
};

/**
 * struct pcv_channel - what both sides of a link agreed on
 * @ops: of the link
 * @link: their argument
 * @in: this node's aperture, which the other side writes
 * @out: the other side's aperture, seen through the window: never read on a
 *	data path
 * @in_ring: where @in is written, per virtual channel
 * @out_ring: where @out is to be written
 * @in_bytes: size of @in
 * @in_used: how much of it, from the start, the channel takes
 * @out_bytes: how much of the other side's aperture can be reached, 0: its
 *	pages cannot be mapped into processes (loopback)
 * @out_phys: CPU's physical address of @out
 * @own_base: device address of the first byte of this node's memory that the
 *	other side sees in its direct window
 * @own_bytes: how much it sees, 0: nothing
 * @direct_base: device address, there, of the first byte that the other side
 *	shows of its memory
 * @direct_bytes: how much it shows, 0: nothing
 * @wc: processes should map windows write-combining
 * @page_shift: page size of the other side
 * @in_seq: number of the first line in each ring of @in
 * @out_seq: number of the first line in each ring of @out
 * @node: the other side, as it presented itself
 * @name: its name, printable
 * @loopback: the other side is this node
 */
struct pcv_channel {
	const struct pcv_link_ops *ops;
	void *link;
	void *in;
	void *out;
	struct pcv_ring_area in_ring[PCV_VC_COUNT];
	struct pcv_ring_area out_ring[PCV_VC_COUNT];
	u64 in_bytes;
	u64 in_used;
	u64 out_bytes;
	phys_addr_t out_phys;
	u64 own_base;
	u64 own_bytes;
	u64 direct_base;
	u64 direct_bytes;
	bool wc;
	u8 page_shift;
	u32 in_seq;
	u32 out_seq;
	struct pcv_node node;
	char name[64];
	bool loopback;
};

/**
 * struct pcv_link_upcalls - what links report to the layer above
 * @up: a channel stands; @channel is copied. Process context.
 *	Return: the peer, or an ERR_PTR.
 * @down: it is gone: when this returns nothing touches @in or @out any more.
 *	Process context.
 * @wake: the other side has rung. Any context.
 * @show: add the peer's part of a line in debugfs
 * @blocks: how many blocks of the aperture are taken above the channel's part
 *
 * Calls for one link never overlap, but for @wake, @show and @blocks, which do not
 * outlast @down's return.
 */
struct pcv_link_upcalls {
	void *(*up)(const struct pcv_channel *channel);
	void (*down)(void *peer);
	void (*wake)(void *peer);
	void (*show)(void *peer, struct seq_file *m);
	u32 (*blocks)(void *peer);
};

/**
 * pcv_link_init() - find NTB ports and bring their links up
 * @node: this node
 * @upcalls: whom to report to
 *
 * Return: 0 or -errno. No port at all is no error.
 */
int pcv_link_init(const struct pcv_node *node, const struct pcv_link_upcalls *upcalls);

/**
 * pcv_link_exit() - take all links down and release the ports
 */
void pcv_link_exit(void);

/* One line a link, for debugfs. */
void pcv_link_show(struct seq_file *m);

/* Apertures: total and used bytes, for debugfs. */
void pcv_link_show_aperture(struct seq_file *m);

/**
 * pcv_loop_init() - make this node its own peer
 */
int pcv_loop_init(const struct pcv_node *node, const struct pcv_link_upcalls *upcalls);
void pcv_loop_exit(void);
void pcv_loop_show(struct seq_file *m);
void pcv_loop_show_aperture(struct seq_file *m);

#endif /* PCV_LINK_H */
