#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Queue pairs that are reset and connected again, many times: nothing old shows,
# and fast rings are there again.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)
seed=${REUSE_SEED:-$RANDOM}
env=(env "REUSE_SEED=$seed")
[ -z "$PCV_FULL" ] || env+=(REUSE_ROUNDS=1000)
say "REUSE_SEED=$seed"

two_nodes() {
	local fast=0
	! fast_on || fast=1
	pair -t 140 -p 19000 "${env[@]}" REUSE_FAST=$fast "$bin/reuse" --server "$1" -- \
		"${env[@]}" REUSE_FAST=$fast "$bin/reuse" --client "$(node_ip node0)" "$1"
}
one_node() { node_exec node0 timeout $((140 * PCV_SLOW)) "${env[@]}" "$bin/reuse" --local "$1"; }

for t in one several asleep shared; do
	[ -n "$PCV_LOCAL" ] || step "$t" two_nodes $t
	step "$t, one node" one_node $t
done
[ -n "$PCV_LOCAL" ] || step "no block is taken" blocks_free
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
