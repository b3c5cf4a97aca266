/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The verbs objects, private to the verbs files.
 *
 * Locks, outermost first:
 *
 *   qp->modify      mutex: state changes, creation and destruction of a QP
 *   qp->sq.lock     requester: bottom halves off
 *   qp->rq.lock     responder: bottom halves off
 *   srq->lock       claiming from a kernel SRQ, limit: interrupts off
 *   cq->lock        kernel completion ring: interrupts off
 *   owes_lock       list of queue pairs that owe an answer: bottom halves off
 *   direct->lock    direct slots: interrupts off; loan_lock, unmap_lock: see direct.c, loan.c
 *
 * sq.lock and rq.lock of one QP are held together only to change its peer or
 * its attributes, in that order. Either may be held
 * around pcv_peer_tx_begin() .. pcv_peer_tx_end(). qp->post_lock (interrupts
 * off, kernel posting only) nests in none of them.
 *
 * Lookups by number (qps, mrs, ahs) run under RCU and take a reference that
 * fails once destruction began; destruction waits for the references, which
 * are held only over bounded work.
 */
#ifndef PCV_DEV_H
#define PCV_DEV_H

#include <linux/completion.h>
#include <linux/if_ether.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#include <rdma/pcieverbs-abi.h>

#include "compat.h"
#include "map.h"
#include "os.h"
#include "peer.h"
#include "ring.h"
#include "stats.h"

#define PCV_VENDOR_ID		0x505643	/* 24 bits, locally administered */
#define PCV_GID_TABLE		32
#define PCV_MAX_MSG		(1u << 30)
#define PCV_UD_MTU		4096
#define PCV_MAX_RD_ATOMIC	128
#define PCV_MAX_QP		65536
#define PCV_FIRST_QPN		16
#define PCV_MAX_FAST_REG	512
#define PCV_GRH_BYTES		40

/* The key that stands for all of kernel memory: kernel queue pairs only. */
#define PCV_LOCAL_DMA_LKEY	1

/* What is announced of each kind (query_device), and not exceeded. */
enum pcv_limited {
	PCV_LIMITED_PD,
	PCV_LIMITED_AH,
	PCV_LIMITED_CQ,
	PCV_LIMITED_SRQ,
	PCV_LIMITED_QP,
	PCV_LIMITED_COUNT
};

#define PCV_MAX_PD		65536
#define PCV_MAX_AH		(1u << 20)
#define PCV_MAX_CQ		65536
#define PCV_MAX_SRQ		65536

struct pcv_verbs {
	struct ib_device ib;		/* first: allocated by ib_alloc_device() */
	struct net_device *ndev;
	struct notifier_block nb;
	bool active;			/* last port state told, under rtnl */
	struct xarray qps;		/* number -> struct pcv_qp */
	struct xarray mrs;		/* key >> 8 -> struct pcv_mr */
	struct xarray ahs;		/* number -> struct pcv_ah */
	u32 next_qpn;
	atomic_t count[PCV_LIMITED_COUNT];
	u32 next_mr;
	u32 next_ah;
	/* All atomics that target this node's memory are atomic against each other. */
	spinlock_t atomic_lock;
	struct workqueue_struct *wq;
	struct pcv_fabric *fabric;	/* a page; written by the peers' up and down alone */
	spinlock_t owes_lock;
	struct list_head owes;		/* queue pairs that owe their peer an answer */
};

static inline struct pcv_verbs *to_verbs(struct ib_device *ib)
{
	return container_of(ib, struct pcv_verbs, ib);
}

/* --- regions: memory shared with a process ------------------------------- */

/**
 * struct pcv_region - one mapping's worth of shared memory
 * @entry: for mmap(); its reference count owns @mem when @mapped is set
 * @mem: zeroed, from vmalloc_user(): page references keep it for a process
 *	that still maps it after the region is gone
 * @bytes: multiple of PAGE_SIZE
 * @mapped: a process may map it
 */
struct pcv_region {
	struct pcv_mmap_entry entry;
	void *mem;
	size_t bytes;
	bool mapped;
	bool borrowed;		/* @mem belongs to the device: to be read only */
};

struct pcv_region *pcv_region_create(struct ib_udata *udata, size_t bytes);
struct pcv_region *pcv_region_lend(struct ib_ucontext *ctx, void *mem, size_t bytes);
void pcv_region_destroy(struct pcv_region *region);
u64 pcv_region_offset(struct pcv_region *region);

