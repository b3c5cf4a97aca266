/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs have in common that stay in the background of a lab. */
#ifndef PCV_LAB_DAEMON_H
#define PCV_LAB_DAEMON_H

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Goes into the background. The caller waits for one byte on what this returns. */
static inline int daemon_detach(const char *log_path)
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

/* Field 22 of /proc/PID/stat: with the pid it names a process for good. */
static inline unsigned long long daemon_start_time(pid_t pid)
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

static inline void daemon_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

static inline int daemon_listen(const char *path)
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

#endif
