// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The physical limit of the lab's link: two processes of this machine, each on
 * a CPU of its own, and a file on tmpfs that both map. That is what a window of
 * the lab is, without any of our code and without User-Mode Linux.
 *
 *   bench-raw pingpong    half a round trip of one cache line, in ns
 *   bench-raw memcpy N    copying N bytes into it, again and again, in GB/s
 *   bench-raw stream N    the same, and the other process copies every block out
 *                         of it: what a SEND with two copies can do at best
 *   bench-raw rate        8-byte messages, a cache line each, written by the one
 *                         and read by the other, in messages a second
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE		64
#define TURNS		1000000
#define FILE_BYTES	(64u << 20)
#define COPY_SECONDS	0.5
#define SLOTS		8		/* blocks of a stream under way */
#define LINES		256		/* messages under way: a ring of 16 KiB */
#define MESSAGES	20000000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static unsigned char *shared(void)
{
	int fd = memfd_create("bench-raw", 0);
	void *p;

	if (fd < 0 || ftruncate(fd, FILE_BYTES)) {
		perror("memfd");
		exit(1);
	}
	p = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

/* Each writes a line of its own and polls the other's, as two nodes do. */
static void turns(uint64_t *mine, const uint64_t *theirs, int first, uint64_t n)
{
	uint64_t i;

	for (i = 1; i <= n; i++) {
		if (first)
			__atomic_store_n(mine, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(theirs, __ATOMIC_ACQUIRE) != i)
			;
		if (!first)
			__atomic_store_n(mine, i, __ATOMIC_RELEASE);
	}
}

static int pingpong(void)
{
	unsigned char *p = shared();
	uint64_t *a = (uint64_t *)p, *b = (uint64_t *)(p + 64 * LINE);
	double start;
	int status;
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (!child) {
		pin(1);
		turns(b, a, 0, TURNS);
		_exit(0);
	}
	pin(0);
	start = now_s();
	turns(a, b, 1, TURNS);
	printf("%.1f\n", (now_s() - start) / TURNS / 2 * 1e9);
	return waitpid(child, &status, 0) != child || status;
}

static void *copied(size_t n)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, n)) {
		perror("memory");
		exit(1);
	}
	memset(p, 1, n);
	return p;
}

/*
 * The words by which a block is handed over are on lines of their own, as far
 * apart as pages: the writer's count, the reader's count, the end.
 */
struct handover {
	uint64_t written __attribute__((aligned(4096)));
	uint64_t read __attribute__((aligned(4096)));
	uint64_t done __attribute__((aligned(4096)));
	unsigned char slot[] __attribute__((aligned(4096)));
};

static void stream_reader(struct handover *h, size_t n)
{
	unsigned char *to = copied(n);
	uint64_t i;

	for (i = 0;; i++) {
		while (__atomic_load_n(&h->written, __ATOMIC_ACQUIRE) == i)
			if (__atomic_load_n(&h->done, __ATOMIC_RELAXED) == i + 1)
				return;
		memcpy(to, h->slot + i % SLOTS * n, n);
		__asm__ __volatile__("" : : "r"(to) : "memory");
		__atomic_store_n(&h->read, i + 1, __ATOMIC_RELEASE);
	}
}

static int stream(size_t n)
{
	struct handover *h = (struct handover *)shared();
	unsigned char *from;
	double start, end;
	uint64_t i = 0;
	int status;
	pid_t child;

	if (!n || n > (FILE_BYTES - sizeof(*h)) / SLOTS)
		return 1;
	child = fork();
	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (!child) {
		pin(1);
		stream_reader(h, n);
		_exit(0);
	}
	pin(0);
	from = copied(n);
	start = now_s();
	do {
		while (i - __atomic_load_n(&h->read, __ATOMIC_ACQUIRE) == SLOTS)
			;
		memcpy(h->slot + i % SLOTS * n, from, n);
		__atomic_store_n(&h->written, ++i, __ATOMIC_RELEASE);
		end = now_s();
	} while (end - start < COPY_SECONDS);
	while (__atomic_load_n(&h->read, __ATOMIC_ACQUIRE) != i)
		;
	end = now_s();
	__atomic_store_n(&h->done, i + 1, __ATOMIC_RELAXED);
	printf("%.2f\n", i * (double)n / (end - start) / 1e9);
	return waitpid(child, &status, 0) != child || status;
}

/* A message is there when its line has the number of its lap. */
static void rate_reader(struct handover *h)
{
	uint64_t i, sum = 0;

	for (i = 0; i < MESSAGES; i++) {
		uint64_t *line = (uint64_t *)(h->slot + i % LINES * LINE);

		while (__atomic_load_n(line, __ATOMIC_ACQUIRE) != i / LINES + 1)
			;
		sum += line[1];
		if (i % (LINES / 4) == LINES / 4 - 1)
			__atomic_store_n(&h->read, i + 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&h->read, i, __ATOMIC_RELEASE);
	h->done = sum;
}

static int rate(void)
{
	struct handover *h = (struct handover *)shared();
	uint64_t i, seen = 0;
	double start;
	int status;
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (!child) {
		pin(1);
		rate_reader(h);
		_exit(0);
	}
	pin(0);
	start = now_s();
	for (i = 0; i < MESSAGES; i++) {
		uint64_t *line = (uint64_t *)(h->slot + i % LINES * LINE);

		while (i - seen == LINES)
			seen = __atomic_load_n(&h->read, __ATOMIC_ACQUIRE);
		line[1] = i;
		__atomic_store_n(line, i / LINES + 1, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&h->read, __ATOMIC_ACQUIRE) != i)
		;
	printf("%.0f\n", MESSAGES / (now_s() - start));
	return waitpid(child, &status, 0) != child || status;
}

static int copy(size_t n)
{
	unsigned char *to = shared(), *from;
	double start, end;
	uint64_t bytes = 0;

	if (!n || n > FILE_BYTES)
		return 1;
	from = copied(n);
	pin(0);
	memcpy(to, from, n);
	start = now_s();
	do {
		int i;

		for (i = 0; i < 16; i++) {
			memcpy(to, from, n);
			/* Each copy must happen. */
			__asm__ __volatile__("" : : "r"(to) : "memory");
		}
		bytes += 16 * n;
		end = now_s();
	} while (end - start < COPY_SECONDS);
	printf("%.2f\n", bytes / (end - start) / 1e9);
	free(from);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "pingpong"))
		return pingpong();
	if (argc == 3 && !strcmp(argv[1], "memcpy"))
		return copy(strtoull(argv[2], NULL, 0));
	if (argc == 3 && !strcmp(argv[1], "stream"))
		return stream(strtoull(argv[2], NULL, 0));
	if (argc == 2 && !strcmp(argv[1], "rate"))
		return rate();
	fprintf(stderr, "usage: bench-raw pingpong | memcpy BYTES | stream BYTES | rate\n");
	return 2;
}
