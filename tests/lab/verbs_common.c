// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "verbs_common.h"

#define WAIT_MS (10000 * vc_slow())

static void vprint(struct vc *vc, const char *kind, const char *fmt, va_list ap)
{
	char text[400];

	vsnprintf(text, sizeof(text), fmt, ap);
	printf("%s %s [%c]: %s\n", kind, vc->test ? vc->test : "setup",
	       vc->a ? 'A' : 'B', text);
	fflush(stdout);
}

bool vc_expect(struct vc *vc, bool good, const char *fmt, ...)
{
	va_list ap;

	vc->steps++;
	if (good)
		return true;
	vc->failures++;
	va_start(ap, fmt);
	vprint(vc, "FAIL", fmt, ap);
	va_end(ap);
	return false;
}

void vc_die(struct vc *vc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(vc, "FAIL", fmt, ap);
	va_end(ap);
	exit(1);
}

uint64_t vc_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

int vc_slow(void)
{
	const char *slow = getenv("PCV_SLOW");

	return slow && atoi(slow) > 0 ? atoi(slow) : 1;
}

void *vc_alloc(struct vc *vc, size_t len)
{
	void *p = aligned_alloc(4096, (len + 4095) & ~4095ul);

	if (!p)
		vc_die(vc, "no memory for %zu bytes", len);
	memset(p, 0xee, len);
	return p;
}

bool vc_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

void vc_fill(void *data, size_t len, uint64_t seed)
{
	unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (seed * 131 + i * 7 + (i >> 8) * 13 + (i >> 16) * 29) %
		       251;
}

bool vc_check(struct vc *vc, const void *data, size_t len, uint64_t seed,
	      const char *what)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char want = (seed * 131 + i * 7 + (i >> 8) * 13 +
				      (i >> 16) * 29) % 251;

		if (p[i] != want)
			return vc_expect(vc, false,
					 "%s: byte %zu of %zu is %02x, not %02x",
					 what, i, len, p[i], want);
	}
	return vc_expect(vc, true, "%s", what);
}

/* --- the other side --- */

