// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The link of this node to itself: its window is its own aperture, and its
 * doorbell its own poll. Always up.
 *
 * What one side of a channel writes for the other is read from the same memory
 * by the same peer object, so the rings of the two directions are one ring.
 */
#include <linux/etherdevice.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "hello.h"
#include "link.h"
#include "os.h"

#define PCV_LOOP_BYTES		(2u << 20)
#define PCV_LOOP_GENERATION	1

static const struct pcv_link_upcalls *pcv_loop_upcalls;
static struct pcv_channel pcv_loop_channel;
static void *pcv_loop_memory;
static u64 pcv_loop_used;

/* Set when up() has returned; it is woken then, for what was sent meanwhile. */
static void *pcv_loop_peer;

static void pcv_loop_ring(void *link)
{
	void *peer = READ_ONCE(pcv_loop_peer);

	if (peer)
		pcv_loop_upcalls->wake(peer);
}

static void pcv_loop_fail(void *link)
{
	/* Its own memory was overwritten: there is nothing to start anew with. */
}

static bool pcv_loop_fence(void *link)
{
	return true;
}

static unsigned long pcv_loop_in_pfn(void *link, u64 offset)
{
	return 0;
}

static unsigned long pcv_loop_direct_pfn(void *link, u64 addr)
{
	return 0;
}

static void *pcv_loop_direct_unit(void *link, u64 addr)
{
	return NULL;
}

static const struct pcv_link_ops pcv_loop_ops = {
	.ring = pcv_loop_ring,
	.fail = pcv_loop_fail,
	.fence = pcv_loop_fence,
	.in_pfn = pcv_loop_in_pfn,
	.direct_pfn = pcv_loop_direct_pfn,
	.direct_unit = pcv_loop_direct_unit,
};

int pcv_loop_init(const struct pcv_node *node, const struct pcv_link_upcalls *upcalls)
{
	struct pcv_channel *ch = &pcv_loop_channel;
	__le32 *alive;
	void *peer;

	pcv_loop_memory = kvzalloc(PCV_LOOP_BYTES, GFP_KERNEL);
	if (!pcv_loop_memory)
		return -ENOMEM;
	alive = pcv_loop_memory + PCV_ALIVE_OFFSET;
	*alive = pcv_to_le32(1);

	pcv_loop_upcalls = upcalls;
	pcv_loop_used = pcv_layout(PCV_LOOP_BYTES, ch->in_ring);
	memcpy(ch->out_ring, ch->in_ring, sizeof(ch->out_ring));
	ch->ops = &pcv_loop_ops;
	ch->in = pcv_loop_memory;
	ch->out = pcv_loop_memory;
	ch->in_seq = pcv_seq_base(PCV_LOOP_GENERATION, PCV_LOOP_GENERATION);
	ch->out_seq = ch->in_seq;
	ch->page_shift = PAGE_SHIFT;
	ch->node = *node;
	ch->loopback = true;
	strscpy(ch->name, init_utsname()->nodename, sizeof(ch->name));

	peer = upcalls->up(ch);
	if (IS_ERR(peer)) {
		kvfree(pcv_loop_memory);
		return PTR_ERR(peer);
	}
	WRITE_ONCE(pcv_loop_peer, peer);
	upcalls->wake(peer);
	return 0;
}

void pcv_loop_exit(void)
{
	pcv_loop_upcalls->down(pcv_loop_peer);
	pcv_loop_peer = NULL;
	kvfree(pcv_loop_memory);
}

void pcv_loop_show(struct seq_file *m)
{
	const struct pcv_node *node = &pcv_loop_channel.node;

	seq_printf(m, "name=%s node=%016llx mac=%pM state=LOOPBACK ntb=none gen=%08x aperture=%u",
		   pcv_loop_channel.name, node->guid, node->mac, PCV_LOOP_GENERATION,
		   PCV_LOOP_BYTES);
	pcv_loop_upcalls->show(pcv_loop_peer, m);
	seq_putc(m, '\n');
}

void pcv_loop_show_aperture(struct seq_file *m)
{
	seq_printf(m, "ntb=none source=kernel total=%u channel=%llu queue_pairs=%u\n",
		   PCV_LOOP_BYTES, pcv_loop_used, 0);
}
