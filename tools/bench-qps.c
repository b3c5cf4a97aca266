// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What ib_send_lat measures, with N more connected RC queue pairs on the same
 * completion queue that have nothing to do; and what they cost in memory.
 *
 *   bench-qps [-d DEVICE] [-x GID-INDEX] [-p PORT] [-q IDLE] [-n TURNS] [-t DEPTH]
 *             [-r | -c] [SERVER]
 *
 * Without SERVER it is the server, which prints nothing. The client prints
 *
 *   half_round_trip_ns MEDIAN
 *   qp_memory_bytes N      what the node's memory lost for each idle queue pair
 *   qp_aperture_bytes N    what each takes of the memory that peers may write
 *
 * With -r it prints messages_per_s instead of the first: TURNS messages one way,
 * inline, which perftest does only on devices that it knows by their numbers.
 * With -c it prints what single calls cost, so that a latency can be accounted
 * for: post_send_ns, poll_send_ns, poll_recv_ns, post_recv_ns, each the median of
 * TURNS groups of calls that find something to do.
 *
 * 8 bytes, inline; queues of DEPTH work requests of one segment; every queue
 * pair has a receive posted.
 */
#define _GNU_SOURCE
#include <err.h>
#include <infiniband/verbs.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define MESSAGE		8
#define WARM_UP		1000
#define BATCH		8
#define CQ_ENTRIES	4096

static const char *device = "pcv0";
static const char *port = "18900";
static int gid_index;
static int idle = 1000;
static int turns = 10000;
static int depth = 64;
static bool rate_wanted;
static bool calls_wanted;

/* What the other side has to know of a queue pair. */
struct address {
	union ibv_gid gid;
	uint32_t qpn;
	uint32_t psn;
};

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_mr *mr;
static enum ibv_mtu mtu;
static union ibv_gid gid;
static char buffer[4096];
static struct ibv_qp **qps;	/* the last one is not idle */
static int sends_out;		/* posted and not completed */
static int received;

static void open_device(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_port_attr attr;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), device))
			ctx = ibv_open_device(list[i]);
	if (!ctx)
		errx(1, "no device %s", device);
	ibv_free_device_list(list);
	if (ibv_query_port(ctx, 1, &attr) || ibv_query_gid(ctx, 1, gid_index, &gid))
		errx(1, "no port 1, or no GID %d", gid_index);
	mtu = attr.active_mtu;
	pd = ibv_alloc_pd(ctx);
	cq = ibv_create_cq(ctx, CQ_ENTRIES, NULL, NULL, 0);
	mr = pd ? ibv_reg_mr(pd, buffer, sizeof(buffer), IBV_ACCESS_LOCAL_WRITE) : NULL;
	if (!cq || !mr)
		err(1, "protection domain, completion queue or memory region");
}

static struct ibv_qp *make_qp(void)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = depth,
			.max_recv_wr = depth,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = MESSAGE,
		},
	};
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
	struct ibv_qp *qp = ibv_create_qp(pd, &init);

	if (!qp)
		err(1, "create_qp");
	if (ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS))
		err(1, "to INIT");
	return qp;
}

static void post_recv(struct ibv_qp *qp)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)buffer,
		.length = sizeof(buffer),
		.lkey = mr->lkey,
	};
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	if (ibv_post_recv(qp, &wr, &bad))
		err(1, "post_recv");
}

static void connect_qp(struct ibv_qp *qp, const struct address *me, const struct address *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = mtu,
		.dest_qp_num = peer->qpn,
		.rq_psn = peer->psn,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = { .dgid = peer->gid, .sgid_index = gid_index, .hop_limit = 64 },
		},
	};

	if (ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))
		err(1, "to RTR");
	memset(&attr, 0, sizeof(attr));
	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 14;
	attr.retry_cnt = 7;
	attr.rnr_retry = 7;
	attr.sq_psn = me->psn;
	if (ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				     IBV_QP_MAX_QP_RD_ATOMIC))
		err(1, "to RTS");
}

/* --- the other side ------------------------------------------------------------- */

static int wire(const char *host)
{
	struct addrinfo hints = {
		.ai_family = AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE,
	}, *ai;
	int s, fd, on = 1;

	if (getaddrinfo(host, port, &hints, &ai))
		errx(1, "what is %s?", host ? host : port);
	s = socket(ai->ai_family, ai->ai_socktype, 0);
	if (s < 0)
		err(1, "socket");
	if (host) {
		if (connect(s, ai->ai_addr, ai->ai_addrlen))
			err(1, "connect");
		fd = s;
	} else {
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(s, ai->ai_addr, ai->ai_addrlen) || listen(s, 1))
			err(1, "listen");
		fd = accept(s, NULL, NULL);
		if (fd < 0)
			err(1, "accept");
		close(s);
	}
	freeaddrinfo(ai);
	return fd;
}

static void get(int fd, void *data, size_t len)
{
	ssize_t n;

	for (; len; len -= n, data = (char *)data + n) {
		n = read(fd, data, len);
		if (n <= 0)
			errx(1, "the other side has ended");
	}
}

