#!/bin/sh
# run.sh OUT SANITIZE TEST...: runs the built tests and sums up what they say. TEST@shim is TEST with the shim preloaded.
out=$1 sanitize=$2
shift 2
export TORPOR_OUT="$out"
TORPOR_DIR=$(mktemp -d /tmp/torpor-sockets-XXXXXX) || exit 1
export TORPOR_DIR
trap 'rm -rf "$TORPOR_DIR" "$TORPOR_SIM_DIR"' EXIT
trap 'exit 130' INT TERM
# The driver takes more device memory for more streams than it has queues, which is what tests of free memory would see.
[ -z "$TORPOR_REAL_DRIVER" ] || export TORPOR_COPY_STREAMS="${TORPOR_COPY_STREAMS-8}"
if [ -z "$TORPOR_REAL_DRIVER" ]; then
  export TORPOR_LIBCUDA="$out/simulator/libcuda.so.1"
  TORPOR_SIM_DIR=$(mktemp -d /dev/shm/torpor-tests-XXXXXX) || exit 1
  export TORPOR_SIM_DIR
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
[ "$sanitize" = thread ] && prefix="setarch -R"
passed=0 failed=0
for test in "$@"; do
  echo "$test${sanitize:+ ($sanitize)}"
  case $test in
    shim_*) preload="LD_PRELOAD=$runtime$out/libtorpor.so" ;;
    *@shim) preload="LD_PRELOAD=$runtime$out/libtorpor.so TORPOR_UNDER_SHIM=1" ;;
    *) preload= ;;
  esac
  $prefix env $preload "$out/tests/${test%@shim}" > "$out/tests/$test.log" 2>&1
  status=$?
  line=$(tail -n 1 "$out/tests/$test.log")
  case $line in
    *passed,*failed) ;;
    *) line="0 passed, 1 failed" ;;
  esac
  [ $status -ne 0 ] || [ "${line#*, }" != "0 failed" ] && cat "$out/tests/$test.log"
  grep -E '^  (ok|skipped)' "$out/tests/$test.log" | { [ $status -eq 0 ] && cat || cat > /dev/null; }
  passed=$((passed + ${line%% *}))
  failed=$((failed + $(echo "$line" | sed 's/.*, \([0-9]*\) failed/\1/')))
done
echo "$passed passed, $failed failed${sanitize:+ under $sanitize}"
[ "$failed" -eq 0 ]
