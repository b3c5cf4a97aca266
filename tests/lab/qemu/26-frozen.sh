#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A node that stands still, for longer than its peers believe in it, and goes
# on: they notice in time, their work ends with errors; it finds out itself that
# it was given up; the link returns, and connections work again.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../storm.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
seconds=12
[ -z "$PCV_FULL" ] || seconds=60
idle0=$(resources node0)
idle1=$(resources node1)
# docs/vm.md: 3 s without a heartbeat and half a second between two of them; the rest
# is for a host that has other things to do.
notice_ms=$((3500 + 1500 * PCV_SLOW))

frozen() {
	local begin took
	begin=$(date +%s%3N)
	"$lab" --name "$PCV_LAB_NAME" stop node1 || return 1
	wait_until 20 no_peer node0 || { echo "not noticed"; return 1; }
	took=$(($(date +%s%3N) - begin))
	echo "noticed after $took ms, $notice_ms allowed"
	# Work of connections to it has ended: their time-outs do not count any more.
	while [ $(($(date +%s%3N) - begin)) -lt $((seconds * 1000)) ]; do
		sleep 0.5
	done
	kill -0 "$storm0" || { cat "$tmp/storm0"; return 1; }
	[ $took -le $notice_ms ]
}

thaws() { "$lab" --name "$PCV_LAB_NAME" cont node1 && link_is_back; }

step "storm" storm_begin
step "node1 stands still for $seconds s" frozen
grep noticed "$tmp/step"
step "node1 goes on, the link returns" thaws
step "the storm goes on" storm_goes_on
step "calm: every thread succeeds" storm_calm
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
