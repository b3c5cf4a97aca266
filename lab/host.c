// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Keeps one node: starts its kernel, writes down its console, and routes between
 * the node's agent and the clients of `lab exec`.
 *
 *   host DIR NAME -- COMMAND ARG...
 *
 * COMMAND becomes the kernel: it has the console as standard input and output,
 * and the agent's line, one end of a socket pair, as descriptors 3 and 4.
 *
 * In DIR: NAME.sock (for clients), NAME.console, NAME.pid (this process and the
 * kernel, each with its start time), NAME.end (how the kernel ended). Returns
 * once clients can connect; the process that stays ends with the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "buf.h"
#include "daemon.h"

#define MAX_CLIENTS 256

/* Index + 1 is the channel. A slot is free when nobody is there and no command runs. */
struct client {
	int fd;			/* -1: none */
	bool running;		/* EXEC was sent, EXIT has not come */
	struct buf in, out;
};

static struct client clients[MAX_CLIENTS];
static struct buf to_node, from_node;
static uint32_t under_way;
static bool agent_ready;
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	if (sig != SIGCHLD)
		stop = 1;
}

static void client_drop(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->out);
	if (c->running)
		buf_put_frame(&to_node, PROTO_GONE, c - clients + 1, NULL, 0);
}

static void client_accept(int s)
{
	int i, fd = accept4(s, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i].fd < 0 && !clients[i].running) {
			clients[i].fd = fd;
			return;
		}
	}
	close(fd);
}

static void client_receive(struct client *c)
{
	unsigned int channel = c - clients + 1;
	struct proto_frame f;
	char *payload;
	int more;

	if (buf_read(&c->in, c->fd, PROTO_CHUNK) < 0) {
		client_drop(c);
		return;
	}
	while ((more = buf_peek_frame(&c->in, &f, &payload)) > 0) {
		if (f.type == PROTO_EXEC)
			c->running = true;
		if (c->running)
			buf_put_frame(&to_node, f.type, channel, payload, f.len);
		buf_take(&c->in, sizeof(f) + f.len);
	}
	if (more < 0)
		client_drop(c);
}

static void client_send(struct client *c)
{
	if (buf_write(&c->out, c->fd, SIZE_MAX) < 0)
		client_drop(c);
}

static void node_frame(const struct proto_frame *f, const char *payload)
{
	struct client *c;

	if (f->type == PROTO_HELLO)
		agent_ready = true;
	if (f->type == PROTO_ACK)
		under_way -= frame_u32(f, payload);
	if (f->channel < 1 || f->channel > MAX_CLIENTS)
		return;
	c = &clients[f->channel - 1];
	if (f->type == PROTO_EXIT)
		c->running = false;
	if (c->fd < 0)
		return;
	buf_put_frame(&c->out, f->type, 0, payload, f->len);
	client_send(c);
}

static void node_receive(int fd)
{
	struct proto_frame f;
	char *payload;

	buf_read(&from_node, fd, 65536);
	while (buf_peek_frame(&from_node, &f, &payload) > 0) {
		node_frame(&f, payload);
		buf_take(&from_node, sizeof(f) + f.len);
	}
}

static bool node_can_take(void)
{
	return agent_ready && buf_len(&to_node) && under_way < PROTO_LINE_WINDOW;
}

static void node_send(int fd)
{
	ssize_t n = buf_write(&to_node, fd, PROTO_LINE_WINDOW - under_way);

	if (n > 0)
		under_way += n;
}

static void console_receive(int fd, int log)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		if (write(log, chunk, n) != n)
			break;
}

struct pipes {
	int console_in[2], console_out[2], line[2];
};

static void make_pipe(int p[2], bool big)
{
	if (pipe2(p, O_CLOEXEC))
		err(1, "pipe");
	/* The console never waits: what does not fit is lost. Best effort, a user has a limit. */
	if (big)
		fcntl(p[0], F_SETPIPE_SZ, 1 << 20);
}

static pid_t start_kernel(struct pipes *p, char **argv)
{
	pid_t parent = getpid(), pid = fork();
	int line;

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	/* Its own session: what belongs to the kernel can be told by that. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(p->console_in[0], 0);
	dup2(p->console_out[1], 1);
	dup2(p->console_out[1], 2);
	/* Via a high number: it may itself be 3 or 4. */
	line = fcntl(p->line[1], F_DUPFD_CLOEXEC, 100);
	dup2(line, 3);
	dup2(line, 4);
	execvp(argv[0], argv);
	err(127, "%s", argv[0]);
}

