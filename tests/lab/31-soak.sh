#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# All kinds of work at once, both ways, checked byte by byte; some of it through
# fast rings, some through the kernels, unless fast rings are switched off.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/fast.sh"
case_begin
idle0=$(resources node0)
idle1=$(resources node1)
seconds=$(pick 2 6)
[ -z "$PCV_FULL" ] || seconds=60
seed=${SOAK_SEED:-$RANDOM}
say "SOAK_SEED=$seed, $seconds s each"

soak() {
	pair -t $((seconds + 60)) -p 19000 \
		env SOAK_SECONDS=$seconds SOAK_SEED="$seed" "$bin/soak" --server "$1" -- \
		env SOAK_SECONDS=$seconds SOAK_SEED="$seed" "$bin/soak" --client "$(node_ip node0)" "$1"
}

# Each kind once, with the counters before and after.
mixed() {
	local status=0
	fast_before
	soak "$1" || status=1
	sed -n "s/^$1 \[/    &/p" "$tmp/server" "$tmp/client"
	fast_share || status=1
	return $status
}

for kind in one shrinking several shared threads; do
	step "$kind" mixed $kind
	grep '^    ' "$tmp/step"
done
step "one, inside a node" node_exec node0 env SOAK_SECONDS=$(((seconds + 2) / 3)) SOAK_SEED="$seed" \
	timeout $(((seconds + 60) * PCV_SLOW)) "$bin/soak" --local one several
step "nothing left open on node0" idle_again node0 "$idle0"
step "nothing left open on node1" idle_again node1 "$idle1"
step "no block is taken" blocks_free
case_end