static void put(int fd, const void *data, size_t len)
{
	ssize_t n;

	for (; len; len -= n, data = (const char *)data + n) {
		n = write(fd, data, len);
		if (n < 0)
			err(1, "write");
	}
}

static void swap(int fd, bool first, const void *mine, void *theirs, size_t len)
{
	if (first)
		put(fd, mine, len);
	get(fd, theirs, len);
	if (!first)
		put(fd, mine, len);
}

static void meet(int fd, bool first)
{
	char a = 0, b;

	swap(fd, first, &a, &b, 1);
}

/* --- memory ---------------------------------------------------------------------- */

static long long free_bytes(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	long long sum = 0, kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %lld", &kib) == 1 ||
		    sscanf(line, "Buffers: %lld", &kib) == 1 ||
		    sscanf(line, "Cached: %lld", &kib) == 1)
			sum += kib * 1024;
	if (f)
		fclose(f);
	return sum;
}

static long long aperture_bytes(void)
{
	FILE *f = fopen("/sys/kernel/debug/pcieverbs/aperture", "r");
	long long sum = 0, n;
	char line[512];
	const char *p;

	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, "queue_pairs=");
		if (p && sscanf(p, "queue_pairs=%lld", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

/* --- the measurement --------------------------------------------------------------- */

static void poll_once(void)
{
	struct ibv_wc wc[BATCH];
	int i, n = ibv_poll_cq(cq, BATCH, wc);

	if (n < 0)
		errx(1, "poll_cq");
	for (i = 0; i < n; i++) {
		if (wc[i].status)
			errx(1, "completion: %s", ibv_wc_status_str(wc[i].status));
		if (wc[i].opcode == IBV_WC_RECV)
			received++;
		else
			sends_out--;
	}
}

static void send_one(struct ibv_qp *qp, bool signaled)
{
	struct ibv_sge sge = { .addr = (uintptr_t)buffer, .length = MESSAGE };
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_INLINE | (signaled ? IBV_SEND_SIGNALED : 0),
	}, *bad;

	if (ibv_post_send(qp, &wr, &bad))
		err(1, "post_send");
	sends_out += signaled;
}

static void receive_one(struct ibv_qp *qp)
{
	while (!received)
		poll_once();
	received--;
	post_recv(qp);
}

static void ping(struct ibv_qp *qp)
{
	while (sends_out >= depth)
		poll_once();
	send_one(qp, true);
}

static void ping_pong(struct ibv_qp *qp, bool first, int n, uint64_t *ticks)
{
	uint64_t last = __rdtsc(), now;
	int i;

	for (i = 0; i < n; i++) {
		if (first)
			ping(qp);
		receive_one(qp);
		if (!first)
			ping(qp);
		now = __rdtsc();
		ticks[i] = now - last;
		last = now;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Median of half a round trip in ns; the counter's rate is measured alongside. */
static double measure(struct ibv_qp *qp, bool first)
{
	uint64_t *ticks = calloc(turns > WARM_UP ? turns : WARM_UP, sizeof(*ticks));
	double start, ns_per_tick;
	uint64_t tsc;

	if (!ticks)
		err(1, "memory");
	ping_pong(qp, first, WARM_UP, ticks);
	start = now_ns();
	tsc = __rdtsc();
	ping_pong(qp, first, turns, ticks);
	/* A short run is no measure for the counter. */
	while (now_ns() - start < 1e8)
		;
	ns_per_tick = (now_ns() - start) / (__rdtsc() - tsc);
	qsort(ticks, turns, sizeof(*ticks), compare);
	return ticks[turns / 2] * ns_per_tick / 2;
}

/* Messages a second: as the sender sees it, the last one completed. */
static double rate(struct ibv_qp *qp, bool first)
{
	int i, every = depth / 4 ? depth / 4 : 1, groups = turns / every;
	double start = now_ns();

	for (i = 0; !first && i < groups * every; i++)
		receive_one(qp);
	for (i = 0; first && i < groups * every; i++) {
		/* One completion a group: with three under way there is room for a fourth. */
		while (sends_out >= 3 && i % every == 0)
			poll_once();
		send_one(qp, i % every == every - 1);
	}
	while (sends_out)
		poll_once();
	return groups * every / (now_ns() - start) * 1e9;
}

/* --- single calls ------------------------------------------------------------------ */

#define GROUP		16
#define ARRIVE_TICKS	20000	/* in which what was sent in a row has all arrived */

enum { POST_SEND, POLL_SEND, POLL_RECV, POST_RECV, CALLS };

static const char *const call_names[CALLS] = { "post_send", "poll_send", "poll_recv", "post_recv" };

/* One completion, which must be a good one. */
static void poll_one(void)
{
	struct ibv_wc wc;
	int n;

	do
		n = ibv_poll_cq(cq, 1, &wc);
	while (!n);
	if (n < 0 || wc.status)
		errx(1, "completion: %s", n < 0 ? "none" : ibv_wc_status_str(wc.status));
}

static void send_group(struct ibv_qp *qp, uint64_t *posted, uint64_t *polled)
{
	uint64_t start = __rdtsc(), between;
	int i;

	for (i = 0; i < GROUP; i++)
		send_one(qp, true);
	between = __rdtsc();
	for (i = 0; i < GROUP; i++)
		poll_one();
	*posted = between - start;
	*polled = __rdtsc() - between;
	sends_out -= GROUP;
}

static void receive_group(struct ibv_qp *qp, uint64_t *polled, uint64_t *posted)
{
	uint64_t start, between;
	int i;

	poll_one();
	start = __rdtsc();
	while (__rdtsc() - start < ARRIVE_TICKS)
		;
	start = __rdtsc();
	for (i = 1; i < GROUP; i++)
		poll_one();
	between = __rdtsc();
	for (i = 0; i < GROUP; i++)
		post_recv(qp);
	*polled = (between - start) * GROUP / (GROUP - 1);
	*posted = __rdtsc() - between;
}

/* Both sides send and receive groups in turn. */
static void calls(struct ibv_qp *qp, bool first)
{
	uint64_t *ticks[CALLS], tsc = __rdtsc();
	double start = now_ns(), ns_per_tick;
	int i;

	for (i = 0; i < CALLS; i++) {
		ticks[i] = calloc(turns, sizeof(*ticks[i]));
		if (!ticks[i])
			err(1, "memory");
	}
	for (i = 0; i < 2 * turns; i++) {
		if (first == !(i % 2))
			send_group(qp, &ticks[POST_SEND][i / 2], &ticks[POLL_SEND][i / 2]);
		else
			receive_group(qp, &ticks[POLL_RECV][i / 2], &ticks[POST_RECV][i / 2]);
	}
	/* A short run is no measure for the counter. */
	while (now_ns() - start < 1e8)
		;
	ns_per_tick = (now_ns() - start) / (__rdtsc() - tsc);
	for (i = 0; i < CALLS; i++) {
		qsort(ticks[i], turns, sizeof(*ticks[i]), compare);
		if (first)
			printf("%s_ns %.1f\n", call_names[i],
			       ticks[i][turns / 2] * ns_per_tick / GROUP);
	}
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "d:x:p:q:n:t:rc")) != -1) {
		switch (c) {
		case 'd':
			device = optarg;
			break;
		case 'x':
			gid_index = atoi(optarg);
			break;
		case 'p':
			port = optarg;
			break;
		case 'q':
			idle = atoi(optarg);
			break;
		case 'n':
			turns = atoi(optarg);
			break;
		case 't':
			depth = atoi(optarg);
			break;
		case 'r':
			rate_wanted = true;
			break;
		case 'c':
			calls_wanted = true;
			break;
		default:
			exit(2);
		}
	}
	if (argc - optind > 1 || idle < 0 || turns < 1 || depth < 1)
		errx(2, "wrong arguments");
	if (calls_wanted && depth < GROUP)
		errx(2, "-c wants queues of %d", GROUP);
}

