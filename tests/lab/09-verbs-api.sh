#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The parts of the API that the stock programs leave out.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
idle0=$(resources node0)

two_nodes() { pair -t 60 -p 19000 "$bin/$1" --server "$2" -- "$bin/$1" --client "$(node_ip node0)" "$2"; }
one_node() { node_exec node0 timeout $((60 * PCV_SLOW)) "$bin/$1" --local "$2"; }

for p in api_work api_kinds api_sleep; do
	for t in $(grep -o 'T([a-z_]*)' "$top/tests/lab/$p.c" | sed 's/T(\(.*\))/\1/' | grep -vx f); do
		[ -n "$PCV_LOCAL" ] || step "$t" two_nodes $p "$t"
		[ -n "$PCV_SHORT" ] || step "$t, one node" one_node $p "$t"
	done
done
step "nothing left open" idle_again node0 "$idle0"
case_end
