// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The layout of everything that two parties see, number by number: a change
 * here is a change of the protocol or of the ABI, and must be meant.
 */
#include <stddef.h>

#include <pcieverbs/line.h>
#include <pcieverbs/wire.h>
#include <rdma/pcieverbs-abi.h>

#include "check.h"
#include "os.h"

#define AT(type, field, offset, bytes)					\
	do {								\
		CHECK_EQ(offsetof(struct type, field), offset);		\
		CHECK_EQ(sizeof(((struct type *)0)->field), bytes);	\
	} while (0)

#define SIZE(type, bytes)	CHECK_EQ(sizeof(struct type), bytes)

static void line(void)
{
	SIZE(pcv_line, 64);
	AT(pcv_line, payload, 0, 56);
	AT(pcv_line, tail, 56, 8);
	CHECK_EQ(PCV_TAIL_TYPE_SHIFT, 32);
	CHECK_EQ(PCV_TAIL_FLAGS_SHIFT, 40);
	CHECK_EQ(PCV_TAIL_LEN_SHIFT, 48);
	CHECK_EQ(PCV_LINE_CONT, 0xff);
	CHECK(PCV_MSG_TYPE_COUNT < PCV_LINE_CONT);
}

static void bringup(void)
{
	CHECK_EQ(PCV_SPAD_MAGIC, 0);
	CHECK_EQ(PCV_SPAD_VERSION, 1);
	CHECK_EQ(PCV_SPAD_GENERATION, 2);
	CHECK_EQ(PCV_SPAD_STATE, 3);
	CHECK_EQ(PCV_SPAD_COUNT, 4);

	SIZE(pcv_ring_desc, 16);
	AT(pcv_ring_desc, line_offset, 0, 4);
	AT(pcv_ring_desc, line_count, 4, 4);
	AT(pcv_ring_desc, data_offset, 8, 4);
	AT(pcv_ring_desc, data_bytes, 12, 4);

	SIZE(pcv_hello, 192);
	AT(pcv_hello, magic, 0, 4);
	AT(pcv_hello, version, 4, 4);
	AT(pcv_hello, features, 8, 8);
	AT(pcv_hello, generation, 16, 4);
	AT(pcv_hello, echo, 20, 4);
	AT(pcv_hello, node_guid, 24, 8);
	AT(pcv_hello, page_shift, 32, 4);
	AT(pcv_hello, mtu, 36, 4);
	AT(pcv_hello, mac, 40, 6);
	AT(pcv_hello, aperture_bytes, 48, 8);
	AT(pcv_hello, ring, 56, 32);
	AT(pcv_hello, direct_base, 88, 8);
	AT(pcv_hello, direct_bytes, 96, 8);
	AT(pcv_hello, name, 104, 64);
	AT(pcv_hello, ready, 188, 4);

	SIZE(pcv_ctl, 128);
	AT(pcv_ctl, line_credit, 0, 4);
	AT(pcv_ctl, armed, 64, 4);
	AT(pcv_ctl, starved, 68, 4);

	CHECK(PCV_HELLO_OFFSET + sizeof(struct pcv_hello) <= PCV_CTL_OFFSET);
	CHECK(PCV_CTL_OFFSET + PCV_VC_COUNT * sizeof(struct pcv_ctl) <= PCV_ALIVE_OFFSET);
	CHECK(PCV_ALIVE_OFFSET + 4 <= PCV_RING_OFFSET);
	CHECK(PCV_RING_OFFSET % PCV_LINE_BYTES == 0 && PCV_RING_OFFSET < PCV_APERTURE_MIN);
}

