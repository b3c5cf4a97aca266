// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Many threads on two nodes that connect, send, read, write, deregister and
 * destroy, each with its own partner, while somebody takes the link, the
 * interface, the module or a whole node away. An error is no failure here; wrong
 * data is, and a work request that does not come back, and a thread that hangs.
 *
 *   storm --server [DIR]     until SIGTERM
 *   storm --client HOST DIR  until it has been calm for a while
 *
 *   STORM_THREADS (4)  STORM_PORT (19400, the first of them)  STORM_SEED (1)
 *   STORM_CALM (3 rounds of every thread)
 *
 * Files in DIR are orders: `calm`: nothing disturbs any more, from now on
 * rounds have to succeed; `pause`: let go of the device, answer with `paused`,
 * and begin anew when it is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storm.h"

#define BUF_BYTES (2 << 20)
#define CALM_BROKEN_MAX 5 /* rounds of a thread that began before it was calm */

static volatile sig_atomic_t ended;
static const char *dir = "/tmp";

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static void on_term(int sig __attribute__((unused)))
{
	ended = 1;
}

static bool ordered(const char *what)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, what);
	return !access(path, F_OK);
}

static void answer(const char *what)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, what);
	f = fopen(path, "w");
	if (f)
		fclose(f);
}

/* --- partners --------------------------------------------------------------------- */

static int listen_on(int port)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any,
	};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static int reach(const char *host, int port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	struct pollfd p = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	char name[12];
	int err = -1;

	snprintf(name, sizeof(name), "%d", port);
	if (getaddrinfo(host, name, &hints, &list))
		return -1;
	p.fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (!connect(p.fd, list->ai_addr, list->ai_addrlen) ||
	    (errno == EINPROGRESS && poll(&p, 1, 1000 * vc_slow()) == 1))
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	freeaddrinfo(list);
	if (!err)
		return p.fd;
	close(p.fd);
	usleep(20000);
	return -1;
}

static int meet(struct worker *w)
{
	struct pollfd p = { .fd = w->listener, .events = POLLIN };
	static const int opts[][2] = {
		{ TCP_NODELAY, 1 }, { TCP_KEEPIDLE, 2 }, { TCP_KEEPINTVL, 2 }, { TCP_KEEPCNT, 4 },
		{ TCP_USER_TIMEOUT, 10000 },
	};
	int fd = -1;
	size_t i;

	if (w->storm->client)
		fd = reach(w->storm->host, w->storm->port + w->index);
	else if (poll(&p, 1, 200) == 1)
		fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
	for (i = 0; i < ARRAY_SIZE(opts); i++)
		setsockopt(fd, IPPROTO_TCP, opts[i][0], &opts[i][1], sizeof(int));
	return fd;
}

static void *rounds(void *arg)
{
	struct worker *w = arg;
	struct storm *s = w->storm;
	unsigned int enough = number("STORM_CALM", 3);
	enum outcome outcome;
	bool calm, both;

	while (!atomic_load(&s->stop)) {
		calm = atomic_load(&s->calm);
		both = false;
		w->vc.fd = meet(w);
		if (w->vc.fd < 0) {
			atomic_fetch_add(&s->count[NOBODY], 1);
			continue;
		}
		outcome = storm_round(w, calm, &both);
		close(w->vc.fd);
		atomic_fetch_add(&s->count[outcome], 1);
		if (!both)
			continue;
		w->calm_clean = outcome == CLEAN ? w->calm_clean + 1 : 0;
		if (outcome == BROKEN && !atomic_load(&s->stop)) {
			w->calm_broken++;
			vc_expect(&w->vc, w->calm_broken <= CALM_BROKEN_MAX,
				  "%u rounds broke though nothing disturbed", w->calm_broken);
		}
		if (s->client && w->calm_clean >= enough)
			break;
	}
	return NULL;
}

/* --- the device ---------------------------------------------------------------------- */

/* What nobody else sees: as fast as it goes, beside all the connections. */
static void *churn(void *arg)
{
	struct worker *w = arg;
	struct storm *s = w->storm;

	while (!atomic_load(&s->stop)) {
		struct ibv_pd *pd = ibv_alloc_pd(s->ctx);
		struct ibv_mr *mr = pd ? ibv_reg_mr(pd, w->buf, BUF_BYTES, VC_ALL_ACCESS) : NULL;
		struct ibv_cq *cq = ibv_create_cq(s->ctx, 100, NULL, NULL, 0);
		struct ibv_qp_init_attr init = {
			.qp_type = storm_rand(&w->rng, 2) ? IBV_QPT_RC : IBV_QPT_UD,
			.send_cq = cq, .recv_cq = cq,
			.cap = { .max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1,
				 .max_recv_sge = 1 },
		};
		struct ibv_qp *qp = pd && cq ? ibv_create_qp(pd, &init) : NULL;
		struct ibv_qp_attr attr;
		struct ibv_port_attr port;

		vc_expect(&w->vc, mr && qp && !ibv_query_qp(qp, &attr, IBV_QP_STATE, &init) &&
			  !ibv_query_port(s->ctx, 1, &port), "churn: create: %m");
		vc_expect(&w->vc, (!qp || !ibv_destroy_qp(qp)) && (!cq || !ibv_destroy_cq(cq)) &&
			  (!mr || !ibv_dereg_mr(mr)) && (!pd || !ibv_dealloc_pd(pd)),
			  "churn: destroy: %m");
		usleep(1000);
	}
	return NULL;
}

