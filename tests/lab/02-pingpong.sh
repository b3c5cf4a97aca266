#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The ping-pong programs of ibverbs-utils, data checked where they can.
# limit: 300
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
g0=$(gid_index node0) || die "node0 has no GID"
g1=$(gid_index node1) || die "node1 has no GID"
idle0=$(resources node0)
idle1=$(resources node1)

pp() {
	local prog=$1
	shift
	pair "$prog" -d "$PCV_DEV" -g "$g0" "$@" -- "$prog" -d "$PCV_DEV" -g "$g1" "$@" "$(node_ip node0)"
}
one_node() {
	local prog=$1
	shift
	pair -c node0 "$prog" -d "$PCV_DEV" -g "$g0" "$@" -- "$prog" -d "$PCV_DEV" -g "$g0" "$@" "$(node_ip node0)"
}

asked() { node_sh "$1" "sed -n 's/^polls_asked //p' /sys/kernel/debug/pcieverbs/stats"; }
# Programs that poll have their kernel look, instead of waiting for doorbells.
asks() {
	local before
	before=$(asked node0) && pp ibv_ud_pingpong -c -n $n -s 64 || return 1
	[ "$(asked node0)" -ge $((before + 10)) ] || { echo "asked $before times before, $(asked node0) behind"; return 1; }
}

n=200
[ -z "$PCV_FULL" ] || n=1000
step "rc, checked, counted" carried_by_verbs $n 300000 pp ibv_rc_pingpong -c -n $n
for s in $(pick "1 4096 1048576" "1 2 63 4096 65536 1048576"); do
	step "rc $s bytes" pp ibv_rc_pingpong -c -n 50 -s $s
	step "srq $s bytes" pp ibv_srq_pingpong -c -n 10 -s $s
done
step "rc with events" pp ibv_rc_pingpong -c -n $n -e
step "srq with events" pp ibv_srq_pingpong -c -n 20 -e
for s in $(pick "1 1024" "1 64 1000 1024"); do
	step "ud $s bytes" pp ibv_ud_pingpong -c -n $n -s $s
done
step "ud, and the kernel is asked" asks
step "ud with events" pp ibv_ud_pingpong -c -n $n -s 512 -e
for prog in ibv_rc_pingpong ibv_srq_pingpong; do
	step "$prog, one node" one_node $prog -c -n 20
	step "$prog, one node, events" one_node $prog -c -n 20 -e
done
step "ibv_ud_pingpong, one node" one_node ibv_ud_pingpong -c -n 20 -s 1024
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
