"""Qwen2-1.5B generates, again and again, while it is parked and unparked: the tokens must be those of an undisturbed generation."""
import os
import random
import sys
import time

import parking
from parking import MIB, Worker, commands, goal, median, reply

CYCLES = 20


def main(arguments, device):
    cycles, tokens, layers = (5, 8, 2) if arguments.quick else (CYCLES, 64, 28)
    worker = Worker([sys.executable, os.path.abspath(__file__), "--worker", str(tokens), str(layers)], arguments.library)
    try:
        alone = worker.answer()
        worker.send("go")
        chance = random.Random(5)
        answers, tries = [], 0
        for _ in range(cycles):
            time.sleep(chance.uniform(0.02, 0.3))
            parked = worker.park()
            tries += parked["tries"]
            time.sleep(chance.uniform(0, 0.05))
            answers.append((parked, worker.unpark()))
        got = worker.ask("stop")
    finally:
        worker.close()
    park, unpark = (median([float(answer[i]["seconds"]) for answer in answers]) for i in range(2))
    rows = [["Qwen2-1.5B, greedy", f"{tokens}", f"{alone['seconds']:.2f}", f"{cycles}", f"{got['generations']}",
             f"{int(answers[0][0]['bytes']) / MIB:.0f}", f"{park:.3f}", f"{unpark:.3f}", "NO" if got["other_tokens"] else "yes",
             "NO" if got["other_logits"] else "yes"]]
    return {"title": "Generation while parked and unparked",
            "columns": ["model", "tokens", "seconds undisturbed", "parked and unparked", "generations meanwhile", "parked MiB", "park s", "unpark s",
                        "same tokens", "same logits"],
            "rows": rows, "goals": [goal("generations with other tokens than undisturbed", 0, got["other_tokens"]),
                                    goal("times parked and unparked in flight", cycles, len(answers), least=True)],
            "remarks": [f"Random weights of a fixed seed, transformers {alone['version']}; parked at random moments, {tries - cycles} times refused as busy and tried again."],
            "data": {"alone": alone, "got": got, "answers": answers}}


def worker(tokens, layers):
    import qwen

    made = qwen.model(layers)
    qwen.generate(made, tokens)
    begun = time.perf_counter()
    reference, logits = qwen.generate(made, tokens)
    reply(seconds=time.perf_counter() - begun, tokens=reference, version=qwen.transformers.__version__)
    for _ in commands():  # go
        done = {"generations": 0, "other_tokens": 0, "other_logits": 0}
        while not parking.told_something():
            now, chosen_from = qwen.generate(made, tokens)
            done["generations"] += 1
            done["other_tokens"] += now != reference
            done["other_logits"] += chosen_from != logits
        sys.stdin.readline()  # stop
        reply(**done)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(int(sys.argv[2]), int(sys.argv[3]))
    else:
        parking.control(main, __doc__)
