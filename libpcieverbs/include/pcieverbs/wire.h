/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Everything that two kernels exchange across the link, declared once.
 *
 * All fields are little-endian and naturally aligned; reserved fields are
 * written as zero and checked to be zero. docs/protocol.md is the
 * specification in words.
 */
#ifndef PCIEVERBS_WIRE_H
#define PCIEVERBS_WIRE_H

#include <linux/types.h>
#include <pcieverbs/line.h>

#define PCV_WIRE_MAGIC		0x30564350u	/* "PCV0" */
#define PCV_WIRE_VERSION	3

/* --- bring-up: scratchpads ------------------------------------------- */

/*
 * Four scratchpads, written into the peer's set. They say only whether the
 * window stands; all else is in the hello, which travels through the window.
 */
enum pcv_spad {
	PCV_SPAD_MAGIC,		/* PCV_WIRE_MAGIC, or 0: no driver there */
	PCV_SPAD_VERSION,	/* bits 0..15 lowest, 16..31 highest version spoken */
	PCV_SPAD_GENERATION,	/* random, never 0; a new one for every bring-up */
	PCV_SPAD_STATE,		/* enum pcv_spad_state */
	PCV_SPAD_COUNT
};

enum pcv_spad_state {
	PCV_STATE_NONE,
	PCV_STATE_WINDOW,	/* my aperture can be written to */
};

/* --- the aperture: what the peer finds in the window ------------------ */

/* Virtual channels: a response must never wait behind a request (docs/protocol.md). */
enum pcv_vc {
	PCV_VC_REQUEST,
	PCV_VC_RESPONSE,
	PCV_VC_COUNT
};

/**
 * struct pcv_ring_desc - where the owner of the aperture wants a ring written
 * @line_offset: first line, from the start of the aperture, multiple of 64
 * @line_count: number of lines, a power of two
 * @data_offset: data area for payload too long for lines, multiple of 64
 * @data_bytes: its size, multiple of 64
 */
struct pcv_ring_desc {
	__le32 line_offset;
	__le32 line_count;
	__le32 data_offset;
	__le32 data_bytes;
};

/**
 * struct pcv_hello - written into the peer's aperture at offset 0
 * @magic: PCV_WIRE_MAGIC
 * @version: the version chosen by the writer out of both ranges
 * @features: bits the receiver does not know are ignored
 * @generation: the writer's own
 * @echo: the generation that the writer read in the receiver's scratchpad:
 *	a hello with an old echo belongs to a former life of the receiver
 * @node_guid: EUI-64 of the node
 * @page_shift: page size of the writer as a power of two
 * @mtu: largest Ethernet frame payload that the writer takes
 * @mac: address of the writer's network interface
 * @aperture_bytes: size of the aperture that the writer opened to the receiver
 * @ring: where in that aperture the receiver has to write, one per channel
 * @direct_base: device address of the first byte that the writer's direct
 *	window shows of its memory
 * @direct_bytes: how much it shows, 0: there is no direct window
 * @name: node name for messages, NUL terminated
 * @ready: equal to @generation, written last
 */
struct pcv_hello {
	__le32 magic;
	__le32 version;
	__le64 features;
	__le32 generation;
	__le32 echo;
	__le64 node_guid;
	__le32 page_shift;
	__le32 mtu;
	__u8 mac[6];
	__u8 reserved0[2];
	__le64 aperture_bytes;
	struct pcv_ring_desc ring[PCV_VC_COUNT];
	__le64 direct_base;
	__le64 direct_bytes;
	__u8 name[64];
	__u8 reserved1[20];
	__le32 ready;
};

_Static_assert(sizeof(struct pcv_hello) == 192, "hello layout");

/**
 * struct pcv_ctl - words that the peer writes while the link is up
 * @line_credit: how many lines the writer has consumed of the ring that the
 *	aperture's owner writes, counted from bring-up, modulo 2^32
 * @armed: counts up each time the writer goes to sleep, 0 never: it wants one
 *	doorbell for each value, when there are new lines for it
 * @starved: counts up each time the writer runs out of room, 0 never: it wants
 *	one doorbell for each value, after the owner's next credit
 *
 * One for each virtual channel, at PCV_CTL_OFFSET; what the consumer of a ring
 * writes when it is awake lies on a line of its own.
 */
struct pcv_ctl {
	__le32 line_credit;
	__u8 reserved0[60];
	__le32 armed;
	__le32 starved;
	__u8 reserved1[56];
};

