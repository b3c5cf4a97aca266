// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Runs commands in a node for those who ask over a line.
 *
 *   agent LINE             the node's init (pid 1): serves a serial line or virtio port
 *   agent --listen ADDR    serves TCP, one process a connection, for mpirun's launcher
 *
 * Every command is a session of its own, so that it can be ended as a whole.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "agent.h"
#include "buf.h"

#define MAX_JOBS 256
/* From the first signal of a client that vanished to the last one. */
#define GRACE_MS 1000

struct job {
	pid_t pid;		/* 0: this slot is free */
	unsigned int channel;
	int in, out[2];		/* our ends of the pipes, -1 when closed; out: stdout, stderr */
	struct buf input;
	bool input_ended, exited, killing;
	uint32_t status, credit;
	int left[2];		/* once it has exited: what it had written and we have not read */
	struct timespec kill_at;
};

static struct job jobs[MAX_JOBS];
static struct buf from_line;
static int line;
static uint32_t unacked;
static bool on_host_line;

/* The line always drains (the host reads whatever happens), so waiting is right. */
static void line_send(unsigned int type, unsigned int channel, const void *data, size_t len)
{
	struct buf b = { 0 };

	buf_put_frame(&b, type, channel, data, len);
	while (buf_len(&b)) {
		if (buf_write(&b, line, buf_len(&b)) < 0)
			break;
	}
	buf_free(&b);
}

static void line_send_u32(unsigned int type, unsigned int channel, uint32_t v)
{
	line_send(type, channel, &v, sizeof(v));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In the child. The payload has been checked to end in a 0. */
static void __attribute__((noreturn)) job_run(char *payload, size_t len)
{
	char *end = payload + len, *cwd = payload, *p = cwd + strlen(cwd) + 1;
	char **argv = calloc(len + 1, sizeof(*argv));
	int argc = 0;
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	clearenv();
	putenv("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	putenv("HOME=/root");
	putenv("USER=root");
	putenv("LOGNAME=root");
	putenv("SHELL=/bin/sh");
	putenv("LANG=C");
	putenv("TERM=dumb");
	for (; p < end && *p; p += strlen(p) + 1)
		putenv(p);
	for (p++; p < end; p += strlen(p) + 1)
		argv[argc++] = p;
	if (chdir(cwd) && chdir("/"))
		_exit(126);
	if (argc)
		execvp(argv[0], argv);
	dprintf(2, "lab: cannot run '%s': %s\n", argc ? argv[0] : "", strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * The host may have changed a file since the node last looked at it, and the
 * node's overlay would go on showing the old one: forget what is not in use.
 */
static void forget(const char *what)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, what, 1) != 1)
		warn("drop_caches");
	close(fd);
}

static void job_start(unsigned int channel, char *payload, size_t len)
{
	int in[2], out[2], eout[2], i;
	struct job *j = NULL;

	for (i = 0; i < MAX_JOBS && !j; i++)
		if (!jobs[i].pid)
			j = &jobs[i];
	if (!j || !len || payload[len - 1])
		goto refuse;
	if (on_host_line)
		forget("2"); /* directory entries and inodes, and the pages with them */
	if (pipe2(in, O_CLOEXEC))
		goto refuse;
	if (pipe2(out, O_CLOEXEC))
		goto err_in;
	if (pipe2(eout, O_CLOEXEC))
		goto err_out;
	memset(j, 0, sizeof(*j));
	j->pid = fork();
	if (j->pid < 0) {
		j->pid = 0;
		goto err_eout;
	}
	if (!j->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(eout[1], 2);
		job_run(payload, len);
	}
	close(in[0]);
	close(out[1]);
	close(eout[1]);
	j->channel = channel;
	j->in = in[1];
	j->out[0] = out[0];
	j->out[1] = eout[0];
	j->credit = PROTO_OUT_WINDOW;
	fcntl(j->in, F_SETFL, O_NONBLOCK);
	fcntl(j->out[0], F_SETFL, O_NONBLOCK);
	fcntl(j->out[1], F_SETFL, O_NONBLOCK);
	return;

err_eout:
	close(eout[0]);
	close(eout[1]);
err_out:
	close(out[0]);
	close(out[1]);
err_in:
	close(in[0]);
	close(in[1]);
refuse:
	line_send_u32(PROTO_EXIT, channel, 126);
}

static void job_feed(struct job *j)
{
	size_t before = buf_len(&j->input);
	ssize_t n = j->in < 0 ? -1 : buf_write(&j->input, j->in, before);

	if (n < 0) {
		/* Nobody reads it any more: consumed, as far as the client is concerned. */
		close_fd(&j->in);
		n = before;
		buf_take(&j->input, before);
	}
	if (n)
		line_send_u32(PROTO_CREDIT, j->channel, n);
	if (j->input_ended && !buf_len(&j->input))
		close_fd(&j->in);
}

/* Returns false when there is nothing more to get now. */
static bool job_read(struct job *j, int which)
{
	static char chunk[PROTO_CHUNK];
	size_t max = j->credit < sizeof(chunk) ? j->credit : sizeof(chunk);
	ssize_t n;

	if (j->exited && max > (size_t)j->left[which])
		max = j->left[which];
	if (j->out[which] < 0 || !max)
		return false;
	n = read(j->out[which], chunk, max);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close_fd(&j->out[which]);
		return false;
	}
	j->credit -= n;
	j->left[which] -= n;
	line_send(which ? PROTO_ERR : PROTO_OUT, j->channel, chunk, n);
	return true;
}

