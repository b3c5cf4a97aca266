// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The physical limit of the lab's link: two processes of this machine, each on
 * a CPU of its own, and a file on tmpfs that both map. That is what a window of
 * the lab is, without any of our code and without User-Mode Linux.
 *
 *   bench-raw pingpong    half a round trip of one cache line, in ns
 *   bench-raw memcpy N    copying N bytes into it, again and again, in GB/s
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

static int copy(size_t n)
{
	unsigned char *to = shared(), *from = NULL;
	double start, end;
	uint64_t bytes = 0;

	if (!n || n > FILE_BYTES || posix_memalign((void **)&from, 4096, n))
		return 1;
	memset(from, 1, n);
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
	fprintf(stderr, "usage: bench-raw pingpong | memcpy BYTES\n");
	return 2;
}
