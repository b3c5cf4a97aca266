# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Nodes as User-Mode Linux kernels. Sourced by ../lab, which calls the
# functions in the order in which they stand here.
slack=$((32 << 20))
offer=0

# backend_option WORDS...: takes what is its own; says in `taken` how many words.
backend_option() { taken=0; }

# What can be known, and built, before the lab exists: $kernel, $mods, $boot_limit.
backend_prepare() {
	local flavour=() most wanted
	[ -z "$debug" ] || flavour=(--debug)
	[ -z "$debug" ] && boot_limit=20 || boot_limit=90
	kernel=$("$here/kernel/build" "${flavour[@]}") || die "no kernel"
	# With --no-modules the node still knows the place: who loads them by hand builds them by hand.
	mods=$top/build/modules-${debug:-base}/out
	[ -z "$modules" ] || mods=$("$here/uml/modules" "${flavour[@]}") || die "no modules"

	# UML's page allocator ends at 4 MiB: a larger aperture lies in a file of its own.
	[ -z "$aperture" ] || [ "$aperture" -le $((4 << 20)) ] || offer=$(((aperture + 4095) & ~4095))
	# UML counts all I/O memory in an int, together it must stay below 2 GiB: the
	# peers' RAM, what they offer to this node, what it offers to them.
	most=$((((1 << 31) - (4 << 20)) / (count - 1) - slack - 2 * offer >> 20 << 20))
	[ "$most" -ge $((64 << 20)) ] || die "--aperture $aperture is too much for $count nodes"
	case $count in
	2) wanted=$((1536 << 20)) ;;
	3) wanted=$((960 << 20)) ;;
	4) wanted=$((640 << 20)) ;;
	esac
	: "${mem:=$((wanted < most ? wanted : most))}"
	[ "$mem" -le "$most" ] || die "--mem $mem is too much for $count nodes: at most $most"
	node_cpus=1
}

# What all nodes of the lab share.
backend_make() {
	local mhz release
	mhz=$("$bin/tsc")
	# One processor is what a node has.
	awk -v mhz="$mhz" '
		/^$/ { exit }
		/^cpu MHz/ { print "cpu MHz\t\t: " mhz; next }
		/^(siblings|cpu cores)/ { sub(/[0-9]+$/, 1) }
		/^(processor|core id|apicid|initial apicid)/ { sub(/[0-9]+$/, 0) }
		{ print }
		END { print "" }' /proc/cpuinfo >"$dir/cpuinfo"
	truncate -s 1M "$dir/bridge"
	# What modprobe in a node looks at: the kernel's own modules, indexed here, where it is faster.
	release=$(cat "$kernel/build/include/config/kernel.release")
	mkdir -p "$dir/modules/lib/modules/$release"
	ln -s "$kernel"/modules/*.ko "$dir/modules/lib/modules/$release/"
	depmod -b "$dir/modules" "$release" 2>/dev/null || die "depmod failed (package kmod)"
}

# One node's own; its lines of `conf` to standard output.
backend_make_node() {
	local i=$1 j
	make_ram "$i" $((mem + slack))
	for ((j = 0; j < count; j++)); do
		[ "$i" != "$j" ] || continue
		mkfifo -m 600 "$dir/db.$i.$j"
		[ "$offer" -gt 0 ] || continue
		truncate -s "$offer" "$ram/ap.$i.$j"
		ln -s "$ram/ap.$i.$j" "$dir/ap.$i.$j"
	done
	echo PCV_LINE=/dev/ttyS0
}

backend_boot() {
	local i=$1 j args=()
	for ((j = 0; j < count; j++)); do
		[ "$i" != "$j" ] || continue
		args+=("iomem=pcvram$j,$dir/ram$j")
		[ "$offer" -eq 0 ] ||
			args+=("iomem=pcvown$j,$dir/ap.$i.$j" "iomem=pcvoffer$j,$dir/ap.$j.$i")
	done
	# Its RAM grows by the gap of a moved heap, and its size must be known before: no randomization.
	boot_node "$i" taskset -c $((i % $(nproc))) setarch -R \
		env "PCV_UML_RAM=$dir/ram$i" "LD_PRELOAD=$bin/ram-shim.so" "$kernel/linux" \
		"mem=$((mem >> 20))M" "iomem=pcvbridge,$dir/bridge" "${args[@]}" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro "init=$bin/init" "PCV_CONF=$dir/node$i.conf" \
		con0=fd:0,fd:1 con=null ssl0=fd:3,fd:4 ssl=null console=tty0 printk.time=1 loglevel=8 \
		"uml_dir=$dir/uml" "umid=node$i"
}

# All nodes answer.
backend_booted() {
	local i
	for ((i = 0; i < count; i++)); do
		[ "$(stat -L -c %s "$dir/ram$i")" = $((mem + slack)) ] ||
			die "node$i's RAM outgrew the file that its peers map"
	done
}
