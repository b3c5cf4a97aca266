// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Process 1 of a node. The root is the host's file system, read-only (hostfs,
 * or 9p behind the initramfs of QEMU nodes); this puts a writable layer in memory
 * over it, moves there, and becomes the agent that runs commands. PCV_CONF, from
 * the kernel's command line, names the file that says which node of which lab
 * this is.
 *
 * Where the host's programs are for another processor, the layer is put over a
 * tree of the node's own, PCV_TREE, and PCV_BINDS tells which folders of the host
 * are wanted in it.
 *
 * In C because a process costs some 20 ms in User-Mode Linux, and four times
 * that in a debug kernel: the same as a shell script took most of the boot.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *text(const char *format, ...)
{
	static char ring[4][4096];
	static unsigned int next;
	char *s = ring[next++ % 4];
	va_list ap;

	va_start(ap, format);
	vsnprintf(s, sizeof(ring[0]), format, ap);
	va_end(ap);
	return s;
}

/* KEY=VALUE lines into the environment. */
static void read_conf(const char *path)
{
	char line[4096];
	FILE *f = path ? fopen(path, "re") : NULL;

	if (!f)
		err(1, "cannot read PCV_CONF, '%s'", path ? path : "");
	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\n")] = 0;
		if (!value)
			continue;
		*value++ = 0;
		setenv(line, value, 1);
	}
	fclose(f);
}

static const char *conf(const char *key)
{
	const char *value = getenv(key);

	return value ? value : "";
}

static void do_mount(const char *type, const char *where, const char *options)
{
	if (mount(type, where, type, 0, options))
		err(1, "mount %s on %s", type, where);
}

static void do_mkdir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		err(1, "mkdir %s", path);
}

static void do_symlink(const char *to, const char *path)
{
	unlink(path);
	if (symlink(to, path))
		err(1, "symlink %s", path);
}

/* Anew, never into what is there: that may be a link of the host's. */
static void put(const char *string, const char *path, int flags)
{
	int fd;

	if (flags & O_CREAT)
		unlink(path);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
	if (fd < 0 || write(fd, string, strlen(string)) < 0)
		err(1, "write %s", path);
	close(fd);
}

static void copy(const char *from, const char *to)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC), out;

	unlink(to);
	if (in < 0 || fstat(in, &st))
		err(1, "%s", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (out < 0)
		err(1, "%s", to);
	while (st.st_size > 0) {
		ssize_t n = sendfile(out, in, NULL, st.st_size);

		if (n <= 0)
			err(1, "copy %s", from);
		st.st_size -= n;
	}
	close(in);
	close(out);
}

/* All folders that lead to it, from here on. */
static void make_path(const char *path)
{
	const char *end = path;

	while ((end = strchr(end, '/'))) {
		if (end != path)
			do_mkdir(text("%.*s", (int)(end - path), path));
		end++;
	}
	do_mkdir(path);
}

/* Of FROM:TO,FROM:TO..., where both are absolute. */
static void bind_folders(const char *list)
{
	char from[1024], to[1024] = ".";
	int length;

	while (sscanf(list, "%1023[^:]:%1022[^,]%n", from, to + 1, &length) == 2) {
		make_path(to);
		if (mount(from, to, NULL, MS_BIND, NULL))
			err(1, "%s on %s", from, to);
		list += length;
		list += *list == ',';
	}
}

