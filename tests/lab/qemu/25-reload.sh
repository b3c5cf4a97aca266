#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The module of one side unloaded and loaded under traffic on the other: there
# programs go on among themselves, unharmed, and wait for connections from here.
# limit: 900
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../storm.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
count=6
[ -z "$PCV_FULL" ] || count=100
idle0=$(resources node0)
idle1=$(resources node1)

# Inside node0: not one of its bytes may be lost.
inside_begins() {
	start_on node0 "$tmp/inside" env SOAK_SECONDS=$((count * 60 * PCV_SLOW)) "$bin/soak" --local several
	inside=$started
	storm_count_was=$(verbs_count node0)
	wait_until 20 storm_moves
}
inside_ends() {
	kill -0 "$inside" || { cat "$tmp/inside"; return 1; }
	node_exec node0 pkill -USR1 -x soak
	finish "$inside" $((60 * PCV_SLOW)) && grep -q '^ok several' "$tmp/inside" && return 0
	cat "$tmp/inside"
	return 1
}

# Half of them with the newcomer's programs at work in between.
round() { pause_client && reloads node1 "$1" && go_on_client && storm_goes_on; }
all_rounds() {
	local done=0
	while [ $done -lt "$count" ]; do
		round 2 || return 1
		done=$((done + 2))
		kill -0 "$inside" || { echo "the traffic inside node0 has ended"; cat "$tmp/inside"; return 1; }
	done
}

step "storm" storm_begin
step "traffic inside node0" inside_begins
step "$count times unloaded and loaded on node1" all_rounds
step "the traffic inside node0 was not disturbed" inside_ends
step "link is back" link_is_back
step "calm: every thread succeeds" storm_calm
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
