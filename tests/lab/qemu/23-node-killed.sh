#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A node loses its power in mid-traffic and comes back: what was posted to it
# ends with errors, in time; port events come; the link returns by itself; new
# connections carry data; and the newcomer does not reach what was its
# predecessor's.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../fast.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../storm.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
kills=1
[ -z "$PCV_FULL" ] || kills=10
idle0=$(resources node0)
# The heartbeat of the bridge (3 s), the module's (5 s), and a busy host.
notice_s=$((10 * PCV_SLOW))

relic_says() { grep -q "$1" "$tmp/relic"; }
both_relics() {
	node_sh node0 'rm -rf /tmp/relic; mkdir /tmp/relic' || return 1
	start_on node0 "$tmp/relic" env RELIC_DIR=/tmp/relic "$bin/relic" --server --port 19500 hold
	relic0=$started
	wait_until 20 server_ready "$relic0" node0 19500 || return 1
	start_on node1 "$tmp/relic1" "$bin/relic" --client "$(node_ip node0)" --port 19500 hold
	relic1=$started
	wait_until 20 relic_says '^relic ' || { cat "$tmp/relic" "$tmp/relic1"; return 1; }
}

watch_events() {
	start_on node0 "$tmp/events" ibv_asyncwatch -d "$PCV_DEV"
	events=$started
	wait_until 10 grep -q 'event FD' "$tmp/events" || { cat "$tmp/events"; return 1; }
}
# (ibv_asyncwatch prints words, or the name of the constant: its versions differ.)
event_came() { grep -qi "$1" "$tmp/events"; }

killed() {
	local begin took
	begin=$(date +%s%3N)
	"$lab" --name "$PCV_LAB_NAME" kill node1 || return 1
	wait_until "$notice_s" relic_says '^lost' || { cat "$tmp/relic"; return 1; }
	took=$(($(date +%s%3N) - begin))
	echo "all that was posted had ended after $took ms"
	[ $took -le $((notice_s * 1000)) ] || return 1
	wait_until 10 event_came 'port[ _]err' || { cat "$tmp/events"; return 1; }
	# What ran there ended with it.
	finish "$relic1" 30
	finish "$storm1" 30
	return 0
}

comes_back() {
	"$lab" --name "$PCV_LAB_NAME" start node1 && link_is_back &&
		wait_until 10 event_came 'port[ _]active' || { cat "$tmp/events"; return 1; }
}

newcomer() {
	local _ va rkey qpn
	read -r _ va rkey qpn < <(grep '^relic [0-9]' "$tmp/relic" | head -n 1)
	echo "old: va $va rkey $rkey qpn $qpn"
	pair -p 19510 "$bin/relic" --server --port 19510 attack -- \
		env "RELIC_VA=$va" "RELIC_RKEY=$rkey" "RELIC_QPN=$qpn" \
		"$bin/relic" --client "$(node_ip node0)" --port 19510 attack
}

untouched() {
	node_sh node0 'touch /tmp/relic/look' && finish "$relic0" $((20 * PCV_SLOW))
	local status=$?
	cat "$tmp/relic"
	return $status
}

stop_events() {
	node_exec node0 pkill -x ibv_asyncwatch
	finish "$events" 10
	return 0
}

for ((k = 1; k <= kills; k++)); do
	step "a connection that will lose its other end" both_relics
	step "events are watched" watch_events
	if [ $k = 1 ]; then
		step "storm" storm_begin
	else
		step "storm" eval "storm_client && storm_goes_on"
	fi
	step "node1 dies: all ends with errors, port error" killed
	step "node1 is back, the link by itself, port active" comes_back
	step "the newcomer: data both ways, old numbers refused" newcomer
	step "old memory is untouched" untouched
	stop_events
done
step "storm from the newcomer" eval "storm_client && storm_goes_on"
step "calm: every thread succeeds" storm_calm
step "nothing left open on node0" idle_again node0 "$idle0"
step "no block is taken" blocks_free
case_end
