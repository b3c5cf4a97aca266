// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Processes killed in the middle of heavy traffic, again and again. On each
 * node one that stays starts one that works; in every round the workers connect
 * and check that it works, then one of them, or both, is killed. The one that
 * is left must end with an error, in time, and nothing may stay taken.
 *
 *   KILLS (60)  KILL_SEED (1)  KILL_VERBOSE
 *   KILL_ALONE: nobody else uses the device, so nothing may be taken after a round
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verbs_common.h"

#define DEPTH 64
#define SLOT 65536
#define SLOTS 8 /* to receive into; as many to send from */
#define CHECKED 20 /* messages before the traffic */

enum { WORKS = 3, STUCK = 4 }; /* how a worker that was not killed ends */

static const char *const kinds[] = {
	"small SENDs", "SENDs of 2 KiB",      "SENDs of 64 KiB",
	"mixed",       "small SENDs, asleep", "WRITE and SEND",
};

static unsigned int next(uint64_t *rng, unsigned int below)
{
	*rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
	return (*rng >> 33) % below;
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

/* --- the worker ----------------------------------------------------------- */

static size_t size_of(int kind, uint64_t *rng)
{
	switch (kind) {
	case 1:
		return 2048;
	case 2:
		return SLOT;
	case 3:
		return next(rng, 4) ? next(rng, 3000) : next(rng, SLOT + 1);
	default:
		return next(rng, 200);
	}
}

static int post_one(struct vc_end *e, int kind, uint64_t *rng)
{
	size_t at = (SLOTS + next(rng, SLOTS)) * SLOT, len = size_of(kind, rng);
	enum ibv_wr_opcode op = IBV_WR_SEND;

	if (kind == 3 && !next(rng, 4))
		op = next(rng, 2) ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
	if (kind == 5 && next(rng, 2))
		op = IBV_WR_RDMA_WRITE;
	/* What is written may not hit what is received. */
	return vc_send(e, 1, op, at, len, at);
}

/* Until an error comes out. Return: false if none came. */
static bool run_until_error(struct vc_end *e, int kind, uint64_t *rng)
{
	uint64_t last = vc_now_ms(), limit = 15000 * vc_slow();
	int under_way = 0, n, i, none = 0;
	struct ibv_wc wc[16];
	struct ibv_cq *cq;
	void *context;

	while (vc_now_ms() - last < limit) {
		while (under_way < DEPTH && !post_one(e, kind, rng))
			under_way++;
		n = ibv_poll_cq(e->scq, 16, wc);
		for (i = 0; i < n; i++) {
			if (wc[i].status)
				return true;
			under_way--;
		}
		if (n > 0)
			last = vc_now_ms();
		none = n > 0 ? 0 : none + 1;
		n = ibv_poll_cq(e->rcq, 16, wc);
		for (i = 0; i < n; i++) {
			if (wc[i].status)
				return true;
			vc_recv(e, wc[i].wr_id, wc[i].wr_id % SLOTS * SLOT, SLOT);
			none = 0;
		}
		if (kind == 4 && none > 50) {
			struct pollfd p = { .fd = e->chan->fd, .events = POLLIN };

			none = 0;
			ibv_req_notify_cq(e->scq, 0);
			ibv_req_notify_cq(e->rcq, 0);
			n = ibv_poll_cq(e->scq, 1, wc);
			if (n) {
				under_way--;
				if (wc->status)
					return true;
				continue;
			}
			/* Its completions are looked at above. */
			if (poll(&p, 1, 100) == 1 && !ibv_get_cq_event(e->chan, &cq, &context))
				ibv_ack_cq_events(cq, 1);
		}
	}
	return false;
}

static void traffic(struct vc *vc)
{
	uint64_t rng = number("KILL_SEED", 1) * 2 + vc->a;
	struct vc_opts o = {
		.depth = 2 * DEPTH,
		.len = 2 * SLOTS * SLOT,
		.events = true,
		.timeout = 12,
	};
	int kind = number("KILL_KIND", 0), i;
	struct vc_end e;

	vc_open(vc, &e, &o);
	for (i = 0; i < DEPTH; i++)
		vc_expect(vc, !vc_recv(&e, i, i % SLOTS * SLOT, SLOT), "post_recv");
	vc_meet(vc);
	for (i = 0; i < CHECKED; i++) {
		size_t len = i % 5 == 4 ? 20000 : 10 + i * 9;

		vc_fill(e.buf + SLOTS * SLOT, len, i + 100 * vc->a);
		vc_expect(vc, !vc_send(&e, i, IBV_WR_SEND, SLOTS * SLOT, len, 0), "post_send");
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_check(vc, e.buf + i % SLOTS * SLOT, len, i + 100 * !vc->a, "before the kill");
		vc_expect(vc, !vc_recv(&e, i, i % SLOTS * SLOT, SLOT), "post_recv");
	}
	if (vc->failures)
		_exit(1);
	vc_meet(vc);
	/* From now on the connection belongs to those who started us. */
	if (write(number("KILL_READY", 1), "r", 1) != 1)
		_exit(1);
	_exit(run_until_error(&e, kind, &rng) ? WORKS : STUCK);
}

/* --- the one that stays ---------------------------------------------------- */

struct round {
	unsigned int n;
	int kind;
	bool kill_a, kill_b;
	unsigned int after_us;
};

static pid_t start(struct vc *vc, const struct round *r, int ready)
{
	char fd[12], name[4][32];
	pid_t child = fork();

	if (child)
		return child;
	snprintf(fd, sizeof(fd), "%d", vc->fd);
	snprintf(name[0], sizeof(name[0]), "%d", r->kind);
	snprintf(name[1], sizeof(name[1]), "%u", r->n);
	snprintf(name[2], sizeof(name[2]), "%d", ready);
	setenv("KILL_KIND", name[0], 1);
	setenv("KILL_SEED", name[1], 1);
	setenv("KILL_READY", name[2], 1);
	execl("/proc/self/exe", "kill-worker", "--join", fd, vc->a ? "--first" : "traffic",
	      "traffic", NULL);
	_exit(127);
}

/* Blocks of all apertures that queue pairs hold; -1: the file does not say. */
static int blocks_taken(void)
{
	FILE *f = fopen("/sys/kernel/debug/pcieverbs/aperture", "r");
	char line[200], *at;
	int sum = -1;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "queue_pairs=");
		if (at)
			sum = (sum < 0 ? 0 : sum) + atoi(at + strlen("queue_pairs="));
	}
	if (f)
		fclose(f);
	return sum;
}