static void move_all(struct vc *vc, void *data, size_t len, bool out)
{
	char *p = data;

	while (len) {
		ssize_t n = out ? write(vc->fd, p, len) : read(vc->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			vc_die(vc, "the other side is gone");
		p += n;
		len -= n;
	}
}

void vc_swap(struct vc *vc, const void *mine, void *theirs, size_t len)
{
	char copy[len];

	memcpy(copy, mine, len);
	move_all(vc, copy, len, true);
	move_all(vc, theirs, len, false);
}

void vc_meet(struct vc *vc)
{
	char c = 'm', d = 0;

	vc_swap(vc, &c, &d, 1);
	if (d != 'm')
		vc_die(vc, "out of step with the other side");
}

static void open_device(struct vc *vc)
{
	const char *name = getenv("PCV_DEV");
	struct ibv_device **list;
	struct ibv_gid_entry entry;
	int n = 0, i;

	name = name ? name : "pcv0";
	list = ibv_get_device_list(&n);
	for (i = 0; i < n && strcmp(ibv_get_device_name(list[i]), name);)
		i++;
	if (i == n)
		vc_die(vc, "no device %s", name);
	vc->ctx = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	if (!vc->ctx || ibv_query_device(vc->ctx, &vc->attr) ||
	    ibv_query_port(vc->ctx, 1, &vc->port))
		vc_die(vc, "cannot open %s: %m", name);
	for (i = 0; i < vc->port.gid_tbl_len; i++) {
		static const unsigned char mapped[12] = {
			[10] = 0xff, [11] = 0xff
		};

		if (ibv_query_gid_ex(vc->ctx, 1, i, &entry, 0) ||
		    entry.gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    memcmp(entry.gid.raw, mapped, 12))
			continue;
		vc->gid = entry.gid;
		vc->gid_index = i;
		return;
	}
	vc_die(vc, "%s has no IPv4-mapped RoCE v2 GID", name);
}

/* --- queue pairs --- */

void vc_make(struct vc *vc, struct vc_end *e, const struct vc_opts *o)
{
	struct ibv_qp_init_attr init = { 0 };
	int depth;

	memset(e, 0, sizeof(*e));
	e->vc = vc;
	if (o)
		e->o = *o;
	e->o.type = e->o.type ? e->o.type : IBV_QPT_RC;
	e->o.len = e->o.len ? e->o.len : 65536;
	e->o.depth = e->o.depth ? e->o.depth : 64;
	e->o.sge = e->o.sge ? e->o.sge : 1;
	e->o.mr_access = e->o.mr_access ? e->o.mr_access : VC_ALL_ACCESS;
	e->o.qp_access = e->o.qp_access ? e->o.qp_access :
			 VC_ALL_ACCESS & ~IBV_ACCESS_LOCAL_WRITE;
	e->o.rnr_retry = e->o.rnr_retry < 0 ? 0 :
			 e->o.rnr_retry ? e->o.rnr_retry : 7;
	e->o.reads = e->o.reads ? e->o.reads : 4;
	if (e->o.reads > vc->attr.max_qp_rd_atom)
		e->o.reads = vc->attr.max_qp_rd_atom;
	depth = e->o.depth;
	e->pd = e->o.srq ? e->o.srq->pd : ibv_alloc_pd(vc->ctx);
	if (!e->pd)
		vc_die(vc, "alloc_pd: %m");
	e->buf = vc_alloc(vc, e->o.len);
	e->mr = ibv_reg_mr(e->pd, e->buf, e->o.len, e->o.mr_access);
	if (!e->mr)
		vc_die(vc, "reg_mr of %zu bytes: %m", e->o.len);
	if (e->o.events) {
		e->chan = ibv_create_comp_channel(vc->ctx);
		if (!e->chan)
			vc_die(vc, "create_comp_channel: %m");
	}
	e->scq = e->o.cq ? e->o.cq :
		 ibv_create_cq(vc->ctx, depth, e, e->chan, 0);
	e->rcq = e->o.cq ? e->o.cq :
		 ibv_create_cq(vc->ctx, depth, e, e->chan, 0);
	if (!e->scq || !e->rcq)
		vc_die(vc, "create_cq(%d): %m", depth);
	init.qp_type = e->o.type;
	init.send_cq = e->scq;
	init.recv_cq = e->rcq;
	init.srq = e->o.srq;
	init.sq_sig_all = !e->o.unsignaled;
	init.cap.max_send_wr = depth;
	init.cap.max_recv_wr = e->o.srq ? 0 : depth;
	init.cap.max_send_sge = e->o.sge;
	init.cap.max_recv_sge = e->o.srq ? 0 : e->o.sge;
	init.cap.max_inline_data = e->o.inline_bytes;
	e->qp = ibv_create_qp(e->pd, &init);
	if (!e->qp)
		vc_die(vc, "create_qp: %m");
	if ((int)init.cap.max_inline_data < e->o.inline_bytes)
		vc_die(vc, "inline %u, asked for %d", init.cap.max_inline_data,
		       e->o.inline_bytes);
	e->me.qpn = e->qp->qp_num;
	e->me.psn = (e->qp->qp_num * 77 + 5) & 0xffffff;
	e->me.va = (uintptr_t)e->buf;
	e->me.rkey = e->mr->rkey;
	e->me.gid = vc->gid;
}

void vc_exchange(struct vc_end *e)
{
	vc_swap(e->vc, &e->me, &e->peer, sizeof(e->me));
}

static void modify(struct vc_end *e, struct ibv_qp_attr *attr, int mask,
		   const char *what)
{
	int err = ibv_modify_qp(e->qp, attr, mask);

	if (err)
		vc_die(e->vc, "modify_qp to %s: %s", what, strerror(err));
}

void vc_to(struct vc_end *e, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	modify(e, &attr, IBV_QP_STATE, state == IBV_QPS_ERR ? "ERR" : "RESET");
}

void vc_to_init(struct vc_end *e)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = e->o.qp_access,
		.qkey = VC_QKEY,
	};

	modify(e, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
	       (e->o.type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS),
	       "INIT");
}

void vc_to_rtr(struct vc_end *e)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = e->vc->port.active_mtu,
		.dest_qp_num = e->peer.qpn,
		.rq_psn = e->peer.psn,
		.max_dest_rd_atomic = e->o.reads,
		.min_rnr_timer = e->o.rnr_timer < 0 ? 0 :
				 e->o.rnr_timer ? e->o.rnr_timer : 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = e->peer.gid,
				.sgid_index = e->vc->gid_index,
				.hop_limit = 64,
			},
		},
	};

	if (e->o.type == IBV_QPT_UD) {
		modify(e, &attr, IBV_QP_STATE, "RTR");
		e->ah = ibv_create_ah(e->pd, &attr.ah_attr);
		if (!e->ah)
			vc_die(e->vc, "create_ah: %m");
		return;
	}
	modify(e, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
	       IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	       (e->o.type == IBV_QPT_RC ? IBV_QP_MAX_DEST_RD_ATOMIC |
		IBV_QP_MIN_RNR_TIMER : 0), "RTR");
}

