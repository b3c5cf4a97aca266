#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What the kernel has that is being built for, found out by compiling: distributions
# backport, so that its version says little. Called by Kbuild:
#
#   probes.sh OUTPUT COMPILER FLAG...
#
# A probe is a piece of C that compiles where there is the thing in question; then
# compat.h finds PCV_HAVE_name. What does not compile for another reason makes the
# module fail to build soon afterwards.
set -eu
export LC_ALL=C

out=$1
shift
new=$out.new
trap 'rm -f "$new"' EXIT

# The likes of what Kbuild says of a file, which headers ask for.
compiles() {
	"$@" '-DKBUILD_MODFILE="probe"' '-DKBUILD_BASENAME="probe"' '-DKBUILD_MODNAME="probe"' \
		-D__KBUILD_MODNAME=kmod_probe -Werror -Wno-missing-prototypes -Wno-missing-declarations \
		-c -x c -o /dev/null -
}

# Whatever a probe includes compiles by itself: its failure says something.
compiles "$@" <<'END' || { echo "probes.sh: headers do not compile" >&2; exit 1; }
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/ntb.h>
#include <rdma/ib_verbs.h>
END

# probe NAME COMPILER...: the piece of C comes in by standard input.
probe() {
	name=$1
	shift
	if compiles "$@" 2>/dev/null; then
		echo "#define PCV_HAVE_$name 1" >>"$new"
	fi
}

cat >"$new" <<'END'
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Made by probes.sh, for one kernel. */
END

# The flags of a mapping are no longer simply stored.
probe VM_FLAGS_SET "$@" <<'END'
#include <linux/mm.h>
void f(struct vm_area_struct *vma) { vm_flags_set(vma, VM_IO); }
END

# A net_device that only carries NAPI contexts cannot be part of something else.
probe ALLOC_NETDEV_DUMMY "$@" <<'END'
#include <linux/netdevice.h>
struct net_device *f(void) { return alloc_netdev_dummy(0); }
END

# An NTB device can have a DMA device of its own.
probe NTB_DMA_DEV "$@" <<'END'
#include <linux/ntb.h>
struct device *f(struct ntb_dev *ntb) { return ntb_get_dma_dev(ntb); }
END

# What create_cq() gets of the user's request.
probe CREATE_CQ_ATTRS "$@" <<'END'
#include <rdma/ib_verbs.h>
struct uverbs_attr_bundle;
int f(struct ib_cq *cq, const struct ib_cq_init_attr *attr, struct uverbs_attr_bundle *attrs);
void g(struct ib_device_ops *ops) { ops->create_cq = f; }
END

mv "$new" "$out"
