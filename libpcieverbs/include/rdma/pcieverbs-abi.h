/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * What the pcieverbs kernel module and its libibverbs provider share.
 *
 * A queue pair, a shared receive queue and a completion queue each own one
 * region of memory that the kernel makes and the process maps. Their layouts
 * are below; the create calls return the offset to map and the offsets inside.
 *
 * Rules of the regions:
 *  - each word has one writer, named at its declaration, but for the words
 *    marked "both", which are only changed by atomic exchange;
 *  - indices count up without wrapping at the queue's size (modulo 2^32);
 *  - neither side trusts a word that it did not write: the kernel checks
 *    every index and every length, and a process that scribbles over its
 *    region breaks its own queues and nothing else.
 *
 * The receive ring is an array of struct pcv_line, little-endian on every
 * machine because the peer may be the one who writes it.
 */
#ifndef RDMA_PCIEVERBS_ABI_H
#define RDMA_PCIEVERBS_ABI_H

#include <linux/types.h>

#define PCV_ABI_VERSION		2

#define PCV_MAX_SGE		32
#define PCV_MAX_INLINE		512
#define PCV_MAX_WR		16384
#define PCV_MAX_SRQ_WR		32768

/* --- completion queue ----------------------------------------------------- */

/*
 * A completion queue holds no completions: they lie in the queue pairs. What
 * it holds is where to look. Queue pair number modulo PCV_CQ_SLOTS names a bit
 * of @hint; the kernel sets the bit after it has put a completion into that
 * queue pair, then the bit of that word in @summary.
 */
#define PCV_CQ_SLOTS		4096
#define PCV_CQ_HINT_WORDS	(PCV_CQ_SLOTS / 64)

enum pcv_cq_armed {
	PCV_CQ_DISARMED,
	PCV_CQ_ARMED_SOLICITED,
	PCV_CQ_ARMED_ANY,
};

struct pcv_cq_shared {
	__u32 armed;			/* both: process arms, kernel disarms */
	__u32 reserved0[15];
	__aligned_u64 summary;		/* both: kernel sets bits, process takes them */
	__u32 reserved1[14];
	__aligned_u64 hint[PCV_CQ_HINT_WORDS];	/* both, likewise */
};

/* --- send queue -------------------------------------------------------------- */

enum pcv_wr_opcode {
	PCV_WR_SEND,
	PCV_WR_SEND_IMM,
	PCV_WR_SEND_INV,
	PCV_WR_WRITE,
	PCV_WR_WRITE_IMM,
	PCV_WR_READ,
	PCV_WR_CMP_SWAP,
	PCV_WR_FETCH_ADD,
	PCV_WR_LOCAL_INV,
	PCV_WR_REG_MR,		/* kernel queue pairs only */
};

enum pcv_wr_flag {
	PCV_WR_SIGNALED = 1,
	PCV_WR_SOLICITED = 2,
	PCV_WR_FENCE = 4,
	PCV_WR_INLINE = 8,
};

struct pcv_sge {
	__aligned_u64 addr;
	__u32 length;
	__u32 lkey;
};

/**
 * struct pcv_swqe - a send work request; the stride of the queue is told at creation
 * @wr_id: not looked at by the kernel for a process's queue pair
 * @opcode: enum pcv_wr_opcode
 * @flags: enum pcv_wr_flag
 * @num_sge: entries behind the header; 0 with PCV_WR_INLINE
 * @inline_len: bytes of data behind the header with PCV_WR_INLINE
 * @imm: immediate data as given (network order bytes), or rkey to invalidate
 * @rkey: of one-sided operations
 * @remote_addr: of one-sided operations
 * @compare_add: operand of an atomic
 * @swap: second operand of compare-and-swap
 * @ah: number of the address handle (datagrams)
 * @remote_qpn: datagrams
 * @remote_qkey: datagrams
 * @pkey_index: datagrams
 * @fast: messages that the process has sent before this one through the fast
 *	ring, modulo 2^32
 */
struct pcv_swqe {
	__aligned_u64 wr_id;
	__u8 opcode;
	__u8 flags;
	__u16 num_sge;
	__u32 inline_len;
	__u32 imm;
	__u32 rkey;
	__aligned_u64 remote_addr;
	union {
		struct {
			__aligned_u64 compare_add;
			__aligned_u64 swap;
		};
		struct {
			__u32 ah;
			__u32 remote_qpn;
			__u32 remote_qkey;
			__u32 pkey_index;
		};
	};
	__u32 fast;
	__u32 reserved0;
	__aligned_u64 reserved1;
	/* struct pcv_sge sge[] or inline data */
};