/* --- contexts, protection domains, address handles ------------------------ */

struct pcv_ucontext {
	struct ib_ucontext ib;
	struct pcv_region *fabric;
};

struct pcv_pd {
	struct ib_pd ib;
};

struct pcv_ah {
	struct ib_ah ib;
	u32 number;
	u8 dmac[ETH_ALEN];
	u8 traffic_class;
	u8 hop_limit;
	union ib_gid sgid;
	union ib_gid dgid;
	u16 vlan;
};

/* What an address handle says, copied under RCU. Return: false if there is none for this PD. */
bool pcv_ah_lookup(struct pcv_verbs *dev, u32 number, const struct ib_pd *pd, struct pcv_ah *copy);

/* One more of them, or one less. Any context. Return: 0, or -ENOMEM if there are too many. */
int pcv_count_up(struct ib_device *ib, enum pcv_limited kind);
void pcv_count_down(struct ib_device *ib, enum pcv_limited kind);

/* --- memory regions --------------------------------------------------------- */

enum pcv_mr_kind {
	PCV_MR_DMA,		/* all of kernel memory */
	PCV_MR_USER,
	PCV_MR_FAST,		/* alloc_mr: registered by a work request */
};

/**
 * struct pcv_mr - a memory region
 * @refs: one for the table, one for each user at this moment
 * @gone: completed when @refs drops to zero
 * @key: both keys; changes with fast registration, under @lock
 * @valid: may be used; cleared by invalidation
 * @page: what user memory or a fast registration consists of, @page_size bytes each
 * @lent: to peers whose processes may write here themselves (loan.c)
 */
struct pcv_mr {
	struct ib_mr ib;
	struct rcu_head rcu;
	struct pcv_verbs *dev;
	refcount_t refs;
	struct completion gone;
	enum pcv_mr_kind kind;
	u32 key;
	int access;
	bool valid;
	u64 iova;
	u64 length;
	struct ib_umem *umem;
	struct page **page;
	u64 *frag;		/* PCV_MR_FAST: kernel virtual addresses */
	u32 max_frags;
	u32 nfrags;
	u32 first_offset;	/* of @iova in the first page */
	struct list_head lent;
};

struct pcv_qp;

/**
 * pcv_mr_get() - find a region that allows this access
 * @key: local or remote key
 * @access: IB_ACCESS_* that are all needed; 0 for local reading
 * @remote: key and range come from a peer: their violation is an access error
 *
 * Any context. Return: a reference, or NULL (wrong key, PD, range or right).
 */
struct pcv_mr *pcv_mr_get(struct pcv_qp *qp, u32 key, u64 va, u64 len, int access, bool remote);
void pcv_mr_put(struct pcv_mr *mr);

/* The same for a key that comes from a peer, and any part of the region. */
struct pcv_mr *pcv_mr_find(struct pcv_qp *qp, u32 key, int access);

/* Copy into or out of a region; the range was checked by pcv_mr_get(). Any context. */
void pcv_mr_write(struct pcv_mr *mr, u64 va, const void *src, u32 len);
void pcv_mr_send(struct pcv_mr *mr, u64 va, struct pcv_tx *tx, u32 len);

/**
 * typedef pcv_mr_piece_t - gets a part of a region
 * @arg: as given to pcv_mr_each()
 * @p: its @n bytes, which lie in a row; good during the call, which must not sleep
 */
typedef void (*pcv_mr_piece_t)(void *arg, const void *p, u32 n);

/* Hand a part of a region to @fn, piece by piece, in order. As pcv_mr_send(). */
void pcv_mr_each(struct pcv_mr *mr, u64 va, u32 len, pcv_mr_piece_t fn, void *arg);

/* A pcv_mr_piece_t: into a message, a struct pcv_tx. */
void pcv_mr_piece_send(void *tx, const void *p, u32 n);

/* An 8-byte atomic on aligned memory. Return: the value before. */
u64 pcv_mr_atomic(struct pcv_mr *mr, u64 va, bool cmp_swap, u64 compare_add, u64 swap);

