#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Several processors, many threads: they connect, transfer, read, write,
# deregister and destroy while cables are drawn, interfaces go down and up,
# parameters change and the module of one side goes and comes. What arrives is
# compared; everything posted comes back; in the end all is as before.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../storm.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
[ "$(node_exec node0 nproc)" -gt 1 ] || skip "needs several processors"
rounds=10
threads=6
[ -z "$PCV_FULL" ] || rounds=100
idle0=$(resources node0)
idle1=$(resources node1)
RANDOM=$storm_seed
say "STORM_SEED=$storm_seed, $rounds disturbances, $threads threads"

parameter() { node_sh "$1" "echo $3 >/sys/module/pcieverbs/parameters/$2"; }

reload() { pause_client && reloads node1 1 && go_on_client; }

disturb() {
	local i node what status=0
	for ((i = 0; i < rounds && status == 0; i++)); do
		node=node$((RANDOM % 2))
		# Each kind once, whatever chance says.
		what=$((i < 5 ? i : RANDOM % 8))
		case $what in
		0 | 5 | 6) echo "$node: flaps"; flaps $node $((1 + RANDOM % 3)) 0 400 || status=1 ;;
		1) echo "$node: interface"; interface_flaps $node || status=1 ;;
		2) echo "$node: fast rings"; parameter $node fast $((RANDOM % 2)) || status=1 ;;
		3) echo "$node: dead_after_ms"; parameter $node dead_after_ms $((2000 + RANDOM)) || status=1 ;;
		*) echo "node1: module"; reload || status=1 ;;
		esac
		storm_lives || { echo "the storm is over"; status=1; }
	done
	for node in node0 node1; do
		parameter $node fast "$fast_was_on" && parameter $node dead_after_ms 5000 || status=1
	done
	return $status
}

fast_was_on=$(node_sh node0 'cat /sys/module/pcieverbs/parameters/fast')
step "storm" storm_begin $threads
step "$rounds disturbances" disturb
step "link is back" link_is_back
step "calm: every thread succeeds" storm_calm
tail -qn 1 "$tmp/storm0" "$tmp/storm1"
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
