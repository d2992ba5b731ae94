"""compare.py LIBTORPOR [--rounds N] [--quick] [--out DIR] [PROGRAM...]: runs the programs plain and with the shim preloaded, by turns.

Prints a table: how much faster, and whether the results are the same; then one table for each program about parking, which start what they
need themselves, with goals. What these measured goes into DIR too. Ends with 1 if one failed or gave another result.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ["torch_smoke", "jax_smoke", "cupy_smoke", "torch_copy", "torch_state"]
SPEED = ["torch_copy", "torch_state"]
PARKING = ["park_coverage", "park_generate", "park_cycles", "park_model", "overhead"]
VARIANTS = ["plain", "shim"]
LIMIT_S = 300


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", help="libtorpor.so")
    parser.add_argument("programs", nargs="*", help=", ".join(PROGRAMS + PARKING))
    parser.add_argument("--rounds", type=int, default=2, help="of the programs that measure speed")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--out", default="results", help="folder for what the programs about parking measured")
    return parser.parse_intermixed_args()


def folder_in_memory():
    """For the state dict: a place that is no disk."""
    return tempfile.mkdtemp(prefix="torpor-python-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def command(program, folder, quick):
    words = [sys.executable, os.path.join(HERE, program + ".py")]
    if program == "torch_copy":
        words += ["512", "1"] if quick else ["4096", "3"]
    if program == "torch_state":
        words += [folder] + (["300"] if quick else ["3000"])
    return words


def run(words, variant, library=None):
    environment = dict(os.environ, TORPOR_LOG="info")
    environment.pop("LD_PRELOAD", None)
    if variant == "shim":
        environment["LD_PRELOAD"] = library
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT_S} s"}
    lines = done.stdout.strip().splitlines()
    said = [line for line in done.stderr.splitlines() if "torpor" in line.lower()]
    if done.returncode or not lines:
        return {"failed": f"status {done.returncode}: " + (done.stderr.strip() or done.stdout.strip())[-2000:]}
    return dict(json.loads(lines[-1]), said=said)


def measure(program, arguments, folder):
    """The answers of each variant; fewer if one of them has nothing to tell."""
    answers = {variant: [] for variant in VARIANTS}
    rounds = arguments.rounds if program in SPEED and not arguments.quick else 1
    for number in range(rounds):
        for variant in VARIANTS if number % 2 == 0 else reversed(VARIANTS):
            got = run(command(program, folder, arguments.quick), variant, arguments.library)
            answers[variant].append(got)
            if "missing" in got or "failed" in got:
                return answers
    return answers


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def rows_of_speed(program, answers, same):
    """A row for each figure: GB/s, where more is better, or seconds, where less is."""
    for kind, unit in (("speeds", "GB/s"), ("seconds", "s")):
        for name in answers["plain"][0].get(kind, {}):
            plain, shim = (median([got[kind][name] for got in answers[variant]]) for variant in VARIANTS)
            faster = shim / plain if kind == "speeds" else plain / shim
            print(f"| {program} | {name} | {plain:.2f} {unit} | {shim:.2f} {unit} | {faster:.2f} | {same} |")


def report(program, answers, took):
    """Whether all is well."""
    everything = [got for variant in VARIANTS for got in answers[variant]]
    for variant in VARIANTS:
        for got in answers[variant]:
            if "missing" in got:
                print(f"| {program} | skipped: no {got['missing']} | – | – | – | – |")
                return True
            if "failed" in got:
                print(f"| {program} | FAILED, {variant} | – | – | – | – |")
                print(f"{program}, {variant}: {got['failed']}", file=sys.stderr)
                return False
    same = "yes" if len({got["digest"] for got in everything}) == 1 else "NO"
    if program in SPEED:
        rows_of_speed(program, answers, same)
    else:
        print(f"| {program} | version {everything[0]['version']} | ran | ran | – | {same} |")
    for line in answers["shim"][-1]["said"]:
        print(f"{program}, shim: {line}", file=sys.stderr)
    print(f"{program}: {took:.0f} s", file=sys.stderr)
    return same == "yes"


def table(answer):
    """As the benchmarks in Java print theirs."""
    simulated = "SIMULATED" in answer["device"]
    lines = [f"### {answer['title']}", "", ("**SIMULATED** – these figures say nothing about a GPU. " if simulated else "") + answer["device"], ""]
    for cells in (answer["columns"], ["---"] * len(answer["columns"]), *answer["rows"]):
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for goal in answer["goals"]:
        lines.append(f"- {'SIMULATED goal' if simulated else 'Goal'}: {goal['what']} {'at least' if goal['least'] else 'at most'} {goal['limit']:g}: "
                     f"measured {goal['measured']:.4g}, reached: {'yes' if goal['reached'] else 'no'}")
    lines += [f"- {remark}" for remark in answer["remarks"]]
    return "\n".join(lines) + "\n"


def park(program, arguments):
    """Runs one of the programs about parking; whether all went well, whatever the goals are."""
    begun = time.monotonic()
    words = [sys.executable, os.path.join(HERE, program + ".py"), os.path.abspath(arguments.library)] + ["--quick"] * arguments.quick
    answer = run(words, "controller")
    took = f"{program}: {time.monotonic() - begun:.0f} s"
    if "missing" in answer:
        print(f"{program}: skipped: no {answer['missing']}\n")
    elif "failed" in answer:
        print(f"{program}: FAILED\n")
        print(f"{program}: {answer['failed']}", file=sys.stderr)
    else:
        text = table(answer)
        print(text, flush=True)
        os.makedirs(arguments.out, exist_ok=True)
        with open(os.path.join(arguments.out, program + ".json"), "w") as file:
            json.dump(answer, file, indent=2)
        with open(os.path.join(arguments.out, program + ".md"), "w") as file:
            file.write(text)
    print(took, file=sys.stderr, flush=True)
    return "failed" not in answer


def compare(programs, arguments):
    well = True
    folder = folder_in_memory()
    print("| program | what | plain | with the shim | times as fast | identical |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    try:
        for program in programs:
            begun = time.monotonic()
            answers = measure(program, arguments, folder)
            well = report(program, answers, time.monotonic() - begun) and well
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder)
    print(flush=True)
    return well


def main():
    arguments = parse()
    unknown = [program for program in arguments.programs if program not in PROGRAMS + PARKING]
    if unknown or not os.path.exists(arguments.library):
        print(f"no such program: {unknown}" if unknown else f"there is no {arguments.library}", file=sys.stderr)
        return 64
    wanted = arguments.programs or PROGRAMS + PARKING
    compared = [program for program in PROGRAMS if program in wanted]
    well = compare(compared, arguments) if compared else True
    for program in PARKING:
        if program in wanted:
            well = park(program, arguments) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
