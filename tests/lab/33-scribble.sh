#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A process that writes garbage over the fast blocks that it has mapped, its own
# and its peer's: only its own queue pairs break.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs two nodes"
fast_on || skip "no fast rings here"
idle0=$(resources node0)
idle1=$(resources node1)
seconds=$(pick 2 5)
[ -z "$PCV_FULL" ] || seconds=60
seed=${SCRIBBLE_SEED:-$RANDOM}
say "SCRIBBLE_SEED=$seed"

# Honest traffic of other processes, all the time.
honest() {
	local env=(env "SOAK_SECONDS=$((seconds * 3))" "SOAK_SEED=$seed" nice -n 5)
	pair -t $((seconds * 3 + 90)) -p 19300 "${env[@]}" "$bin/soak" --server --port 19300 several -- \
		"${env[@]}" "$bin/soak" --client "$(node_ip node0)" --port 19300 several
}

hostile() {
	local env=(env "SCRIBBLE_SECONDS=$seconds" "SCRIBBLE_SEED=$seed")
	pair -t $((seconds + 60)) -p 19301 "${env[@]}" "$bin/scribble" --server --port 19301 "$1" -- \
		"${env[@]}" "$bin/scribble" --client "$(node_ip node0)" --port 19301 "$1" &&
		cat "$tmp/server"
}

honest_ended() {
	local status=0
	wait "$honest_pid" || status=1
	cat "$tmp/honest.log"
	return $status
}

mkdir "$tmp/honest"
(case_pids=(); tmp=$tmp/honest; honest) >"$tmp/honest.log" 2>&1 &
honest_pid=$!
sleep 1
step "one side scribbles" hostile one_side
step "both sides scribble" hostile both
step "blocks go while they are read" hostile gone
step "honest traffic went on, all of it right" honest_ended
grep -h "several \[" "$tmp/honest/server" "$tmp/honest/client"
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
