#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Bad input gets the right status and hurts nobody else.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
idle0=$(resources node0)

# Each test on its own, so that one which hangs or dies hides no other.
two_nodes() { pair -t 40 -p 19000 "$bin/badinput" --server "$1" -- "$bin/badinput" --client "$(node_ip node0)" "$1"; }
one_node() { node_exec node0 timeout $((40 * PCV_SLOW)) "$bin/badinput" --local "$1"; }

tests=$(sed -n 's/^\tT(\([a-z_]*\)),.*/\1/p' "$top/tests/lab/badinput.c")
for t in $tests; do
	[ -n "$PCV_LOCAL" ] || step "$t" two_nodes "$t"
	[ -n "$PCV_SHORT" ] || step "$t, one node" one_node "$t"
done
step "nothing left open" idle_again node0 "$idle0"
case_end
