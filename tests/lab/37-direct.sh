#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# RDMA WRITE into memory that its owner takes back: with the module parameter direct
# by stores of the process, with fast=0 as well by those of its kernel, else by messages.
# limit: 300
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)
seed=${DIRECT_SEED:-$RANDOM}
env=(env "DIRECT_SEED=$seed")
[ -z "$PCV_FULL" ] || env+=(DIRECT_ROUNDS=1000 DIRECT_REVOKES=300 DIRECT_MANY=200000 DIRECT_HALTS=60)
[ -z "$PCV_SHORT" ] || env+=(DIRECT_ROUNDS=20 DIRECT_REVOKES=8 DIRECT_HALTS=4)
say "DIRECT_SEED=$seed"

two_nodes() {
	pair -t 280 -p 19350 "${env[@]}" "$bin/direct" --server --port 19350 "$1" -- \
		"${env[@]}" "$bin/direct" --client "$(node_ip node0)" --port 19350 "$1"
}
one_node() { node_exec node0 timeout $((140 * PCV_SLOW)) "${env[@]}" "$bin/direct" --local "$1"; }

direct_on() {
	[ "$(node_sh node0 'cat /sys/module/pcieverbs/parameters/direct 2>/dev/null')" = Y ]
}

stored() { counter node1 direct_stores; }
sent() { echo $(($(counter node1 tx_write) - $(stored))); }

# by_whom: the writes of `many` were stored by who should.
by_whom() {
	local stores sent
	stores=$(($(stored) - stored_before))
	sent=$(($(sent) - sent_before))
	echo "    node1: $stores WRITEs stored by the kernel, $sent sent by it, the others by the process"
	if ! direct_on; then
		[ "$stores" = 0 ]
	elif fast_on; then
		[ "$stores" = 0 ] && [ "$sent" -lt 4000 ]
	else
		[ "$stores" -gt 30000 ] && [ "$sent" -lt 4000 ]
	fi
}

# halts: the machine whose memory it is stands still for longer than a time-out, again and again.
halts() {
	local status pid
	(
		trap 'timeout 20 "$lab" --name "$PCV_LAB_NAME" cont node0; exit' TERM
		while sleep 0.2; do
			"$lab" --name "$PCV_LAB_NAME" stop node0
			sleep 0.5
			"$lab" --name "$PCV_LAB_NAME" cont node0
		done
	) >/dev/null 2>&1 </dev/null &
	pid=$!
	two_nodes halts
	status=$?
	kill $pid
	wait $pid
	timeout 20 "$lab" --name "$PCV_LAB_NAME" cont node0
	return $status
}

for t in writes dereg error reset many; do
	stored_before=$(stored)
	sent_before=$(sent)
	[ -n "$PCV_LOCAL" ] || step "$t" two_nodes $t
done
[ -n "$PCV_LOCAL" ] || step "who stored" by_whom
[ -n "$PCV_LOCAL" ] || step "node0 stands still now and then" halts
for t in writes dereg; do
	step "$t, one node" one_node $t
done
[ -n "$PCV_LOCAL" ] || step "no block is taken" blocks_free
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