#define PCV_SWQE_BYTES	64

/* How a send work request ended. Written by the kernel before it counts sq_done up. */
struct pcv_scqe {
	__u32 status;		/* enum pcv_wc_status */
	__u32 byte_len;
};

/* --- receive queue ------------------------------------------------------------- */

/* Stride is 16 + 16 * max_sge rounded up to a power of two. */
struct pcv_rwqe {
	__aligned_u64 wr_id;
	__u32 num_sge;
	__u32 reserved;
	/* struct pcv_sge sge[] */
};

#define PCV_RWQE_BYTES	16

/* --- receive ring: entries -------------------------------------------------------- */

/* Sequence number of the first line of a receive ring. */
#define PCV_RX_SEQ_BASE		1

enum pcv_rx_type {
	PCV_RX_DATA = 1,	/* struct pcv_rx_data, then the message for the next receive */
	PCV_RX_PLACED,		/* struct pcv_rx_placed: a receive is complete */
};

/* Flags of a PCV_RX_DATA head line. */
enum pcv_rx_flag {
	PCV_RX_IMM = 1,
	PCV_RX_SOLICITED = 2,
};

/**
 * struct pcv_rx_data - in front of the message in a PCV_RX_DATA line
 * @imm: the four bytes of immediate data as sent (PCV_RX_IMM)
 * @fast: messages that come before this one and lie in the fast ring, counted
 *	from the beginning, modulo 2^32
 */
struct pcv_rx_data {
	__le32 imm;
	__le32 fast;
};

enum pcv_rx_opcode {
	PCV_RX_OP_RECV,
	PCV_RX_OP_WRITE_IMM,
};

enum pcv_rx_wc_flag {
	PCV_RX_WC_IMM = 1,
	PCV_RX_WC_GRH = 2,
	PCV_RX_WC_INV = 4,
};

/**
 * struct pcv_rx_placed - payload of a PCV_RX_PLACED line (all little-endian)
 * @wqe: which receive work request it ends: the index in the queue pair's own
 *	receive queue (modulo 2^32); with a shared receive queue the low half of
 *	the entry's wr_id, where the provider puts a number of its own, because
 *	the slot may hold another entry by the time the completion is polled
 * @status: enum pcv_wc_status
 * @byte_len: bytes placed
 * @imm: the four bytes of immediate data as sent, or the invalidated rkey
 *	(little-endian)
 * @src_qp: queue pair that sent it
 * @opcode: enum pcv_rx_opcode
 * @wc_flags: enum pcv_rx_wc_flag
 * @pkey_index: always 0
 * @sl: service level; of a datagram, the kind of its network header (8 UDP, + 2 IPv4 or 1 IPv6)
 * @fast: as in &struct pcv_rx_data
 */
struct pcv_rx_placed {
	__le32 wqe;
	__le32 status;
	__le32 byte_len;
	__le32 imm;
	__le32 src_qp;
	__u8 opcode;
	__u8 wc_flags;
	__le16 pkey_index;
	__u8 sl;
	__u8 reserved[3];
	__le32 fast;
};

/* Work completion status; the order is that of enum ibv_wc_status and ib_wc_status. */
enum pcv_wc_status {
	PCV_WC_SUCCESS = 0,
	PCV_WC_LOC_LEN_ERR = 1,
	PCV_WC_LOC_QP_OP_ERR = 2,
	PCV_WC_LOC_PROT_ERR = 4,
	PCV_WC_WR_FLUSH_ERR = 5,
	PCV_WC_MW_BIND_ERR = 6,
	PCV_WC_BAD_RESP_ERR = 7,
	PCV_WC_LOC_ACCESS_ERR = 8,
	PCV_WC_REM_INV_REQ_ERR = 9,
	PCV_WC_REM_ACCESS_ERR = 10,
	PCV_WC_REM_OP_ERR = 11,
	PCV_WC_RETRY_EXC_ERR = 12,
	PCV_WC_RNR_RETRY_EXC_ERR = 13,
	PCV_WC_FATAL_ERR = 19,
	PCV_WC_GENERAL_ERR = 21,
};

