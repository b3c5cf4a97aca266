#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Create, connect, transfer, destroy, again and again; then nothing is left.
# limit: 400
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
cycles=$(pick 100 1000)

churn() {
	pair -t 300 -p 19000 env CHURN_CYCLES="$1" "$bin/churn" --server -- \
		env CHURN_CYCLES="$1" "$bin/churn" --client "$(node_ip node0)"
}

aperture() { node_sh "$1" 'cat /sys/kernel/debug/pcieverbs/aperture 2>/dev/null'; }
slab_kb() { node_sh "$1" 'awk "/^SUnreclaim/ { print \$2 }" /proc/meminfo'; }

# What grows with the cycles is a leak: less than 2 KiB for each is slack.
slab_kept() {
	local before=$2 now
	now=$(slab_kb "$1")
	echo "$1: unreclaimable slab $before -> $now KiB"
	[ $((now - before)) -lt $((cycles * 2 + 512)) ]
}

same_aperture() {
	local now
	now=$(aperture "$1")
	[ "$now" = "$2" ] || { printf 'before:\n%s\nafter:\n%s\n' "$2" "$now"; return 1; }
}

# First use allocates what stays (caches, tables): not counted.
step "20 cycles to settle" churn 20
for n in 0 1; do
	idle[n]=$(resources node$n)
	slab[n]=$(slab_kb node$n)
	room[n]=$(aperture node$n)
done
step "$cycles cycles" churn $cycles
for n in 0 1; do
	step "rdma resource, node$n" idle_again node$n "${idle[n]}"
	# KASAN keeps freed objects in quarantine: there kmemleak alone decides.
	if node_exec node$n test -e /sys/kernel/debug/kmemleak; then
		say "not run: slab count on node$n, KASAN's quarantine counts as use"
	else
		step "slab, node$n" slab_kept node$n "${slab[n]}"
	fi
	if [ -n "${room[n]}" ]; then
		step "aperture accounting, node$n" same_aperture node$n "${room[n]}"
	else
		say "not run: node$n has no aperture file in debugfs"
	fi
done
if [ -z "$PCV_LOCAL" ] && node_exec node0 test -e /sys/kernel/debug/kmemleak; then
	step "kmemleak" "$lab" --name "$PCV_LAB_NAME" check --leaks
else
	say "not run: this kernel has no kmemleak"
fi
case_end
