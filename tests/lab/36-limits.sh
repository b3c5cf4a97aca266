#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# As many objects as the device announces, and not one more.
# limit: 240
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "the limits are this device's"
idle0=$(resources node0)
# The kernel's own.
others=$(sed -n 's/.*\<pd \([0-9]*\).*/\1/p' <<<"$idle0")

domains() {
	node_exec node0 timeout $((120 * PCV_SLOW)) env "LIMITS_OTHERS=$others" "$bin/limits" --local
}

step "protection domains" domains
step "nothing left open" idle_again node0 "$idle0"
case_end
