# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# The front door. What is built lands in build/; the lab kernel in the user's
# cache (~/.cache/pcieverbs).

PREFIX ?= /usr
DESTDIR ?=
KERNEL ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNEL)/build

help:			## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup:			## install what is missing, through apt
	@tools/setup

demo:			## build all, boot two nodes, show verbs and MPI between them
	@tools/setup lab user
	@tools/demo

test:			## everything that must pass (about an hour on two cores)
	@tools/setup
	@tests/run

test-full:		## the same with every size and option, POWER and arm64 nodes, a newer kernel (hours)
	@tools/setup lab qemu user tests power arm newer
	@PCV_FULL=1 tests/run --minutes 0

check:			## the style: includes, barriers, checkpatch, sparse, shellcheck, ...
	@tools/check

bench:			## measure against the physical limit, rdma_rxe, TCP and shared memory
	@tools/setup lab user
	@tools/bench

bench-qemu:		## our two paths, rdma_rxe, siw and TCP between QEMU nodes
	@tools/setup lab qemu user
	@tools/bench --backend qemu

kernel:			## the lab kernel and the modules for it
	@lab/modules

provider:		## the libibverbs provider, into build/root
	@tools/build provider

mpi-tests:		## the MPI programs
	@$(MAKE) -s -C mpi-tests

install:		## module for this machine's kernel, and provider (DESTDIR, KERNEL)
	@tools/host-modules '$(KDIR)'
	@tools/host-modules --install '$(KDIR)' '$(DESTDIR)'
	@tools/build install '$(PREFIX)' '$(DESTDIR)'

clean:			## build/ (the lab kernel stays in the cache)
	rm -rf build

.PHONY: help setup demo test test-full check bench bench-qemu kernel provider mpi-tests install clean