/* --- queue pair: the words of its region -------------------------------------------- */

enum pcv_qp_kick {
	PCV_KICK_SEND = 1,	/* the kernel sleeps: call it after posting a send */
	PCV_KICK_RECV = 2,	/* call it after posting a receive */
	PCV_KICK_RING = 4,	/* completions wait for room: call it when the ring is empty */
};

enum pcv_qp_fast {
	PCV_QP_FAST_RX = 1,	/* the own block is there: lines from fast_rx_seq on */
	PCV_QP_FAST_TX = 2,	/* messages may be sent: lines from fast_tx_seq on */
	PCV_QP_FAST_FENCE = 4,	/* a full barrier and a look at call behind each message */
	PCV_QP_FAST_WC = 8,	/* the peer's block is mapped write-combining */
	PCV_QP_FAST_CTL = 32,	/* the peer's block is there: credit, limit, call may be told */
	PCV_QP_FAST_FLUSH = 16,	/* in error, and the kernel has put its last entry in the ring */
	PCV_QP_FAST_GONE = 64,	/* the own block is taken away: what is read there is no message */
};

enum pcv_qp_open {
	PCV_OPEN_COPIES = 1,	/* part of a message that is not complete, into a receive */
	PCV_OPEN_HOLDS = 2,	/* it keeps a shared receive for the rest of one */
};

/**
 * struct pcv_qp_shared - at offset 0 of a queue pair's region
 * @sq_tail: process: send work requests posted
 * @rq_tail: process: receive work requests posted (own receive queue)
 * @ring_head: process: lines of the receive ring consumed, told at the latest
 *	when a quarter of the ring has been consumed since
 * @kick: kernel: enum pcv_qp_kick bits
 * @sq_done: kernel: send work requests ended
 * @state: kernel: enum ib_qp_state
 * @fast: kernel: enum pcv_qp_fast bits; TX and CTL may vanish, GONE may come, at any time
 * @fast_rx_seq: kernel: number of the first line of the own fast ring
 * @fast_tx_seq: kernel: number of the first line of the peer's
 * @fast_claim: kernel: bits 32..63 the number of receives that it has claimed or
 *	is about to claim, bits 0..31 how many fast messages come before the last
 *	of them. What has begun in the fast ring in that place is void
 * @fast_taken: process: messages that it has taken out of its fast ring and
 *	given a receive
 * @fast_sent: process: messages that it has sent through the peer's
 * @wake: process: counted up to have the peer's process woken (then a call)
 * @wake_solicited: process: the same for a solicited message
 * @events: process: not 0: it will sleep; its peer must look at call
 * @self: process: counted up (then a call) to have the event of its send
 *	completion queue raised: it has completed a send itself, or given up
 * @fast_open: process: enum pcv_qp_open bits. It looks at fast_claim after it has
 *	set PCV_OPEN_COPIES and before it copies or takes a shared receive; the kernel
 *	sets fast_claim and looks at this. If it finds it set it claims later, from an
 *	own queue, or raises the receive event to have a shared receive given back
 * @starved: process: changed (then a call) to have the event of its receive
 *	completion queue raised: a receive was posted, and a message that had come
 *	before can now be taken. Bit 0: that one, or one behind it, may be solicited
 *
 * After moving a tail the process executes a full barrier, looks at @kick and
 * calls the kernel (an empty post_send) if its bit is set.
 */
struct pcv_qp_shared {
	__u32 sq_tail;
	__u32 reserved0[15];
	__u32 rq_tail;
	__u32 reserved1[15];
	__u32 ring_head;
	__u32 reserved2[15];
	__u32 kick;
	__u32 reserved3[15];
	__u32 sq_done;
	__u32 state;
	__u32 fast;
	__u32 fast_rx_seq;
	__u32 fast_tx_seq;
	__u32 reserved4;
	__aligned_u64 fast_claim;
	__u32 reserved6[8];
	__u32 fast_taken;
	__u32 fast_sent;
	__u32 wake;
	__u32 wake_solicited;
	__u32 events;
	__u32 fast_open;
	__u32 self;
	__u32 starved;
	__u32 reserved5[8];
};

/*
 * Remote memory that the process may write itself: PCV_DIRECT_SLOTS places of
 * PCV_DIRECT_PIECE bytes in a mapping of its own, one struct each.
 */