void vc_to_rts(struct vc_end *e)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = e->me.psn,
		.timeout = e->o.timeout ? e->o.timeout : 14,
		.retry_cnt = 7,
		.rnr_retry = e->o.rnr_retry,
		.max_rd_atomic = e->o.reads,
	};

	modify(e, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN |
	       (e->o.type == IBV_QPT_RC ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
		IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC : 0), "RTS");
}

void vc_open(struct vc *vc, struct vc_end *e, const struct vc_opts *o)
{
	vc_make(vc, e, o);
	vc_exchange(e);
	vc_to_init(e);
	vc_to_rtr(e);
	vc_to_rts(e);
	vc_meet(vc);
}

void vc_close(struct vc_end *e)
{
	struct vc *vc = e->vc;

	vc_meet(vc);
	if (e->ah)
		vc_expect(vc, !ibv_destroy_ah(e->ah), "destroy_ah");
	vc_expect(vc, !ibv_destroy_qp(e->qp), "destroy_qp: %m");
	if (!e->o.cq) {
		vc_expect(vc, !ibv_destroy_cq(e->scq), "destroy_cq: %m");
		vc_expect(vc, !ibv_destroy_cq(e->rcq), "destroy_cq: %m");
	}
	if (e->chan)
		vc_expect(vc, !ibv_destroy_comp_channel(e->chan),
			  "destroy_comp_channel: %m");
	vc_expect(vc, !ibv_dereg_mr(e->mr), "dereg_mr: %m");
	if (!e->o.srq)
		vc_expect(vc, !ibv_dealloc_pd(e->pd), "dealloc_pd: %m");
	free(e->buf);
	memset(e, 0, sizeof(*e));
}

enum ibv_qp_state vc_state(struct vc_end *e)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	if (ibv_query_qp(e->qp, &attr, IBV_QP_STATE, &init))
		vc_die(e->vc, "query_qp failed");
	return attr.qp_state;
}

int vc_recv(struct vc_end *e, uint64_t id, size_t at, size_t len)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)e->buf + at,
		.length = len,
		.lkey = e->mr->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return e->o.srq ? ibv_post_srq_recv(e->o.srq, &wr, &bad) :
			  ibv_post_recv(e->qp, &wr, &bad);
}

void vc_wr(struct vc_end *e, struct ibv_send_wr *wr, struct ibv_sge *sge,
	   uint64_t id, enum ibv_wr_opcode op, size_t at, size_t len,
	   size_t peer_at)
{
	memset(wr, 0, sizeof(*wr));
	sge->addr = (uintptr_t)e->buf + at;
	sge->length = len;
	sge->lkey = e->mr->lkey;
	wr->wr_id = id;
	wr->sg_list = sge;
	wr->num_sge = 1;
	wr->opcode = op;
	wr->send_flags = IBV_SEND_SIGNALED;
	if (e->o.type == IBV_QPT_UD) {
		wr->wr.ud.ah = e->ah;
		wr->wr.ud.remote_qpn = e->peer.qpn;
		wr->wr.ud.remote_qkey = VC_QKEY;
	} else if (op == IBV_WR_ATOMIC_CMP_AND_SWP ||
		   op == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr->wr.atomic.remote_addr = e->peer.va + peer_at;
		wr->wr.atomic.rkey = e->peer.rkey;
	} else {
		wr->wr.rdma.remote_addr = e->peer.va + peer_at;
		wr->wr.rdma.rkey = e->peer.rkey;
	}
}

int vc_post(struct vc_end *e, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	return ibv_post_send(e->qp, wr, &bad);
}

int vc_send(struct vc_end *e, uint64_t id, enum ibv_wr_opcode op, size_t at,
	    size_t len, size_t peer_at)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	vc_wr(e, &wr, &sge, id, op, at, len, peer_at);
	return vc_post(e, &wr);
}

void vc_next(struct vc *vc, struct ibv_cq *cq, struct ibv_wc *wc)
{
	uint64_t end = vc_now_ms() + WAIT_MS;
	int n;

	while (!(n = ibv_poll_cq(cq, 1, wc))) {
		if (vc_now_ms() > end)
			vc_die(vc, "no completion within %d ms", WAIT_MS);
		sched_yield();
	}
	if (n < 0)
		vc_die(vc, "poll_cq returned %d", n);
}

