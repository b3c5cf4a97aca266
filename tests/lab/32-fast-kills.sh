#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Processes killed in the middle of heavy traffic: who is left ends with an
# error, nothing stays taken, the next ones work at once.
# limit: 1800
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
idle0=$(resources node0)
idle1=$(resources node1)
kills=${KILLS:-$(pick 25 60)}
[ -z "$PCV_FULL" ] || kills=${KILLS:-1000}
# Most of a round is waiting for the survivor's time-out: several side by side.
lanes=5
seed=${KILL_SEED:-$RANDOM}
say "KILL_SEED=$seed, $kills kills"

kill_pair() {
	local env=("KILLS=$2" "KILL_SEED=$((seed + $1))")
	[ -z "${3:-}" ] || env+=("$3")
	pair -t $((120 + $2 * 6)) -p $((19200 + $1)) \
		env "${env[@]}" "$bin/kill" --server --port $((19200 + $1)) -- \
		env "${env[@]}" "$bin/kill" --client "$(node_ip node0)" --port $((19200 + $1))
}

# pair writes to files of fixed names.
lane() { (case_pids=(); own=$tmp/lane.$1; mkdir -p "$own"; tmp=$own; kill_pair "$1" "$2") }

side_by_side() {
	local i pids=() status=0
	for ((i = 1; i <= lanes; i++)); do
		lane $i $((kills * 4 / 5 / lanes)) >"$tmp/lane.$i.log" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || status=1
	done
	cat "$tmp"/lane.*.log
	return $status
}

step "one at a time: nothing stays taken" kill_pair 0 $((kills / 5)) KILL_ALONE=1
step "$lanes side by side" side_by_side
step "no block is taken" blocks_free
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "a last one" kill_pair 9 1 KILL_ALONE=1
case_end
