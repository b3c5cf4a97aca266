#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# The lab itself: commands in nodes, two labs beside one another, nothing left.
# Boots nodes without our modules, so it tells a broken lab from a broken product.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
a=(env "PCV_LAB_NAME=self-a-$$" "$top/lab/lab")
b=(env "PCV_LAB_NAME=self-b-$$" "$top/lab/lab")
base=${XDG_RUNTIME_DIR:-/tmp}/pcieverbs-$(id -u)
tmp=$(mktemp -d)
trap '"${a[@]}" down; "${b[@]}" down; rm -rf "$tmp"' EXIT

fail() { echo "FAIL: $*" >&2; exit 1; }

# status WANTED WORDS...: the words end with that exit status.
status() {
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" = "$want" ] || fail "status $got instead of $want: $*"
}

# gone NODE PATTERN: within 5 s no process of the node matches.
gone() {
	local i
	for ((i = 0; i < 50; i++)); do
		"${a[@]}" exec -n "$1" -- pgrep -f "$2" >/dev/null || return 0
		sleep 0.1
	done
	fail "still runs in node$1: $2"
}

"${a[@]}" up --no-modules "$@"
"${b[@]}" up --no-modules -n 3 "$@"

echo "exit status"
status 0 "${a[@]}" exec -n 0 -- true
status 7 "${a[@]}" exec -n node1 -- sh -c 'exit 7'
# shellcheck disable=SC2016
status 137 "${a[@]}" exec -n 0 -- sh -c 'kill -9 $$'
status 127 "${a[@]}" exec -n 0 -- no-such-program 2>/dev/null
status 255 "${a[@]}" exec -n 2 -- true 2>/dev/null

echo "streams"
[ "$("${a[@]}" exec 0 -- sh -c 'echo out; echo err >&2' 2>/dev/null </dev/null)" = out ] || fail "stdout"
[ "$("${a[@]}" exec 0 -- sh -c 'echo out; echo err >&2' 2>&1 >/dev/null </dev/null)" = err ] || fail "stderr"
[ "$(printf 'in\nput' | "${a[@]}" exec 1 -- cat)" = "$(printf 'in\nput')" ] || fail "stdin"
[ "$("${a[@]}" exec -e A=b -C /etc -n 0 -- sh -c 'echo $A $PWD')" = "b /etc" ] || fail "environment"

echo "much of it, lossless"
head -c 2000000 /dev/urandom >"$tmp/data"
"${a[@]}" exec 0 -- cat <"$tmp/data" | cmp - "$tmp/data" || fail "2 MB both ways"
"${a[@]}" exec -n 0 -- head -c 30000000 /dev/zero | cmp -n 30000000 - /dev/zero || fail "30 MB out"
# Input that nobody reads must not stop the command from ending.
status 0 "${a[@]}" exec 0 -- true <"$tmp/data"

echo "many at once"
for i in $(seq 20); do
	"${a[@]}" exec -n $((i % 2)) -- sh -c "seq 1 20000; exit $i" >"$tmp/out.$i" &
	pids[i]=$!
done
# One client that does not read holds up nobody.
"${a[@]}" exec -n 0 -- yes 'slow reader' | (sleep 4; head -c 1 >/dev/null) &
slow=$!
seq 1 20000 >"$tmp/want"
for i in $(seq 20); do
	got=0
	wait "${pids[i]}" || got=$?
	[ "$got" = "$i" ] || fail "command $i ended with $got"
	cmp "$tmp/out.$i" "$tmp/want" || fail "output of command $i"
done
wait "$slow" || true
gone 0 'slow reader'

echo "ending commands"
status 124 timeout 1 "${a[@]}" exec -n 0 -- sleep 7701
gone 0 'sleep 7701'
"${a[@]}" exec -n 0 -- sh -c 'trap "" HUP TERM; sleep 7702' &
pid=$!
sleep 0.5
kill -KILL "$pid"
gone 0 'sleep 7702'
"${a[@]}" exec -n 1 -- sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done' >"$tmp/ready" &
pid=$!
for ((i = 0; i < 100; i++)); do
	[ ! -s "$tmp/ready" ] || break
	sleep 0.1
done
kill -TERM "$pid"
status 3 wait "$pid"

echo "host files"
echo one >"$tmp/live"
[ "$("${a[@]}" exec -n 0 -- cat "$tmp/live")" = one ] || fail "host file"
echo another >"$tmp/live"
[ "$("${a[@]}" exec -n 0 -- cat "$tmp/live")" = another ] || fail "changed host file"
"${a[@]}" exec -n 0 -- sh -c "echo node >$tmp/live; echo x >/etc/pcv-test"
[ "$(cat "$tmp/live")" = another ] || fail "a node wrote into the host"
[ ! -e /etc/pcv-test ] || fail "a node wrote into the host"
"${a[@]}" cp "$tmp/want" "$tmp/data" node1:/root
"${a[@]}" exec -n 1 -- cmp "$tmp/data" "/root$tmp/data" || fail "cp"

echo "complaints of a kernel"
status 0 "${a[@]}" check
"${a[@]}" exec -n 1 -- sh -c 'echo "<4>WARNING: made up" >/dev/kmsg'
status 1 "${a[@]}" check >/dev/null
status 0 "${a[@]}" check

echo "idle"
read -r _ _ kernel _ <"$base/self-a-$$/node0.pid"
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
before=$(ticks "$kernel")
sleep 2
[ $(($(ticks "$kernel") - before)) -le 4 ] || fail "an idle node uses the processor"

echo "power"
"${a[@]}" kill 1
status 255 "${a[@]}" exec -n 1 -- true 2>/dev/null
status 1 "${a[@]}" kill 1 2>/dev/null
status 1 "${a[@]}" status >/dev/null
"${a[@]}" start 1
[ "$("${a[@]}" exec -n 1 -- hostname)" = node1 ] || fail "a node that was started again"
"${a[@]}" exec -n 1 -- test ! -e "/root$tmp/data" || fail "a node's own files outlived it"
"${a[@]}" stop 1
status 137 timeout -s KILL 1 "${a[@]}" exec -n 1 -- true
"${a[@]}" cont 1
status 0 timeout 20 "${a[@]}" exec -n 1 -- true
status 0 "${a[@]}" check

echo "after a crash"
read -r host _ kernel _ <"$base/self-a-$$/node0.pid"
ram=$(readlink "$base/self-a-$$/ram")
kill -KILL "$kernel"
sleep 0.5
status 255 "${a[@]}" exec -n 0 -- true 2>/dev/null
status 1 "${a[@]}" check >/dev/null
read -r host _ kernel1 _ <"$base/self-a-$$/node1.pid"
kill -KILL "$host"
sleep 0.5
"${a[@]}" down
[ ! -e "$base/self-a-$$" ] && [ ! -e "$ram" ] || fail "down left files"
for k in "$kernel" "$kernel1"; do
	left=$(ps -o stat,pid,ppid,cmd --no-headers -s "$k" | grep -v ^Z || true)
	[ -z "$left" ] || fail "down left processes: $left"
done
status 0 "${b[@]}" exec -n 2 -- true
"${b[@]}" down
echo PASS