/*
 * The command is over when its first process is: what that one wrote still
 * goes out, but a daemon that it left behind does not keep the client waiting.
 */
static void job_finish(struct job *j)
{
	int i;

	for (i = 0; i < 2; i++) {
		while (job_read(j, i))
			;
		if (j->out[i] >= 0 && j->left[i] && !j->credit)
			return;
	}
	close_fd(&j->in);
	close_fd(&j->out[0]);
	close_fd(&j->out[1]);
	buf_free(&j->input);
	line_send_u32(PROTO_EXIT, j->channel, j->status);
	if (!j->killing)
		j->pid = 0;
	j->channel = 0;
}

static void job_abandon(struct job *j)
{
	if (j->killing)
		return;
	j->killing = true;
	clock_gettime(CLOCK_MONOTONIC, &j->kill_at);
	j->kill_at.tv_sec += GRACE_MS / 1000;
	/* Nobody takes the output: do not let it hold up the end. */
	j->credit = UINT32_MAX;
	kill(-j->pid, SIGHUP);
	kill(-j->pid, SIGTERM);
	kill(-j->pid, SIGCONT);
}

static struct job *job_find(unsigned int channel)
{
	int i;

	for (i = 0; i < MAX_JOBS; i++)
		if (jobs[i].pid && channel && jobs[i].channel == channel)
			return &jobs[i];
	return NULL;
}

static void handle(const struct proto_frame *f, char *payload)
{
	struct job *j = job_find(f->channel);

	if (f->type == PROTO_EXEC && !j) {
		job_start(f->channel, payload, f->len);
		return;
	}
	if (!j)
		return;
	switch (f->type) {
	case PROTO_IN:
		if (!f->len)
			j->input_ended = true;
		buf_put(&j->input, payload, f->len);
		job_feed(j);
		break;
	case PROTO_SIGNAL:
		kill(-j->pid, frame_u32(f, payload));
		break;
	case PROTO_GONE:
		job_abandon(j);
		break;
	case PROTO_CREDIT:
		if (!j->killing)
			j->credit += frame_u32(f, payload);
		break;
	}
}

static int line_receive(void)
{
	size_t before = buf_len(&from_line);
	struct proto_frame f;
	char *payload;
	int more;

	if (buf_read(&from_line, line, 4096) < 0)
		return -1;
	unacked += buf_len(&from_line) - before;
	if (unacked >= PROTO_ACK_EVERY) {
		line_send_u32(PROTO_ACK, 0, unacked);
		unacked = 0;
	}
	while ((more = buf_peek_frame(&from_line, &f, &payload)) > 0) {
		handle(&f, payload);
		buf_take(&from_line, sizeof(f) + f.len);
	}
	return more;
}

static void reap(void)
{
	int status, i, k;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < MAX_JOBS; i++) {
			if (jobs[i].pid != pid || jobs[i].exited)
				continue;
			jobs[i].exited = true;
			for (k = 0; k < 2; k++)
				if (jobs[i].out[k] < 0 ||
				    ioctl(jobs[i].out[k], FIONREAD, &jobs[i].left[k]))
					jobs[i].left[k] = 0;
			jobs[i].status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
							       WEXITSTATUS(status);
			break;
		}
	}
}

/* Ends what did not go by itself; returns the time to the next such moment in ms, or -1. */
static int kill_late(void)
{
	struct timespec now;
	int i, wait = -1;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (i = 0; i < MAX_JOBS; i++) {
		struct job *j = &jobs[i];
		long left;

		if (!j->pid || !j->killing || !j->kill_at.tv_sec)
			continue;
		left = (j->kill_at.tv_sec - now.tv_sec) * 1000 +
		       (j->kill_at.tv_nsec - now.tv_nsec) / 1000000;
		if (left <= 0) {
			kill(-j->pid, SIGKILL);
			j->kill_at.tv_sec = 0;
			j->killing = false;
			if (!j->channel)
				j->pid = 0;
		} else if (wait < 0 || left < wait) {
			wait = left + 1;
		}
	}
	return wait;
}

