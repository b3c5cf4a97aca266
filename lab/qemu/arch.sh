# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What is special to the processor of a QEMU node, and to the release of Debian that
# its programs are of. Sourced.

# arch_use KIND: an architecture by Debian's name; `amd64-trixie` is one with the programs of
# another release than the host's. Fails if it is none of those known here.
#   $arch_name the architecture
#   $suite     the release, if it is not the host's
#   $flavour   what kernels for it are called at their end
#   $gnu       what its compiler and the like are called at their beginning; empty: the host's own
#   $multiarch the folder of its libraries
#   $qemu      the program that is such a machine
#   $platform  its machine
#   $console   the device of the first serial line
arch_use() {
	arch_name=${1%%-*} suite=${1#"${1%%-*}"}
	suite=${suite#-}
	case $arch_name in
	amd64)
		flavour=amd64 gnu='' multiarch=x86_64-linux-gnu
		qemu=qemu-system-x86_64 platform=q35 console=ttyS0
		;;
	arm64)
		flavour=arm64 gnu=aarch64-linux-gnu- multiarch=aarch64-linux-gnu
		# Message interrupts come with the ITS of the third generation.
		qemu=qemu-system-aarch64 platform=virt,gic-version=3 console=ttyAMA0
		;;
	ppc64el)
		flavour=powerpc64le gnu=powerpc64le-linux-gnu- multiarch=powerpc64le-linux-gnu
		# The rest is what TCG lacks of the defaults, and complains of.
		qemu=qemu-system-ppc64 console=hvc0
		platform=pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off
		;;
	*) return 1 ;;
	esac
	case $1 in
	amd64 | arm64 | ppc64el | amd64-trixie) ;;
	*) return 1 ;;
	esac
}
