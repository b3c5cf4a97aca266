#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# More queue pairs on one completion queue than an aperture has blocks for:
# those without one work all the same, and all blocks come back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
idle0=$(resources node0)
idle1=$(resources node1)
qps=200
[ -z "$PCV_FULL" ] || qps=1000

many() {
	pair -t 100 -p 19000 env QPS=$qps "$bin/qps" --server -- env QPS=$qps "$bin/qps" --client "$(node_ip node0)"
}

# room_ran_out CMD…: it did while CMD ran, on both nodes, if there are fast rings.
room_ran_out() {
	local node n status=0
	local -A before
	for node in node0 node1; do
		before[$node]=$(counter $node fast_no_room)
	done
	fast_before
	"$@" || status=1
	for node in node0 node1; do
		n=$(($(counter $node fast_no_room) - before[$node]))
		echo "$node: $n times without room, $(fast_since $node tx_fast) messages through fast rings"
		fast_on || continue
		[ "$n" -gt 0 ] || { echo "$node: there was room for all"; status=1; }
		[ "$(fast_since $node tx_fast)" -gt 0 ] || { echo "$node: nothing went fast"; status=1; }
	done
	return $status
}

for i in $(pick 1 "1 2 3"); do
	step "$qps queue pairs, $i" room_ran_out many
	step "no block is taken" blocks_free
done
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
