#!/bin/bash
# assemble.sh ROOT TARGET JAR: puts the GPU kit together in TARGET/gpu-kit, beside the runtime and
# the part of bytedeco's native libraries that are there already, and packs it.
set -euo pipefail
root=$1 target=$2 jar=$3 kit=$2/gpu-kit

mkdir -p "$kit"/{lib,bench,tests/lib,native/target}
rm -f "$kit"/runtime/lib/server/classes_nocoops.jsa    # for heaps over 32 GB

cp -p "$target/$jar" "$kit/lib"
for library in "$target"/kit-libraries/*.jar; do
    case $library in
        */junit-*|*/byte-buddy-*|*/apiguardian-*|*/cuda-*-linux-x86_64.jar) ;;
        */torpor-examples-*) cp -p "$library" "$kit/lib/torpor.jar" ;;
        *) cp -p "$library" "$kit/lib" ;;
    esac
done

cp -p "$target"/kit-tests/*.jar "$kit/tests/lib"
for binding in ffm jna; do
    cp -rp "$root/bindings/$binding/target/test-classes" "$kit/tests/$binding"
done

cp -rp "$target/native" "$kit/bench/native"
cp -rp "$root/benchmarks/src/main/python" "$kit/bench/python"
rm -rf "$kit/bench/python/__pycache__"
cp -rp "$root"/native/{Makefile,abi,simulator,programs,shim,early,tests} "$kit/native"
cp -rp "$root"/native/target/{libtorpor.so,libtorpor_early.so,kernels.ptx,programs,simulator} "$kit/native/target"
# As what was built may not be newer than what it was built from, or make would build it again there.
find "$kit/native/target" -type f -exec touch {} +

cp "$root/benchmarks/src/main/kit/run" "$root/benchmarks/src/main/kit/README" "$root/examples/src/main/launcher/torpor" "$kit"
chmod +x "$kit/run" "$kit/torpor"
ln -s native/target/programs/torpor-target "$kit"    # where the command line looks for it

# A rehearsal, as in the build of the command line, for the runtime of the kit.
TORPOR_SIM_DIR=$target/simulator TORPOR_LIBCUDA=$kit/native/target/simulator/libcuda.so.1 \
    "$kit/runtime/bin/java" -XX:AOTCacheOutput="$kit/lib/torpor.aot" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    --enable-native-access=ALL-UNNAMED -Djna.nosys=true -jar "$kit/lib/torpor.jar" ps >"$target/kit-cache.log" 2>&1 ||
    [ -s "$kit/lib/torpor.aot" ] || { cat "$target/kit-cache.log"; exit 1; }

tar -C "$target" --sort=name --owner=0 --group=0 --transform='s,^gpu-kit,torpor-gpu-kit,' -I 'gzip -9' -cf "$target/torpor-gpu-kit.tar.gz" gpu-kit
size=$(stat -c %s "$target/torpor-gpu-kit.tar.gz")
echo "torpor-gpu-kit.tar.gz: $((size / 1000000)) MB, unpacked $(du -sm "$kit" | cut -f1) MiB"
[ "$size" -le 47000000 ] || { echo "The kit must stay under 47 MB."; exit 1; }