_Static_assert(sizeof(struct pcv_ctl) == 128, "ctl layout");

/* What a ring may look like: fewer lines or less data could not hold any message. */
#define PCV_LINES_MIN		128u
#define PCV_LINES_MAX		65536u
#define PCV_DATA_MIN		(192u << 10)
#define PCV_NET_MTU_MAX		65535u
#define PCV_NET_FRAME_MAX	(PCV_NET_MTU_MAX + 18)	/* Ethernet header and one VLAN tag */

/* Offsets in every aperture. Above PCV_RING_OFFSET its owner decides. */
#define PCV_HELLO_OFFSET	0
#define PCV_CTL_OFFSET		1024
#define PCV_ALIVE_OFFSET	2048	/* __le32: counts up while the writer lives, 0: it left */
#define PCV_RING_OFFSET		4096
#define PCV_APERTURE_MIN	(1u << 20)

/* --- channel messages -------------------------------------------------- */

/*
 * A message in a channel ring is: struct pcv_msg, the header of its type
 * (fixed size), then its payload; the payload lies in the data area instead
 * where data_len is not zero. At most PCV_MSG_INLINE_MAX payload bytes ride
 * in lines.
 */
struct pcv_msg {
	__le32 data_offset;	/* from the start of the data area, multiple of 64 */
	__le32 data_len;
};

#define PCV_MSG_INLINE_MAX	512	/* payload bytes at most in lines */
#define PCV_MSG_HDR_MAX		96	/* header of any type at most */
#define PCV_SEG_MAX		32768	/* payload bytes of one verbs message at most */

enum pcv_msg_type {
	PCV_MSG_NONE,
	PCV_MSG_FAST,		/* struct pcv_fast_hdr (+ data): either VC */
	PCV_MSG_NET,		/* struct pcv_net_hdr + Ethernet frame */
	PCV_MSG_RC,		/* struct pcv_rc_hdr + data: request, VC REQUEST */
	PCV_MSG_UD,		/* struct pcv_ud_hdr + data: VC REQUEST */
	PCV_MSG_RC_RESP,	/* struct pcv_rc_hdr + data: VC RESPONSE */
	PCV_MSG_TYPE_COUNT
};

/**
 * struct pcv_net_hdr - an Ethernet frame
 * @flags: enum pcv_net_flag
 * @csum_start: PCV_NET_CSUM_PARTIAL: first byte of the frame that is summed
 * @csum_offset: where from there the sum belongs
 */
struct pcv_net_hdr {
	__le32 flags;
	__le16 csum_start;
	__le16 csum_offset;
};

enum pcv_net_flag {
	PCV_NET_CSUM_OK = 1,	/* the sender has checked the checksum */
	PCV_NET_CSUM_PARTIAL = 2, /* not summed yet: it never left memory */
};

/* --- verbs --------------------------------------------------------------- */

enum pcv_rc_op {
	PCV_RC_SEND = 1,
	PCV_RC_WRITE,
	PCV_RC_READ,
	PCV_RC_CMP_SWAP,	/* payload: __le64 compare, __le64 swap */
	PCV_RC_FETCH_ADD,	/* payload: __le64 add, __le64 0 */
	/* responses */
	PCV_RC_ACK = 16,	/* everything up to ssn that is not READ or atomic is done */
	PCV_RC_NAK,		/* ssn ended with status; the queue pair is in error */
	PCV_RC_RNR,		/* ssn found no receive; imm = timer code; send again from ssn */
	PCV_RC_RESUME,		/* send again from ssn, now: what was put off can go on */
	PCV_RC_READ_DATA,	/* part of the answer to READ ssn */
	PCV_RC_ATOMIC_DATA,	/* answer to an atomic: payload __le64 original value */
};

enum pcv_rc_flag {
	PCV_RC_FIRST = 1,
	PCV_RC_LAST = 2,
	PCV_RC_SOLICITED = 4,
	PCV_RC_IMM = 8,
	PCV_RC_INVALIDATE = 16,	/* imm is an rkey to invalidate */
};