/* Fast registration and invalidation by work request. Return: false if not allowed. */
bool pcv_mr_fast_register(struct pcv_qp *qp, struct ib_mr *ibmr, u32 key, int access);
bool pcv_mr_invalidate(struct pcv_qp *qp, u32 key);

/* --- completion queues ---------------------------------------------------------- */

struct pcv_cq {
	struct ib_cq ib;
	bool user;
	struct pcv_region *region;		/* user */
	struct pcv_cq_shared *shared;
	/* kernel: */
	spinlock_t lock;
	struct ib_wc *wc;
	u32 size;				/* power of two */
	u32 head, tail;
	enum ib_cq_notify_flags armed;
	bool overflow;
	bool dying;
	struct tasklet_struct tasklet;		/* calls the handler without our locks */
};

/* Note in a process's CQ that @qpn has news, and wake a sleeper that waits for it. */
void pcv_cq_hint(struct pcv_cq *cq, u32 qpn, bool solicited);
/* Append to a kernel CQ. */
void pcv_cq_push(struct pcv_cq *cq, const struct ib_wc *wc, bool solicited);

/* --- receives ----------------------------------------------------------------------- */

/* A receive work request taken out of a queue: the kernel's own copy. */
struct pcv_recv {
	u64 wr_id;
	u32 index;		/* own queue: running number; SRQ: low half of wr_id */
	u32 num_sge;
	u64 length;		/* sum of the entries */
	struct pcv_sge sge[PCV_MAX_SGE];
};

struct pcv_srq {
	struct ib_srq ib;
	bool user;
	struct pcv_region *region;
	struct pcv_srq_shared *shared;
	void *queue;
	u32 stride;
	u32 count;
	u32 max_sge;
	u32 max_wr;
	spinlock_t lock;	/* what follows; posting by kernel users */
	u32 limit;
	struct list_head hungry;	/* queue pairs whose message found it empty; */
	u32 hungry_count;		/* and how many */
};

/* A message of this queue pair finds its shared queue empty: rq.lock held. */
void pcv_srq_wait(struct pcv_qp *qp);
/* It does not wait any more. */
void pcv_srq_unwait(struct pcv_qp *qp);
/* How many receives are posted? A process may make it any number. */
u32 pcv_srq_left(const struct pcv_srq *srq);
/* Something was posted: those who waited first go on. Any context. */
void pcv_srq_wake(struct pcv_srq *srq);
/* Raise the limit event if it is due: the process takes receives as well. */
void pcv_srq_look(struct pcv_srq *srq);
/* Return: 1 and a copy; 0 if there is none; -EINVAL if what lies there is no work request. */
int pcv_srq_claim(struct pcv_srq *srq, struct pcv_recv *recv);

/* Read one work request of a queue. Return: 0 or -EINVAL. */
int pcv_recv_read(struct pcv_recv *recv, const void *wqe, u32 max_sge);

/* --- queue pairs ------------------------------------------------------------------------ */

/* The kernel's notes on a send work request under way; index as in the send queue. */
struct pcv_send {
	u64 wr_id;
	u32 length;
	u32 read_offset;	/* READ: bytes that came back */
	u8 opcode;		/* enum pcv_wr_opcode */
	u8 flags;		/* enum pcv_wr_flag */
	u8 status;		/* enum pcv_wc_status */
	bool done;
	u16 num_sge;
	u16 skip;		/* local work requests right before this one */
	u16 fast;		/* messages before this one in the fast ring, low bits */
	u32 imm;
	u32 rkey;
	u64 remote_addr;
	union {
		struct {		/* atomics */
			u64 compare_add;
			u64 swap;
		};
		struct {		/* datagrams */
			u32 ah, remote_qpn, remote_qkey;
		};
	};
};

/* An answer the responder still has to send: READ or atomic, in order. */
struct pcv_read_job {
	u32 ssn;
	u32 rkey;
	u64 va;
	u32 len;
	u32 sent;
	bool atomic;
	u64 value;
};

/* A receive completion that found no room in the ring. */
struct pcv_backlog {
	struct list_head entry;
	struct pcv_rx_placed placed;
	bool solicited;
};

