#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What only QEMU nodes have: several processors, and the devices of the link,
# which must be the same for a node that was killed and started again. Boots
# nodes without our modules.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
lab=(env "PCV_LAB_NAME=qemu-$$" PCV_LAB_BACKEND=qemu "$top/lab/lab")
state=${XDG_RUNTIME_DIR:-/tmp}/pcieverbs-$(id -u)/qemu-$$
trap '"${lab[@]}" down' EXIT

fail() { echo "FAIL: $*" >&2; exit 1; }
in_node() { "${lab[@]}" exec -n "$1" -- "${@:2}"; }

# In a node: a 32-bit word of a device's BAR 0, or the first word of BAR 2.
peek='import mmap, struct, sys
d, bar, at = "/sys/bus/pci/devices/0000:00:" + sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
f = open(d + "/resource%d" % bar, "r+b")
m = mmap.mmap(f.fileno(), 0)
if len(sys.argv) > 4: m[at:at + 4] = struct.pack("<I", int(sys.argv[4]))
print(struct.unpack("<I", m[at:at + 4])[0])'

# bar NODE DEVICE BAR OFFSET [VALUE]: reads, after writing VALUE.
bar() {
	local n=$1 d=$2
	shift 2
	in_node "$n" sh -c "echo 1 >/sys/bus/pci/devices/0000:00:$d/enable"
	in_node "$n" python3 -c "$peek" "$d" "$@"
}

devices() { in_node "$1" sh -c 'cd /sys/bus/pci/devices && grep -l 0x1110 */device' | sed 's|0000:\(.*\)/device|\1|' | paste -sd ' '; }

sizes() { in_node "$1" sh -c "stat -c %s /sys/bus/pci/devices/0000:00:$2/resource2"; }

# Node I's number, as node I's device says.
ids() {
	local n got=
	for n in 0 1 2; do
		got+=$(bar $n 0f.0 0 8)
	done
	[ "$got" = 012 ] || fail "nodes are called $got"
}

echo "nodes that see each other's RAM"
"${lab[@]}" up --no-modules -n 3 --cpus 3 --mem 512M
for n in 0 1 2; do
	[ "$(in_node $n nproc)" = 3 ] || fail "node$n does not have 3 processors"
done
[ "$(devices 0)" = "00:0f.0 00:11.0 00:12.0" ] || fail "node0 has $(devices 0)"
[ "$(devices 1)" = "00:0f.0 00:10.0 00:12.0" ] || fail "node1 has $(devices 1)"
[ "$(sizes 0 11.0)" = $((512 << 20)) ] && [ "$(sizes 0 0f.0)" = $((1 << 20)) ] || fail "sizes of BARs"
ids
[ "$(bar 0 0f.0 2 256 4711)" = 4711 ] && [ "$(bar 2 0f.0 2 256)" = 4711 ] || fail "the page of registers is not shared"

echo "a node killed and started again"
for n in 1 0 1; do
	"${lab[@]}" kill $n
	"${lab[@]}" start $n
done
ids
[ "$(bar 1 0f.0 2 256)" = 4711 ] || fail "the page of registers did not outlive the nodes"
"${lab[@]}" check
servers=("$state"/*.daemon)
[ ${#servers[@]} = 1 ] || fail "servers: ${servers[*]}"
read -r server _ <"${servers[0]}"
"${lab[@]}" down
[ ! -e "$state" ] && [ ! -e "/proc/$server/exe" ] || fail "down left something"

echo "nodes that share a memory only"
"${lab[@]}" up --no-modules -n 3 --link shm --shm 16M
[ "$(devices 1)" = "00:10.0 00:12.0" ] || fail "node1 has $(devices 1)"
[ "$(bar 1 10.0 0 8)$(bar 1 12.0 0 8)$(bar 2 10.0 0 8)" = 101 ] || fail "the ends of the cables"
[ "$(sizes 0 11.0)" = $((16 << 20)) ] || fail "size of the memory"
[ "$(bar 1 12.0 2 256 42)$(bar 2 11.0 2 256)$(bar 0 11.0 2 256)" = 42420 ] || fail "the memory between two"
"${lab[@]}" check
"${lab[@]}" down
echo PASS