static int jobs_left(void)
{
	int i, n = 0;

	for (i = 0; i < MAX_JOBS; i++)
		n += !!jobs[i].pid;
	return n;
}

static void on_child(int sig)
{
	(void)sig;
}

/* Serves until the line ends and, then, until the last of its commands has. */
static void serve(int fd)
{
	struct pollfd p[1 + 3 * MAX_JOBS];
	bool up = true;
	sigset_t wait_mask, block;
	int i, k, n;

	line = fd;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &wait_mask);
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_child }, NULL);
	sigdelset(&wait_mask, SIGCHLD);
	line_send(PROTO_HELLO, 0, NULL, 0);

	while (up || jobs_left()) {
		struct timespec limit, *tp = NULL;
		int ms = kill_late();

		if (ms >= 0) {
			limit = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
			tp = &limit;
		}
		p[0] = (struct pollfd){ .fd = up ? fd : -1, .events = POLLIN };
		n = 1;
		for (i = 0; i < MAX_JOBS; i++) {
			struct job *j = &jobs[i];

			if (!j->pid || !j->channel)
				continue;
			for (k = 0; k < 2; k++)
				p[n++] = (struct pollfd){
					.fd = j->credit ? j->out[k] : -1, .events = POLLIN,
				};
			p[n++] = (struct pollfd){ .fd = buf_len(&j->input) ? j->in : -1,
						  .events = POLLOUT };
		}
		if (ppoll(p, n, tp, &wait_mask) < 0 && errno != EINTR)
			err(1, "ppoll");
		reap();
		/* Old jobs before new frames: a frame may start one, without a place in p[]. */
		n = 1;
		for (i = 0; i < MAX_JOBS; i++) {
			struct job *j = &jobs[i];

			if (!j->pid || !j->channel)
				continue;
			for (k = 0; k < 2; k++, n++)
				if (p[n].fd >= 0 && p[n].revents)
					job_read(j, k);
			if (p[n].fd >= 0 && p[n].revents)
				job_feed(j);
			n++;
			if (j->exited)
				job_finish(j);
		}
		if (up && p[0].revents && line_receive() < 0) {
			up = false;
			for (i = 0; i < MAX_JOBS; i++)
				if (jobs[i].pid)
					job_abandon(&jobs[i]);
		}
	}
}

static int line_open(const char *name)
{
	struct pollfd p = { .fd = -1 };
	struct termios t;
	int i;

	/* A virtio port appears a moment after its driver has been loaded... */
	for (i = 0; i < 500; i++) {
		p.fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (p.fd >= 0 || errno != ENOENT)
			break;
		usleep(10000);
	}
	if (p.fd < 0)
		err(1, "%s", name);
	if (isatty(p.fd)) {
		if (tcgetattr(p.fd, &t))
			err(1, "%s", name);
		cfmakeraw(&t);
		if (tcsetattr(p.fd, TCSANOW, &t))
			err(1, "%s", name);
	}
	/* ... and reads as ended until the host has opened it. */
	for (i = 0; i < 500 && poll(&p, 1, 0) > 0 && p.revents & POLLHUP; i++)
		usleep(10000);
	return p.fd;
}

static void __attribute__((noreturn)) listen_on(const char *addr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(AGENT_PORT) };
	int one = 1, c, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || inet_pton(AF_INET, addr, &sa.sin_addr) != 1)
		err(1, "%s", addr);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* The interface may come and go under us. */
	setsockopt(s, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&sa, sizeof(sa)) || listen(s, 64))
		err(1, "%s", addr);
	signal(SIGCHLD, SIG_IGN);
	if (daemon(0, 0))
		err(1, "daemon");
	for (;;) {
		c = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (c < 0)
			continue;
		if (fork() == 0) {
			setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
			signal(SIGCHLD, SIG_DFL);
			close(s);
			serve(c);
			_exit(0);
		}
		close(c);
	}
}

int main(int argc, char **argv)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY }, files = { 65536, 65536 };

	setrlimit(RLIMIT_MEMLOCK, &all);
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && !strcmp(argv[1], "--listen"))
		listen_on(argv[2]);
	if (argc != 2)
		errx(2, "usage: agent LINE | agent --listen ADDRESS");
	on_host_line = true;
	forget("4"); /* be quiet about it from now on */
	serve(line_open(argv[1]));
	return 1;
}