struct pcv_sq {
	spinlock_t lock;
	void *queue;		/* struct pcv_swqe, may be written by the process */
	struct pcv_scqe *scqe;
	struct pcv_send *send;	/* [count] */
	u32 stride;
	u32 count;
	u32 max_sge;
	u32 max_inline;
	u32 tail;		/* checked copy of the shared word */
	u32 fetched;		/* work requests read into @send */
	u32 next;		/* first one not sent in full */
	u32 sent;		/* first one never sent in full, whatever was rewound */
	u32 una;		/* first one not ended */
	u32 stop;		/* with @stopped: nothing from here on is sent */
	u32 first;		/* what index 0 is called on the link */
	u32 seg_offset;		/* progress in @next */
	u32 stored;		/* the same, of a WRITE that this kernel stores (store.c) */
	u32 others;		/* behind the last one sent that was no WRITE */
	u16 skip;		/* local work requests fetched last, in a row */
	u32 reads;		/* READs and atomics under way */
	bool stopped;		/* a local error ended sending */
	bool rnr;		/* waits for the RNR timer or a resume */
	u8 rnr_left;
	u8 retry_left;
	unsigned long progress;	/* jiffies of the last answer */
	struct pcv_peer *wait_peer;	/* whose waiter list @waiter may be on; a reference */
	struct pcv_tx_waiter waiter;
	struct timer_list timer;
	/* Scratch of the one who holds @lock; @sge also for where an answer goes. */
	struct pcv_tx tx;
	struct pcv_sge sge[PCV_MAX_SGE];
	struct pcv_mr *mr[PCV_MAX_SGE];
};

struct pcv_rq {
	spinlock_t lock;
	void *queue;		/* own receive queue; NULL with an SRQ */
	u32 stride;
	u32 count;
	u32 max_sge;
	u32 next;		/* first receive not claimed */
	u32 fast;		/* messages of the fast ring before the one under way */
	u32 claims;		/* receives claimed */
	struct pcv_ring_tx ring;	/* receive ring: the kernel writes, the process reads */
	u32 ring_count;
	struct list_head backlog;
	u32 backlogged;		/* how many are on it */
	/* Protocol state. */
	u32 expected;		/* ssn */
	u32 executed;		/* how many right before it were of this connection */
	u32 offset;		/* of the message under way */
	bool claimed;		/* @recv belongs to the message under way */
	bool rnr_sent;
	bool rnr_due;
	bool behind_fast;	/* because fast messages in front have none yet */
	bool resume_due;
	bool put_off;		/* requests were dropped that came behind a READ */
	bool ack_due;
	bool nak_due;
	u8 nak_status;
	u32 nak_ssn;
	struct pcv_read_job *job;	/* [job_count] */
	u32 job_count;
	u32 job_head, job_tail;
	struct pcv_tx_waiter waiter;
	struct list_head owes;	/* on dev->owes, holds a reference */
	struct list_head hungry;	/* on srq->hungry, under its lock; holds one too */
	struct pcv_recv recv;
	struct pcv_tx tx;	/* scratch of the one who holds @lock */
};

/**
 * struct pcv_qp - a queue pair
 * @refs: one for the table, one for each user at this moment
 * @state: changed under @modify and both queue locks; to ERR under one of the
 *	three, so that it is atomic as well
 * @attr: changed under @modify and both queue locks, read under any of them
 * @peer: RC: set from RTR on, under both queue locks; a reference
 */
struct pcv_qp {
	struct ib_qp ib;
	struct pcv_verbs *dev;
	refcount_t refs;
	struct completion gone;
	struct rcu_head rcu;
	bool user;
	enum ib_qp_type type;
	enum ib_qp_state state;
	bool sq_sig_all;
	bool last_wqe_told;
	struct mutex modify;
	struct ib_qp_attr attr;
	struct ib_qp_cap cap;
	u32 qkey;
	u32 dst_qpn;
	struct pcv_peer *peer;
	struct pcv_region *region;
	struct pcv_qp_shared *shared;
	struct pcv_fast *fast;	/* NULL: none */
	struct pcv_direct *direct;	/* NULL: none */
	struct list_head lent;	/* to processes at the other end (loan.c) */
	spinlock_t post_lock;	/* kernel users: the tails */
	struct work_struct run;	/* requester, for callers that may not run it */
	struct work_struct fail;/* finish the move to ERR in process context */
	struct pcv_sq sq;
	struct pcv_rq rq;
};

static inline struct pcv_qp *to_qp(struct ib_qp *ib)
{
	return container_of(ib, struct pcv_qp, ib);
}

