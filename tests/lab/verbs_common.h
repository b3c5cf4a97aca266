/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Two-sided verbs tests. Every test runs on two sides, A and B, which are two
 * processes: on two nodes (joined by TCP) or, with --local, on one (joined by
 * a socket pair). Both sides run the same function and meet in vc_swap().
 */
#ifndef LAB_VERBS_COMMON_H
#define LAB_VERBS_COMMON_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

#define VC_ALL_ACCESS                                              \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |        \
	 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)
#define VC_QKEY 0x1234567
#define VC_GRH	40

struct vc {
	struct ibv_context *ctx;
	struct ibv_device_attr attr;
	struct ibv_port_attr port;
	union ibv_gid gid;
	int gid_index;
	int fd;			/* to the other side */
	bool a;			/* this is side A */
	bool local;		/* both sides on one node */
	unsigned int steps;
	unsigned int failures;
	const char *test;
};

struct vc_addr {
	uint64_t va;
	uint32_t rkey;
	uint32_t qpn;
	uint32_t psn;
	union ibv_gid gid;
};

/* Everything that one queue pair needs. Zero means the default. */
struct vc_opts {
	enum ibv_qp_type type;		/* RC */
	size_t len;			/* of the buffer; 64 KiB */
	int depth;			/* 64 */
	int sge;			/* 1 */
	int inline_bytes;
	int mr_access;			/* all */
	int qp_access;			/* all */
	int rnr_retry;			/* 7; -1: 0 */
	int rnr_timer;			/* 12: 640 us; -1: 0, which is 655 ms */
	int timeout;			/* 14: 67 ms */
	int reads;			/* 4, as far as the device goes */
	bool events;			/* a completion channel */
	struct ibv_cq *cq;		/* shared; else one each way */
	struct ibv_srq *srq;
	bool unsignaled;		/* signal only what asks for it */
};

struct vc_end {
	struct vc *vc;
	struct vc_opts o;
	struct ibv_pd *pd;
	struct ibv_comp_channel *chan;
	struct ibv_cq *scq, *rcq;
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	unsigned char *buf;
	struct vc_addr me, peer;
	struct ibv_ah *ah;		/* UD: to the peer */
};

struct vc_test {
	const char *name;
	void (*run)(struct vc *vc);
};

/* The program: options --local | --server | --client HOST, --port N, names of
 * tests. Returns main's status. --join FD: the other side is reached there
 * already; --first: this is side A.
 */
int vc_main(int argc, char **argv, const struct vc_test *tests,
	    void (*after_each)(struct vc *vc), void (*setup)(struct vc *vc),
	    void (*teardown)(struct vc *vc));

/* Counted; a false one is printed with its test and side. */
bool vc_expect(struct vc *vc, bool good, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void vc_die(struct vc *vc, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

void vc_swap(struct vc *vc, const void *mine, void *theirs, size_t len);
void vc_meet(struct vc *vc);

/* Made, exchanged with the other side, connected (RTS) and met. */
void vc_open(struct vc *vc, struct vc_end *e, const struct vc_opts *o);
void vc_close(struct vc_end *e);

/* The same in two parts, for tests of queue pair states. */
void vc_make(struct vc *vc, struct vc_end *e, const struct vc_opts *o);
void vc_exchange(struct vc_end *e);
void vc_to_init(struct vc_end *e);
void vc_to_rtr(struct vc_end *e);
void vc_to_rts(struct vc_end *e);
void vc_to(struct vc_end *e, enum ibv_qp_state state);
enum ibv_qp_state vc_state(struct vc_end *e);

/* Post pieces of the end's own buffer; 0 or errno. */
int vc_recv(struct vc_end *e, uint64_t id, size_t at, size_t len);
int vc_send(struct vc_end *e, uint64_t id, enum ibv_wr_opcode op, size_t at,
	    size_t len, size_t peer_at);
int vc_post(struct vc_end *e, struct ibv_send_wr *wr);
void vc_wr(struct vc_end *e, struct ibv_send_wr *wr, struct ibv_sge *sge,
	   uint64_t id, enum ibv_wr_opcode op, size_t at, size_t len,
	   size_t peer_at);

/* The next completion: dies if none comes in 10 s. */
void vc_next(struct vc *vc, struct ibv_cq *cq, struct ibv_wc *wc);
bool vc_done(struct vc *vc, struct ibv_cq *cq, uint64_t id,
	     enum ibv_wc_status status);
bool vc_idle(struct vc *vc, struct ibv_cq *cq);

/* Is there something to read, within @ms? */
bool vc_readable(int fd, int ms);

void vc_fill(void *data, size_t len, uint64_t seed);
bool vc_check(struct vc *vc, const void *data, size_t len, uint64_t seed,
	      const char *what);
void *vc_alloc(struct vc *vc, size_t len);
uint64_t vc_now_ms(void);
int vc_slow(void);

#endif