/**
 * struct pcv_rc_hdr - one segment of a reliable connected operation
 * @dst: bits 0..23: queue pair at the receiver of this message; bits 24..31:
 *	bits 0..7 of the number of messages that went before this one through
 *	the fast ring (requests that take a receive)
 * @src: bits 0..23: queue pair at its sender; bits 24..31: bits 8..15 of that number
 * @ssn: number of the work request; PCV_SSN_FIRST() for the first of a connection
 * @skip: requests: how many numbers right before @ssn belong to work requests
 *	that stay with the requester and are never sent
 * @op: enum pcv_rc_op
 * @flags: enum pcv_rc_flag
 * @status: enum pcv_status (responses)
 * @imm: immediate data (network order bytes, as the user gave them), rkey to
 *	invalidate, or RNR timer code
 * @rkey: remote key (one-sided requests)
 * @va: remote address of this segment's first byte (one-sided requests)
 * @msg_len: length of the whole operation in bytes
 * @seg_offset: where in the operation this segment starts
 */
struct pcv_rc_hdr {
	__le32 dst;
	__le32 src;
	__le32 ssn;
	__u8 op;
	__u8 flags;
	union {
		__le16 status;
		__le16 skip;
	};
	__le32 imm;
	__le32 rkey;
	__le64 va;
	__le32 msg_len;
	__le32 seg_offset;
};

_Static_assert(sizeof(struct pcv_rc_hdr) == 40, "an 8-byte SEND is one line");

/*
 * Where a requester that sends from this PSN on begins to count. Neighbouring
 * PSNs lie far apart: numbers of one connection are not in the way of another's.
 */
#define PCV_PSN_MASK		0xffffffu
#define PCV_SSN_FIRST(psn)	(((psn) & PCV_PSN_MASK) * 0x9e3779b1u)

#define PCV_QPN_MASK		0xffffffu

/* --- fast rings ------------------------------------------------------------ */

/*
 * What a queue pair gives to the process at the other end, in its own node's
 * aperture: one block, written by that process alone and read by the queue
 * pair's process. Units of the page size of either node.
 */
#define PCV_FAST_BYTES		65536u
#define PCV_FAST_CTL_OFFSET	0u
#define PCV_FAST_RING_OFFSET	4096u
#define PCV_FAST_LINES		256u
#define PCV_FAST_DATA_OFFSET	(PCV_FAST_RING_OFFSET + PCV_FAST_LINES * PCV_LINE_BYTES)
#define PCV_FAST_DATA_BYTES	(PCV_FAST_BYTES - PCV_FAST_DATA_OFFSET)

/**
 * struct pcv_fast_ctl - what the consumer of a fast ring tells its producer
 * @credit: lines consumed, counted from connection, modulo 2^32
 * @limit: 0: nothing is known; else 1 + the largest message that every receive
 *	which the consumer has posted so far could hold (at most 2^32 - 1)
 * @call: 0: the consumer does not sleep; else it is to be woken, once for each
 *	value, behind the next message: by any message if bit 0 is 0, by a
 *	solicited one if it is 1
 *
 * At PCV_FAST_CTL_OFFSET of the producer's own block: so it is read at home.
 */
struct pcv_fast_ctl {
	__le32 credit;
	__le32 limit;
	__le32 call;
	__le32 reserved[13];
};

_Static_assert(sizeof(struct pcv_fast_ctl) == 64, "fast ctl layout");

enum pcv_fast_type {
	PCV_FAST_SEND = 1,	/* struct pcv_fast_head, then payload or struct pcv_fast_chunk */
};

/* Flags of the head line of a fast message. */
enum pcv_fast_flag {
	PCV_FAST_IMM = 1,
	PCV_FAST_SOLICITED = 2,	/* with LAST */
	PCV_FAST_FIRST = 4,	/* also: what was begun before and not ended is void */
	PCV_FAST_LAST = 8,
	PCV_FAST_CHUNK = 16,	/* payload lies in the data area */
};

/**
 * struct pcv_fast_head - in front of every fast message
 * @imm: immediate data, bytes as the user gave them (PCV_FAST_IMM)
 * @order: bits 0..15 of the number of messages that went before this one
 *	through the kernels (those that take a receive)
 * @reserved: zero
 */
struct pcv_fast_head {
	__le32 imm;
	__le16 order;
	__le16 reserved;
};

/**
 * struct pcv_fast_chunk - payload in the data area
 * @offset: from the start of the data area, multiple of 64
 * @bytes: of this chunk
 * @message_bytes: of the whole message
 * @reserved: zero
 */
struct pcv_fast_chunk {
	__le32 offset;
	__le32 bytes;
	__le32 message_bytes;
	__le32 reserved;
};

#define PCV_FAST_LINE_DATA	(PCV_LINE_PAYLOAD - 8u)	/* payload in a message of one line */