static void channel(void)
{
	SIZE(pcv_msg, 8);
	AT(pcv_msg, data_offset, 0, 4);
	AT(pcv_msg, data_len, 4, 4);

	SIZE(pcv_net_hdr, 8);

	SIZE(pcv_rc_hdr, 40);
	AT(pcv_rc_hdr, dst, 0, 4);
	AT(pcv_rc_hdr, src, 4, 4);
	AT(pcv_rc_hdr, ssn, 8, 4);
	CHECK_EQ(PCV_SSN_FIRST(0x3000000), 0);
	CHECK_EQ(PCV_SSN_FIRST(0x3000002), 0x3c6ef362u);
	AT(pcv_rc_hdr, op, 12, 1);
	AT(pcv_rc_hdr, flags, 13, 1);
	AT(pcv_rc_hdr, status, 14, 2);
	AT(pcv_rc_hdr, imm, 16, 4);
	AT(pcv_rc_hdr, rkey, 20, 4);
	AT(pcv_rc_hdr, va, 24, 8);
	AT(pcv_rc_hdr, msg_len, 32, 4);
	AT(pcv_rc_hdr, seg_offset, 36, 4);
	CHECK_EQ(sizeof(struct pcv_msg) + sizeof(struct pcv_rc_hdr) + 8, PCV_LINE_PAYLOAD);

	SIZE(pcv_ud_hdr, 64);
	AT(pcv_ud_hdr, dst_qpn, 0, 4);
	AT(pcv_ud_hdr, src_qpn, 4, 4);
	AT(pcv_ud_hdr, qkey, 8, 4);
	AT(pcv_ud_hdr, flags, 12, 4);
	AT(pcv_ud_hdr, imm, 16, 4);
	AT(pcv_ud_hdr, traffic_class, 20, 1);
	AT(pcv_ud_hdr, hop_limit, 21, 1);
	AT(pcv_ud_hdr, pkey, 22, 2);
	AT(pcv_ud_hdr, sgid, 24, 16);
	AT(pcv_ud_hdr, dgid, 40, 16);
	AT(pcv_ud_hdr, vlan, 56, 2);

	CHECK(sizeof(struct pcv_rc_hdr) <= PCV_MSG_HDR_MAX);
	CHECK(sizeof(struct pcv_ud_hdr) <= PCV_MSG_HDR_MAX);
	CHECK(sizeof(struct pcv_fast_hdr) <= PCV_MSG_HDR_MAX);
	CHECK_EQ(PCV_MSG_FAST, 1);
	CHECK_EQ(PCV_MSG_NET, 2);
	CHECK_EQ(PCV_MSG_RC, 3);
	CHECK_EQ(PCV_MSG_UD, 4);
	CHECK_EQ(PCV_MSG_RC_RESP, 5);
	CHECK_EQ(PCV_RC_SEND, 1);
	CHECK_EQ(PCV_RC_FETCH_ADD, 5);
	CHECK_EQ(PCV_RC_ACK, 16);
	CHECK_EQ(PCV_RC_ATOMIC_DATA, 21);
}

