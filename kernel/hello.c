// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/etherdevice.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "hello.h"
#include "os.h"

/* What page sizes there are: 4 KiB to 1 MiB. */
#define PCV_PAGE_SHIFT_MIN	12
#define PCV_PAGE_SHIFT_MAX	20

u64 pcv_layout(u64 bytes, struct pcv_ring_area ring[PCV_VC_COUNT])
{
	u32 lines = clamp_t(u64, rounddown_pow_of_two(bytes) / 2048, 512, 8192);
	u32 data = clamp_t(u64, rounddown_pow_of_two(bytes) / 4, 256 << 10, 4 << 20);
	u32 at = PCV_RING_OFFSET;
	int vc;

	for (vc = 0; vc < PCV_VC_COUNT; vc++) {
		ring[vc].line_offset = at;
		ring[vc].line_count = lines;
		at += lines * PCV_LINE_BYTES;
	}
	for (vc = 0; vc < PCV_VC_COUNT; vc++) {
		ring[vc].data_offset = at;
		ring[vc].data_bytes = data;
		at += data;
	}
	return at;
}

u32 pcv_seq_base(u32 writer, u32 reader)
{
	return writer ^ rol32(reader, 16);
}

void pcv_hello_write(void *out, const struct pcv_node *node, u32 generation, u32 echo,
		     const struct pcv_channel *channel)
{
	const struct pcv_ring_area *ring = channel->in_ring;
	struct pcv_hello *to = out + PCV_HELLO_OFFSET;
	struct pcv_hello hello = {
		.magic = pcv_to_le32(PCV_WIRE_MAGIC),
		.version = pcv_to_le32(PCV_WIRE_VERSION),
		.generation = pcv_to_le32(generation),
		.echo = pcv_to_le32(echo),
		.node_guid = pcv_to_le64(node->guid),
		.page_shift = pcv_to_le32(PAGE_SHIFT),
		.mtu = pcv_to_le32(node->mtu),
		.aperture_bytes = pcv_to_le64(channel->in_bytes),
		.direct_base = pcv_to_le64(channel->own_base),
		.direct_bytes = pcv_to_le64(channel->own_bytes),
	};
	int vc;

	ether_addr_copy(hello.mac, node->mac);
	for (vc = 0; vc < PCV_VC_COUNT; vc++) {
		hello.ring[vc].line_offset = pcv_to_le32(ring[vc].line_offset);
		hello.ring[vc].line_count = pcv_to_le32(ring[vc].line_count);
		hello.ring[vc].data_offset = pcv_to_le32(ring[vc].data_offset);
		hello.ring[vc].data_bytes = pcv_to_le32(ring[vc].data_bytes);
	}
	strscpy(hello.name, init_utsname()->nodename, sizeof(hello.name));

	/* A hello of this side to a former life of the other may lie there. */
	PCV_STORE(&to->ready, 0);
	/*
	 * PCV(hello_unready:A) pairs with hello_ready:B
	 * No mixture of two hellos may look complete.
	 */
	pcv_out_wmb();
	pcv_memcpy(to, &hello, offsetof(struct pcv_hello, ready));
	PCV_STORE((__le32 *)(out + PCV_ALIVE_OFFSET), pcv_to_le32(1));
	/*
	 * PCV(hello_ready:A) pairs with hello_ready:B
	 * Who sees ready must find all of it.
	 */
	pcv_out_wmb();
	PCV_STORE(&to->ready, pcv_to_le32(generation));
	/* PCV(hello_flush:A): drains write-combining buffers before the doorbell. */
	pcv_out_wmb();
}

struct pcv_span {
	u64 start;
	u64 end;
};

static bool pcv_spans_overlap(const struct pcv_span *span, int count)
{
	int i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < i; j++)
			if (span[i].start < span[j].end && span[j].start < span[i].end)
				return true;
	return false;
}

static const char *pcv_hello_rings(const struct pcv_hello *hello, u64 bytes,
				   struct pcv_ring_area ring[PCV_VC_COUNT])
{
	struct pcv_span span[1 + 2 * PCV_VC_COUNT] = { { 0, PCV_RING_OFFSET } };
	int spans = 1;
	int vc;