/* Pieces in which remote memory is mapped, and the units of a list of addresses. */
#define PCV_DIRECT_PIECE_SHIFT	21
#define PCV_DIRECT_PIECE	(1u << PCV_DIRECT_PIECE_SHIFT)
#define PCV_DIRECT_UNIT_SHIFT	12
#define PCV_DIRECT_UNIT		(1u << PCV_DIRECT_UNIT_SHIFT)
#define PCV_DIRECT_UNITS	(PCV_DIRECT_PIECE >> PCV_DIRECT_UNIT_SHIFT)
#define PCV_DIRECT_NONE		(~(__u64)0)

enum pcv_fast_op {
	PCV_FAST_OFFER = 1,	/* here is a block */
	PCV_FAST_REVOKE,	/* the block is withdrawn: let go of it */
	PCV_FAST_REVOKED,	/* nobody here can write to it any more */
	PCV_FAST_WAKE,		/* the consumer asked to be woken */
	PCV_FAST_EVENTS,	/* the consumer will want to be woken: look at call */
	PCV_FAST_EVENTS_ON,	/* from now on it is looked at */
	PCV_FAST_ASK,		/* where does the region @rkey lie around @va? */
	PCV_FAST_TELL,		/* payload: __le64[PCV_DIRECT_UNITS], device addresses */
	PCV_FAST_UNMAP,		/* the region @rkey goes: let go of it */
	PCV_FAST_UNMAPPED,
};

enum pcv_fast_hdr_flag {
	PCV_FAST_HDR_EXPECT = 1,	/* OFFER: @psn is what its sender expects */
	PCV_FAST_HDR_SOLICITED = 2,	/* WAKE */
	PCV_FAST_HDR_ECHO = 4,		/* OFFER: @echo counts */
};

/**
 * struct pcv_fast_hdr - kernels agree about fast rings and direct memory
 * @op: enum pcv_fast_op
 * @flags: enum pcv_fast_hdr_flag
 * @slot: ASK, TELL: where the requester will put it
 * @dst_qpn: queue pair at the receiver of this message
 * @src_qpn: queue pair at its sender
 * @psn: OFFER: the sender's first PSN to send; EXPECT: the first that it expects.
 *	The receiver knows the same number: another one is of a former connection
 * @token: OFFER: number of the first line in the ring, and the name of the
 *	block; REVOKE, REVOKED: the token of the offer; EVENTS, EVENTS_ON: that of
 *	the block of the side that is to look at call; ASK, TELL, UNMAP, UNMAPPED:
 *	told back
 * @rkey: ASK, TELL, UNMAP, UNMAPPED
 * @echo: OFFER: the receiver's token, if the sender has had an offer of it
 * @va: OFFER: offset of the block in the sender's aperture; ASK, TELL: a
 *	multiple of PCV_DIRECT_PIECE
 */
struct pcv_fast_hdr {
	__u8 op;
	__u8 flags;
	__le16 slot;
	__le32 dst_qpn;
	__le32 src_qpn;
	__le32 psn;
	__le32 token;
	union {
		__le32 rkey;
		__le32 echo;
	};
	__le64 va;
};

_Static_assert(sizeof(struct pcv_fast_hdr) == 32, "fast header layout");

/**
 * struct pcv_ud_hdr - a datagram
 * @dst_qpn: queue pair at the receiver; 1 is its GSI
 * @src_qpn: queue pair at the sender
 * @qkey: must match the receiver's
 * @flags: PCV_RC_SOLICITED, PCV_RC_IMM
 * @imm: immediate data, bytes as the user gave them
 * @sgid: source GID
 * @dgid: destination GID
 * @traffic_class: of the GRH
 * @hop_limit: of the GRH
 * @pkey: partition key
 * @vlan: IEEE 802.1Q tag control, or 0xffff
 */
struct pcv_ud_hdr {
	__le32 dst_qpn;
	__le32 src_qpn;
	__le32 qkey;
	__le32 flags;
	__le32 imm;
	__u8 traffic_class;
	__u8 hop_limit;
	__le16 pkey;
	__u8 sgid[16];
	__u8 dgid[16];
	__le16 vlan;
	__u8 reserved[6];
};

_Static_assert(sizeof(struct pcv_ud_hdr) == 64, "datagram header layout");

/* Status on the wire: a stable numbering, translated at both ends. */
enum pcv_status {
	PCV_ST_OK,
	PCV_ST_REM_INV_REQ,
	PCV_ST_REM_ACCESS,
	PCV_ST_REM_OP,
};

#endif /* PCIEVERBS_WIRE_H */
