// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The whole initramfs of a QEMU node, next to the modules: loads those that
 * /modules lists, mounts the host's root over 9p in the place of the root, and
 * becomes there the program that PCV_INIT of the kernel's command line names.
 *
 * With PCV_PROBE it only says that it got here, and ends the machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ends the machine, not only this process: the console has the reason. */
static void __attribute__((noreturn)) fail(const char *what, const char *which)
{
	printf("stage1: %s %s: %s\n", what, which, strerror(errno));
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void load(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		fail("cannot load", name);
	close(fd);
}

static void load_all(const char *list)
{
	char line[256];
	FILE *f = fopen(list, "re");

	if (!f)
		fail("cannot open", list);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			load(line);
	}
	fclose(f);
}

int main(void)
{
	static const char options[] = "trans=virtio,version=9p2000.L,msize=262144,cache=loose";
	const char *init = getenv("PCV_INIT");

	setvbuf(stdout, NULL, _IONBF, 0);
	if (getenv("PCV_PROBE")) {
		printf("stage1: this accelerator works\n");
		reboot(RB_AUTOBOOT);
	}
	if (chdir("/modules"))
		fail("no", "/modules");
	load_all("list");
	mkdir("/host", 0755);
	if (mount("hostroot", "/host", "9p", MS_RDONLY, options))
		fail("cannot mount the root of the", "host");
	if (chdir("/host") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("cannot move to the root of the", "host");
	if (init)
		execl(init, init, NULL);
	fail("cannot run", init ? init : "PCV_INIT");
}