static void make_root(void)
{
	/* Any directory that every Debian has will do as a place to stand on. */
	do_mount("tmpfs", "/mnt", "mode=755");
	do_mkdir("/mnt/upper");
	do_mkdir("/mnt/work");
	do_mkdir("/mnt/root");
	do_mount("overlay", "/mnt/root", text("lowerdir=%s,upperdir=/mnt/upper,workdir=/mnt/work",
					      *conf("PCV_TREE") ? conf("PCV_TREE") : "/"));
	if (chdir("/mnt/root"))
		err(1, "/mnt/root");
	do_mount("proc", "proc", "");
	do_mount("sysfs", "sys", "");
	do_mount("devtmpfs", "dev", "");
	do_mount("tmpfs", "run", "mode=755");
	do_mount("debugfs", "sys/kernel/debug", "");
	do_mount("configfs", "sys/kernel/config", "");
	do_mkdir("dev/pts");
	do_mkdir("dev/shm");
	do_mkdir("run/lab");
	do_mkdir("run/lock");
	do_mount("devpts", "dev/pts", "gid=5,mode=620,ptmxmode=666");
	do_mount("tmpfs", "dev/shm", "mode=1777");
	do_symlink("/proc/self/fd", "dev/fd");
	do_symlink("fd/0", "dev/stdin");
	do_symlink("fd/1", "dev/stdout");
	do_symlink("fd/2", "dev/stderr");
	/* Who runs the lab without privilege has no way into the host's /root. */
	if (mkdir("root/.lab", 0755))
		do_mount("tmpfs", "root", "mode=700");
	else
		rmdir("root/.lab");
	bind_folders(conf("PCV_BINDS"));
	/* Without udev this name does not come by itself; some programs look for it. */
	do_symlink("infiniband/rdma_cm", "dev/rdma_cm");
}

static void make_node(void)
{
	static const char *const own[] = { "rsh", "mpi", "node-up" };
	const char *dir = conf("PCV_DIR"), *name = text("node%s", conf("PCV_NODE")), *modules;
	struct utsname u;
	size_t i;

	if (sethostname(name, strlen(name)))
		err(1, "sethostname");
	put(text("%s\n", name), "etc/hostname", O_CREAT);
	copy(text("%s/hosts", dir), "etc/hosts");
	do_symlink("/proc/self/mounts", "etc/mtab");
	/* Only where the kernel's own does not tell the frequency. */
	if (mount(text("%s/cpuinfo", dir), "proc/cpuinfo", NULL, MS_BIND, NULL) && errno != ENOENT)
		err(1, "cpuinfo");
	copy(conf("PCV_CONF"), "run/lab/conf");
	copy(text("%s/hostfile", dir), "run/lab/hostfile");
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		copy(text("%s/%s", conf("PCV_LAB"), own[i]), text("run/lab/%s", own[i]));
	copy(text("%s/%s/load-bridge", conf("PCV_LAB"), conf("PCV_BACKEND")),
	     "run/lab/load-bridge");
	copy(text("%s/client", conf("PCV_BIN")), "run/lab/client");
	copy(text("%s/agent", conf("PCV_BIN")), "run/lab/agent");
	do_symlink(conf("PCV_MODULES"), "run/lab/modules");
	uname(&u);
	modules = text("%s/modules/lib/modules/%s", dir, u.release);
	do_mkdir("lib/modules");
	do_mkdir(text("lib/modules/%s", u.release));
	if (mount(modules, text("lib/modules/%s", u.release), NULL, MS_BIND, NULL))
		err(1, "%s", modules);
}

/* What a package would have installed, were it installed on the host. */
static void install(const char *root)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execl("/bin/cp", "cp", "-a", text("%s/.", root), ".", NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		errx(1, "cannot install %s", root);
}

/* A node has no source of entropy: without the host's, whoever asks for random bytes waits. */
static void seed(const char *path)
{
	struct {
		struct rand_pool_info info;
		char bytes[64];
	} pool = { .info = { .entropy_count = 512, .buf_size = 64 } };
	int in = open(path, O_RDONLY | O_CLOEXEC), out = open("dev/random", O_WRONLY | O_CLOEXEC);

	if (in < 0 || read(in, pool.bytes, sizeof(pool.bytes)) != sizeof(pool.bytes) ||
	    out < 0 || ioctl(out, RNDADDENTROPY, &pool))
		err(1, "seed");
	close(in);
	close(out);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r))
		err(1, "lo");
	close(s);
}

int main(void)
{
	umask(022);
	read_conf(getenv("PCV_CONF"));
	make_root();
	make_node();
	loopback_up();
	seed(text("%s/node%s.seed", conf("PCV_DIR"), conf("PCV_NODE")));
	/* The new root first, then the old one out of sight: on our feet in both. */
	if (syscall(SYS_pivot_root, ".", "mnt") || chroot(".") || chdir("/"))
		err(1, "pivot_root");
	/* Now that programs of the node's own can run. */
	if (*conf("PCV_ROOT"))
		install(conf("PCV_ROOT"));
	execl("/run/lab/agent", "agent", conf("PCV_LINE"), NULL);
	err(1, "agent");
}