static void fast(void)
{
	CHECK_EQ(PCV_FAST_BYTES, 65536);
	CHECK_EQ(PCV_FAST_CTL_OFFSET, 0);
	CHECK_EQ(PCV_FAST_RING_OFFSET, 4096);
	CHECK_EQ(PCV_FAST_LINES, 256);
	CHECK_EQ(PCV_FAST_DATA_OFFSET, 20480);
	CHECK_EQ(PCV_FAST_DATA_BYTES, 45056);
	CHECK_EQ(PCV_FAST_LINE_DATA, 48);

	SIZE(pcv_fast_ctl, 64);
	AT(pcv_fast_ctl, credit, 0, 4);
	AT(pcv_fast_ctl, limit, 4, 4);
	AT(pcv_fast_ctl, call, 8, 4);

	SIZE(pcv_fast_head, 8);
	AT(pcv_fast_head, imm, 0, 4);
	AT(pcv_fast_head, order, 4, 2);
	AT(pcv_fast_head, reserved, 6, 2);
	SIZE(pcv_fast_chunk, 16);
	AT(pcv_fast_chunk, offset, 0, 4);
	AT(pcv_fast_chunk, bytes, 4, 4);
	AT(pcv_fast_chunk, message_bytes, 8, 4);
	AT(pcv_fast_chunk, reserved, 12, 4);
	CHECK_EQ(PCV_FAST_SEND, 1);
	CHECK_EQ(PCV_FAST_IMM, 1);
	CHECK_EQ(PCV_FAST_SOLICITED, 2);
	CHECK_EQ(PCV_FAST_FIRST, 4);
	CHECK_EQ(PCV_FAST_LAST, 8);
	CHECK_EQ(PCV_FAST_CHUNK, 16);

	SIZE(pcv_fast_hdr, 32);
	AT(pcv_fast_hdr, op, 0, 1);
	AT(pcv_fast_hdr, flags, 1, 1);
	AT(pcv_fast_hdr, slot, 2, 2);
	AT(pcv_fast_hdr, dst_qpn, 4, 4);
	AT(pcv_fast_hdr, src_qpn, 8, 4);
	AT(pcv_fast_hdr, psn, 12, 4);
	AT(pcv_fast_hdr, token, 16, 4);
	AT(pcv_fast_hdr, rkey, 20, 4);
	AT(pcv_fast_hdr, echo, 20, 4);
	AT(pcv_fast_hdr, va, 24, 8);
	CHECK_EQ(PCV_FAST_OFFER, 1);
	CHECK_EQ(PCV_FAST_UNMAPPED, 10);
	CHECK_EQ(PCV_DIRECT_PIECE, 2097152);
	CHECK_EQ(PCV_DIRECT_UNITS, 512);
	/* The list of a piece's addresses travels as one message. */
	CHECK(PCV_DIRECT_UNITS * 8 <= PCV_SEG_MAX);
}

