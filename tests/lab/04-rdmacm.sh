#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# rdma_cm: rping and ucmatose, both ways.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)

# rping BOTH-ARGS: from $2 to $1.
rp() {
	local s=$1 c=$2
	shift 2
	pair -p 7174 -s "$s" -c "$c" rping -s -V "$@" -a "$(node_ip "$s")" -p 7174 -- \
		rping -c -V "$@" -a "$(node_ip "$s")" -p 7174
}

uc() {
	local s=$1 c=$2
	shift 2
	pair -p 7471 -s "$s" -c "$c" ucmatose -b "$(node_ip "$s")" -p 7471 "$@" -- \
		ucmatose -s "$(node_ip "$s")" -p 7471 "$@"
}

# rping 44 forgets a request that comes before it has taken up the last one: it
# asks for two queue pairs of one id then, and says so. That client waits for ever.
confused() { grep -Eq '^rdma_(create_qp|accept): Invalid argument' "$tmp/server"; }

# all_gone PID…
all_gone() {
	local pid
	for pid in "$@"; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}
settled() { confused || all_gone "$@"; }

# Three clients at once against a server that stays. Return: 2 if that was confused.
several_once() {
	local pid clients=() i status=0
	start_on node0 "$tmp/server" rping -s -V -P -a "$(node_ip node0)" -p 7175
	pid=$started
	wait_until 20 listening node0 7175 || { cat "$tmp/server"; return 1; }
	for i in 1 2 3; do
		start_on node1 "$tmp/client.$i" rping -c -V -C 20 -S 1000 -a "$(node_ip node0)" -p 7175
		clients+=("$started")
	done
	wait_until 50 settled "${clients[@]}"
	! confused || status=2
	for i in 1 2 3; do
		finish "${clients[i - 1]}" $((status ? 0 : 5)) || {
			[ $status -ne 0 ] || status=1
			echo "client $i:"
			cat "$tmp/client.$i"
		}
	done
	kill "$pid"
	finish "$pid" 10
	return $status
}

several() {
	local i status
	for i in 1 2 3 4 5; do
		several_once >"$tmp/several" 2>&1
		status=$?
		[ $status -eq 2 ] || break
	done
	cat "$tmp/several"
	return $status
}

# At once, not by waiting in vain.
refused() {
	node_exec node1 timeout $((30 * PCV_SLOW)) rping -c -C 1 -a "$(node_ip node0)" -p 7999
	case $? in 0 | 12[4-7]) return 1 ;; esac
}

step "rping node1 to node0" rp node0 node1 -C 50 -S 100
step "rping node0 to node1" rp node1 node0 -C 50 -S 4000
step "rping, large" rp node0 node1 -C 5 -S 60000
step "rping on one node" rp node0 node0 -C 10
step "several rping clients" several
step "ucmatose node1 to node0" uc node0 node1
step "ucmatose node0 to node1" uc node1 node0 -c 4 -C 20 -S 1000
step "nobody listens" refused
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
case_end
