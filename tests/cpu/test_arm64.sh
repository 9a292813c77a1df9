#!/usr/bin/env bash
# The kernels of ARM64 against the plain C ones, bit for bit, on a machine that is none: the tests of this
# folder as static programs under qemu-user (tests/arm64/cmocka.h in the place of the library), on a processor
# with all instructions and on one without i8mm; a third, with neither, has the plain C kernels alone. Counts
# the tests of each program.
set -u
cd "$(dirname "$0")/../.." || exit 1
cc=aarch64-linux-gnu-gcc
out=build/arm64
passed=0
failed=0

# A sanitizer build of the other tests has nothing to add, and an ARM64 machine runs them as they are.
if [ "${BUILD:-build}" != build ] || [ "$(uname -m)" != x86_64 ]; then
    echo "0 passed, 0 failed"
    exit 0
fi

sources=(src/base/{err,fmath,log,mem,mem_cgroup}.c src/quant/*.c src/cpu/{kernels,packed}.c
    src/cpu/*_{ref,neon,i8mm}.c tests/support/{random,stored}.c)
programs=(tests/arm64/tables tests/cpu/test_{kernels,matmul,attend,fmath_neon})
objects=("${sources[@]/%.c/.o}")
objects=("${objects[@]/#/$out/}")
mains=("${programs[@]/%/.o}")

env -u MAKEFLAGS -u MFLAGS make -s --no-print-directory CC=$cc SAN= TAG=arm64 \
    OPT='-O2 -Itests/arm64 -DTENON_EMULATED=1' "${objects[@]}" "${mains[@]/#/$out/}" || {
    echo "0 passed, 1 failed"
    exit 1
}
for p in "${programs[@]}"; do
    $cc -static -o "$out/$p" "$out/$p.o" "${objects[@]}" -lm || exit 1
done

# tables CPU LINE: what the processor is found to have.
tables() {
    local got
    got=$(qemu-aarch64 -cpu "$1" "$out/tests/arm64/tables")
    echo "$1: $got"
    if [ "$got" = "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# run CPU PROGRAM...
run() {
    local cpu=$1 p got counts
    shift
    for p; do
        got=$(qemu-aarch64 -cpu "$cpu" "$out/tests/cpu/$p" 2>&1)
        printf '== %s: %s\n%s\n' "$cpu" "$p" "$got"
        counts=${got##*$'\n'}
        case $counts in
        *' passed, '*' failed')
            passed=$((passed + ${counts%% *}))
            counts=${counts#*, }
            failed=$((failed + ${counts%% *}))
            ;;
        *) failed=$((failed + 1)) ;;
        esac
    done
}

tables max "i8mm neon ref best i8mm"
tables neoverse-n1 "neon ref best neon"
tables cortex-a57 "ref best ref"
run max test_kernels test_matmul test_attend test_fmath_neon
run neoverse-n1 test_matmul
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
