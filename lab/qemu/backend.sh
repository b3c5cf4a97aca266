# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Nodes as QEMU machines that run a distribution's kernel. Sourced by ../lab,
# which calls the functions in the order in which they stand here.
#
# option:   --arch KIND,...    of node0, node1, ... (amd64, arm64, ppc64el, amd64-trixie: Debian 13's programs); the last one holds for the rest
# option:   --cpus N           processors of a node (2)
# option:   --kernel RELEASE|SERIES|DIR  another kernel than that of Debian's linux-image-amd64 (6.12)
# option:   --kcsan            a kernel that looks for data races
# option:   --accel kvm|tcg    instead of kvm where it works, else tcg
# option:   --link ram|shm     nodes see each other's RAM, or share only a memory apart
# option:   --shm SIZE         of that memory, one for every two nodes (256M)
. "$here/qemu/arch.sh"
archs=(amd64)
node_cpus=2
kernel_wanted=
accel=
link=ram
shm=$((256 << 20))
vectors=8

# backend_option WORDS...: takes what is its own; says in `taken` how many words.
backend_option() {
	taken=2
	case $1 in
	--arch) IFS=, read -r -a archs <<<"${2-}" ;;
	--cpus) node_cpus=${2-} ;;
	--kernel) kernel_wanted=${2-} ;;
	--kcsan) kernel_wanted=$1 taken=1 ;;
	--accel) accel=${2-} ;;
	--link) link=${2-} ;;
	--shm) shm=$(bytes "${2-}") ;;
	*) taken=0 ;;
	esac
}

power_of_two() { [ "$1" -gt 0 ] && [ $(($1 & ($1 - 1))) -eq 0 ]; }

arch_of() { echo "${archs[$(($1 < ${#archs[@]} ? $1 : ${#archs[@]} - 1))]}"; }
accel_of() { [ "${1%%-*}" = amd64 ] && echo "$accel" || echo tcg; }

# What is made for nodes whose root is not the host's: $kernels, $foreign_mods, $trees.
declare -gA kernels foreign_mods trees
prepare_foreign() {
	local kind=$1
	arch_use "$kind" || die "--arch: amd64, arm64, ppc64el or amd64-trixie, not '$kind'"
	trees[$kind]=$("$here/qemu/root" "$kind") || die "no root for $kind"
	if [ -z "$gnu" ]; then
		kernels[$kind]=$kernel foreign_mods[$kind]=$mods
		return
	fi
	for program in "$qemu" "${gnu}gcc"; do
		command -v "$program" >/dev/null ||
			die "$program is not installed (tools/setup power arm installs it)"
	done
	make -s -C "$here" node CC="${gnu}gcc" out="$top/build/$kind/lab" >&2 ||
		die "cannot build the lab's own programs for $kind"
	kernels[$kind]=$("$here/qemu/kernel" --arch "$kind") || die "no kernel for $kind"
	foreign_mods[$kind]=$top/build/modules-qemu-$(cat "${kernels[$kind]}/release")/out
	[ -z "$modules" ] || "$here/qemu/modules" "${kernels[$kind]}" >/dev/null || die "no modules for $kind"
}

# What can be known, and built, before the lab exists: $kernel, $mods, $boot_limit.
backend_prepare() {
	local program arch
	[ -z "$debug" ] || kernel_wanted=--debug
	[ -n "$mem" ] || case $kernel_wanted in
	--*) mem=$((1 << 30)) ;;
	*) mem=$((512 << 20)) ;;
	esac
	[[ $node_cpus =~ ^[1-9][0-9]?$ ]] || die "--cpus: not '$node_cpus'"
	[[ $link =~ ^(ram|shm)$ ]] || die "--link: ram or shm, not '$link'"
	[[ $accel =~ ^(|kvm|tcg)$ ]] || die "--accel: kvm or tcg, not '$accel'"
	# As every BAR.
	power_of_two "$mem" && [ "$mem" -ge $((256 << 20)) ] || die "--mem: a power of two from 256M on"
	power_of_two "$shm" && [ "$shm" -ge $((4 << 20)) ] || die "--shm: a power of two from 4M on"
	for program in qemu-system-x86_64 cpio; do
		command -v $program >/dev/null || die "$program is not installed (make setup installs it)"
	done

	kernel=$("$here/qemu/kernel" $kernel_wanted) || die "no kernel"
	kernels[amd64]=$kernel
	release=$(cat "$kernel/release")
	mods=$top/build/modules-qemu-$release/out
	[ -z "$modules" ] || mods=$("$here/qemu/modules" "$kernel") || die "no modules"
	[ -n "$accel" ] || accel=$(choose_accel)
	case $kernel_wanted in
	--*) boot_limit=240 ;;
	*) boot_limit=60 ;;
	esac
	for arch in $(printf '%s\n' "${archs[@]:0:count}" | sort -u); do
		[ "$link-$arch" != shm-ppc64el ] ||
			die "--link shm: not with $arch, whose kernel's NTB core has no get_dma_dev (docs/vm.md)"
		[ "$arch" = amd64 ] || prepare_foreign "$arch"
		[ "${arch%%-*}" = amd64 ] || boot_limit=240
	done
}

