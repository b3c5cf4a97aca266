// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Keeps one node: starts its kernel, writes down its console, and routes between
 * the node's agent and the clients of `lab exec`.
 *
 *   host DIR NAME CPU RAM SHIM -- LINUX ARG...
 *
 * In DIR: NAME.sock (for clients), NAME.console, NAME.pid (this process and the
 * kernel, each with its start time), NAME.end (how the kernel ended). Returns
 * once clients can connect; the process that stays ends with the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "buf.h"

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

/* Field 22 of /proc/PID/stat: with the pid it names a process for good. */
static unsigned long long start_time(pid_t pid)
{
	char path[64], text[1024] = "", *p;
	unsigned long long t = 0;
	int i, fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	p = strrchr(text, ')');
	for (i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	if (p)
		t = strtoull(p, NULL, 10);
	return t;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

struct pipes {
	int console_in[2], console_out[2], line_in[2], line_out[2];
};

static void make_pipe(int p[2], bool big)
{
	if (pipe2(p, O_CLOEXEC))
		err(1, "pipe");
	/* The console never waits: what does not fit is lost. Best effort, a user has a limit. */
	if (big)
		fcntl(p[0], F_SETPIPE_SZ, 1 << 20);
}

static pid_t start_kernel(struct pipes *p, int cpu, char **argv)
{
	pid_t parent = getpid(), pid = fork();
	cpu_set_t set;

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	/* Its own session: what belongs to the kernel can be told by that. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* UML's RAM grows by the gap of a moved heap, and its size must be known before. */
	personality(ADDR_NO_RANDOMIZE);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	dup2(p->console_in[0], 0);
	dup2(p->console_out[1], 1);
	dup2(p->console_out[1], 2);
	/* Via high numbers: a pipe may itself be 3 or 4. */
	dup2(fcntl(p->line_in[0], F_DUPFD_CLOEXEC, 100), 3);
	dup2(fcntl(p->line_out[1], F_DUPFD_CLOEXEC, 100), 4);
	execv(argv[0], argv);
	err(127, "%s", argv[0]);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		errx(1, "path too long for a socket: %s", path);
	strcpy(sa.sun_path, path);
	if (s < 0 || bind(s, (struct sockaddr *)&sa, sizeof(sa)) || listen(s, 128))
		err(1, "%s", path);
	return s;
}

/* Until the kernel has ended or we are told to end it. Returns its wait status. */
static int serve(struct pipes *p, int s, int log, pid_t kernel)
{
	struct pollfd pfd[4 + MAX_CLIENTS];
	sigset_t wait_mask;
	int i, status = -1;

	sigprocmask(SIG_SETMASK, NULL, &wait_mask);
	sigemptyset(&wait_mask);
	for (;;) {
		pfd[0] = (struct pollfd){ .fd = s, .events = POLLIN };
		pfd[1] = (struct pollfd){ .fd = p->line_out[0], .events = POLLIN };
		pfd[2] = (struct pollfd){
			.fd = node_can_take() ? p->line_in[1] : -1, .events = POLLOUT,
		};
		pfd[3] = (struct pollfd){ .fd = p->console_out[0], .events = POLLIN };
		for (i = 0; i < MAX_CLIENTS; i++)
			pfd[4 + i] = (struct pollfd){ .fd = clients[i].fd,
				.events = POLLIN | (buf_len(&clients[i].out) ? POLLOUT : 0) };
		if (ppoll(pfd, 4 + MAX_CLIENTS, NULL, &wait_mask) < 0 && errno != EINTR)
			break;
		if (waitpid(kernel, &status, WNOHANG) == kernel || stop)
			break;
		console_receive(p->console_out[0], log);
		if (pfd[1].revents)
			node_receive(p->line_out[0]);
		for (i = 0; i < MAX_CLIENTS; i++) {
			struct client *c = &clients[i];

			if (c->fd >= 0 && c->fd == pfd[4 + i].fd && pfd[4 + i].revents & POLLOUT)
				client_send(c);
			if (c->fd >= 0 && c->fd == pfd[4 + i].fd && pfd[4 + i].revents & ~POLLOUT)
				client_receive(c);
		}
		if (pfd[0].revents)
			client_accept(s);
		if (node_can_take())
			node_send(p->line_in[1]);
	}
	return status;
}

/* UML leaves the host processes behind that carried its user code: end them all. */
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

/* Goes into the background. The caller waits for one byte on what this returns. */
static int detach(const char *log_path)
{
	int fd, ready[2];
	char c;

	if (pipe2(ready, O_CLOEXEC))
		err(1, "pipe");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		break;
	default:
		close(ready[1]);
		_exit(read(ready[0], &c, 1) == 1 ? 0 : 1);
	}
	setsid();
	if (chdir("/"))
		err(1, "/");
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 0);
	fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		err(1, "%s", log_path);
	dup2(fd, 1);
	dup2(fd, 2);
	/* Whatever the caller had open (pipes, locks) is not ours to hold; `ready` is spared. */
	for (fd = 3; fd < 1024; fd++)
		if (fd != ready[1])
			close(fd);
	return ready[1];
}

int main(int argc, char **argv)
{
	char sock[200], console[200], pids[200], end[200], log_path[200], text[200];
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;
	struct pipes p;
	pid_t kernel;
	int i, s, log, status, ready;

	if (argc < 8 || strcmp(argv[6], "--"))
		errx(2, "usage: host DIR NAME CPU RAM SHIM -- LINUX ARG...");
	snprintf(sock, sizeof(sock), "%s/%s.sock", argv[1], argv[2]);
	snprintf(console, sizeof(console), "%s/%s.console", argv[1], argv[2]);
	snprintf(pids, sizeof(pids), "%s/%s.pid", argv[1], argv[2]);
	snprintf(end, sizeof(end), "%s/%s.end", argv[1], argv[2]);
	snprintf(log_path, sizeof(log_path), "%s/%s.log", argv[1], argv[2]);
	ready = detach(log_path);

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
	make_pipe(p.line_in, false);
	make_pipe(p.line_out, true);
	setenv("PCV_UML_RAM", argv[4], 1);
	setenv("LD_PRELOAD", argv[5], 1);
	kernel = start_kernel(&p, atoi(argv[3]), argv + 7);
	close(p.console_in[0]);
	close(p.console_out[1]);
	close(p.line_in[0]);
	close(p.line_out[1]);
	fcntl(p.console_out[0], F_SETFL, O_NONBLOCK);
	fcntl(p.line_in[1], F_SETFL, O_NONBLOCK);
	fcntl(p.line_out[0], F_SETFL, O_NONBLOCK);

	/* Blocked but for the wait in serve(): no signal is missed between a check and the wait. */
	sigprocmask(SIG_BLOCK, &block, NULL);
	snprintf(text, sizeof(text), "%d %llu %d %llu\n", getpid(), start_time(getpid()),
		 kernel, start_time(kernel));
	write_file(pids, text);
	s = listen_at(sock);
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
	write_file(end, text);
	unlink(sock);
	return 0;
}