static inline struct pcv_cq *to_cq(struct ib_cq *ib)
{
	return container_of(ib, struct pcv_cq, ib);
}

static inline struct pcv_srq *to_srq(struct ib_srq *ib)
{
	return container_of(ib, struct pcv_srq, ib);
}

static inline struct pcv_mr *to_mr(struct ib_mr *ib)
{
	return container_of(ib, struct pcv_mr, ib);
}

static inline struct pcv_ah *to_ah(struct ib_ah *ib)
{
	return container_of(ib, struct pcv_ah, ib);
}

static inline bool pcv_qp_is_rc(const struct pcv_qp *qp)
{
	return qp->type == IB_QPT_RC;
}

/*
 * Only the one that it is connected to may speak to a queue pair. One of the
 * queue locks is held, and stays so: the connection is the same meanwhile.
 */
static inline bool pcv_qp_hears(const struct pcv_qp *qp, const struct pcv_peer *peer,
				const struct pcv_rc_hdr *hdr)
{
	return qp->peer == peer && qp->dst_qpn == (pcv_le32(hdr->src) & PCV_QPN_MASK);
}

struct pcv_qp *pcv_qp_get(struct pcv_verbs *dev, u32 qpn);
void pcv_qp_put(struct pcv_qp *qp);

/*
 * Something went wrong: no more sending or receiving; what is posted is
 * flushed from process context. One of the QP's locks is held, or its mutex.
 * Return: true if it was this call.
 */
bool pcv_qp_fail(struct pcv_qp *qp);
/* The same because its owner wrote nonsense into its region: with an event. */
void pcv_qp_fatal(struct pcv_qp *qp);
/* Go on from the workqueue. Any context. */
void pcv_qp_run_later(struct pcv_qp *qp);
void pcv_qp_event(struct pcv_qp *qp, enum ib_event_type event);
/* Ask the process to call (full barrier behind it), or stop asking. */
void pcv_qp_kick_set(struct pcv_qp *qp, u32 bits);
void pcv_qp_kick_clear(struct pcv_qp *qp, u32 bits);

/* --- the machines (req.c, resp.c, ud.c) ----------------------------------------------------- */

/* Send what can be sent. Not from hard interrupt; takes sq.lock. */
void pcv_req_run(struct pcv_qp *qp);
void pcv_req_waiter(struct pcv_tx_waiter *w);
void pcv_req_timer(struct timer_list *t);
/* End all send work requests with a flush error. Takes sq.lock. */
void pcv_req_flush(struct pcv_qp *qp);
void pcv_req_reset(struct pcv_qp *qp);
/* An answer came from @peer. Softirq. */
void pcv_req_answer(struct pcv_qp *qp, const struct pcv_peer *peer, const struct pcv_rc_hdr *hdr,
		    const struct pcv_rx *rx);
void pcv_req_peer_lost(struct pcv_qp *qp, const struct pcv_peer *peer);
/*
 * One datagram (sq.lock held). Return: 0 gone; -EAGAIN waits for room; -EBUSY
 * try again at once; positive enum pcv_wc_status.
 */
int pcv_ud_send(struct pcv_qp *qp, struct pcv_send *send);
/* Gather [offset, offset + len) of a send into sq.mr/sq.sge. Return: pieces, or -EFAULT. */
int pcv_req_gather(struct pcv_qp *qp, const struct pcv_send *send, u32 index, u32 offset, u32 len);
/* Hand the payload that was found so to @fn, and let go of its memory. */
void pcv_req_emit(struct pcv_qp *qp, const struct pcv_send *send, u32 index, u32 offset,
		  u32 len, int pieces, pcv_mr_piece_t fn, void *arg);
/* Wait for room on a peer (sq.lock held). Return: false: try again now. */
bool pcv_req_wait(struct pcv_qp *qp, struct pcv_peer *peer, u8 vc);

/* A request came from @peer. Softirq. */
void pcv_resp_request(struct pcv_qp *qp, const struct pcv_peer *peer, const struct pcv_rc_hdr *hdr,
		      const struct pcv_rx *rx);