# The arguments by which a machine with that accelerator and the kernel starts.
machine() {
	local accel=$1 arch=$2
	echo -nodefaults -no-user-config -display none -no-reboot
	echo -chardev stdio,id=console,signal=off -serial chardev:console
	echo -kernel "${kernels[$arch]}/image"
	case $accel-${arch%%-*} in
	kvm-*) echo -accel kvm -cpu host -smp "$node_cpus" ;;
	# Plain max makes the C library use rep movsb, which TCG does byte by byte.
	tcg-amd64) echo -cpu max,-erms,-fsrm ;;
	tcg-arm64) echo -cpu neoverse-n1 ;;
	tcg-ppc64el) echo -cpu POWER9 ;;
	esac
	# To a machine that can never have a second processor, TCG gives atomic operations
	# that are not: the other machine sees the same memory.
	[ "$accel" != tcg ] ||
		echo -accel tcg,thread=multi,tb-size=128 -smp "$node_cpus,maxcpus=$((node_cpus > 1 ? node_cpus : 2))"
}

# Where the lab's own programs for it are.
bin_of() { [ "${1%%-*}" = amd64 ] && echo "$bin" || echo "$top/build/$1/lab"; }

# initramfs FILE ARCH: the modules that lead to the root, and who loads them.
initramfs() {
	local stage=$1.d
	mkdir -p "$stage"
	cp -r "${kernels[$2]}/boot" "$stage/modules"
	cp "$(bin_of "$2")/stage1" "$stage/init"
	(cd "$stage" && find . | cpio --quiet -o -H newc) >"$1"
	rm -rf "$stage"
}

# Whether /dev/kvm is good for anything shows only in use: a kernel must get to
# its first program in a few seconds. The answer holds until this machine boots.
choose_accel() {
	local know cache=${PCV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pcieverbs} tmp answer=tcg
	[ -w /dev/kvm ] || { echo tcg; return; }
	know=$cache/accel-$(cat /proc/sys/kernel/random/boot_id)-$(
		{ qemu-system-x86_64 --version; echo "$kernel $node_cpus"; } | sha256sum | cut -c 1-12)
	if [ ! -e "$know" ]; then
		rm -f "$cache"/accel-*
		tmp=$(mktemp -d)
		initramfs "$tmp/initramfs" amd64
		# shellcheck disable=SC2046 # words, none with a blank
		timeout -k 1 5 qemu-system-x86_64 $(machine kvm amd64) -machine q35 -m 256 -initrd "$tmp/initramfs" \
			-append "console=ttyS0 loglevel=8 panic=-1 oops=panic PCV_PROBE=1" \
			>"$tmp/console" 2>&1 </dev/null || true
		! grep -qa 'stage1: this accelerator works' "$tmp/console" || answer=kvm
		rm -rf "$tmp"
		echo $answer >"$know"
	fi
	cat "$know"
}

# shared NAME BYTES NODES: a memory and the doorbells of those who share it.
shared() {
	truncate -s "$2" "$ram/$1"
	ln -s "$ram/$1" "$dir/$1"
	"$bin/ivshmem-server" "$dir" "$1" "$ram/$1" $vectors "$3" ||
		{ cat "$dir/$1.log" >&2; die "the ivshmem server does not start"; }
}

# What modprobe finds in a node: with ours and those that the kernel lacks, if they were built.
modules_tree() {
	local release tree out=$mods
	[ "$1" = amd64 ] || out=${foreign_mods[$1]}
	release=$(cat "${kernels[$1]}/release")
	tree=${out%/out}/tree/lib/modules/$release
	[ -e "$tree" ] || tree=${kernels[$1]}/lib/modules/$release
	ln -sfn "$tree" "$dir/modules/lib/modules/$release"
}