#define PCV_DIRECT_SLOTS	16

/**
 * struct pcv_direct_slot - one piece of remote memory
 * @va: process: remote address where the piece begins, a multiple of its size
 * @rkey: process
 * @ask: process: changed, last, to ask for it anew (then a call)
 * @told: kernel: the value of @ask that the following belong to
 * @valid: kernel: not 0 while what lies between @from and @to may be written.
 *	0 from the moment when it is being taken back: a process that finds 0
 *	after its stores cannot know where they went
 * @from: kernel: first byte in the piece
 * @to: kernel: byte behind the last
 */
struct pcv_direct_slot {
	__aligned_u64 va;
	__u32 rkey;
	__u32 ask;
	__u32 told;
	__u32 valid;
	__u32 from;
	__u32 to;
	__u32 reserved[8];
};

/**
 * struct pcv_srq_shared - at offset 0 of a shared receive queue's region
 * @tail: process: receive work requests posted
 * @kick: kernel: not 0 while somebody waits whose message found the queue empty:
 *	a call after posting (an empty post_srq_recv) sends him on. No barrier in
 *	front of the look: it may come too early once, then a timer makes up for it
 * @head: both: taken. Whoever takes an entry copies it first and then moves
 *	@head by compare-and-exchange; the copy counts only if that succeeded.
 */
struct pcv_srq_shared {
	__u32 tail;
	__u32 kick;
	__u32 reserved0[14];
	__u32 head;
	__u32 reserved1[15];
};

/* --- driver parts of the uverbs commands ---------------------------------------------- */

/**
 * struct pcv_fabric - who is on the fabric, one page, read only for the process
 * @node: for each node that is up, this one included, and in no order: its MAC
 *	address in bits 0..47, first byte highest, and its LID in bits 48..63;
 *	0 is an empty place
 *
 * An Ethernet port has no LIDs, but there are programs that know no other
 * address. The provider makes a GID of such an address: the link-local one
 * that belongs to the MAC address.
 */
#define PCV_FABRIC_NODES	64

struct pcv_fabric {
	__aligned_u64 node[PCV_FABRIC_NODES];
};

struct pcv_alloc_ucontext_resp {
	__aligned_u64 comp_mask;
	__u32 max_inline;
	__u32 fabric_bytes;
	__aligned_u64 fabric_offset;	/* struct pcv_fabric */
};

struct pcv_create_cq_resp {
	__aligned_u64 mmap_offset;
	__aligned_u64 mmap_bytes;
};

struct pcv_create_srq_resp {
	__aligned_u64 mmap_offset;
	__aligned_u64 mmap_bytes;
	__u32 queue_offset;	/* struct pcv_rwqe[count] at this stride */
	__u32 stride;
	__u32 count;		/* power of two */
	__u32 reserved;
};

struct pcv_create_qp_resp {
	__aligned_u64 mmap_offset;
	__aligned_u64 mmap_bytes;
	__u32 sq_offset;	/* struct pcv_swqe[sq_count] */
	__u32 sq_stride;
	__u32 sq_count;		/* power of two */
	__u32 scqe_offset;	/* struct pcv_scqe[sq_count] */
	__u32 rq_offset;	/* struct pcv_rwqe[rq_count]; rq_count is 0 with an SRQ */
	__u32 rq_stride;
	__u32 rq_count;
	__u32 ring_offset;	/* struct pcv_line[ring_count] */
	__u32 ring_count;
	__u32 max_inline;
	__u32 max_send_sge;
	__u32 max_recv_sge;
	/* 0 where there is none; the rest is in wire.h */
	__u32 fast_bytes;	/* of either block */
	__u32 direct_offset;	/* struct pcv_direct_slot[PCV_DIRECT_SLOTS] in the region */
	__aligned_u64 fast_rx_mmap;	/* own block */
	__aligned_u64 fast_tx_mmap;	/* the peer's */
	__aligned_u64 direct_mmap;	/* PCV_DIRECT_SLOTS * PCV_DIRECT_PIECE bytes */
};

/* The legacy response in front of it is 4 bytes long: nothing wider than 32 bits here. */
struct pcv_create_ah_resp {
	__u32 ah;
};

#endif /* RDMA_PCIEVERBS_ABI_H */
