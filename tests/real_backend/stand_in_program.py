"""The stand-in as a program with the words of ``vllm serve``, so that fleets can start and stop it as a process."""

import sys
import time

from tests.real_backend.stand_in import StandIn


def main() -> None:
    words = sys.argv[1:]

    def after(flag: str) -> str:
        return words[words.index(flag) + 1]

    if "--fail" in words:
        print("ValueError: no such flag", flush=True)
        sys.exit(1)
    StandIn(after("--served-model-name"), port=int(after("--port")), max_num_seqs=int(after("--max-num-seqs"))).start()
    while True:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
