// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Two processes talk through one shared file, both ways at once.
 *
 * "duet FILE SIDE MESSAGES" with SIDE 0 or 1. The file starts out as zeroes and
 * looks like two apertures: in each a hello, a credit word and a ring, written
 * by the other side. The two programs may be built for different machines:
 * tests/stress/duet-run plays a little-endian one against a big-endian one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pcieverbs/wire.h>

#include "check.h"
#include "pattern.h"
#include "ring.h"
#include "os.h"

#define APERTURE	(64 << 10)
#define LEN_MAX		3000
#define TIMEOUT_S	60

static const __u32 line_count[2] = { 64, 256 };
static const __u32 seq_base[2] = { 0xfffff000u, 0 };

struct side {
	struct pcv_hello *hello;
	struct pcv_ctl *ctl;
	struct pcv_line *line;
	__u32 generation;
	__u64 node_guid;
};

static void side_set(struct side *s, char *file, int which)
{
	char *aperture = file + which * APERTURE;

	s->hello = (struct pcv_hello *)(aperture + PCV_HELLO_OFFSET);
	s->ctl = (struct pcv_ctl *)(aperture + PCV_CTL_OFFSET);
	s->line = (struct pcv_line *)(aperture + PCV_RING_OFFSET);
	s->generation = 0x01020304u + (__u32)which;
	s->node_guid = 0x1122334455667700ull + (__u32)which;
}

/* Written into the peer's aperture; it tells of the writer. */
static void hello_write(const struct side *peer, const struct side *own, int which)
{
	struct pcv_hello *to = peer->hello;
	const struct pcv_hello hello = {
		.magic = pcv_to_le32(PCV_WIRE_MAGIC),
		.version = pcv_to_le32(PCV_WIRE_VERSION),
		.generation = pcv_to_le32(own->generation),
		.node_guid = pcv_to_le64(own->node_guid),
		.aperture_bytes = pcv_to_le64(APERTURE),
		.ring[PCV_VC_REQUEST] = {
			.line_offset = pcv_to_le32(PCV_RING_OFFSET),
			.line_count = pcv_to_le32(line_count[which]),
		},
		.name = "duet",
	};

	memcpy(to, &hello, offsetof(struct pcv_hello, ready));
	pcv_out_wmb();
	PCV_STORE(&to->ready, hello.generation);
}

static void hello_read(const struct side *own, const struct side *peer, int peer_which)
{
	struct pcv_hello hello;

	while (pcv_le32(PCV_LOAD(&own->hello->ready)) != peer->generation)
		sched_yield();
	pcv_in_rmb();
	memcpy(&hello, own->hello, sizeof(hello));
	CHECK_EQ(pcv_le32(hello.magic), PCV_WIRE_MAGIC);
	CHECK_EQ(pcv_le32(hello.version), PCV_WIRE_VERSION);
	CHECK_EQ(pcv_le32(hello.generation), peer->generation);
	CHECK_EQ(pcv_le64(hello.node_guid), peer->node_guid);
	CHECK_EQ(pcv_le64(hello.aperture_bytes), APERTURE);
	CHECK_EQ(pcv_le32(hello.ring[0].line_offset), PCV_RING_OFFSET);
	CHECK_EQ(pcv_le32(hello.ring[0].line_count), line_count[peer_which]);
	CHECK(!memcmp(hello.name, "duet", 5));
}

static __u64 key(int which, __u64 number)
{
	return number * 2 + (__u32)which;
}

/* Return: 1 if a message was written. */
static int produce(struct pcv_ring_tx *tx, struct side *own, int which, __u64 number)
{
	static __u8 data[LEN_MAX];
	__u32 len = pcv_pattern_len(key(which, number), LEN_MAX);
	const struct pcv_ring_vec vec = { data, len };
	int ret;

	/* The peer writes the credit for what it has consumed into our aperture. */
	ret = pcv_ring_credit(tx, pcv_le32(pcv_cpu_load_acquire(&own->ctl->line_credit)));
	CHECK_EQ(ret, 0);
	if (pcv_ring_lines(len) > pcv_ring_room(tx))
		return 0;
	pcv_pattern_fill(data, len, key(which, number));
	ret = pcv_ring_put(tx, (__u8)(1 + number % 254), (__u8)number, &vec, 1);
	CHECK_EQ(ret, pcv_ring_lines(len));
	return 1;
}

static int consume(struct pcv_ring_rx *rx, struct side *peer, int peer_which, __u64 number)
{
	static __u8 data[LEN_MAX];
	struct pcv_ring_msg msg;
	int ret = pcv_ring_get(rx, &msg);

	CHECK(ret >= 0);
	if (!ret)
		return 0;
	CHECK_EQ(msg.len, pcv_pattern_len(key(peer_which, number), LEN_MAX));
	CHECK_EQ(msg.type, 1 + number % 254);
	CHECK_EQ(msg.flags, (__u8)number);
	pcv_ring_copy(rx, data, 0, msg.len);
	CHECK(pcv_pattern_match(data, msg.len, key(peer_which, number)));
	pcv_ring_next(rx, &msg);
	pcv_out_mb();
	PCV_STORE(&peer->ctl->line_credit, pcv_to_le32(rx->head));
	return 1;
}

int main(int argc, char **argv)
{
	__u64 messages, sent = 0, got = 0;
	struct pcv_ring_tx tx;
	struct pcv_ring_rx rx;
	struct side own, peer;
	char *file;
	int which, fd, busy;

	if (argc != 4) {
		fprintf(stderr, "usage: duet FILE 0|1 MESSAGES\n");
		return 2;
	}
	which = atoi(argv[2]);
	CHECK(which == 0 || which == 1);
	messages = strtoull(argv[3], NULL, 0);
	fd = open(argv[1], O_RDWR);
	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, 2 * APERTURE));
	file = mmap(NULL, 2 * APERTURE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	close(fd);
	alarm(TIMEOUT_S);

	side_set(&own, file, which);
	side_set(&peer, file, !which);
	pcv_ring_tx_init(&tx, peer.line, line_count[which], seq_base[which]);
	pcv_ring_rx_init(&rx, own.line, line_count[!which], seq_base[!which]);
	hello_write(&peer, &own, which);
	hello_read(&own, &peer, !which);

	while (sent < messages || got < messages) {
		busy = 0;
		if (sent < messages && produce(&tx, &own, which, sent)) {
			sent++;
			busy = 1;
		}
		if (got < messages && consume(&rx, &peer, !which, got)) {
			got++;
			busy = 1;
		}
		if (!busy)
			sched_yield();
	}
	printf("ok side %d: %llu messages each way\n", which, (unsigned long long)messages);
	return 0;
}