/* Until the kernel has ended or we are told to end it. Returns its wait status. */
static int serve(struct pipes *p, int s, int log, pid_t kernel)
{
	struct pollfd pfd[3 + MAX_CLIENTS];
	sigset_t wait_mask;
	int i, status = -1;

	sigprocmask(SIG_SETMASK, NULL, &wait_mask);
	sigemptyset(&wait_mask);
	for (;;) {
		pfd[0] = (struct pollfd){ .fd = s, .events = POLLIN };
		pfd[1] = (struct pollfd){ .fd = p->line[0],
			.events = POLLIN | (node_can_take() ? POLLOUT : 0) };
		pfd[2] = (struct pollfd){ .fd = p->console_out[0], .events = POLLIN };
		for (i = 0; i < MAX_CLIENTS; i++)
			pfd[3 + i] = (struct pollfd){ .fd = clients[i].fd,
				.events = POLLIN | (buf_len(&clients[i].out) ? POLLOUT : 0) };
		if (ppoll(pfd, 3 + MAX_CLIENTS, NULL, &wait_mask) < 0 && errno != EINTR)
			break;
		if (waitpid(kernel, &status, WNOHANG) == kernel || stop)
			break;
		console_receive(p->console_out[0], log);
		if (pfd[1].revents & ~POLLOUT)
			node_receive(p->line[0]);
		for (i = 0; i < MAX_CLIENTS; i++) {
			struct client *c = &clients[i];

			if (c->fd >= 0 && c->fd == pfd[3 + i].fd && pfd[3 + i].revents & POLLOUT)
				client_send(c);
			if (c->fd >= 0 && c->fd == pfd[3 + i].fd && pfd[3 + i].revents & ~POLLOUT)
				client_receive(c);
		}
		if (pfd[0].revents)
			client_accept(s);
		if (node_can_take())
			node_send(p->line[0]);
	}
	return status;
}

/* User-Mode Linux leaves the host processes behind that carried its user code: end them all. */
static void end_kernel(pid_t kernel)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	int i;

	kill(-kernel, SIGKILL);
	for (i = 0; i < 1000; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		kill(-kernel, SIGKILL);
		nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	char sock[200], console[200], pids[200], end[200], log_path[200], text[200];
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;
	struct pipes p;
	pid_t kernel;
	int i, s, log, status, ready;

	if (argc < 5 || strcmp(argv[3], "--"))
		errx(2, "usage: host DIR NAME -- COMMAND ARG...");
	snprintf(sock, sizeof(sock), "%s/%s.sock", argv[1], argv[2]);
	snprintf(console, sizeof(console), "%s/%s.console", argv[1], argv[2]);
	snprintf(pids, sizeof(pids), "%s/%s.pid", argv[1], argv[2]);
	snprintf(end, sizeof(end), "%s/%s.end", argv[1], argv[2]);
	snprintf(log_path, sizeof(log_path), "%s/%s.log", argv[1], argv[2]);
	ready = daemon_detach(log_path);

	for (i = 0; i < MAX_CLIENTS; i++)
		clients[i].fd = -1;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGHUP);
	sigaction(SIGCHLD, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	log = open(console, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		err(1, "%s", console);
	make_pipe(p.console_in, false);
	make_pipe(p.console_out, true);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.line))
		err(1, "socketpair");
	kernel = start_kernel(&p, argv + 4);
	close(p.console_in[0]);
	close(p.console_out[1]);
	close(p.line[1]);
	fcntl(p.console_out[0], F_SETFL, O_NONBLOCK);
	fcntl(p.line[0], F_SETFL, O_NONBLOCK);

	/* Blocked but for the wait in serve(): no signal is missed between a check and the wait. */
	sigprocmask(SIG_BLOCK, &block, NULL);
	snprintf(text, sizeof(text), "%d %llu %d %llu\n", getpid(), daemon_start_time(getpid()),
		 kernel, daemon_start_time(kernel));
	daemon_write_file(pids, text);
	s = daemon_listen(sock);
	if (write(ready, "", 1) != 1)
		stop = 1;
	close(ready);

	status = serve(&p, s, log, kernel);
	end_kernel(kernel);
	console_receive(p.console_out[0], log);
	if (stop)
		snprintf(text, sizeof(text), "stopped\n");
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "killed by signal %d\n", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exited with status %d\n", WEXITSTATUS(status));
	daemon_write_file(end, text);
	unlink(sock);
	return 0;
}
