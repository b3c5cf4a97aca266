#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Cables drawn and given back under load, from either side; every one of them is
# seen by both sides, and afterwards all threads carry data again.
# limit: 900
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../storm.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
count=10
[ -z "$PCV_FULL" ] || count=100
idle0=$(resources node0)
idle1=$(resources node1)

fell() { counter "$1" link_down; }
each_was_seen() {
	local now0 now1
	now0=$(($(fell node0) - fell0))
	now1=$(($(fell node1) - fell1))
	echo "of $count flaps node0 saw $now0, node1 $now1"
	[ $now0 -ge "$count" ] && [ $now1 -ge "$count" ]
}

step "storm" storm_begin
fell0=$(fell node0)
fell1=$(fell node1)
step "$((count / 2)) flaps on node0" flaps node0 $((count / 2)) 100 1000
step "the storm goes on" storm_goes_on
step "$((count - count / 2)) flaps on node1" flaps node1 $((count - count / 2)) 100 1000
step "both sides have seen each" each_was_seen
step "link is back" link_is_back
step "calm: every thread succeeds" storm_calm
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