static bool find_gid(struct vc *vc)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry;
	int i;

	for (i = 0; i < 32; i++) {
		if (ibv_query_gid_ex(vc->ctx, 1, i, &entry, 0) ||
		    entry.gid_type != IBV_GID_TYPE_ROCE_V2 || memcmp(entry.gid.raw, mapped, 12))
			continue;
		vc->gid = entry.gid;
		vc->gid_index = i;
		return true;
	}
	return false;
}

static bool open_device(struct storm *s, struct vc *vc)
{
	const char *name = getenv("PCV_DEV") ?: "pcv0";
	struct ibv_device **list;
	int n = 0, i;

	list = ibv_get_device_list(&n);
	for (i = 0; i < n && strcmp(ibv_get_device_name(list[i]), name);)
		i++;
	vc->ctx = i < n ? ibv_open_device(list[i]) : NULL;
	ibv_free_device_list(list);
	if (!vc->ctx)
		return false;
	if (!find_gid(vc)) {
		ibv_close_device(vc->ctx);
		return false;
	}
	s->ctx = vc->ctx;
	return true;
}

static void share(struct storm *s, struct worker *w)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = STORM_SRQ_SLOTS, .max_sge = 1 } };
	unsigned int i;

	s->pd = ibv_alloc_pd(s->ctx);
	s->srq = s->pd ? ibv_create_srq(s->pd, &init) : NULL;
	s->srq_mr = s->srq ? ibv_reg_mr(s->pd, s->srq_buf, (size_t)STORM_SRQ_SLOTS * STORM_SLOT,
					IBV_ACCESS_LOCAL_WRITE) : NULL;
	if (!s->srq_mr)
		vc_die(&w->vc, "what all threads share: %m");
	atomic_store(&s->srq_posted, 256);
	for (i = 0; i < 256; i++)
		storm_srq_post(w, i);
}

static void share_no_more(struct storm *s, struct worker *w)
{
	vc_expect(&w->vc, !ibv_destroy_srq(s->srq) && !ibv_dereg_mr(s->srq_mr) &&
		  !ibv_dealloc_pd(s->pd) && !ibv_close_device(s->ctx), "close: %m");
}

/* --- the program ------------------------------------------------------------------------ */

/* All threads, from opening the device to closing it. Return: whether that was all. */
static bool epoch(struct storm *s, struct worker *workers, int threads)
{
	struct worker *last = &workers[threads];
	uint64_t end = vc_now_ms() + 60000ull * vc_slow(), late = 0;
	bool all = false;
	int i, running;

	while (!open_device(s, &last->vc)) {
		if (vc_now_ms() > end)
			vc_die(&last->vc, "the device does not come back");
		usleep(100000);
	}
	share(s, last);
	atomic_store(&s->stop, false);
	for (i = 0; i <= threads; i++) {
		workers[i].vc.ctx = s->ctx;
		workers[i].vc.gid = last->vc.gid;
		workers[i].vc.gid_index = last->vc.gid_index;
		if (pthread_create(&workers[i].thread, NULL, i < threads ? rounds : churn,
				   &workers[i]))
			vc_die(&last->vc, "no thread");
	}
	running = threads;
	while (!ended && !ordered("pause") && running) {
		usleep(50000);
		if (!atomic_load(&s->calm) && ordered("calm")) {
			atomic_store(&s->calm, true);
			late = vc_now_ms() + 120000ull * vc_slow();
		}
		if (s->client && late && vc_now_ms() > late) {
			vc_expect(&last->vc, false, "it is calm, and %d threads get no further",
				  running);
			break;
		}
		for (i = 0; i < threads; i++)
			if (workers[i].thread && !pthread_tryjoin_np(workers[i].thread, NULL)) {
				workers[i].thread = 0;
				running--;
			}
	}
	all = ended || !ordered("pause");
	atomic_store(&s->stop, true);
	for (i = 0; i <= threads; i++)
		if (workers[i].thread)
			pthread_join(workers[i].thread, NULL);
	share_no_more(s, last);
	return all;
}

int main(int argc, char **argv)
{
	struct storm s = { .port = number("STORM_PORT", 19400) };
	int threads = number("STORM_THREADS", 4), i;
	struct worker workers[STORM_THREADS_MAX + 1] = { 0 };
	unsigned int failures = 0;

	s.client = argc == 4 && !strcmp(argv[1], "--client");
	if ((!s.client && (argc < 2 || argc > 3 || strcmp(argv[1], "--server"))) ||
	    threads > STORM_THREADS_MAX) {
		fprintf(stderr, "usage: storm --server [DIR] | --client HOST DIR\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_term);
	signal(SIGPIPE, SIG_IGN);
	s.host = s.client ? argv[2] : NULL;
	dir = argc > 2 ? argv[argc - 1] : "/nowhere";
	s.srq_buf = vc_alloc(&workers[0].vc, (size_t)STORM_SRQ_SLOTS * STORM_SLOT);
	for (i = 0; i <= threads; i++) {
		workers[i].storm = &s;
		workers[i].index = i;
		workers[i].vc.a = s.client;
		workers[i].vc.test = i < threads ? "storm" : "churn";
		workers[i].rng = number("STORM_SEED", 1) * 1000003ull + i * 2 + s.client;
		workers[i].buf = vc_alloc(&workers[0].vc, BUF_BYTES);
		workers[i].listener = s.client || i == threads ? -1 : listen_on(s.port + i);
	}
	while (!epoch(&s, workers, threads)) {
		answer("paused");
		while (ordered("pause") && !ended)
			usleep(20000);
	}
	for (i = 0; i <= threads; i++)
		failures += workers[i].vc.failures;
	printf("storm: clean %u broken %u nobody %u messages %u failures %u\n", s.count[CLEAN],
	       s.count[BROKEN], s.count[NOBODY], s.messages, failures);
	return failures || !s.count[CLEAN];
}