static bool free_again(struct vc *vc, const struct round *r)
{
	uint64_t end = vc_now_ms() + 10000 * vc_slow();
	int taken;

	if (!getenv("KILL_ALONE"))
		return true;

	while ((taken = blocks_taken()) > 0 && vc_now_ms() < end)
		usleep(1000);
	return vc_expect(vc, taken <= 0, "round %u (%s): %d blocks still taken", r->n,
			 kinds[r->kind], taken);
}

/* Its status, or -1 if it had to be killed. */
static int status_of(pid_t child, uint64_t ms)
{
	uint64_t end = vc_now_ms() + ms;
	int status;

	while (waitpid(child, &status, WNOHANG) != child) {
		if (vc_now_ms() > end) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return -1;
		}
		usleep(1000);
	}
	return status;
}

static bool one_round(struct vc *vc, const struct round *r)
{
	bool victim = vc->a ? r->kill_a : r->kill_b;
	struct pollfd p = { .events = POLLIN };
	int fds[2], status;
	uint64_t first = vc_now_ms(), begin;
	pid_t child;
	char c;

	if (pipe(fds))
		vc_die(vc, "pipe: %m");
	child = start(vc, r, fds[1]);
	close(fds[1]);
	p.fd = fds[0];
	if (poll(&p, 1, 40000 * vc_slow()) != 1 || read(fds[0], &c, 1) != 1) {
		status = status_of(child, 0);
		vc_die(vc, "round %u (%s): the worker is not ready, status %#x", r->n,
		       kinds[r->kind], status);
	}
	close(fds[0]);
	begin = vc_now_ms();
	if (victim) {
		usleep(r->after_us);
		kill(child, SIGKILL);
	}
	status = status_of(child, 30000 * vc_slow());
	if (getenv("KILL_VERBOSE"))
		printf("[%c] round %u (%s): %s, ready after %llu ms, %s %u us, %s %llu ms\n",
		       vc->a ? 'A' : 'B', r->n, kinds[r->kind], victim ? "victim" : "left",
		       (unsigned long long)(begin - first), "killed after", r->after_us,
		       "ended after",
		       (unsigned long long)(vc_now_ms() - begin));
	if (victim)
		/* The other may have been faster, if both are killed. */
		vc_expect(vc,
			  status == SIGKILL || (r->kill_a && r->kill_b && status == WORKS << 8),
			  "round %u (%s): the victim ended with %#x before it was killed", r->n,
			  kinds[r->kind], status);
	else
		vc_expect(vc, status == WORKS << 8,
			  "round %u (%s): who is left ended with %#x after %llu ms (%#x: no error)",
			  r->n, kinds[r->kind], status,
			  (unsigned long long)(vc_now_ms() - begin), STUCK << 8);
	vc_meet(vc);
	return free_again(vc, r);
}

static void kills(struct vc *vc)
{
	unsigned int count = number("KILLS", 60), before = vc->failures, theirs, mine, n;
	uint64_t rng = number("KILL_SEED", 1) * 77777, begin = vc_now_ms(), worst = 0, ms;

	for (n = 0; n < count; n++) {
		struct round r = { .n = n,
				   .kind = (n + number("KILL_SEED", 1)) % ARRAY_SIZE(kinds) };
		unsigned int who = next(&rng, 9);

		r.kill_a = who < 5;
		r.kill_b = who >= 4;
		r.after_us = next(&rng, 4) ? next(&rng, 30000) : next(&rng, 300);
		ms = vc_now_ms();
		one_round(vc, &r);
		ms = vc_now_ms() - ms;
		worst = ms > worst ? ms : worst;
		mine = vc->failures - before;
		vc_swap(vc, &mine, &theirs, sizeof(mine));
		if (mine + theirs)
			break;
	}
	printf("[%c] %u rounds in %llu ms, the longest %llu ms\n", vc->a ? 'A' : 'B', n,
	       (unsigned long long)(vc_now_ms() - begin), (unsigned long long)worst);
}

static const struct vc_test master[] = { { "kills", kills }, { NULL, NULL } };
static const struct vc_test worker[] = { { "traffic", traffic }, { NULL, NULL } };

int main(int argc, char **argv)
{
	return vc_main(argc, argv, getenv("KILL_READY") ? worker : master, NULL, NULL, NULL);
}
