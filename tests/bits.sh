#!/usr/bin/env bash
# The same bits with gcc and clang, -O1 and -O3, sanitizers on and off, on x86-64 and ARM64 (a static
# program under qemu-user), every table of kernels, one thread to three: builds tests/bits in each way and
# compares what it prints with tests/bits/expected.txt. --update writes that file (after a change of the
# contract, and only then). Counts every line of every build.
set -u
cd "$(dirname "$0")/.." || exit 1
expected=tests/bits/expected.txt
host=$(uname -m)
root=$PWD
out=build/bits
passed=0
failed=0

# The variants are builds of their own: a sanitizer build of the other tests has nothing to add.
if [ "${BUILD:-build}" != build ] && [ "${1:-}" != --update ]; then
    echo "0 passed, 0 failed"
    exit 0
fi

sources() {
    ls src/base/{fmath,pool,mem,mem_cgroup,err,log,progress,clock}.c src/quant/*.c src/cpu/*.c src/ops/*.c \
        src/model/{bind,forward,kv,layer,model,rope}.c src/format/dtype.c tests/bits/*.c
}

# build NAME COMPILER [FLAG...]: compiles to $out/NAME/bits, unless that is newer than every source.
build() {
    local name=$1 dir=$out/$1 cc=$2 x86=0 avx2=(-mavx2 -mfma -mf16c)
    local avxvnni=("${avx2[@]}" -mavxvnni)
    local avx512=("${avx2[@]}" -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
    local neon=-march=armv8.2-a+dotprod+fp16
    shift 2
    local flags=(-std=c17 -D_GNU_SOURCE -ffp-contract=off -w "-I$root/src"
        "-I$root/tests/bits/include" "-I$root/tests/bits" "$@")
    [ -x "$dir/bits" ] && [ -z "$(find src tests/bits tests/bits.sh -newer "$dir/bits" -type f)" ] &&
        return 0
    rm -rf "$dir"
    mkdir -p "$dir"
    case $($cc -dumpmachine) in x86_64*) x86=1 ;; esac
    {
        # Only what is named *_avx2.c may use AVX2, and so for the others.
        sources | grep -vE '_(avx[a-z0-9]*|neon|i8mm)\.c$' | sed "s|^|$root/|" |
            (cd "$dir" && xargs -P "$(nproc)" -n 10 "$cc" "${flags[@]}" -c)
        if [ $x86 = 1 ]; then
            sources | grep '_avx2\.c$' | sed "s|^|$root/|" |
                (cd "$dir" && xargs -P "$(nproc)" -n 4 "$cc" "${flags[@]}" "${avx2[@]}" -c)
            sources | grep '_avxvnni\.c$' | sed "s|^|$root/|" |
                (cd "$dir" && xargs -P "$(nproc)" -n 4 "$cc" "${flags[@]}" "${avxvnni[@]}" -c)
            sources | grep '_avx512\.c$' | sed "s|^|$root/|" |
                (cd "$dir" && xargs -P "$(nproc)" -n 4 "$cc" "${flags[@]}" "${avx512[@]}" -c)
        else
            sources | grep '_neon\.c$' | sed "s|^|$root/|" |
                (cd "$dir" && xargs -P "$(nproc)" -n 4 "$cc" "${flags[@]}" "$neon" -c)
            sources | grep '_i8mm\.c$' | sed "s|^|$root/|" |
                (cd "$dir" && xargs -P "$(nproc)" -n 4 "$cc" "${flags[@]}" "$neon+i8mm" -c)
        fi
        "$cc" "$@" -o "$dir/bits.new" "$dir"/*.o -pthread -lm && mv "$dir/bits.new" "$dir/bits"
    } >"$dir/log" 2>&1 || {
        echo "$name: does not build"
        tail -20 "$dir/log"
        failed=$((failed + 1))
        return 1
    }
}

# compare NAME COMMAND...: what it prints against the expected lines.
compare() {
    local name=$1 got good all
    shift
    got=$(timeout 250 "$@" 2>&1)
    all=$(wc -l <"$expected")
    good=$(diff --unchanged-line-format='=%L' --old-line-format='' --new-line-format='' "$expected" \
        <(echo "$got") | grep -c '^=')
    echo "$name: $good of $all equal"
    [ "$good" = "$all" ] || diff "$expected" <(echo "$got") | head -20
    passed=$((passed + good))
    failed=$((failed + all - good))
}

# variant NAME COMPILER [FLAG...]: on this machine, plain C and what the processor has.
variant() {
    build "$@" || return
    compare "$1" "$out/$1/bits" ref 1
    if [ "$host" = x86_64 ] && grep -qw avx2 /proc/cpuinfo; then
        compare "$1, AVX2, 3 threads" "$out/$1/bits" avx2 3
    fi
    if [ "$host" = x86_64 ] && grep -qw avx_vnni /proc/cpuinfo; then
        compare "$1, AVX-VNNI" "$out/$1/bits" avxvnni 1
    fi
    if [ "$host" = x86_64 ] && grep -qw avx512_vnni /proc/cpuinfo; then
        compare "$1, AVX-512, 2 threads" "$out/$1/bits" avx512 2
    fi
    if [ "$host" = aarch64 ] && grep -qw asimddp /proc/cpuinfo; then
        compare "$1, NEON, 2 threads" "$out/$1/bits" neon 2
    fi
    if [ "$host" = aarch64 ] && grep -qw i8mm /proc/cpuinfo; then
        compare "$1, I8MM" "$out/$1/bits" i8mm 1
    fi
}

if [ ! -f "$expected" ] && [ "${1:-}" != --update ]; then
    echo "$expected is missing"
    echo "0 passed, 1 failed"
    exit 1
fi
if [ "${1:-}" = --update ]; then
    build gcc-O1 gcc -O1 || exit 1
    "$out/gcc-O1/bits" ref 1 >"$expected" || exit 1
    echo "$expected: $(wc -l <"$expected") lines"
    exit 0
fi

variant gcc-O1 gcc -O1
variant gcc-O3 gcc -O3
variant clang-O2 clang -O2
variant gcc-sanitized gcc -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
if [ "$host" = x86_64 ]; then
    build aarch64 aarch64-linux-gnu-gcc -O2 -static && {
        compare "aarch64" qemu-aarch64 "$out/aarch64/bits" ref 1
        compare "aarch64, NEON, 2 threads" qemu-aarch64 -cpu neoverse-n1 "$out/aarch64/bits" neon 2
        compare "aarch64, I8MM" qemu-aarch64 -cpu max "$out/aarch64/bits" i8mm 1
    }
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
