#!/bin/sh
# run.sh OUT SANITIZE TEST...: runs the built tests and sums up what they say. TEST@shim is TEST with the shim preloaded.
logs=$1/tests sanitize=$2
scratch=$(mktemp -d /tmp/torpor-tests-XXXXXX) || exit 1
machine=
trap 'rm -rf "$scratch" "$machine"' EXIT
# LD_PRELOAD cannot hold a path with a blank or a colon, as that of a checkout may be.
ln -s "$1" "$scratch/out"
shift 2
out=$scratch/out
export TORPOR_OUT="$out" TORPOR_DIR="$scratch/sockets"
mkdir -m 700 "$TORPOR_DIR" || exit 1
trap 'exit 130' INT TERM
# The driver takes more device memory for more streams than it has queues, which is what tests of free memory would see.
[ -z "$TORPOR_REAL_DRIVER" ] || export TORPOR_COPY_STREAMS="${TORPOR_COPY_STREAMS-8}"
if [ -z "$TORPOR_REAL_DRIVER" ]; then
  export TORPOR_LIBCUDA="$out/simulator/libcuda.so.1"
  machine=$(mktemp -d /dev/shm/torpor-tests-XXXXXX) || exit 1
  export TORPOR_SIM_DIR="$machine"
fi
export ASAN_OPTIONS=detect_stack_use_after_return=1:abort_on_error=0:exitcode=77 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=exitcode=66:die_after_fork=0:atexit_sleep_ms=0
# ThreadSanitizer of this age wants the addresses that an unrandomised process has.
prefix=
# A sanitizer's own library must come before the shim.
case $sanitize in
  address*) runtime=$(gcc -print-file-name=libasan.so): ;;
  thread) runtime=$(gcc -print-file-name=libtsan.so): ;;
  *) runtime= ;;
esac
[ -n "$sanitize" ] && export TORPOR_SANITIZED=1
rm -f "$logs/tests.skipped"
if [ "$sanitize" = thread ]; then
  prefix="setarch -R"
  if ! $prefix true 2> /dev/null; then
    echo "the C tests under ThreadSanitizer, which need 'setarch -R' (Debian package util-linux, and a container that allows it)" > "$logs/tests.skipped"
    exit 0
  fi
fi
passed=0 failed=0
for test in "$@"; do
  echo "$test${sanitize:+ ($sanitize)}"
  case $test in
    shim_*) preload="LD_PRELOAD=$runtime$out/libtorpor.so" ;;
    *@shim) preload="LD_PRELOAD=$runtime$out/libtorpor.so TORPOR_UNDER_SHIM=1" ;;
    *) preload= ;;
  esac
  $prefix env $preload "$out/tests/${test%@shim}" > "$logs/$test.log" 2>&1
  status=$?
  line=$(tail -n 1 "$logs/$test.log")
  case $line in
    *passed,*failed) ;;
    *) line="0 passed, 1 failed" ;;
  esac
  [ $status -ne 0 ] || [ "${line#*, }" != "0 failed" ] && cat "$logs/$test.log"
  grep -E '^  (ok|skipped)' "$logs/$test.log" | { [ $status -eq 0 ] && cat || cat > /dev/null; }
  passed=$((passed + ${line%% *}))
  failed=$((failed + $(echo "$line" | sed 's/.*, \([0-9]*\) failed/\1/')))
done
echo "$passed passed, $failed failed${sanitize:+ under $sanitize}"
[ "$failed" -eq 0 ]