int main(int argc, char **argv)
{
	struct timespec pause = { .tv_nsec = 300000000 };
	struct address *me, *peer;
	long long memory, aperture;
	struct ibv_qp *busy;
	bool first;
	double value;
	int i, fd;

	options(argc, argv);
	first = optind < argc;
	open_device();
	fd = wire(argv[optind]);
	qps = calloc(idle + 1, sizeof(*qps));
	me = calloc(idle + 1, sizeof(*me));
	peer = calloc(idle + 1, sizeof(*peer));
	if (!qps || !me || !peer)
		err(1, "memory");
	/* What the first queue pair of a process brings with it is not counted. */
	ibv_destroy_qp(make_qp());

	memory = free_bytes();
	aperture = aperture_bytes();
	for (i = 0; i <= idle; i++) {
		qps[i] = make_qp();
		post_recv(qps[i]);
		me[i].gid = gid;
		me[i].qpn = qps[i]->qp_num;
		me[i].psn = 0x1000 + i;
	}
	busy = qps[idle];
	for (i = 1; i < depth; i++)
		post_recv(busy);
	swap(fd, first, me, peer, (idle + 1) * sizeof(*me));
	for (i = 0; i <= idle; i++)
		connect_qp(qps[i], &me[i], &peer[i]);
	meet(fd, first);
	/* The kernels may still be talking about them. */
	nanosleep(&pause, NULL);
	memory -= free_bytes();
	aperture = aperture_bytes() - aperture;
	meet(fd, first);

	if (calls_wanted) {
		calls(busy, first);
		meet(fd, first);
		return 0;
	}
	value = rate_wanted ? rate(busy, first) : measure(busy, first);
	if (first) {
		printf(rate_wanted ? "messages_per_s %.0f\n" : "half_round_trip_ns %.1f\n", value);
		printf("qp_memory_bytes %lld\n", memory / (idle + 1));
		printf("qp_aperture_bytes %lld\n", aperture / (idle + 1));
	}
	meet(fd, first);
	return 0;
}