/* Send what is owed. Takes rq.lock. Not from hard interrupt. */
void pcv_resp_pump(struct pcv_qp *qp);
void pcv_resp_waiter(struct pcv_tx_waiter *w);
void pcv_resp_flush(struct pcv_qp *qp);
void pcv_resp_reset(struct pcv_qp *qp);
/*
 * The process asked for a look: backlog, flush in ERR, resume after RNR.
 * Return: whether its peer was told to go on.
 */
bool pcv_resp_kick(struct pcv_qp *qp);

bool pcv_ud_is_ipv4(const struct pcv_ud_hdr *hdr);
void pcv_ud_receive(struct pcv_qp *qp, const struct pcv_ud_hdr *hdr, const struct pcv_rx *rx);

/* Receive side pieces that RC and UD share (recv.c); rq.lock held. */
int pcv_recv_claim(struct pcv_qp *qp, struct pcv_recv *recv);
int pcv_recv_scatter(struct pcv_qp *qp, const struct pcv_sge *list, u32 num_sge, u64 offset,
		     const void *src, u32 len);
void pcv_recv_complete(struct pcv_qp *qp, const struct pcv_recv *recv,
		       struct pcv_rx_placed *placed, const struct pcv_ud_hdr *ud, bool solicited);
bool pcv_recv_data(struct pcv_qp *qp, const void *data, u32 len, u32 imm, bool has_imm,
		   bool solicited);
void pcv_recv_backlog(struct pcv_qp *qp);

/* --- op tables, by file ---------------------------------------------------------------------- */

int pcv_alloc_ucontext(struct ib_ucontext *ib, struct ib_udata *udata);
void pcv_dealloc_ucontext(struct ib_ucontext *ib);
int pcv_mmap(struct ib_ucontext *ib, struct vm_area_struct *vma);
void pcv_mmap_free(struct rdma_user_mmap_entry *entry);
void pcv_disassociate_ucontext(struct ib_ucontext *ib);
int pcv_alloc_pd(struct ib_pd *ib, struct ib_udata *udata);
int pcv_dealloc_pd(struct ib_pd *ib, struct ib_udata *udata);
int pcv_create_ah(struct ib_ah *ib, struct rdma_ah_init_attr *attr, struct ib_udata *udata);
int pcv_query_ah(struct ib_ah *ib, struct rdma_ah_attr *attr);
int pcv_destroy_ah(struct ib_ah *ib, u32 flags);
struct ib_mr *pcv_get_dma_mr(struct ib_pd *pd, int access);
struct ib_mr *pcv_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova, int access,
			      struct ib_udata *udata);
struct ib_mr *pcv_alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 max_num_sg);
int pcv_map_mr_sg(struct ib_mr *mr, struct scatterlist *sg, int nents, unsigned int *offset);
int pcv_dereg_mr(struct ib_mr *mr, struct ib_udata *udata);
int pcv_create_cq(struct ib_cq *ib, const struct ib_cq_init_attr *attr,
		  struct pcv_cq_request *request);
int pcv_destroy_cq(struct ib_cq *ib, struct ib_udata *udata);
int pcv_resize_cq(struct ib_cq *ib, int cqe, struct ib_udata *udata);
int pcv_poll_cq(struct ib_cq *ib, int n, struct ib_wc *wc);
int pcv_req_notify_cq(struct ib_cq *ib, enum ib_cq_notify_flags flags);
int pcv_create_srq(struct ib_srq *ib, struct ib_srq_init_attr *init, struct ib_udata *udata);
int pcv_modify_srq(struct ib_srq *ib, struct ib_srq_attr *attr, enum ib_srq_attr_mask mask,
		   struct ib_udata *udata);
int pcv_query_srq(struct ib_srq *ib, struct ib_srq_attr *attr);
int pcv_destroy_srq(struct ib_srq *ib, struct ib_udata *udata);
int pcv_post_srq_recv(struct ib_srq *ib, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad);
int pcv_create_qp(struct ib_qp *ib, struct ib_qp_init_attr *init, struct ib_udata *udata);
int pcv_modify_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask, struct ib_udata *udata);
int pcv_query_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init);
int pcv_destroy_qp(struct ib_qp *ib, struct ib_udata *udata);
int pcv_post_send(struct ib_qp *ib, const struct ib_send_wr *wr, const struct ib_send_wr **bad);
int pcv_post_recv(struct ib_qp *ib, const struct ib_recv_wr *wr, const struct ib_recv_wr **bad);

#endif /* PCV_DEV_H */