# What all nodes of the lab share.
backend_make() {
	local i j arch
	mkdir -p "$dir/modules/lib/modules"
	for arch in "${!kernels[@]}"; do
		initramfs "$dir/initramfs.$arch" "$arch"
		modules_tree "$arch"
	done
	if [ "$link" = ram ]; then
		shared bridge $((1 << 20)) "$count"
		return
	fi
	for ((i = 0; i < count; i++)); do
		for ((j = i + 1; j < count; j++)); do
			shared "cable-$i-$j" "$shm" 2
		done
	done
}

# One node's own; its lines of `conf` to standard output.
backend_make_node() {
	make_ram "$1" "$mem"
	# The first virtio device, by its slot.
	printf 'PCV_LINE=/dev/vport0p1\nPCV_LINK=%s\nPCV_ACCEL=%s\n' "$link" "$(accel_of "$(arch_of "$1")")"
	printf 'PCV_ARCH=%s\n' "$(arch_of "$1")"
	[ "$(arch_of "$1")" = amd64 ] || foreign_node "$(arch_of "$1")"
}

# What differs in a node that cannot run the host's programs: its root, and what of the
# host's is seen in it. There, the tests' programs are those for it.
foreign_node() {
	local arch=$1 own=$top/build/$1 cache=${PCV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pcieverbs} d
	local binds="$top:$top,$cache:$cache,$dir:$dir"
	for d in lab-tests mpi-tests mpich-tests; do
		mkdir -p "$top/build/$d" "$own/$d"
		binds+=",$own/$d:$top/build/$d"
	done
	printf 'PCV_TREE=%s\nPCV_BINDS=%s\n' "${trees[$arch]}" "$binds"
	printf 'PCV_BIN=%s\nPCV_MODULES=%s\n' "$(bin_of "$arch")" "${foreign_mods[$arch]}"
	printf 'PCV_ROOT=%s\n' "$([ ! -d "$own/root" ] || echo "$own/root")"
}

# ivshmem SLOT NAME ID: a device that joins what is shared under that name.
ivshmem() {
	args+=(-chardev "socket,id=$2,path=$dir/$2.$3"
		-device "ivshmem-doorbell,chardev=$2,vectors=$vectors,addr=$1")
}

# The devices of the link, at slots that tell what is behind (in hexadecimal):
# the register page of all nodes at 0f, what leads to node J at 1J.
link_devices() {
	local i=$1 j
	[ "$link" != ram ] || ivshmem 0f bridge "$i"
	for ((j = 0; j < count; j++)); do
		case $link-$((i < j ? -1 : i > j)) in
		ram-1 | ram--1)
			args+=(-object "memory-backend-file,id=peer$j,share=on,size=$mem,mem-path=$ram/ram$j"
				-device "ivshmem-plain,memdev=peer$j,addr=1$j")
			;;
		shm--1) ivshmem "1$j" "cable-$i-$j" 0 ;;
		shm-1) ivshmem "1$j" "cable-$j-$i" 1 ;;
		esac
	done
}

backend_boot() {
	# That a node gets no processor for a while, on a busy host or after `stop`, is no bug of its kernel.
	local i=$1 arch by args=() append='' quiet="nowatchdog rcupdate.rcu_cpu_stall_timeout=300 random.trust_cpu=on"
	arch=$(arch_of "$i")
	by=$(accel_of "$arch")
	arch_use "$arch"
	[ "$by-$arch_name" != tcg-amd64 ] || append="tsc=reliable tsc_early_khz=$("$bin/tsc" | awk '{ printf "%d", $1 * 1000 }')"
	link_devices "$i"
	# shellcheck disable=SC2046 # words, none with a blank
	boot_node "$i" "$qemu" $(machine "$by" "$arch") -name "node$i" \
		-machine "$platform,memory-backend=ram" -m "$((mem >> 20))" \
		-object "memory-backend-file,id=ram,share=on,size=$mem,mem-path=$ram/ram$i" \
		-initrd "$dir/initramfs.$arch" \
		-append "console=$console loglevel=8 printk.time=1 panic=-1 oops=panic $append $quiet PCV_INIT=$(bin_of "$arch")/init PCV_CONF=$dir/node$i.conf" \
		-device virtio-serial-pci,addr=2 \
		-chardev socket,id=line,fd=3 -device virtserialport,chardev=line,nr=1 \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=hostroot,addr=3 \
		"${args[@]}"
}

# All nodes answer.
backend_booted() { complain "nodes run on $accel"; }