bool vc_done(struct vc *vc, struct ibv_cq *cq, uint64_t id,
	     enum ibv_wc_status status)
{
	struct ibv_wc wc;

	vc_next(vc, cq, &wc);
	return vc_expect(vc, wc.wr_id == id && wc.status == status,
			 "completion of %llu is %llu: %s, expected %s",
			 (unsigned long long)id, (unsigned long long)wc.wr_id,
			 ibv_wc_status_str(wc.status),
			 ibv_wc_status_str(status));
}

bool vc_idle(struct vc *vc, struct ibv_cq *cq)
{
	struct ibv_wc wc;

	if (!ibv_poll_cq(cq, 1, &wc))
		return true;
	return vc_expect(vc, false, "unexpected completion of %llu: %s",
			 (unsigned long long)wc.wr_id,
			 ibv_wc_status_str(wc.status));
}

/* --- the program --- */

static int tcp_server(const char *port)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(atoi(port)),
		.sin6_addr = in6addr_any,
	};
	int one = 1, l = socket(AF_INET6, SOCK_STREAM, 0), fd;

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&addr, sizeof(addr)) || listen(l, 1))
		return -1;
	fd = accept(l, NULL, NULL);
	close(l);
	return fd;
}

static int tcp_client(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &list))
		return -1;
	for (a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

static bool wanted(const char *name, int argc, char **argv, int first)
{
	int i;

	for (i = first; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return first >= argc;
}

static void run_tests(struct vc *vc, const struct vc_test *tests, int argc,
		      char **argv, int first, void (*after_each)(struct vc *))
{
	unsigned int before, theirs;

	for (; tests->name; tests++) {
		if (!wanted(tests->name, argc, argv, first))
			continue;
		vc->test = tests->name;
		before = vc->failures;
		vc_meet(vc);
		tests->run(vc);
		if (after_each)
			after_each(vc);
		before = vc->failures - before;
		vc_swap(vc, &before, &theirs, sizeof(before));
		if (vc->a)
			printf("%s %s\n", before + theirs ? "FAIL" : "ok",
			       tests->name);
		vc->failures += theirs;
		fflush(stdout);
	}
}

int vc_main(int argc, char **argv, const struct vc_test *tests,
	    void (*after_each)(struct vc *vc), void (*setup)(struct vc *vc),
	    void (*teardown)(struct vc *vc))
{
	const char *host = NULL, *port = "19000";
	int i, fds[2], status = 0;
	struct vc vc = { 0 };
	bool server = false, first = false;
	int join = -1;
	pid_t child = 0;

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--local"))
			vc.local = true;
		else if (!strcmp(argv[i], "--server"))
			server = true;
		else if (!strcmp(argv[i], "--client") && i + 1 < argc)
			host = argv[++i];
		else if (!strcmp(argv[i], "--port") && i + 1 < argc)
			port = argv[++i];
		else if (!strcmp(argv[i], "--join") && i + 1 < argc)
			join = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--first"))
			first = true;
		else
			break;
	}
	if (vc.local + server + !!host + !!(join >= 0) != 1) {
		fprintf(stderr,
			"usage: %s --local | --server | --client HOST [--port N] | --join FD [--first] [TEST]\n",
			argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (vc.local) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			return 1;
		child = fork();
		vc.a = child;
		vc.fd = fds[!child];
		close(fds[!!child]);
	} else if (join >= 0) {
		vc.a = first;
		vc.fd = join;
	} else {
		vc.a = host;
		vc.fd = server ? tcp_server(port) : tcp_client(host, port);
		i = vc.fd < 0 ? -1 : i;
		if (i < 0)
			vc_die(&vc, "no connection on port %s: %m", port);
		setsockopt(vc.fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			   sizeof(int));
	}
	open_device(&vc);
	vc_meet(&vc);
	if (setup)
		setup(&vc);
	run_tests(&vc, tests, argc, argv, i, after_each);
	vc.test = "teardown";
	if (teardown)
		teardown(&vc);
	vc_expect(&vc, !ibv_close_device(vc.ctx), "close_device: %m");
	if (child && (waitpid(child, &status, 0) != child || status))
		vc.failures++;
	if (vc.a || !vc.local)
		printf("%s: %u checks on this side, %u failed\n",
		       vc.a ? "A" : "B", vc.steps, vc.failures);
	return !vc.steps || vc.failures;
}
