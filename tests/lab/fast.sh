# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# For cases about fast rings: what the nodes count, and what is taken. To be
# sourced after lib.sh.

# fast_on: are there fast rings? Not if the parameter says no, or is missing.
fast_on() {
	[ "$(node_sh node0 'cat /sys/module/pcieverbs/parameters/fast 2>/dev/null')" = Y ]
}

# counter NODE NAME: of the device; 0 if there is none of this name.
counter() {
	node_sh "$1" 'cat /sys/class/infiniband/'"$PCV_DEV/ports/1/hw_counters/$2"' 2>/dev/null || echo 0'
}

declare -A fast_was

fast_before() {
	local node name
	for node in node0 node1; do
		for name in tx_fast tx_send tx_write; do
			fast_was[$node/$name]=$(counter $node $name)
		done
	done
}

fast_since() { echo $(($(counter "$1" "$2") - fast_was[$1/$2])); }

# fast_share: since fast_before both ways were used by both nodes, or, with
# fast rings switched off, the kernels' alone. (tx_send counts what kernels sent.)
fast_share() {
	local node fast slow status=0
	for node in node0 node1; do
		fast=$(fast_since $node tx_fast)
		slow=$(($(fast_since $node tx_send) + $(fast_since $node tx_write)))
		echo "    $node: $fast through fast rings, $slow SENDs and WRITEs through the kernel"
		if fast_on; then
			[ "$fast" -gt 100 ] || { echo "$node: fast rings were hardly used"; status=1; }
		elif [ "$fast" -ne 0 ]; then
			echo "$node: fast rings are off"
			status=1
		fi
		[ "$slow" -gt 100 ] || { echo "$node: the kernel was hardly used"; status=1; }
	done
	return $status
}

# Blocks that queue pairs hold, at this moment, of all of a node's apertures.
blocks_taken() {
	node_sh "$1" 'cat /sys/kernel/debug/pcieverbs/aperture' |
		sed -n 's/.* queue_pairs=\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }'
}

no_blocks() { [ "$(blocks_taken node0)" = 0 ] && [ "$(blocks_taken node1)" = 0 ]; }

blocks_free() {
	wait_until 10 no_blocks && return 0
	echo "blocks still taken: $(blocks_taken node0) on node0, $(blocks_taken node1) on node1"
	return 1
}