	for (vc = 0; vc < PCV_VC_COUNT; vc++) {
		struct pcv_ring_area *r = &ring[vc];

		r->line_offset = pcv_le32(hello->ring[vc].line_offset);
		r->line_count = pcv_le32(hello->ring[vc].line_count);
		r->data_offset = pcv_le32(hello->ring[vc].data_offset);
		r->data_bytes = pcv_le32(hello->ring[vc].data_bytes);

		if (!is_power_of_2(r->line_count) || r->line_count < PCV_LINES_MIN ||
		    r->line_count > PCV_LINES_MAX)
			return "number of lines";
		if (r->data_bytes < PCV_DATA_MIN)
			return "size of a data area";
		if ((r->line_offset | r->data_offset | r->data_bytes) % PCV_LINE_BYTES)
			return "alignment";

		span[spans].start = r->line_offset;
		span[spans].end = r->line_offset + (u64)r->line_count * PCV_LINE_BYTES;
		if (span[spans++].end > bytes)
			return "lines beyond the aperture";
		span[spans].start = r->data_offset;
		span[spans].end = r->data_offset + (u64)r->data_bytes;
		if (span[spans++].end > bytes)
			return "data beyond the aperture";
	}
	return pcv_spans_overlap(span, spans) ? "areas overlap" : NULL;
}

static const char *pcv_hello_check(const struct pcv_hello *hello, u64 window_bytes,
				   struct pcv_channel *channel)
{
	u64 bytes = pcv_le64(hello->aperture_bytes);
	u32 shift = pcv_le32(hello->page_shift);
	char *c;

	if (pcv_le32(hello->magic) != PCV_WIRE_MAGIC)
		return "magic";
	if (pcv_le32(hello->version) != PCV_WIRE_VERSION)
		return "version";
	if (memchr_inv(hello->reserved0, 0, sizeof(hello->reserved0)) ||
	    memchr_inv(hello->reserved1, 0, sizeof(hello->reserved1)))
		return "reserved fields";
	if (bytes < PCV_APERTURE_MIN)
		return "size of the aperture";
	if (shift < PCV_PAGE_SHIFT_MIN || shift > PCV_PAGE_SHIFT_MAX)
		return "page size";
	if (!is_valid_ether_addr(hello->mac))
		return "MAC address";

	channel->node.guid = pcv_le64(hello->node_guid);
	channel->node.mtu = pcv_le32(hello->mtu);
	ether_addr_copy(channel->node.mac, hello->mac);
	strscpy(channel->name, hello->name, sizeof(channel->name));
	for (c = channel->name; *c; c++)
		if (!isascii(*c) || !isgraph(*c))
			*c = '?';
	channel->page_shift = shift;
	channel->out_bytes = min(bytes, window_bytes);
	channel->direct_base = pcv_le64(hello->direct_base);
	channel->direct_bytes = pcv_le64(hello->direct_bytes);
	return pcv_hello_rings(hello, channel->out_bytes, channel->out_ring);
}

int pcv_hello_read(const void *in, u32 generation, u32 peer_generation, u64 window_bytes,
		   struct pcv_channel *channel, const char **why)
{
	const struct pcv_hello *from = in + PCV_HELLO_OFFSET;
	struct pcv_hello hello;

	if (pcv_le32(PCV_LOAD(&from->ready)) != peer_generation)
		return -EAGAIN;
	/*
	 * PCV(hello_ready:B) pairs with hello_ready:A
	 * Fields loaded before ready could be older than it.
	 */
	pcv_in_rmb();
	pcv_memcpy(&hello, from, sizeof(hello));

	if (pcv_le32(hello.generation) != peer_generation ||
	    pcv_le32(hello.echo) != generation)
		return -EAGAIN;

	channel->in_seq = pcv_seq_base(peer_generation, generation);
	channel->out_seq = pcv_seq_base(generation, peer_generation);
	*why = pcv_hello_check(&hello, window_bytes, channel);
	return *why ? -EPROTO : 0;
}
