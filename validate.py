"""Validate a policy on live nodes: a thin door to ``maestro-gym validate``."""

import sys

from maestro_gym.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["validate"]
    main()
