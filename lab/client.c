// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Runs one command in a node, as if it ran here.
 *
 *   client [-C DIR] unix:SOCKET|tcp:ADDRESS COMMAND ARG...
 *
 * Standard input, output and error are passed through, signals are passed on,
 * and the exit status is the command's (128 + signal if one killed it); 255 is
 * ours: the node cannot be reached, or was lost.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent.h"
#include "buf.h"

static struct buf to_node, from_node;
static volatile sig_atomic_t caught;
static uint32_t in_credit = PROTO_IN_WINDOW;
static bool in_open = true;

static void on_signal(int sig)
{
	caught = sig;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		errx(255, "path too long for a socket: %s", path);
	strcpy(sa.sun_path, path);
	if (s < 0 || connect(s, (struct sockaddr *)&sa, sizeof(sa)))
		err(255, "%s", path);
	return s;
}

static int connect_tcp(const char *name)
{
	struct addrinfo *ai, hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	char port[16];
	int s, one = 1, e;

	snprintf(port, sizeof(port), "%d", AGENT_PORT);
	e = getaddrinfo(name, port, &hints, &ai);
	if (e)
		errx(255, "%s: %s", name, gai_strerror(e));
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, ai->ai_addr, ai->ai_addrlen))
		err(255, "%s", name);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	freeaddrinfo(ai);
	return s;
}

static void put_request(const char *dir, char **env, char **argv)
{
	struct buf b = { 0 };
	char cwd[4096];

	if (!dir)
		dir = getcwd(cwd, sizeof(cwd)) ? cwd : "/";
	buf_put(&b, dir, strlen(dir) + 1);
	for (; *env; env++)
		buf_put(&b, *env, strlen(*env) + 1);
	buf_put(&b, "", 1);
	for (; *argv; argv++)
		buf_put(&b, *argv, strlen(*argv) + 1);
	if (buf_len(&b) > PROTO_MAX_LEN)
		errx(255, "command line too long");
	buf_put_frame(&to_node, PROTO_EXEC, 1, buf_head(&b), buf_len(&b));
	buf_free(&b);
}

/* Output goes where it goes, at that place's speed. A reader who left ends us as it would `cat`. */
static void emit(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= n;
			continue;
		}
		if (errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (errno == EPIPE) {
			signal(SIGPIPE, SIG_DFL);
			raise(SIGPIPE);
		} else if (errno != EINTR) {
			err(255, "write");
		} else if (caught) {
			/* Stuck in somebody's pipe: going away ends the command as well. */
			signal(caught, SIG_DFL);
			raise(caught);
		}
	}
}

static void read_input(void)
{
	char chunk[PROTO_CHUNK];
	size_t max = in_credit < sizeof(chunk) ? in_credit : sizeof(chunk);
	ssize_t n = read(0, chunk, max);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		in_open = false;
		n = 0;
	}
	in_credit -= n;
	buf_put_frame(&to_node, PROTO_IN, 1, chunk, n);
}

static void handle(const struct proto_frame *f, const char *payload)
{
	switch (f->type) {
	case PROTO_OUT:
	case PROTO_ERR:
		emit(f->type == PROTO_OUT ? 1 : 2, payload, f->len);
		buf_put_u32(&to_node, PROTO_CREDIT, 1, f->len);
		break;
	case PROTO_CREDIT:
		in_credit += frame_u32(f, payload);
		break;
	case PROTO_EXIT:
		exit(frame_u32(f, payload));
	}
}

static void catch_signals(sigset_t *before)
{
	static const int list[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = on_signal }, old;
	sigset_t block;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		/* What is ignored here (nohup, a background job of sh) stays ignored. */
		sigaction(list[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaction(list[i], &sa, NULL);
		sigaddset(&block, list[i]);
	}
	sigprocmask(SIG_BLOCK, &block, before);
}

int main(int argc, char **argv)
{
	char *no_env[] = { NULL }, *env[256], *dir = NULL, *payload;
	size_t nenv = 0;
	struct proto_frame f;
	sigset_t unblocked, blocked;
	int opt, s, more;

	while ((opt = getopt(argc, argv, "+C:e:n")) != -1) {
		if (opt == 'C')
			dir = optarg;
		else if (opt == 'e' && nenv < 255)
			env[nenv++] = optarg;
		else if (opt == 'n')
			in_open = false;
		else
			return 255;
	}
	env[nenv] = NULL;
	if (argc - optind < 2)
		errx(255, "usage: client [-n] [-C DIR] [-e VAR=VALUE]... ADDRESS COMMAND ARG...");
	if (!strncmp(argv[optind], "unix:", 5))
		s = connect_unix(argv[optind] + 5);
	else if (!strncmp(argv[optind], "tcp:", 4))
		s = connect_tcp(argv[optind] + 4);
	else
		errx(255, "neither unix: nor tcp:");
	fcntl(s, F_SETFL, O_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	put_request(dir, nenv ? env : no_env, argv + optind + 1);
	if (!in_open)
		buf_put_frame(&to_node, PROTO_IN, 1, NULL, 0);
	catch_signals(&unblocked);

	for (;;) {
		struct pollfd p[2] = {
			{ .fd = s, .events = POLLIN | (buf_len(&to_node) ? POLLOUT : 0) },
			{ .fd = in_open && in_credit ? 0 : -1, .events = POLLIN },
		};

		if (ppoll(p, 2, NULL, &unblocked) < 0 && errno != EINTR)
			err(255, "poll");
		if (caught) {
			buf_put_u32(&to_node, PROTO_SIGNAL, 1, caught);
			caught = 0;
			continue;
		}
		if (p[1].fd >= 0 && p[1].revents)
			read_input();
		if (buf_len(&to_node) && buf_write(&to_node, s, SIZE_MAX) < 0)
			errx(255, "the node is gone");
		if (!(p[0].revents & ~POLLOUT))
			continue;
		if (buf_read(&from_node, s, 65536) < 0)
			errx(255, "the node is gone");
		/* Signals may come while output is written: emit() looks when it is stuck. */
		sigprocmask(SIG_SETMASK, &unblocked, &blocked);
		while ((more = buf_peek_frame(&from_node, &f, &payload)) > 0) {
			handle(&f, payload);
			buf_take(&from_node, sizeof(f) + f.len);
		}
		sigprocmask(SIG_SETMASK, &blocked, NULL);
		if (more < 0)
			errx(255, "the node does not speak our language");
	}
}