static void abi(void)
{
	CHECK_EQ(PCV_ABI_VERSION, 2);

	AT(pcv_cq_shared, armed, 0, 4);
	AT(pcv_cq_shared, summary, 64, 8);
	AT(pcv_cq_shared, hint, 128, 512);
	/* One bit of the summary for each word of hints. */
	CHECK(PCV_CQ_HINT_WORDS <= 64);

	SIZE(pcv_sge, 16);
	SIZE(pcv_swqe, PCV_SWQE_BYTES);
	AT(pcv_swqe, wr_id, 0, 8);
	AT(pcv_swqe, opcode, 8, 1);
	AT(pcv_swqe, flags, 9, 1);
	AT(pcv_swqe, num_sge, 10, 2);
	AT(pcv_swqe, inline_len, 12, 4);
	AT(pcv_swqe, imm, 16, 4);
	AT(pcv_swqe, rkey, 20, 4);
	AT(pcv_swqe, remote_addr, 24, 8);
	AT(pcv_swqe, compare_add, 32, 8);
	AT(pcv_swqe, swap, 40, 8);
	AT(pcv_swqe, ah, 32, 4);
	AT(pcv_swqe, fast, 48, 4);
	SIZE(pcv_scqe, 8);
	SIZE(pcv_rwqe, PCV_RWQE_BYTES);

	SIZE(pcv_rx_placed, 32);
	AT(pcv_rx_placed, wqe, 0, 4);
	AT(pcv_rx_placed, status, 4, 4);
	AT(pcv_rx_placed, byte_len, 8, 4);
	AT(pcv_rx_placed, imm, 12, 4);
	AT(pcv_rx_placed, src_qp, 16, 4);
	AT(pcv_rx_placed, opcode, 20, 1);
	AT(pcv_rx_placed, wc_flags, 21, 1);
	AT(pcv_rx_placed, pkey_index, 22, 2);
	AT(pcv_rx_placed, sl, 24, 1);
	AT(pcv_rx_placed, fast, 28, 4);
	SIZE(pcv_rx_data, 8);
	AT(pcv_rx_data, imm, 0, 4);
	AT(pcv_rx_data, fast, 4, 4);
	CHECK(sizeof(struct pcv_rx_placed) <= PCV_LINE_PAYLOAD);

	/* Each writer's words lie on lines of their own. */
	SIZE(pcv_qp_shared, 384);
	AT(pcv_qp_shared, sq_tail, 0, 4);
	AT(pcv_qp_shared, rq_tail, 64, 4);
	AT(pcv_qp_shared, ring_head, 128, 4);
	AT(pcv_qp_shared, kick, 192, 4);
	AT(pcv_qp_shared, sq_done, 256, 4);
	AT(pcv_qp_shared, state, 260, 4);
	AT(pcv_qp_shared, fast, 264, 4);
	AT(pcv_qp_shared, fast_rx_seq, 268, 4);
	AT(pcv_qp_shared, fast_tx_seq, 272, 4);
	AT(pcv_qp_shared, fast_taken, 320, 4);
	AT(pcv_qp_shared, fast_sent, 324, 4);
	AT(pcv_qp_shared, wake, 328, 4);
	AT(pcv_qp_shared, wake_solicited, 332, 4);
	AT(pcv_qp_shared, events, 336, 4);
	SIZE(pcv_direct_slot, 64);
	AT(pcv_direct_slot, va, 0, 8);
	AT(pcv_direct_slot, rkey, 8, 4);
	AT(pcv_direct_slot, ask, 12, 4);
	AT(pcv_direct_slot, told, 16, 4);
	AT(pcv_direct_slot, valid, 20, 4);
	AT(pcv_direct_slot, from, 24, 4);
	AT(pcv_direct_slot, to, 28, 4);
	SIZE(pcv_srq_shared, 128);
	AT(pcv_srq_shared, tail, 0, 4);
	AT(pcv_srq_shared, kick, 4, 4);
	AT(pcv_srq_shared, head, 64, 4);

	/* Responses are made of 8-byte units, but for the one behind a 4-byte header. */
	CHECK_EQ(sizeof(struct pcv_alloc_ucontext_resp) % 8, 0);
	CHECK_EQ(sizeof(struct pcv_create_cq_resp) % 8, 0);
	CHECK_EQ(sizeof(struct pcv_create_srq_resp) % 8, 0);
	CHECK_EQ(sizeof(struct pcv_create_qp_resp) % 8, 0);
	SIZE(pcv_create_ah_resp, 4);
}

/* Numbers lie in the hello as little-endian bytes, whoever wrote them. */
static void bytes(void)
{
	static const unsigned char expect[32] = {
		0x50, 0x43, 0x56, 0x30, 3, 0, 0, 0,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0xdd, 0xcc, 0xbb, 0xaa, 0, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	};
	struct pcv_hello hello = {
		.magic = pcv_to_le32(PCV_WIRE_MAGIC),
		.version = pcv_to_le32(PCV_WIRE_VERSION),
		.features = pcv_to_le64(0x0102030405060708ull),
		.generation = pcv_to_le32(0xaabbccdd),
		.node_guid = pcv_to_le64(0x1122334455667788ull),
	};
	struct pcv_ud_hdr ud = { .pkey = pcv_to_le16(0x1234) };

	CHECK(!memcmp(&hello, "PCV0", 4));
	CHECK(!memcmp(&hello, expect, sizeof(expect)));
	CHECK_EQ(((unsigned char *)&ud)[22], 0x34);
	CHECK_EQ(((unsigned char *)&ud)[23], 0x12);
	CHECK_EQ(pcv_le16(ud.pkey), 0x1234);
	CHECK_EQ(pcv_le32(hello.generation), 0xaabbccdd);
	CHECK(pcv_le64(hello.node_guid) == 0x1122334455667788ull);
}

static const struct pcv_case cases[] = {
	{ "line", line },
	{ "bringup", bringup },
	{ "channel", channel },
	{ "fast", fast },
	{ "abi", abi },
	{ "bytes", bytes },
};

PCV_CHECK_MAIN(cases)
