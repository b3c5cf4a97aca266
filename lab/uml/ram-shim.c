// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Preloaded into User-Mode Linux. UML keeps its RAM in an unnamed temporary
 * file; this answers the open of that file with the one that PCV_UML_RAM names,
 * so that other nodes can map it as I/O memory.
 *
 * Only raw system calls here: UML brings its own malloc, and this runs before it.
 */
#define _GNU_SOURCE
/* The fortified and the 64-bit name are all the same function here. */
#undef _FORTIFY_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int shim_open(const char *path, int flags, unsigned int mode)
{
	const char *ram = getenv("PCV_UML_RAM");

	if ((flags & O_TMPFILE) == O_TMPFILE && ram) {
		path = ram;
		flags = O_RDWR | O_CLOEXEC;
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	unsigned int mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, unsigned int);
	va_end(ap);
	return shim_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
