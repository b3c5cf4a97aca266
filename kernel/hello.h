/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How an aperture is divided, and the hello that tells the other side. */
#ifndef PCV_HELLO_H
#define PCV_HELLO_H

#include "link.h"

/**
 * pcv_layout() - divide an aperture
 * @bytes: its size, at least PCV_APERTURE_MIN
 * @ring: filled in, one per virtual channel
 *
 * Return: bytes from the start that are taken; what lies above is free for
 * queue pairs.
 */
u64 pcv_layout(u64 bytes, struct pcv_ring_area ring[PCV_VC_COUNT]);

/**
 * pcv_seq_base() - number of the first line of a ring
 * @writer: generation of the side that writes it
 * @reader: generation of the side that reads it
 *
 * Both sides compute it. A line that a former life of the writer left behind
 * has numbers of its own.
 */
u32 pcv_seq_base(u32 writer, u32 reader);

/**
 * pcv_hello_write() - present this node in the other side's aperture
 * @out: the other side's aperture
 * @node: this node
 * @generation: of this side
 * @echo: generation of the other side, as read from its scratchpads
 * @channel: @own_base and @own_bytes, and how @in is divided: @in_bytes, @in_ring
 *
 * Starts the alive word, too.
 */
void pcv_hello_write(void *out, const struct pcv_node *node, u32 generation, u32 echo,
		     const struct pcv_channel *channel);

/**
 * pcv_hello_read() - look for the other side's hello, and check it
 * @in: this side's aperture
 * @generation: of this side
 * @peer_generation: of the other side, as read from its scratchpads
 * @window_bytes: what of the other side's aperture can be reached
 * @channel: node, name, out_ring, out_bytes, page_shift, sequence bases,
 *	direct_base and direct_bytes as told are filled in
 * @why: on -EPROTO, what is wrong with it
 *
 * Return: 0; -EAGAIN if there is none yet for this pair of generations;
 * -EPROTO if it makes no sense.
 */
int pcv_hello_read(const void *in, u32 generation, u32 peer_generation, u64 window_bytes,
		   struct pcv_channel *channel, const char **why);

#endif /* PCV_HELLO_H */
