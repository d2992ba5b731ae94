"""served_model.py FOLDER [LAYERS RESERVED_MIB]: Qwen2-1.5B and 9.2 GB in all, as a server that tells whether its results are still the same.
served_model.py --check FOLDER: asks it; ends with 0 if they are.

Two named pipes in FOLDER are between them, so that CRIU can dump the server and make it anew. It says READY when it serves.
"""
import os
import select
import sys

PATIENCE_S = 120
SAME, DIFFERENT = b"same\n", b"different\n"


def pipes(folder):
    """What is asked, and what is answered; open at both ends, so that neither waits for the other to come."""
    paths = [os.path.join(folder, name) for name in ("questions", "answers")]
    for path in paths:
        if not os.path.exists(path):
            os.mkfifo(path)
    return [os.open(path, os.O_RDWR | os.O_CLOEXEC) for path in paths]


def serve(folder, layers=28, reserved=9248):
    import park_model

    questions, answers = pipes(folder)
    program = park_model.Program(layers, reserved)
    print(f"READY, {program.torch.cuda.memory_reserved() >> 20} MiB reserved", flush=True)
    while os.read(questions, 1):
        os.write(answers, SAME if program.results() == program.reference else DIFFERENT)


def check(folder):
    questions, answers = pipes(folder)
    os.write(questions, b"?")
    if not select.select([answers], [], [], PATIENCE_S)[0]:
        sys.exit(f"no answer within {PATIENCE_S} s")
    if os.read(answers, len(DIFFERENT)) != SAME:
        sys.exit("the results are others than before")


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        serve(sys.argv[1], *map(int, sys.argv[2:]))
