#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# The NTB driver with four nodes: one device a peer, and every pair for itself.
. "$(dirname "$0")/ntb.sh"
ntb_begin 4

devices() {
	[ "$(node_sh "$1" 'ls /sys/bus/ntb/devices | wc -l')" = 3 ]
}

answered() { node_sh "$1" 'cat /sys/kernel/debug/ntb_pingpong/*/count'; }

all_answer() {
	local c
	answered "$1" >"$tmp/counts"
	paste -sd ' ' "$tmp/counts"
	while read -r c; do
		[ "$c" -ge 20 ] || return 1
	done <"$tmp/counts"
	[ "$(wc -l <"$tmp/counts")" = 3 ]
}

# A pair whose link is down while the others go on.
one_leaves() {
	local before after
	ntb_unload node3 || return 1
	before=$(answered node0 | paste -sd ' ')
	sleep 2
	after=$(answered node0 | paste -sd ' ')
	echo "before $before, after $after"
	read -ra before <<<"$before"
	read -ra after <<<"$after"
	[ "${after[0]}" -gt "${before[0]}" ] && [ "${after[1]}" -gt "${before[1]}" ] &&
		[ "${after[2]}" = "${before[2]}" ]
}

one_returns() { ntb_load node3 && wait_until 10 all_answer node3; }

step "driver loads on all nodes" ntb_each ntb_load
step "devices" ntb_each devices
step "ntb_pingpong loads" client_load ntb_pingpong delay_ms=10
step "all pairs answer" eval "wait_until 15 ntb_each all_answer && ntb_each all_answer"
step "one leaves" one_leaves
step "one returns" one_returns
step "driver unloads" ntb_each ntb_unload
ntb_finish
