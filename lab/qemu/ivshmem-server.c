// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Gives the nodes of a lab their shared memory and each other's doorbells: the
 * server's side of the protocol in QEMU's docs/specs/ivshmem-spec.txt.
 *
 *   ivshmem-server DIR NAME MEMORY VECTORS NODES
 *
 * In DIR: a socket NAME.I for each node I, NAME.log, and NAME.daemon (process
 * number and start time). Who connects to NAME.I is node I, whenever that may
 * be and however often: so a node that is started again is the same one for
 * its peers. Returns once nodes can connect; what stays ends by a signal.
 *
 * A message is a little-endian 64-bit number, some with a file descriptor:
 *
 *   0                   version of the protocol
 *   I                   "you are I"
 *   -1, descriptor      the shared memory
 *   J, descriptor       J's next vector; for J = I: where it listens
 *
 * The protocol also knows hello and farewell to the peers of one who comes or
 * goes. Here a node's vectors are made once and all are told of all nodes at
 * once, there or not: a doorbell of one who is away rings into the void. Not
 * only is that less. QEMU frees a peer's vectors at its farewell and uses what
 * it has freed when a peer of that number comes again (hw/misc/ivshmem.c,
 * close_peer_eventfds and resize_peers; 7.2 dies of it).
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>

#include "../daemon.h"

#define MAX_NODES 8
#define MAX_VECTORS 32

struct node {
	int listener, fd;	/* fd -1: not there */
	int vector[MAX_VECTORS];
};

static struct node nodes[MAX_NODES];
static int num_nodes, num_vectors, memory;

static int number(const char *text, int max)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*end || v < 1 || v > max)
		errx(2, "'%s' is not a number from 1 to %d", text, max);
	return v;
}

/* Never waits: a node that does not read must not hold up the others. */
static bool say(int to, int64_t what, int fd)
{
	int64_t word = htole64(what);
	struct iovec iov = { &word, sizeof(word) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(word);
}

static void leave(int id, const char *why)
{
	warnx("node %d leaves: %s", id, why);
	close(nodes[id].fd);
	nodes[id].fd = -1;
}

static void join(int id)
{
	struct node *n = &nodes[id];
	int i, v, fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	eventfd_t rings;
	bool fine;

	if (fd < 0)
		return;
	if (n->fd >= 0)
		leave(id, "another one took its place");
	n->fd = fd;
	warnx("node %d joins", id);
	/* Not for this life what rang in the one before. */
	for (v = 0; v < num_vectors; v++)
		eventfd_read(n->vector[v], &rings);
	fine = say(fd, 0, -1) && say(fd, id, -1) && say(fd, -1, memory);
	for (i = 0; fine && i < num_nodes; i++)
		for (v = 0; fine && v < num_vectors; v++)
			fine = say(fd, i, nodes[i].vector[v]);
	if (!fine)
		leave(id, strerror(errno));
}

static void serve(void)
{
	struct pollfd p[2 * MAX_NODES];
	char junk[64];
	ssize_t n;
	int i;

	for (;;) {
		for (i = 0; i < num_nodes; i++) {
			p[i] = (struct pollfd){ .fd = nodes[i].fd, .events = POLLIN };
			p[num_nodes + i] =
				(struct pollfd){ .fd = nodes[i].listener, .events = POLLIN };
		}
		if (poll(p, 2 * num_nodes, -1) < 0 && errno != EINTR)
			err(1, "poll");
		/* Who left first, so that it can come back in the same turn. */
		for (i = 0; i < num_nodes; i++) {
			if (p[i].fd < 0 || p[i].fd != nodes[i].fd || !p[i].revents)
				continue;
			n = read(p[i].fd, junk, sizeof(junk));
			if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
				leave(i, "end of connection");
		}
		for (i = 0; i < num_nodes; i++)
			if (p[num_nodes + i].revents)
				join(i);
	}
}

int main(int argc, char **argv)
{
	char path[200], text[64];
	int i, v, ready;

	if (argc != 6)
		errx(2, "usage: ivshmem-server DIR NAME MEMORY VECTORS NODES");
	num_vectors = number(argv[4], MAX_VECTORS);
	num_nodes = number(argv[5], MAX_NODES);
	memory = open(argv[3], O_RDWR | O_CLOEXEC);
	if (memory < 0)
		err(1, "%s", argv[3]);
	close(memory);
	snprintf(path, sizeof(path), "%s/%s.log", argv[1], argv[2]);
	ready = daemon_detach(path);
	memory = open(argv[3], O_RDWR | O_CLOEXEC);
	if (memory < 0)
		err(1, "%s", argv[3]);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < num_nodes; i++) {
		nodes[i].fd = -1;
		for (v = 0; v < num_vectors; v++) {
			nodes[i].vector[v] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			if (nodes[i].vector[v] < 0)
				err(1, "eventfd");
		}
		snprintf(path, sizeof(path), "%s/%s.%d", argv[1], argv[2], i);
		nodes[i].listener = daemon_listen(path);
	}
	snprintf(path, sizeof(path), "%s/%s.daemon", argv[1], argv[2]);
	snprintf(text, sizeof(text), "%d %llu\n", getpid(), daemon_start_time(getpid()));
	daemon_write_file(path, text);
	if (write(ready, "", 1) != 1)
		return 1;
	close(ready);
	serve();
}
